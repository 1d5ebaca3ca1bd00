"""The paper's published numbers: their own arithmetic, its statements, and what a run measured beside them."""
