"""Turn a bundle into C and board projects."""
