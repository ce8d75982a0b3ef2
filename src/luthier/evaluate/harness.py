"""Running lm-eval on the run's own models, in a child process, and reading what it found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.files import read_json, remove, sha256_json, write_json
from luthier.core.records import Generation, JsonObject
from luthier.evaluate.answers import written
from luthier.evaluate.candidates import Candidate
from luthier.evaluate.kinds.harness import read_result
from luthier.evaluate.kinds.kind import clipped
from luthier.evaluate.rows import Suite

_TAIL_CHARACTERS = 2_000
_CHILD = "luthier.evaluate.harness_child"


def measured(
    suite: Suite, candidate: Candidate, arguments: Mapping[str, JsonObject], folder: Path, identity: str
) -> tuple[Suite, list[Generation]]:
    """The suite with the harness's rows, and the candidate's generations.

    `arguments` has `model_args`, `device` and `batch_size` for the child. Its result is kept in `folder` under a key of all that it hangs
    on, so that the same question is not put twice. `LuthierError` with the harness's last words where it fails.
    """
    key = sha256_json({"model": identity, "suite": suite.sha256})
    kept = folder / f"{candidate.name}.json"
    stored = read_json(kept) if kept.is_file() else {}
    if stored.get("key") != key:
        request = {**arguments, **suite.fields, "limit": suite.limit}
        stored = {"key": key, "result": _run(request, folder)}
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
            finish_reason="judged",
            prompt_tokens=0,
            completion_tokens=0,
            details=clipped(judged.details),
        )
        for row, judged in pairs
    ]
    return replace(suite, rows=tuple(row for row, _ in pairs)), generations


def _run(request: JsonObject, folder: Path) -> JsonObject:
    source, target = folder / "request.json", folder / "result.json"
    remove(target)
    write_json(source, request)
    done = subprocess.run(
        [sys.executable, "-m", _CHILD, str(source), str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode == UserError.exit_code:
        raise UserError(Problem(done.stderr.strip()))
    if done.returncode or not target.is_file():
        raise LuthierError(f"lm-eval ended with {done.returncode}; its last words:\n{done.stderr.strip()[-_TAIL_CHARACTERS:]}")
    result: JsonObject = read_json(target)
    remove(source)
    remove(target)
    return result
