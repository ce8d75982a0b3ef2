"""Numbers with their noun, as a sentence has them."""

from __future__ import annotations


def counted(number: int, noun: str, thousands: str = "") -> str:
    """`1 row`, `0 rows`, `2 rows`; `thousands` stands between groups of three digits. `noun` takes a plain `s`."""
    digits = f"{number:,}".replace(",", thousands)
    return f"{digits} {noun}" if number == 1 else f"{digits} {noun}s"
