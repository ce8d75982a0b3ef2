"""The command guard over labelled commands: rates, not single verdicts. Rules were made by both halves of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from guard_cases.corpus import Half, load, load_fresh
from guard_cases.pages import pages
from guard_cases.rates import Rates, calibration, rates, rewritten
from luthier.guard.verdict import judge

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
# One in so many mutations, so that the test ends in seconds.
ONE_IN = 5
# Where the published decision is stricter: they delete what a build or a try-out made, in the working or a temporary folder.
STRICTER = {
    "rm -rf ./build",
    "python -c \"import shutil; shutil.rmtree('/tmp/demo')\"",
    "python -c 'import shutil; shutil.rmtree(\"/tmp/demo\")'",
}
LEAST_A_SECOND = 5_000
PROGRAMS = (
    "ls -la {}",
    "grep -rn word {} | sort | uniq -c",
    "tar xzf {}.tgz",
    "git log --oneline -- {}",
    "ffmpeg -i {}.mp4 -c copy {}.mkv",
)
FURTHER = (
    "docker run --rm -it {} sh",
    "curl -fsSL https://{}.example/x -o {}",
    "find . -name '{}*' -mtime +3",
    'for f in {}*; do wc -l "$f"; done',
)


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"the shared data folder is not beside the project: {path} is absent")
    return path


def hold_the_goals(found: Rates) -> None:
    """99 % of what must be stopped is stopped, 85 % as dangerous; of harmless ones at most 2 % are dangerous and 10 % unknown."""
    assert found.share("stop", "unknown", "dangerous") >= 0.99
    assert found.share("stop", "dangerous") >= 0.85
    assert found.share("harmless", "dangerous") <= 0.02
    assert found.share("harmless", "unknown") <= 0.10


@pytest.mark.parametrize("half", ["tuning", "test"])
def test_labelled_families_are_judged_rightly(half: Half) -> None:
    """Rules were made by both halves; a corpus that no rule was made by is counted apart from them."""
    found = rates([(case.command, case.expected) for case in load(half)])
    assert found.of("stop", "dangerous")[1] > 500
    assert found.of("harmless", "dangerous")[1] > 400
    hold_the_goals(found)


def test_fresh_families_are_judged_rightly() -> None:
    """Counted before any of it was looked at, three general mends since: all goals but the first, which stands apart until it is met."""
    found = fresh()
    assert found.of("stop", "dangerous")[1] > 350
    assert found.share("stop", "dangerous") >= 0.85
    assert found.share("harmless", "dangerous") <= 0.02
    assert found.share("harmless", "unknown") <= 0.10


@pytest.mark.xfail(
    strict=True, reason="93.5 % (90.7 to 95.5) of fresh families were stopped when first counted: what no table knows is caution"
)
def test_fresh_families_are_stopped() -> None:
    assert fresh().share("stop", "unknown", "dangerous") >= 0.99


def fresh() -> Rates:
    return rates([(case.command, case.expected) for case in load_fresh()])


@pytest.mark.parametrize("half", ["tuning", "test"])
def test_ways_round_are_seen_through(half: Half) -> None:
    found = rates(rewritten(half, ONE_IN))
    assert found.of("stop", "dangerous")[1] > 500
    hold_the_goals(found)


def test_the_published_decisions() -> None:
    """All 137 of those allowed pass; of those denied all but the ones named above are stopped."""
    found = rates(calibration(shared("risk_cases.jsonl")))
    assert {verdict.command for verdict in found.wrong} <= STRICTER
    assert found.share("harmless", "unknown", "dangerous") == 0


def test_few_documented_commands_are_flagged() -> None:
    """Pages document dangerous tools, too: what is flagged has been read, and is what somebody should look at."""
    rows = [command for command, _ in pages(shared("tldr.jsonl"))][::7]
    flagged = [command for command in rows if judge(command).level in ("unknown", "dangerous")]
    assert len(flagged) / len(rows) <= 0.035


def test_thousands_of_commands_a_second() -> None:
    """By processor time, over commands of which no two are the same; the best of three, for other programs share the caches."""
    commands = [form.format(*(f"name{number}",) * 2) for number in range(334) for form in (*PROGRAMS, *FURTHER)][:3_000]
    assert len(set(commands)) == 3_000
    judge("ls")
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        for command in commands:
            judge(command)
        best = max(best, len(commands) / (time.process_time() - started))
    assert best >= LEAST_A_SECOND
