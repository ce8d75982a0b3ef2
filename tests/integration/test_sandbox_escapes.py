"""Real attempts to get out of the sandbox or to take more than was given: none succeeds, and where there is no sandbox they do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.core.protocols import Job, Outcome
from luthier.guard.sandbox import Sandbox, open_sandbox

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the attempts are run from the root, not installed

from benchmarks.escapes import network  # noqa: E402
from benchmarks.escapes.__main__ import ATTEMPTS  # noqa: E402
from benchmarks.escapes.registry import Attempt  # noqa: E402

PLAIN_USER = "12345"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap on this machine: apt-get install bubblewrap"),
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox() as opened:
        yield opened


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.run.__name__)
def test_no_attempt_succeeds(sandbox: Sandbox, attempt: Attempt) -> None:
    held, said = attempt.run(sandbox)
    assert held, f"{attempt.what}: {said}"


def test_the_documented_table_lists_these_attempts_in_this_order() -> None:
    page = (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    _, section = page.split("\n## The sandbox\n")
    rows = [line.removeprefix("| ").split(" | ") for line in section.split("\n## ")[0].splitlines() if line.startswith("| ")]
    written = [(row[0], row[1]) for row in rows[1:]]
    assert written == [(attempt.group, attempt.what) for attempt in ATTEMPTS]


class NoWall:
    """Runs jobs as they are. Only what does no harm is tried with it."""

    def run(self, job: Job) -> Outcome:
        environment = {**os.environ, **job.environment}
        done = subprocess.run(job.argv, input=job.stdin, capture_output=True, timeout=20, check=False, env=environment)
        return Outcome("done", done.returncode, None, done.stdout, done.stderr, False, False, 0.0)


@pytest.mark.parametrize("name", ["tcp", "own_loopback", "udp", "abstract", "others_files", "processes", "environment"])
def test_the_attempt_succeeds_without_a_sandbox(name: str) -> None:
    [attempt] = [attempt for attempt in ATTEMPTS if attempt.run.__name__ == name]
    held, said = attempt.run(NoWall())
    assert not held, said


class SaysIt:
    """Runs nothing: every job says that it talked to itself."""

    def run(self, job: Job) -> Outcome:
        return Outcome("done", 0, None, b"TRIED\nTALKED to itself\n", b"", False, False, 0.0)


@pytest.mark.parametrize(("landlock", "expected"), [(0, True), (3, True), (4, False), (7, False)])
def test_a_job_may_talk_to_itself_only_where_landlock_has_no_rules_for_tcp(
    landlock: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "landlock_version", lambda: landlock)
    held, said = network.own_loopback(SaysIt())
    assert held is expected, said


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
        shutil.copytree(ROOT / "benchmarks" / "escapes", folder / "benchmarks" / "escapes", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        command = ["setpriv", "--reuid", PLAIN_USER, "--regid", PLAIN_USER, "--clear-groups", str(system), "-m", "benchmarks.escapes"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=180)
    finally:
        shutil.rmtree(folder)
    assert "started as a plain user" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout
