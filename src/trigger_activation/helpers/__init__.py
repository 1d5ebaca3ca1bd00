"""Helper networks of attacks and defenses: diffusion models and purifiers."""
