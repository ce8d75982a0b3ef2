"""Running lm-eval on the run's own models, in a child process, and reading what it found."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.events import monotonic_seconds
from luthier.core.files import read_json, remove, sha256_json, write_json
from luthier.core.records import Generation, JsonObject, JsonValue
from luthier.core.runs import package_versions
from luthier.evaluate.asking.answers import written
from luthier.evaluate.asking.candidates import Candidate
from luthier.evaluate.kinds.kind import storable_details
from luthier.evaluate.kinds.lm_eval import corpus_figures, lower_is_better, read_result
from luthier.evaluate.rows.suite import Suite

_TAIL_BYTES = 2_000
# Between two signs of life.
HEARTBEAT_SECONDS = 30.0
# Arguments that are paths.
_PLACES = ("pretrained", "tokenizer", "peft")
_CHILD = "luthier.evaluate.harness.lm_eval_worker"


@dataclass(frozen=True, slots=True)
class Measured:
    """The suite with its rows, a candidate's generations, and by class figures that another program took over all rows at once."""

    suite: Suite
    generations: list[Generation]
    corpus: JsonObject = field(default_factory=dict)


def measured(
    suite: Suite,
    candidate: Candidate,
    arguments: Mapping[str, JsonValue],
    folder: Path,
    identity: str,
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> Measured:
    """The suite with the harness's rows and its word on which way is better, the candidate's generations, and its figures over all rows.

    `arguments` has `model_args`, `device` and `batch_size` for the child. Its result is kept in `folder` under a key of all that it hangs
    on, so that the same question is not put twice. The child has no time limit: `on_wait` gets the seconds that it has been at work, at its
    start and every `HEARTBEAT_SECONDS`. `LuthierError` with the harness's last words where it fails.
    """
    key = sha256_json({"model": identity, "suite": suite.sha256, "arguments": _hangs_on(arguments)})
    kept = folder / f"{candidate.name}.json"
    stored = read_json(kept) if kept.is_file() else {}
    if stored.get("key") != key:
        request = {**arguments, **suite.fields, "limit": suite.limit}
        stored = {"key": key, "result": _run(request, folder, on_wait)}
        write_json(kept, stored)
    pairs = read_result(stored["result"])
    if not pairs:
        raise UserError(Problem("lm-eval judged no sample of these tasks", found=", ".join(map(str, suite.fields["tasks"]))))
    generations = [
        Generation(
            id=row.id,
            suite=suite.name,
            candidate=candidate.name,
            request=written(row.request),
            expected=tuple(written(text) for text in row.expected),
            text=written(judged.extracted),
            extracted=written(judged.extracted),
            metrics=dict(judged.metrics),
            left_out=dict(judged.left_out),
            finish_reason="judged",
            prompt_tokens=0,
            completion_tokens=0,
            details=storable_details(judged.details),
        )
        for row, judged in pairs
    ]
    rows = tuple(row for row, _ in pairs)
    told = lower_is_better(stored["result"])
    return Measured(replace(suite, rows=rows, lower_is_better=told), generations, dict(corpus_figures(stored["result"])))


def _hangs_on(arguments: Mapping[str, JsonValue]) -> JsonObject:
    """What in the arguments can change a figure: not where files lie, whose content is the model's identity."""
    given = dict(arguments.get("model_args") or {})
    model = {name: name in given if name in _PLACES else value for name, value in given.items()}
    return {**arguments, "model_args": model, **package_versions(("lm_eval",))}


def _run(request: JsonObject, folder: Path, on_wait: Callable[[float], None]) -> JsonObject:
    source, target = folder / "request.json", folder / "result.json"
    remove(target)
    write_json(source, request)
    # A file, for its bars and warnings have no bound.
    with tempfile.TemporaryFile() as said:
        code = _ended([sys.executable, "-m", _CHILD, str(source), str(target)], said, on_wait)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL_BYTES))
        words = said.read().decode("utf-8", "replace").strip()
    if code == UserError.exit_code:
        raise UserError(Problem(words))
    if code or not target.is_file():
        raise LuthierError(f"lm-eval ended with {code}; its last words:\n{words}")
    result: JsonObject = read_json(target)
    remove(source)
    remove(target)
    return result


def _ended(command: Sequence[str], said: IO[bytes], on_wait: Callable[[float], None]) -> int:
    """The exit code of a child without a time limit, told of while it is at work and killed where this process is interrupted."""
    start = monotonic_seconds()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as process:
        try:
            while True:
                on_wait(monotonic_seconds() - start)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(HEARTBEAT_SECONDS)
        except BaseException:
            process.kill()
            raise
