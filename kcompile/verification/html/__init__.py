"""A report as an HTML page: charts as plain geometry, facts as texts, and the page around them."""

from kcompile.verification.html.page import render

__all__ = ["render"]
