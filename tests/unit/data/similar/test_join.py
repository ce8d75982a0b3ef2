"""The join finds what comparing every row with every other finds, whatever the threshold, the batches and the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.near_pairs import near_pairs
from luthier.data.rows.grams import grams, jaccard
from luthier.data.similar import duplicates, join
from luthier.data.similar.collection import Grams, collect
from luthier.data.similar.duplicates import near_components, near_duplicates
from luthier.data.similar.equal import first_equal

THRESHOLDS = st.sampled_from([0.3, 0.5, 0.7, 0.8, 1.0])


def related_texts(random: Random) -> list[str]:
    """Texts of a few families, so that many are near each other."""
    families = [[random.choice("abcdefgh") for _ in range(random.randrange(30))] for _ in range(random.choice([1, 2, 5, 12]))]
    texts = []
    for _ in range(random.randrange(50)):
        words = list(random.choice(families))
        for _ in range(random.randrange(4)):
            if words and random.random() < 0.7:
                words[random.randrange(len(words))] = random.choice("abcdefghxyzuvw")
            elif random.random() < 0.5:
                words.append(random.choice("abcq"))
        texts.append(" ".join(words))
    return texts


def naive_pairs(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    sets = [grams(text) for text in texts]
    return {(i, j) for j in range(len(texts)) for i in range(j) if jaccard(sets[i], sets[j]) >= threshold}


def naive_duplicates(count: int, pairs: set[tuple[int, int]]) -> list[int]:
    kept: list[int] = []
    found = []
    for row in range(count):
        found.append(next((other for other in kept if (other, row) in pairs), -1))
        if found[-1] < 0:
            kept.append(row)
    return found


def naive_components(count: int, pairs: set[tuple[int, int]]) -> list[int]:
    labels = list(range(count))
    for _ in range(count):
        for first, second in pairs:
            labels[first] = labels[second] = min(labels[first], labels[second])
    return labels


def hold_against_naive(texts: list[str], threshold: float, batch_rows: int, budget_bytes: int) -> None:
    wanted = naive_pairs(texts, threshold)
    with TemporaryDirectory() as folder, Grams(Path(folder), budget_bytes) as taken:
        for start in range(0, len(texts), batch_rows):
            taken.add(texts[start : start + batch_rows])
        found = [(int(i), int(j)) for first, second in near_pairs(taken, threshold) for i, j in zip(first, second, strict=True)]
        assert len(found) == len(set(found))
        assert set(found) == wanted
        assert near_duplicates(taken, threshold).tolist() == naive_duplicates(len(texts), wanted)
        assert near_components(taken, threshold).tolist() == naive_components(len(texts), wanted)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), THRESHOLDS, st.integers(1, 60), st.sampled_from([500, 1 << 20]))
def test_the_join_is_exact(random: Random, threshold: float, batch_rows: int, budget_bytes: int) -> None:
    hold_against_naive(related_texts(random), threshold, batch_rows, budget_bytes)


@pytest.mark.parametrize("seed", range(60))
def test_the_join_is_exact_in_small_steps(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (duplicates, join):
        monkeypatch.setattr(module, "CANDIDATES_AT_ONCE", 30)
    for name, value in (("_FIRST_STEP", 2), ("_LEAST_STEP", 2), ("_BLOCK", 3), ("_LARGE_GROUP", 2 + seed % 5)):
        monkeypatch.setattr(duplicates, name, value)
    random = Random(seed)
    hold_against_naive(related_texts(random), random.choice([0.3, 0.5, 0.7, 0.8]), 7, 1 << 20)


def test_a_place_beyond_the_last_that_a_posting_holds(tmp_path: Path) -> None:
    """Long rows at a low threshold have prefixes longer than 31 grams."""
    random = Random(4)
    base = [f"w{random.randrange(400)}" for _ in range(200)]
    texts = []
    for _ in range(40):
        words = list(base)
        for _ in range(random.randrange(30)):
            words[random.randrange(200)] = f"v{random.randrange(10_000)}"
        texts.append(" ".join(words))
    wanted = naive_pairs(texts, 0.4)
    assert 50 < len(wanted) < 780
    with collect(texts, tmp_path) as taken:
        assert {(int(i), int(j)) for a, b in near_pairs(taken, 0.4) for i, j in zip(a, b, strict=True)} == wanted


def test_templates_do_not_explode(tmp_path: Path) -> None:
    """Two clusters of 3,000 rows each hold 9 million near pairs, of which 6,000 comparisons tell enough."""
    texts = [f"{'alpha beta' if number % 2 else 'gamma delta'} {' '.join('abcdefghijklmnopqrstuvwxyz')} {number}" for number in range(6000)]
    with collect(texts, tmp_path) as taken:
        kept = np.flatnonzero(near_duplicates(taken, 0.9) < 0)
        assert kept.tolist() == [0, 1]
        assert np.unique(near_components(taken, 0.9)).tolist() == [0, 1]


@given(st.lists(st.sampled_from([bytes([a]) * 8 + bytes([b]) * 8 for a in range(3) for b in range(3)]), max_size=30))
def test_first_equal_names_the_first(digests: list[bytes]) -> None:
    assert first_equal(b"".join(digests)).tolist() == [digests.index(digest) for digest in digests]


@pytest.mark.slow
def test_a_million_rows_in_bounds() -> None:
    code = (
        "import resource, sys, tempfile, time; from pathlib import Path; from benchmarks.data_rows import rows;"
        "from luthier.data.similar.collection import collect; from luthier.data.similar.duplicates import near_duplicates;"
        "started = time.process_time(); folder = tempfile.mkdtemp();"
        "taken = collect((f'{ask} {answer}' for ask, answer in rows(1_000_000)), Path(folder));"
        "made = time.process_time(); dropped = int((near_duplicates(taken, 0.7) >= 0).sum());"
        "print(dropped, time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    dropped, seconds, megabytes = done.stdout.split()
    assert int(dropped) > 80_000
    assert float(seconds) < 60
    assert int(megabytes) < 1000
