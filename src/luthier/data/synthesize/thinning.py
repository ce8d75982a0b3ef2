"""How many rows of a source are kept, and which: by hash, evenly over files and makers, so that a further file moves few others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b

from luthier.data.synthesize.made import Made


def thinned(rows: Sequence[tuple[str, Made]], per_file: dict[str, int], most_of_file: int, most: int | None) -> list[bool]:
    """For each `(maker, row)` whether it is kept: first each maker's budget of a file, then the file's, then the source's.

    A file's rows are taken in turns from its makers, a source's in turns from makers and files, each by the row's hash.
    """
    by_file: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    draw = [_draw(maker, row) for maker, row in rows]
    for number, (maker, row) in enumerate(rows):
        by_file[row.path][maker].append(number)
    kept: list[int] = []
    for makers in by_file.values():
        queues = [sorted(numbers, key=draw.__getitem__)[: per_file[maker]] for maker, numbers in makers.items()]
        kept += _in_turns(queues)[:most_of_file]
    if most is not None and len(kept) > most:
        by_maker: dict[str, list[int]] = defaultdict(list)
        for number in kept:
            by_maker[rows[number][0]].append(number)
        kept = _in_turns([sorted(numbers, key=draw.__getitem__) for numbers in by_maker.values()])[:most]
    chosen = set(kept)
    return [number in chosen for number in range(len(rows))]


def _draw(maker: str, row: Made) -> bytes:
    said = "\n".join([maker, row.path, str(row.lines), *(message.content for message in row.messages)])
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _in_turns(queues: Sequence[Sequence[int]]) -> list[int]:
    """The first of each queue, then the second of each, and so on."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
