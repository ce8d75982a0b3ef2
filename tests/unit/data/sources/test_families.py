"""Of rows that differ by the names in their code alone a few are kept."""

from __future__ import annotations

from luthier.data.sources.families import MOST_OF_A_FAMILY, without_families
from luthier.data.synthesize.made import Made, Unfit, asked


def _row(kind: str, answer: str) -> Made:
    request = f"What does `{kind}P` do?\n\n```go\nfunc {kind}P(name, shorthand string) *{kind} {{ return {kind}(name) }}\n```"
    return Made(asked(request, answer), f"{kind}.go", (1, 3))


def test_rows_of_one_wording_are_thinned_and_others_stay() -> None:
    kinds = ("Bool", "Int", "String", "Duration", "Bytes", "Count")
    rows = [("explain", _row(kind, f"{kind}P is like {kind}, but accepts a letter behind a single dash.")) for kind in kinds]
    other = ("explain", _row("Float", "FloatP is slower than all others, for it rounds every digit twice."))
    found = list(without_families([*rows, other]))
    assert [maker for maker, _ in found] == ["explain"] * 7
    assert sum(isinstance(row, Made) for _, row in found[:-1]) == MOST_OF_A_FAMILY
    assert found[-1] == other
    assert {row.reason for _, row in found if isinstance(row, Unfit)} == {"same_wording"}


def test_answers_in_code_are_no_family() -> None:
    rows = [
        ("complete", _row(kind, f"{kind}P is like {kind}, but accepts a letter behind a single dash."))
        for kind in ("A", "B", "C", "D", "E")
    ]
    assert list(without_families(rows)) == rows


def test_articles_and_endings_tell_no_forms_apart() -> None:
    said = ("Bool defines a bool flag of one name.", "Int defines an int flag of one name.", "Text define the text flag of one name.")
    rows = [("explain", _row(*pair)) for pair in zip(("Bool", "Int", "Text"), said, strict=True)] + [
        ("explain", _row("Byte", "Byte defined a byte flag of one name."))
    ]
    assert sum(isinstance(row, Made) for _, row in without_families(rows)) == MOST_OF_A_FAMILY
