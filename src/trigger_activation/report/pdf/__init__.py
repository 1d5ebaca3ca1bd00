"""The PDF that holds all tables and figures of an experiment."""
