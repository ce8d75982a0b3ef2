"""Whether one of many values may begin in a text, told by its first eight bytes: far quicker than a look at each place by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from luthier.core.optional import load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREFIX_BYTES = 8
# Knuth's multiplicative hash: the upper bits of a product with 2^64 over the golden ratio.
_GOLDEN = 0x9E3779B97F4A7C15
_LEAST_BITS, _MOST_BITS = 16, 24
_AT_ONCE = 1 << 18


class Prefixes:
    """The first bytes of values, each of `PREFIX_BYTES` or more."""

    def __init__(self, values: Iterable[bytes]) -> None:
        # Where no secret is known, which is most often, nobody waits for NumPy to start: a fifth of what an ingest of a few files takes.
        self._numpy = numpy = load("numpy", extra="data")
        self._known = numpy.unique(numpy.frombuffer(b"".join({value[:PREFIX_BYTES] for value in values}), "<u8"))
        bits = min(max(len(self._known).bit_length() + 5, _LEAST_BITS), _MOST_BITS)
        self._shift = numpy.uint64(64 - bits)
        self._may_be = numpy.zeros(1 << bits, bool)
        self._may_be[self._hashed(self._known)] = True

    def _hashed(self, found: NDArray[np.uint64]) -> NDArray[np.uint64]:
        hashed: NDArray[np.uint64] = (found * self._numpy.uint64(_GOLDEN)) >> self._shift
        return hashed

    def places(self, text: bytes) -> NDArray[np.int64]:
        """Where in `text` the first bytes of a value stand, ascending."""
        numpy = self._numpy
        count = len(text) - PREFIX_BYTES + 1
        found = [numpy.empty(0, numpy.int64)]
        for start in range(0, count if len(self._known) else 0, _AT_ONCE):
            # A number at each byte: they overlap.
            here = numpy.ndarray((min(_AT_ONCE, count - start),), "<u8", text, start, (1,))
            likely = numpy.flatnonzero(self._may_be[self._hashed(here)])
            said = here[likely]
            # Not `isin`, which would sort all that is known each time.
            nearest = numpy.minimum(numpy.searchsorted(self._known, said), len(self._known) - 1)
            found.append(likely[self._known[nearest] == said] + start)
        places: NDArray[np.int64] = numpy.concatenate(found)
        return places
