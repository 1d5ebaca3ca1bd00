"""Training: one loop, and paradigms that give it an objective."""
