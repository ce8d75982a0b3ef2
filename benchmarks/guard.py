"""How good and how fast the command guard is: `python -m benchmarks.guard [--cases FOLDER] [--list]`, from the repository's root.

FOLDER holds `risk_cases.jsonl` and `tldr.jsonl`; without it the sets of this repository alone are measured. Prints Markdown tables.
The intervals are Wilson's at 95 %; mutations of one seed or by one way resemble each other, so that theirs are narrower than what
is really known.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from guard_cases.corpus import ROUNDS, Round, load, load_round, repeated
from guard_cases.pages import pages
from guard_cases.rates import Rates, calibration, rates, rewritten
from luthier.evaluate.figures.statistics import wilson
from luthier.guard.verdict import judge

COLUMNS = (
    ("stop", ("unknown", "dangerous")),
    ("stop", ("dangerous",)),
    ("harmless", ("dangerous",)),
    ("harmless", ("unknown",)),
)
HEADER = """| set | stopped: unknown or dangerous | stopped: dangerous | harmless: dangerous | harmless: unknown |
|---|---|---|---|---|"""
# Text of about a megabyte that costs a careless reader most.
HOSTILE = (
    "echo hello; ",
    "$(",
    "a|",
    "`a`",
    "x=$x$x; ",
    "f(){ f; }; f; ",
    "{a,b}",
    "${x:-",
    "cat <<A\n",
    "(",
    "sh -c '",
    "\\",
    "*/",
    "unlisted ls ",
)


def percent(hits: int, every: int) -> str:
    """`98.5 % (97.1 to 99.2) of 613`."""
    if every == 0:
        return "none"
    low, high = wilson(hits, every)
    return f"{hits / every:.1%} ({low:.1%} to {high:.1%}) of {every:,}".replace("%", " %")


def row(name: str, found: Rates) -> str:
    """One row of the table of rates."""
    return f"| {name} | " + " | ".join(percent(*found.of(expected, *levels)) for expected, levels in COLUMNS) + " |"


def first_row(each: Round, found: Rates) -> str:
    """The row of what was counted before a round was opened."""
    cells = (
        "not written down" if hits is None else percent(hits, found.of(expected, *levels)[1])
        for hits, (expected, levels) in zip(each.first, COLUMNS, strict=True)
    )
    known = sum(case.expected == "stop" for case in repeated(each.name))
    stopped, every = each.first[0] - known, found.of("stop")[1] - known
    without = f"; without {known} that stood in an earlier set {percent(stopped, every)} stopped" if known else ""
    return f"| **{each.name} round, unseen**{without} | " + " | ".join(cells) + " |"


def measure_cases(folder: Path | None) -> None:
    """Prints the four rates over every labelled set."""
    print(HEADER)
    for half in ("tuning", "test"):
        print(row(f"own cases, {half} half (both have made rules)", rates([(case.command, case.expected) for case in load(half)])))
    for each in ROUNDS:
        found = rates([(case.command, case.expected) for case in load_round(each.name)])
        print(first_row(each, found))
        print(row(f"{each.name} round, now", found))
    for half in ("tuning", "test"):
        print(row(f"mutations, {half} half of the ways", rates(rewritten(half))))
    if folder is not None and (folder / "risk_cases.jsonl").is_file():
        print(row("published decisions", rates(calibration(folder / "risk_cases.jsonl"))))


def measure_pages(path: Path, lists: bool) -> None:
    """Prints which share of documented commands is flagged, and how many are judged in a second; with `lists` every one that is flagged."""
    rows = list(pages(path))
    started = time.process_time()
    verdicts = [judge(command) for command, _ in rows]
    seconds = time.process_time() - started
    print(f"\n| level | commands of {len(rows):,} |\n|---|---|")
    for level in ("safe", "caution", "unknown", "dangerous"):
        print(f"| {level} | {percent(sum(verdict.level == level for verdict in verdicts), len(rows))} |")
    print(f"\n{len(rows) / seconds:,.0f} commands a second of processor time.")
    for verdict in verdicts if lists else ():
        if verdict.level in ("unknown", "dangerous"):
            print(f"{verdict.level}\t{verdict.danger}\t{verdict.command}\t{verdict.reason}")


def measure_hostile() -> None:
    """Prints the seconds that each kind of hostile megabyte takes."""
    print("\n| a megabyte of | level | seconds |\n|---|---|---|")
    for unit in HOSTILE:
        text = unit * ((1 << 20) // len(unit))
        started = time.process_time()
        level = judge(text).level
        shown = unit.replace("|", "\\|").replace("\n", "⏎")
        print(f"| `{shown}` | {level} | {time.process_time() - started:.2f} |")


def main() -> None:
    """Reads the options and prints every table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--cases", type=Path, metavar="FOLDER", help="a folder with risk_cases.jsonl and tldr.jsonl")
    parser.add_argument("--list", action="store_true", help="list every documented command that is flagged")
    options = parser.parse_args()
    measure_cases(options.cases)
    if options.cases is not None and (options.cases / "tldr.jsonl").is_file():
        measure_pages(options.cases / "tldr.jsonl", options.list)
    measure_hostile()


if __name__ == "__main__":
    main()
