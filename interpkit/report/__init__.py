"""Stored results -> one HTML page that needs no network, and a PDF. Each file in ``sections/`` is a part of both."""

from interpkit.report.building import build
from interpkit.report.page import Page, Picture, Section
from interpkit.report.printing import build_pdf, check_paper

__all__ = ["Page", "Picture", "Section", "build", "build_pdf", "check_paper"]
