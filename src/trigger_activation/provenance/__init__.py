"""Provenance: what an artifact was made of, whether it is still what the plan asks for."""
