"""The subset of some sizes whose sum is nearest to a number: exact, for sets of groups that are small."""

from __future__ import annotations

from collections.abc import Sequence

# Bits of the table of reachable sums; where it would have more, the first fit is left as it is.
_MOST_BITS = 200_000_000


def nearest_subset(sizes: Sequence[int], wanted: int) -> list[int] | None:
    """The places in `sizes`, whole numbers above 0, of a subset whose sum is nearest to `wanted`: rather below it, of the first ones.

    It is never empty where there are sizes. None where there are none, or too many for an exact search. Subset sum by bit sets: bit `s` of
    a row of the table says that `s` is the sum of some of the sizes so far.
    """
    highest = wanted + max(sizes, default=0)
    if not sizes or wanted < 1 or len(sizes) * highest > _MOST_BITS:
        return None
    mask = (1 << (highest + 1)) - 1
    reachable = [1]
    for size in sizes:
        reachable.append((reachable[-1] | reachable[-1] << size) & mask)
    left = min((total for total in range(1, highest + 1) if reachable[-1] >> total & 1), key=lambda total: (abs(total - wanted), total))
    taken = []
    for place in range(len(sizes) - 1, -1, -1):
        if not reachable[place] >> left & 1:
            taken.append(place)
            left -= sizes[place]
    return taken[::-1]
