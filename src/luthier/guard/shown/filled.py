"""Marks that another program fills in before a shell reads a line, `{{ x }}` and `${{ x }}`, each as a word of its name.

As for the variables of make: the text does not show what they stand for, and their name is what the author most likely means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MARK = re.compile(r"\$?\{\{-?[ \t]*([^{}\n]{0,200}?)[ \t]*-?\}\}")
_NAME = re.compile(r"[\w-]+")


def filled(text: str, values: Mapping[str, str] | None = None) -> str:
    """`text` with the value of each mark that `values` gives, else a word of its name."""
    return _MARK.sub(lambda found: _word(found[1], values or {}), text) if "{{" in text else text


def _word(inner: str, values: Mapping[str, str]) -> str:
    if inner in values:
        return values[inner]
    names = _NAME.findall(inner)
    return str(names[-1]).lower() if names else "value"
