"""What is told to people on pages: sentences, with names as code. Everything is escaped first: what a text holds stays text."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_CODED = re.compile(r"`([^`\n]+)`")
# The name of a key, a file or a folder keeps its letters.
_NAME = re.compile(r"\S*[_./:=]\S*")


def coded(text: str) -> Markup:
    """`text` for a page, with what stands between backticks as code."""
    return Markup(_CODED.sub(r"<code>\1</code>", str(escape(text))))


def sentence(text: str) -> str:
    """`text` with a capital at its beginning, where it begins with a word."""
    return text[:1].upper() + text[1:] if text[:1].isalpha() and not _NAME.match(text) else text
