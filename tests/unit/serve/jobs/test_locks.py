"""Locks that end with their holders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from luthier.serve.jobs import locks

# Starts a child that inherits the lock, in a session of its own with a child in turn, and sleeps.
# One byte in one write: what would follow it finds nobody who reads any more, once its parent is killed.
_CODE = """
import os, subprocess, sys, time
from pathlib import Path
from luthier.serve.jobs import locks
held = locks.take(Path(sys.argv[1]))
sleep = "import time; time.sleep(600)"
inner = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]); os.write(1, b'1'); {sleep}"
child = subprocess.Popen([sys.executable, "-c", inner], pass_fds=[held], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.read(1)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    assert locks.is_free(path)
    held = locks.take(path)
    assert held is not None
    assert not locks.is_free(path)
    assert locks.take(path, 0.0) is None
    os.close(held)
    assert locks.is_free(path)


def test_it_is_held_as_long_as_who_inherited_it_lives_and_those_can_be_ended(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", _CODE, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert not locks.is_free(path)
    others = [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if group_of(stat) == child]
    assert len(others) == 2
    # A backup, say, in a group of its own.
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; open(sys.argv[1]).read(); stay = open(sys.argv[1]); print(1, flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    locks.end_holders(path)
    deadline = time.monotonic() + 30
    while not locks.is_free(path) or any(is_alive(pid) for pid in others):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Nobody is left, and nobody else was meant.
    locks.end_holders(path)
    reader.communicate()
    assert reader.returncode == 0


def group_of(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[2])
    except OSError:
        return 0


def is_alive(pid: int) -> bool:
    """Whether it runs; one that waits for its end to be told does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_is_never_ended_for_a_lock_that_this_one_holds(tmp_path: Path) -> None:
    held = locks.take(tmp_path / "lock")
    assert held is not None
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    locks.end_holders(tmp_path / "lock")
    os.close(held)
