"""Published artifacts: what DVC keeps of a run, for others to pull."""
