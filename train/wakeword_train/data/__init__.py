"""Clips, speech synthesis, augmentation, features and splits."""
