"""Long lists in pages."""

from __future__ import annotations

import pytest

from luthier.serve.pages.frame.paging import cut_page


def test_a_page_says_what_it_holds_and_where_it_goes_on() -> None:
    part = cut_page(list(range(25)), {"q": "a b", "page": "2", "state": ""}, 10)
    assert (part.items, part.first, part.last, part.total, part.pages) == (list(range(10, 20)), 11, 20, 25, 3)
    assert (part.before, part.after) == ("?q=a+b&page=1", "?q=a+b&page=3")
    assert cut_page(list(range(25)), {"page": "3"}, 10).after == ""


@pytest.mark.parametrize(("asked", "number"), [("0", 1), ("-1", 1), ("x", 1), ("99", 3), ("9" * 5_000, 1), ("٣", 1), ("", 1)])
def test_a_page_that_is_not_there_is_the_nearest(asked: str, number: int) -> None:
    assert cut_page(list(range(25)), {"page": asked}, 10).number == number


def test_of_nothing_there_is_one_empty_page() -> None:
    part = cut_page([], {}, 10)
    assert (part.items, part.first, part.last, part.pages, part.before, part.after) == ([], 0, 0, 1, "", "")
