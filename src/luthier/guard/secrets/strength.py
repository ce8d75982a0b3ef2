"""How many scanners look for secrets: the three strengths, and which of them is meant where nobody names one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, get_args

Strength = Literal["fast", "thorough", "strict"]
STRENGTHS: tuple[Strength, ...] = get_args(Strength)


def default_strength() -> Strength:
    """`thorough`, or `fast` where credsweeper, which wants a C compiler to install, is not there."""
    return "thorough" if find_spec("credsweeper") is not None else "fast"
