"""Real attempts to get out of the sandbox or to take more than was given: none succeeds, and where there is no sandbox they do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from luthier.core.protocols import Job, Outcome
from luthier.guard.sandbox import Sandbox, open_sandbox

ROOT = Path(__file__).parents[2]
PLAIN_USER = "12345"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap on this machine: apt-get install bubblewrap"),
]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_escapes", ROOT / "benchmarks" / "escapes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


escapes = load()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox() as opened:
        yield opened


@pytest.mark.parametrize("attempt", escapes.ATTEMPTS, ids=lambda attempt: attempt.run.__name__)
def test_no_attempt_succeeds(sandbox: Sandbox, attempt: escapes.Attempt) -> None:  # type: ignore[name-defined]
    held, said = attempt.run(sandbox)
    assert held, f"{attempt.what}: {said}"


class NoWall:
    """Runs jobs as they are. Only what does no harm is tried with it."""

    def run(self, job: Job) -> Outcome:
        environment = {**os.environ, **job.environment}
        done = subprocess.run(job.argv, input=job.stdin, capture_output=True, timeout=20, check=False, env=environment)
        return Outcome("done", done.returncode, None, done.stdout, done.stderr, False, False, 0.0)


@pytest.mark.parametrize("name", ["tcp", "udp", "abstract", "others_files", "processes", "environment"])
def test_the_attempt_succeeds_without_a_sandbox(name: str) -> None:
    held, said = getattr(escapes, name)(NoWall())
    assert not held, said


@pytest.mark.skipif(os.geteuid() != 0, reason="the attempts above were made as a plain user already")
def test_as_a_plain_user() -> None:
    # An interpreter and a copy of the code where everyone can read them.
    system = Path("/usr/bin/python3")
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    if not system.exists() or subprocess.run([system, "-c", code], check=False).returncode:
        system = Path(sys.executable).resolve()
    folder = Path(tempfile.mkdtemp(prefix="luthier-plain-"))
    try:
        folder.chmod(0o755)
        for name in ("core", "guard"):
            shutil.copytree(ROOT / "src" / "luthier" / name, folder / "luthier" / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "luthier" / "__init__.py").touch()
        shutil.copy(ROOT / "benchmarks" / "escapes.py", folder / "escapes.py")
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        command = ["setpriv", "--reuid", PLAIN_USER, "--regid", PLAIN_USER, "--clear-groups", str(system), str(folder / "escapes.py")]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=180)
    finally:
        shutil.rmtree(folder)
    assert "started as a plain user" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout
