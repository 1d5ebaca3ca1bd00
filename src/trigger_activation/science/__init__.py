"""The science: tensors, networks and generators; no paths, no config files, no plan."""
