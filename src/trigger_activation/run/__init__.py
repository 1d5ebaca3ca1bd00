"""The Snakefile's counterpart: jobs, the workers that run them, and one stage function for each kind of artifact."""
