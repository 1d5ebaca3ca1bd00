"""Evaluation: predictions, Eq. 5-7, studies of triggers."""
