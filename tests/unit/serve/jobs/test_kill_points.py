"""Servers, processes of jobs and their commands killed at random moments: every job is done in the end, and none ran twice at once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from luthier.serve.jobs.records import KINDS, NewJob
from luthier.serve.jobs.store import Store
from luthier.serve.state.root import ServeRoot

# A queue without its routes, until it is killed.
SERVER = """
import asyncio, sys
from pathlib import Path
from luthier.config.serve_section import ServeJobs
from luthier.serve.jobs.queue import Jobs
from luthier.serve.state.root import ServeRoot

async def serve(jobs):
    async with jobs.at_work():
        await asyncio.Event().wait()

root = ServeRoot(Path(sys.argv[1]))
with root.held():
    jobs = Jobs(root, ServeJobs(attempts=100, at_once=3, outlive_server=sys.argv[2] == "outlives"))
    jobs.prepare()
    asyncio.run(serve(jobs))
"""
# Says so where another works in the same folder, or beside another that wants the machine alone.
COMMAND = """
import fcntl, sys, time
from pathlib import Path
folder, kind = Path(sys.argv[1]), sys.argv[2]
held = []
for name in [folder / "here", *([folder.parent / "alone"] if kind in ("train", "evaluate", "export") else [])]:
    held.append(open(name, "a"))
    try: fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError: (folder.parent / f"twice-{folder.name}").touch()
with (folder / "begun").open("a") as file: file.write("x")
for _ in range(150): time.sleep(0.02)
(folder / "done").touch()
"""
PATIENCE_SECONDS = 300


@pytest.mark.parametrize(
    ("outlives", "number_of_jobs", "most_kills"),
    [
        ("outlives", 3, 5),
        pytest.param("outlives", 10, 25, marks=pytest.mark.slow),
        pytest.param("stops", 10, 25, marks=pytest.mark.slow),
    ],
)
def test_every_job_is_done_and_none_runs_twice(tmp_path: Path, outlives: str, number_of_jobs: int, most_kills: int) -> None:
    draw = random.Random(os.urandom(8))
    root = ServeRoot(tmp_path / "root")
    store = Store(root.database, 10.0)
    server = begin(root, outlives)
    while not root.database.is_file():
        time.sleep(0.01)
    store.prepare()
    jobs = []
    for number in range(number_of_jobs):
        folder = tmp_path / str(number)
        folder.mkdir()
        kind = KINDS[number % len(KINDS)]
        jobs.append(store.add(NewJob(kind, "t", ("-c", COMMAND, str(folder), kind), str(folder), str(tmp_path))))
    deadline = time.monotonic() + PATIENCE_SECONDS
    # The first kill is one that costs a job an attempt; the others meet whom they meet.
    while not (commands := processes(tmp_path, begun=True)):
        assert time.monotonic() < deadline, [store.get(job.id) for job in jobs]
        time.sleep(0.01)
    os.kill(draw.choice(commands), signal.SIGKILL)
    kills = 1
    while any(not store.get(job.id).is_over for job in jobs):
        assert time.monotonic() < deadline, [store.get(job.id) for job in jobs]
        time.sleep(draw.random() * 0.6)
        others = processes(tmp_path)
        # Mostly when something runs, and now and then while nothing does yet.
        if kills < most_kills and (others or draw.random() < 0.1):
            kills += 1
            victim = server.pid if not others or draw.random() < 0.3 else draw.choice(others)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            if victim == server.pid:
                server.wait()
        if server.poll() is not None:
            server = begin(root, outlives)
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    ended = [store.get(job.id) for job in jobs]
    assert [job.status for job in ended] == ["done"] * number_of_jobs
    assert list(tmp_path.glob("twice-*")) == []
    assert all((tmp_path / str(number) / "done").is_file() for number in range(number_of_jobs))
    assert sum(job.attempts for job in ended) > number_of_jobs
    assert all(len((tmp_path / str(number) / "begun").read_text()) <= kills + 1 for number in range(number_of_jobs))


def begin(root: ServeRoot, outlives: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SERVER, str(root.path), outlives], stdin=subprocess.DEVNULL)


def processes(folder: Path, begun: bool = False) -> list[int]:
    """Processes of jobs and their commands; with `begun` the commands alone that have begun their work."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if len(words) > 4 and str(folder) in words[3] and SERVER not in words and (not begun or Path(words[3], "begun").is_file()):
                found.append(int(path.name))
    return found
