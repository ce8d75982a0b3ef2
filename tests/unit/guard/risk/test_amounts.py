"""Amounts of bytes in arguments, and the flow without an end that they bound or do not."""

from __future__ import annotations

import pytest

from luthier.guard.risk.amounts import TOO_MUCH, amount_of
from luthier.guard.verdict import judge


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1k", 1024),
        ("2K", 2048),
        ("1M", 1 << 20),
        ("3G", 3 << 30),
        ("1TiB", 1 << 40),
        ("+5G", 5 << 30),
        ("x", None),
        ("", None),
        ("1.5G", None),
    ],
)
def test_amounts(text: str, amount: int | None) -> None:
    assert amount_of(text) == amount


@pytest.mark.parametrize(
    ("command", "level"),
    [
        ("head -c 900G /dev/urandom > f", "dangerous"),
        ("head -c 1G /dev/urandom > f", "caution"),
        ("head /dev/zero > f", "caution"),
        ("cat /dev/zero > f", "dangerous"),
        ("dd if=/dev/zero of=f", "dangerous"),
        ("dd if=/dev/zero of=f bs=1M count=100", "caution"),
        ("dd if=/dev/zero of=f bs=1G count=100000", "dangerous"),
        ("x=$(dd if=/dev/urandom bs=15 count=1 | base64)", "caution"),
        ("x=$(dd if=/dev/zero | base64)", "dangerous"),
        ("yes | head -3 > f", "caution"),
        ("fallocate -l 50T f", "dangerous"),
        ("fallocate -l 5G f", "caution"),
        ("fallocate -l 900G f", "dangerous"),
        ("fallocate -l 966367641600 f", "dangerous"),
        ("fallocate --length=5000000M f", "dangerous"),
        ("fallocate -n -l 1M f", "caution"),
        ("mkfile 900000m f", "dangerous"),
        ("mkfile 10g f", "caution"),
    ],
)
def test_what_fills_a_disk(command: str, level: str) -> None:
    assert judge(command).level == level


def test_too_much_is_more_than_a_usual_file() -> None:
    assert 100 << 30 < TOO_MUCH <= 1 << 40
