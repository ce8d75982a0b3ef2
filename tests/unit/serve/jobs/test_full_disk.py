"""A disk that fills up under the server's state: no job is lost, none runs twice, and all goes on once there is room."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_parts import at_work, line, there, until
from luthier.serve.door.errors import RequestError
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, NewJob

# Writes more than the disk holds, says so elsewhere, and ends when it is let go.
TALK = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "begun").open("a") as file: file.write("x")
while not (folder / "full").exists(): time.sleep(0.02)
for number in range(40_000): sys.stderr.write(f"a line that nobody keeps, number {number}\\n")
(folder / "said").write_text("yes")
while not (folder / "go").exists(): time.sleep(0.02)
print('{"all": "well"}')
"""
DISK_BYTES = 4 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [mount or "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Takes every byte that is free."""
    path = place / "ballast"
    with path.open("ab", buffering=0) as stream:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    stream.write(b"x" * size)
            except OSError:
                pass
    return path


async def grow(jobs: Jobs, folder: Path) -> None:
    for number in range(2_000):
        await jobs.start(line("pass" + " " * 2_000, folder / f"other {number}"))


def test_nothing_is_lost_and_all_goes_on_once_there_is_room(disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()

    async def use(jobs: Jobs) -> tuple[Job, Job, bytes]:
        job = await jobs.start(NewJob("data", "talk", ("-c", TALK, str(folder)), str(folder)))
        await there(folder / "begun")
        ballast = fill(disk)
        (folder / "full").touch()
        await there(folder / "said")
        # Grows the journal until the disk takes no more.
        with pytest.raises(RequestError) as raised:
            await grow(jobs, tmp_path)
        assert (raised.value.status, raised.value.retry_after) == (503, 2)
        assert (await jobs.get(job.id)).status == "running"
        (folder / "go").touch()
        await asyncio.sleep(1.5)
        ballast.unlink()
        done = await until(jobs, job.id, "done")
        late = await jobs.start(line("pass", tmp_path / "late"))
        for other in await jobs.list(status="queued", limit=500):
            if other.id != late.id:
                await jobs.cancel(other.id)
        return done, await until(jobs, late.id, "done"), await jobs.log_tail(job.id, 1 << 20)

    done, late, log = at_work(disk / "root", use, log_bytes=1 << 20, at_once=2)
    assert (done.attempts, done.result, (folder / "begun").read_text()) == (1, {"all": "well"}, "x")
    assert late.attempts == 1
    assert b"bytes of this log could not be written]" in log
    assert log.rstrip().endswith(b"done, exit code 0")
