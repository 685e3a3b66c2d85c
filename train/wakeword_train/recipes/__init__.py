"""One file per task: configuration, load, build, fit, evaluate, export."""
