"""The process that lm-eval runs in: `python -m luthier.evaluate.harness.lm_eval_worker REQUEST.json RESULT.json`.

A process of its own, for the harness loads the model once more and sets torch's global switches and seeds.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_text
from luthier.core.optional import load
from luthier.core.records import JsonObject, JsonValue

KEPT = ("results", "n-samples", "versions", "higher_is_better", "samples", "lm_eval_version")


def evaluate(request: JsonObject) -> JsonObject:
    """What `lm_eval.simple_evaluate` returns for `request`, reduced to what is read of it. `MissingExtraError` without the package."""
    harness = load("lm_eval", extra="lm_eval", reason="it runs suites of the kind `lm_eval`")
    manager = load("lm_eval.tasks", extra="lm_eval").TaskManager(include_path=request.get("include_path"))
    result: dict[str, Any] = harness.simple_evaluate(
        model="hf",
        model_args=request["model_args"],
        tasks=request["tasks"],
        num_fewshot=request.get("num_fewshot"),
        limit=request.get("limit"),
        batch_size=request["batch_size"],
        device=request["device"],
        task_manager=manager,
        log_samples=True,
        # Its own standard errors are not read: the intervals here are the same for all suites.
        bootstrap_iters=0,
    )
    return {name: _plain(result[name]) for name in KEPT if name in result}


def _plain(value: Any) -> JsonValue:
    """`value` as JSON: keys as texts, numbers of other libraries as numbers, anything else as text."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else str(value)


def main() -> None:
    """Reads the request, writes the result; a message and exit code where the harness cannot be had."""
    source, target = (Path(word) for word in sys.argv[1:3])
    try:
        result = evaluate(read_json(source))
    except LuthierError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    # ASCII: samples may hold halves of characters.
    write_text(target, json.dumps(result))


if __name__ == "__main__":
    main()
