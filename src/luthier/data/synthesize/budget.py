"""Which of a file's possible rows are taken: no more than the budget, none nearly equal to another, drawn by hash over the whole file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from luthier.data.rows.grams import NEAR, grams, jaccard
from luthier.data.synthesize.made import Made, Unfit
from luthier.data.synthesize.wording import drawn


def within_budget(rows: Iterable[Made | Unfit], per_file: int) -> Iterator[Made | Unfit]:
    """The rows of one file, thinned to `per_file`, in their order; what was turned down is handed on.

    Which rows stay hangs on each row's own words, so that a further definition in a file does not move the choice among the others.
    Rows beyond the budget are no fault of theirs and are let go without a word; a row nearly equal to one that stays is `Unfit`.
    """
    made = list[Made]()
    for row in rows:
        if isinstance(row, Unfit):
            yield row
        else:
            made.append(row)
    order = sorted(range(len(made)), key=lambda number: drawn(*(turn.content for turn in made[number].messages)))
    taken: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
    for number in order:
        if len(taken) >= per_file:
            break
        whole = grams("\n".join(turn.content for turn in made[number].messages))
        request = grams(made[number].messages[0].content)
        if any(jaccard(whole, other) >= NEAR or jaccard(request, asked) >= NEAR for other, asked in taken.values()):
            row = made[number]
            yield Unfit(row.path, row.lines, "near_duplicate", "a row of this file that is nearly equal was taken")
        else:
            taken[number] = (whole, request)
    for number in sorted(taken):
        yield made[number]
