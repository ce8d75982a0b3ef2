"""Specs of sources to take in, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from luthier.core.records import JsonObject
from luthier.serve.ingest.records import Kind, Limits, Spec

LIMITS = Limits(bytes=10_000_000, files=1_000, file_bytes=100_000, seconds=60.0)


def spec(folder: Path, name: str = "shop", kind: Kind = "folder", **changes: object) -> Spec:
    """A source in a folder that may be read."""
    made = Spec(name, kind, str(folder), str(folder), "HEAD", (str(folder.parent),), (), LIMITS, str(folder.parent / "state"))
    return replace(made, **changes)  # type: ignore[arg-type]


def command(root: Path, wanted: Spec) -> list[str]:
    """The command line of the job that takes `wanted` in."""
    path = root / "uploads" / wanted.name / "spec.json"
    wanted.write(path)
    return [sys.executable, "-m", "luthier.serve.ingest.program", str(root), str(path)]


def take(root: Path, wanted: Spec) -> JsonObject:
    """What the job tells that takes `wanted` in, in a process of its own."""
    done = subprocess.run(command(root, wanted), capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    told: JsonObject = json.loads(done.stdout.strip().splitlines()[-1])
    return told
