"""The page: `wakeword web`, and `[web]` in the daemon's configuration."""
