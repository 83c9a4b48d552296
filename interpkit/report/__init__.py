"""Stored results -> one HTML page that needs no network. Each file in ``sections/`` is one part of the page."""

from interpkit.report.building import build
from interpkit.report.page import Page, Picture, Section

__all__ = ["Page", "Picture", "Section", "build"]
