"""The division without groups, as Axolotl's `val_set_size` draws it."""

from __future__ import annotations

from math import ceil
from random import Random

from luthier.core.errors import DataError, Problem
from luthier.data.split.sides import VALIDATION, Division


def hold_out(count: int, val_set_size: float, seed: int) -> Division:
    """Axolotl's `val_set_size`: the last rows of a seeded shuffle; a share below 1 is rounded up, otherwise it is a number of rows."""
    held_out = ceil(val_set_size * count) if val_set_size < 1 else int(val_set_size)
    if held_out >= count:
        hint = "write a smaller number, or a share below 1"
        found = f"{val_set_size:g} of {count} rows"
        raise DataError(Problem("`val_set_size` leaves no rows to train on", where="val_set_size", found=found, hint=hint))
    order = list(range(count))
    Random(seed).shuffle(order)
    sides = bytearray(count)
    for number in order[count - held_out :] if held_out else ():
        sides[number] = VALIDATION
    return Division(sides)
