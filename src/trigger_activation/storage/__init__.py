"""Files on disk: written whole or not at all, read without executing code."""
