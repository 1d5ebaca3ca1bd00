"""One function for each kind of artifact: read inputs, call science or reports, write outputs and their record."""
