"""Budgets of rows: which of the possible rows of a file, of a maker and of a source are taken.

One draw decides everywhere: a row's place hangs on its own words, so that a further definition or file moves few others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from luthier.data.rows.grams import NEAR, grams, jaccard
from luthier.data.synthesize.made import Made, Unfit
from luthier.data.synthesize.wording import drawn


def draw(row: Made) -> int:
    """The row's place in every draw among rows: the lower stay."""
    return drawn(*(turn.content for turn in row.messages))


def within_budget(rows: Iterable[Made | Unfit], per_file: int) -> Iterator[Made | Unfit]:
    """The rows of one file, thinned to `per_file`, in their order; what was turned down is handed on.

    Rows beyond the budget are no fault of theirs and are let go without a word; a row nearly equal to one that stays is `Unfit`.
    """
    made = list[Made]()
    for row in rows:
        if isinstance(row, Unfit):
            yield row
        else:
            made.append(row)
    order = sorted(range(len(made)), key=lambda number: draw(made[number]))
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


def thinned(rows: Sequence[tuple[str, Made]], per_file: dict[str, int], most_of_file: int, most: int | None) -> list[bool]:
    """For each `(maker, row)` whether it is kept: first each maker's budget of a file, then the file's, then the source's.

    A file's rows are taken in turns from its makers; a source's in turns from its makers, of each in turns from its files.
    """
    draws = [draw(row) for _, row in rows]
    by_file: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, (maker, row) in enumerate(rows):
        by_file[row.path][maker].append(number)
    kept: list[int] = []
    for makers in by_file.values():
        queues = [sorted(numbers, key=draws.__getitem__)[: per_file[maker]] for maker, numbers in makers.items()]
        kept += _in_turns(queues)[:most_of_file]
    if most is not None and len(kept) > most:
        by_maker: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number in sorted(kept, key=draws.__getitem__):
            maker, row = rows[number]
            by_maker[maker][row.path].append(number)
        # The file whose first row is drawn first comes first in each turn, for the files are in the order of their first rows.
        kept = _in_turns([_in_turns(list(files.values())) for files in by_maker.values()])[:most]
    chosen = set(kept)
    return [number in chosen for number in range(len(rows))]


def _in_turns(queues: Sequence[Sequence[int]]) -> list[int]:
    """The first of each queue, then the second of each, and so on."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
