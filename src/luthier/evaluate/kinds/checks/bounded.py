"""Patterns and schemas with a bound on their time: judged in a process of their own, which is ended when it takes too long.

What was not judged to its end neither holds nor does not: a check that must not hold is not met by a pattern without end.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO

from luthier.core.errors import MissingExtraError
from luthier.core.records import JsonObject, JsonValue
from luthier.evaluate.kinds.checks.check import Held

# A pattern that needs longer over an answer backtracks without end; a slow machine under load stays far below.
SECONDS = 5.0
_START_SECONDS = 30.0
_WORKER = Path(__file__).with_name("worker.py")


class Bounded:
    """A worker process for patterns and schemas, started when first asked and anew after one that was ended. Use it with `with`."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Bounded:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def search(self, pattern: str, text: str, ignore_case: bool = False) -> Held:
        """Whether `pattern` is found anywhere in `text`; `^` and `$` stand for the ends of lines."""
        held = self._ask({"job": "search", "pattern": pattern, "text": text, "ignore_case": ignore_case})
        return held if held.holds or held.reason else Held(False, "the pattern is not found")

    def validate(self, schema: JsonValue, value: JsonValue) -> Held:
        """Whether `value` fits `schema`; `MissingExtraError` without the package `jsonschema`."""
        _require_jsonschema()
        return self._ask({"job": "validate", "schema": schema, "value": value})

    def check_schema(self, schema: JsonValue) -> Held:
        """Whether `schema` is one; `MissingExtraError` without the package `jsonschema`."""
        _require_jsonschema()
        return self._ask({"job": "check_schema", "schema": schema})

    def _ask(self, job: JsonObject) -> Held:
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(job).encode("ascii") + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            return self._failed()
        if not select.select([child.stdout], [], [], self._seconds)[0]:
            self._end()
            return Held(None, f"it took longer than {self._seconds:g} seconds")
        line = child.stdout.readline()
        if not line:
            return self._failed()
        reply = json.loads(line)
        return Held(reply["holds"], reply.get("reason", ""))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the child that writes to it.
            command = [sys.executable, "-P", str(_WORKER)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
            assert self._child.stdout is not None
            # It says so when it stands ready, so that no job's time pays for its start; one that cannot start is seen by the first job.
            if select.select([self._child.stdout], [], [], _START_SECONDS)[0]:
                self._child.stdout.readline()
        return self._child

    def _failed(self) -> Held:
        """The worker's end as what cannot be told: a value nested too deeply, a schema without end, no memory left."""
        assert self._errors is not None
        assert self._child is not None
        self._child.wait(timeout=self._seconds)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        self._end()
        return Held(None, f"it cannot be judged: {lines[-1][:200] if lines else 'the worker ended'}")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()
        if self._errors is not None:
            self._errors.close()
            self._errors = None


def check_schema(schema: JsonValue) -> str:
    """What is wrong with a JSON schema; empty where nothing is. `MissingExtraError` without the package `jsonschema`."""
    with Bounded() as bounded:
        return bounded.check_schema(schema).reason


def _require_jsonschema() -> None:
    if find_spec("jsonschema") is None:
        raise MissingExtraError("jsonschema", "train", "it checks answers against JSON schemas")
