"""A check of thousands of small cases as one test: to collect, send, run and report each as a test of its own costs more than it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def each_of(cases: Iterable[tuple[str, T]]) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    """Makes a test that runs the check it decorates on each case, to the last, and tells all that fail with their names."""

    named = list(cases)

    def of_check(check: Callable[[T], None]) -> Callable[[], None]:
        def test() -> None:
            assert named
            wrong = []
            for name, case in named:
                try:
                    check(case)
                except AssertionError as error:
                    wrong.append(f"{name}: {error}")
            assert not wrong, f"{len(wrong)} of {len(named)}:\n" + "\n".join(wrong)

        test.__doc__ = check.__doc__
        return test

    return of_check
