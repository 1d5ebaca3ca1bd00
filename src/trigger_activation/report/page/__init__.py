"""The results page of an experiment: one HTML file that works without a network and without a server."""

from trigger_activation.report.page.build import Figure, Page, build, figure
from trigger_activation.report.page.render import render

__all__ = ["Figure", "Page", "build", "figure", "render"]
