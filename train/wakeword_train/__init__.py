"""Train a wake word of your own, and the sequence models around it. TensorFlow lives here only."""
