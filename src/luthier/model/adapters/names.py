"""Which modules a written name or pattern means, as peft reads them. Without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping


def is_named(name: str, target: str) -> bool:
    """Whether the module `name` is meant by `target`: its full name or its last parts."""
    return name == target or name.endswith(f".{target}")


def is_listed(name: str, targets: Iterable[str]) -> bool:
    """Whether the module `name`, or one that it lies in, is meant by one of `targets`."""
    parts = name.split(".")
    above = [".".join(parts[: size + 1]) for size in range(len(parts))]
    return any(is_named(part, target) for part in above for target in targets)


def pattern_of(patterns: Mapping[str, int], name: str) -> str | None:
    """The first of `patterns` that the module `name` matches."""
    return next((pattern for pattern in patterns if re.match(rf"(.*\.)?({pattern})$", name)), None)
