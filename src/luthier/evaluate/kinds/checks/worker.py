"""A program beside Luthier that searches patterns and holds values against schemas, so that one that would never end can be ended.

It is started as a file of its own and imports nothing of Luthier. Behind a first line that says that it is ready, one JSON object a line
comes in and one goes out.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from typing import Any

_MAX_REASON = 300


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Whether `pattern` is found in `text`."""
    flags = re.MULTILINE | (re.IGNORECASE if job["ignore_case"] else 0)
    return {"holds": re.search(job["pattern"], job["text"], flags) is not None}


def check_schema(job: dict[str, Any]) -> dict[str, Any]:
    """What is wrong with `schema`, under `reason`; empty where nothing is."""
    jsonschema = import_module("jsonschema")
    kind = jsonschema.validators.validator_for(job["schema"], default=jsonschema.Draft202012Validator)
    error = jsonschema.exceptions.best_match(kind(kind.META_SCHEMA, format_checker=kind.FORMAT_CHECKER).iter_errors(job["schema"]))
    return {"holds": error is None, "reason": "" if error is None else f"{error.json_path}: {error.message}"[:_MAX_REASON]}


def validate(job: dict[str, Any]) -> dict[str, Any]:
    """Whether `value` fits `schema`, and where not. References out of the schema are never fetched."""
    jsonschema = import_module("jsonschema")
    known = import_module("jsonschema_specifications").REGISTRY
    kind = jsonschema.validators.validator_for(job["schema"], default=jsonschema.Draft202012Validator)
    error = jsonschema.exceptions.best_match(kind(job["schema"], registry=known).iter_errors(job["value"]))
    return {"holds": error is None, "reason": "" if error is None else f"{error.json_path}: {error.message}"[:_MAX_REASON]}


JOBS = {"search": search, "check_schema": check_schema, "validate": validate}


def main() -> None:
    """Answers until the input ends. What a job raises ends the program, and its last line of errors says why."""
    print("ready", flush=True)
    for line in sys.stdin.buffer:
        job = json.loads(line)
        sys.stdout.write(json.dumps(JOBS[job["job"]](job)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
