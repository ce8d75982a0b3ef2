"""Bulk hashes of grams tell texts apart exactly as `data.grams` does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from luthier.data.rows.grams import grams
from luthier.data.similar import hashing
from luthier.data.similar.hashing import gram_hashes

WORDS = st.sampled_from(
    ["a", "B", "b", "ß", "İx", "ΣΑΣ", "a_b", "--flag", "/usr/lib", "x" * 70, "X" * 70, "\n", "", "!!", "…", "\0", "\ud800", "\x1c", "é"]
)
TEXTS = st.lists(st.one_of(st.lists(WORDS, max_size=7).map(" ".join), st.text(max_size=12)), max_size=12)


def sets_of(texts: list[str]) -> list[frozenset[int]]:
    hashes, counts = gram_hashes(texts)
    ends = counts.cumsum()
    return [frozenset(hashes[end - count : end].tolist()) for end, count in zip(ends, counts, strict=True)]


@given(TEXTS)
def test_hashes_stand_for_grams(texts: list[str]) -> None:
    wanted = [grams(text) for text in texts]
    found = sets_of(texts)
    known: dict[str, int] = {}
    for names, hashes in zip(wanted, found, strict=True):
        assert len(names) == len(hashes)
        for other, theirs in zip(wanted, found, strict=True):
            assert len(names & other) == len(hashes & theirs)
    for names, hashes in zip(wanted, found, strict=True):
        if len(names) == 1:
            assert known.setdefault(*names, *hashes) == next(iter(hashes))
    assert len(set(known.values())) == len(known)


def test_a_text_has_the_same_hashes_in_any_batch() -> None:
    texts = [f"word{number} and some more {number % 7} words, Größe {number}" for number in range(20_000)]
    # More than a batch of bytes.
    assert sum(map(len, texts)) > 2 * hashing._BATCH_BYTES
    alone = [sets_of([text])[0] for text in texts[::1999]]
    assert sets_of(texts)[::1999] == alone


def test_no_text_gives_no_hash() -> None:
    hashes, counts = gram_hashes([])
    assert len(hashes) == len(counts) == 0
