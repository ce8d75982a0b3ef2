"""What `luthier check` and `luthier plan` say of a run file that is nowhere yet, told by a process that ends.

`python -m luthier.pipeline.preview` reads `{text, path, overrides}` as JSON and writes `{run, notes, warnings, resolved, plan}`, or
`{problems}`. Nothing is kept.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from luthier.core.errors import LuthierError, UserError
from luthier.core.records import JsonObject
from luthier.pipeline.check import check, load_sent
from luthier.pipeline.forecast import forecast
from luthier.pipeline.process import settle


def preview(text: str, path: Path, overrides: Sequence[str]) -> JsonObject:
    """What is known of the run before it begins: its folder, what was noted, what this machine lacks, the file with its defaults, the plan.

    `LuthierError` with what is wrong, as those commands raise it.
    """
    loaded = load_sent(text, path, overrides)
    warnings = [*loaded.warnings, *check(loaded)]
    return {
        "run": str(loaded.folder),
        "notes": list(loaded.notes),
        "warnings": warnings,
        "resolved": loaded.resolved_text(),
        "plan": forecast(loaded),
    }


def main() -> None:
    """Reads, tells, and ends."""
    settle()
    asked = json.load(sys.stdin)
    # What a library prints is no part of the answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        try:
            told = preview(asked["text"], Path(asked["path"]), asked["overrides"])
        except UserError as error:
            told = {"problems": [asdict(problem) for problem in error.problems]}
        except LuthierError as error:
            told = {"problems": [{"what": str(error)}]}
        answer.write(json.dumps(told))


if __name__ == "__main__":
    main()
