"""The glossary: every word that the charts and findings use, in one place."""

import html

import streamlit as st

from core.glossary import GLOSSARY
from pages.shell.page_head import head

PARTS = (("", "what"), ("Why it matters: ", "why"), ("What is normal: ", "normal"))


def page():
    head("Glossary", "What the charts and findings speak of: what it is, why it matters, what is normal.")
    terms = sorted(GLOSSARY.values(), key=lambda term: term.title)
    st.html(f'<dl class="terms">{"".join(map(entry, terms))}</dl>')


def entry(term):
    """A term and what is to be known of it, as HTML."""
    told = "".join(f"<dd><b>{label}</b>{html.escape(getattr(term, part))}</dd>" for label, part in PARTS)
    return f'<div id="{term.anchor}"><dt>{html.escape(term.title)}</dt>{told}</div>'


page()
