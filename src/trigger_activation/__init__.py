"""The reproducible paper on trigger activation against transferable adversarial examples."""

__version__ = "0.1.0"
