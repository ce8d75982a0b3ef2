from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning_parts import ORIGIN, row, says
from luthier.data.clean.licenses import is_allowed, license_not_allowed

ALLOWED = ("MIT", "Apache-2.0", "LGPL-2.1-only", "GPL-2.0-only WITH Classpath-exception-2.0")


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "mit",
        "(MIT)",
        "MIT OR GPL-3.0-only",
        "GPL-3.0-only OR (BSD-3-Clause OR MIT)",
        "MIT AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT/GPL-3.0",
        "LGPL-2.1",
        "LGPL-2.1-or-later",
        "LGPL-2.1+",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT OR GPL-3.0-only AND GPL-2.0-only",
    ],
)
def test_what_the_list_allows(expression: str) -> None:
    assert is_allowed(expression, ALLOWED)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND GPL-3.0-only",
        "GPL-2.0-only",
        "GPL-2.0-only WITH Bison-exception-2.2",
        None,
        "",
        "NOASSERTION",
        "unknown",
        "MIT OR",
        "(MIT",
        "MIT)",
        "OR MIT",
        "MIT license, see LICENSE",
        "((((" * 40,
    ],
)
def test_what_it_does_not(expression: str | None) -> None:
    assert not is_allowed(expression, ALLOWED)


def test_a_row_without_a_license_passes_where_the_list_names_unknown() -> None:
    assert says(license_not_allowed, row()) is None
    assert says(license_not_allowed, row(), licenses=["MIT"]) == "nothing tells the license of the row"
    assert says(license_not_allowed, row(), licenses=["MIT", "unknown"]) is None
    licensed = row(origin=replace(ORIGIN, license="GPL-3.0-only"))
    assert says(license_not_allowed, licensed, licenses=["MIT"]) is not None
    assert says(license_not_allowed, licensed, licenses=["MIT", "GPL-3.0-only"]) is None
    assert says(license_not_allowed, licensed, licenses=["unknown"]) is not None


@given(st.lists(st.sampled_from(["MIT", "GPL-3.0", "AND", "OR", "WITH", "(", ")", "/", "?"]), max_size=9).map(" ".join))
def test_no_expression_raises(expression: str) -> None:
    assert is_allowed(expression, ALLOWED) in (True, False)
