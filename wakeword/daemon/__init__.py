"""Listen as a service: words, what to do when one is heard, and what may go wrong meanwhile."""
