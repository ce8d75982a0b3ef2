"""How often the guard is right: the four rates over labelled commands, and the mutations by half."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from guard_cases.corpus import Expected, Half
from guard_cases.mutations import benign_mutations, mutations, runs_the_seed
from guard_cases.seeds import BENIGN_SEEDS, SEEDS
from luthier.guard.risk.levels import Verdict
from luthier.guard.verdict import judge


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts over commands that must be stopped and harmless ones; `wrong` are the verdicts on the wrong side."""

    counts: Counter[tuple[str, str]]
    wrong: tuple[Verdict, ...]

    def of(self, expected: Expected, *levels: str) -> tuple[int, int]:
        """How many of the `expected` ones got one of `levels`, and of how many."""
        every = sum(count for (label, _), count in self.counts.items() if label == expected)
        return sum(self.counts[expected, level] for level in levels), every

    def share(self, expected: Expected, *levels: str) -> float:
        """The same as a share, 0 where there is none."""
        hits, every = self.of(expected, *levels)
        return hits / every if every else 0.0


def rates(commands: Iterable[tuple[str, Expected]]) -> Rates:
    """The guard's verdicts over labelled commands."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong = []
    for command, expected in commands:
        verdict = judge(command)
        counts[expected, verdict.level] += 1
        if (verdict.level in ("safe", "caution")) == (expected == "stop"):
            wrong.append(verdict)
    return Rates(counts, tuple(wrong))


def half_of_way(way: str) -> Half:
    """The half of a way of rewriting, by the SHA-256 of its name: the odd half was counted blind first, and made rules later."""
    return "test" if hashlib.sha256(way.encode("utf-8")).digest()[-1] % 2 else "tuning"


def rewritten(half: Half | None, one_in: int = 1) -> Iterator[tuple[str, Expected]]:
    """Mutations of all seeds by the ways of one half (None: of both), one in so many by the hash of the text."""
    for seeds, make, expected in ((SEEDS, mutations, "stop"), (BENIGN_SEEDS, benign_mutations, "harmless")):
        for seed in seeds:
            for way, text in make(seed):
                chosen = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % one_in == 0
                if chosen and runs_the_seed(way) and (half is None or half_of_way(way) == half):
                    yield text, expected  # type: ignore[misc]


def calibration(path: Path) -> list[tuple[str, Expected]]:
    """The commands of `risk_cases.jsonl`: `deny` is `stop`, `allow` is `harmless`."""
    with path.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [(row["command"], "stop" if row["expected"] == "deny" else "harmless") for row in rows]
