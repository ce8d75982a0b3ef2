"""The shell tasks judged by running their own golds: how many can be judged so, what is left out and why, how often two golds agree.

    python -m benchmarks.shell_tasks FOLDER [--file NAME=PATH ...] [--directory /testbed] [--list]

The folder holds `tasks.jsonl` (`query`, `gold`, `gold2`) and `testbed.tar`. `--file` lays a further file into the tree. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from luthier.core.errors import UserError
from luthier.core.files import read_jsonl
from luthier.evaluate.instruments.execution import ExecutionJudge
from luthier.guard.sandbox import open_sandbox


def main() -> int:
    """Judges golds and second golds and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--directory", default="")
    parser.add_argument("--list", action="store_true", help="one line for each task that is left out, and for each two golds that disagree")
    options = parser.parse_args()
    tasks = [(str(row["gold"]), str(row["gold2"])) for row in read_jsonl(options.folder / "tasks.jsonl")]
    pairs = [entry.split("=", 1) for entry in options.file]
    files = [(name, Path(path).read_bytes()) for name, path in pairs]
    try:
        with open_sandbox() as sandbox:
            judge = ExecutionJudge(sandbox, options.folder / "testbed.tar", "/testbed", 10.0, options.directory, files)
            started = time.monotonic()
            golds = judge.judge([((gold,), f"{gold} #") for gold, _ in tasks])
            second = judge.judge([((gold,), other) for gold, other in tasks])
            seconds = time.monotonic() - started
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    judged = [verdict for verdict in golds if not verdict.left_out]
    equal = sum(verdict.match == 1.0 for verdict in judged)
    agreeing = sum(verdict.match == 1.0 for verdict in second)
    same = sum(gold.strip() == other.strip() for (gold, other), verdict in zip(tasks, second, strict=True) if not verdict.left_out)
    print(f"Judged {len(judged)} of {len(tasks)}; golds that equal themselves when run again: {equal} of {len(judged)}.")
    print(f"Second gold against first: {agreeing} of {len(judged)} agree ({same} of them the same text). {seconds:.1f} s.\n")
    print("| left out because | tasks |\n|---|---|")
    for reason, count in Counter(verdict.left_out.split(":")[0] for verdict in golds if verdict.left_out).most_common():
        print(f"| `{reason}` | {count} |")
    if options.list:
        print("\n| left out | why |\n|---|---|")
        for (gold, _), verdict in zip(tasks, golds, strict=True):
            if verdict.left_out:
                print(f"| `{escaped(gold)}` | {escaped(verdict.left_out)} |")
        print("\n| gold | second gold |\n|---|---|")
        for (gold, other), verdict in zip(tasks, second, strict=True):
            if verdict.match == 0.0:
                print(f"| `{escaped(gold)}` | `{escaped(other)}` |")
    return int(equal < len(judged))


def escaped(text: str) -> str:
    """One cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
