"""The trigger model."""
