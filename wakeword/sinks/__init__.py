"""What is done when a word was heard; every sink has a module of its own."""
