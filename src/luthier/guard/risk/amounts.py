"""Amounts of bytes as programs are told them, and how many are too many."""

from __future__ import annotations

import re

from luthier.guard.risk.facts import Call, spec_of

# More than most disks have free: who writes as much at once fills one.
TOO_MUCH = 200 << 30

_AMOUNT = re.compile(r"\+?(\d{1,18})([kKmMgGtTpPeEbwc]?)(i?[bB])?")
_FACTORS = {"": 1, "c": 1, "w": 2, "b": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}
_LIMIT = spec_of("-c|--bytes|-n|--lines")
_LENGTH = spec_of("-l|--length")


def amount_of(text: str) -> int | None:
    """The bytes that `10G` or `1024` mean, in units of 1,024; None where it is no such number."""
    found = _AMOUNT.fullmatch(text)
    return int(found[1]) * _FACTORS[found[2].lower()] if found else None


def limit_of(name: str, call: Call) -> int | None:
    """The most that `head` or `dd` lets through; None where it says no such limit."""
    if name in ("head", "ghead"):
        option = call.has(_LIMIT)
        return amount_of(option.value.text) if option is not None and option.value is not None else 1 << 10
    if name.endswith("dd"):
        given = dict(operand.text.partition("=")[::2] for operand in call.operands)
        count = amount_of(given.get("count", ""))
        block = amount_of(given.get("bs", given.get("ibs", "512")))
        return count * block if count is not None and block is not None else None
    return None


def reserved_by(call: Call) -> int:
    """The bytes that `fallocate` and `mkfile` take on the disk; 0 where they are not told in numbers."""
    if call.name in ("mkfile", "xfs_mkfile"):
        return max([amount_of(operand.text) or 0 for operand in call.operands[:1]], default=0)
    option = call.has(_LENGTH) if call.name == "fallocate" else None
    return (amount_of(option.value.text) or 0) if option is not None and option.value is not None else 0
