"""The program of a job: what it tells, and what is left of it when it is killed or fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from git_repositories import committed, write_files
from ingest_parts import LIMITS, command, spec, take
from luthier.core.events import read_events
from luthier.serve.ingest.library import EVENTS, Library
from luthier.serve.ingest.records import SENT
from luthier.serve.state.root import ServeRoot

SHOP = "def sell_ticket(price: int) -> int:\n    return price\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "code" / "shop"
    committed(folder, {"shop.py": SHOP})
    return folder


def test_it_tells_its_progress_and_ends_with_counts(tmp_path: Path, shop: Path) -> None:
    told = take(tmp_path / "serve", spec(shop))
    assert told["notes"] == []
    assert {name: told[name] for name in ("source", "files", "added", "changed", "removed", "unchanged")} == {
        "source": "shop",
        "files": 1,
        "added": 1,
        "changed": 0,
        "removed": 0,
        "unchanged": 0,
    }
    events = read_events(tmp_path / "serve" / "sources" / "shop" / EVENTS)
    assert [event["event"] for event in events if event["event"] != "ingest.progress"] == ["ingest.start", "ingest.done"]
    steps = {event["step"] for event in events if event["event"] == "ingest.progress"}
    assert {"reading files", "texts scanned for secrets", "files cut into pieces", "writing the index"} <= steps


def test_it_starts_without_what_a_few_files_do_not_need() -> None:
    """Each ingest is a process: these two were a third of the processor time that one of four files took."""
    heavy = "{'numpy', 'luthier.config.schema', 'torch'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import luthier.serve.ingest.program, sys; print({heavy})"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr


def test_what_is_not_committed_is_told_by_the_job(tmp_path: Path, shop: Path) -> None:
    (shop / "new.py").write_text(SHOP)
    told = take(tmp_path / "serve", spec(shop))
    assert told["files"] == 1
    assert any("only what is committed" in note for note in told["notes"])


def test_what_is_wrong_is_told_and_ends_with_2(tmp_path: Path, shop: Path) -> None:
    for wanted, said in ((spec(shop, commit="nowhere"), "no such commit"), (spec(shop, folders=()), "folders are not read there")):
        done = subprocess.run(command(tmp_path / "serve", wanted), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    (last, *_) = reversed(read_events(tmp_path / "serve" / "sources" / "shop" / EVENTS))
    assert last["event"] == "ingest.failed"


def test_an_upload_is_deleted_when_it_is_taken_in_and_told_again_when_the_job_is_run_again(tmp_path: Path) -> None:
    root = tmp_path / "serve"
    place = root / "uploads" / "shop"
    write_files(place / SENT, {"0": SHOP})
    wanted = spec(place, kind="upload", shown="upload", sent=(("shop.py", "0", len(SHOP)),))
    told = take(root, wanted)
    assert told["files"] == 1
    assert sorted(path.name for path in place.iterdir()) == ["spec.json", "taken.json"]
    assert Library(ServeRoot(root)).get("shop").kind == "upload"
    assert take(root, wanted) == told


def test_an_upload_that_cannot_be_taken_in_is_deleted_at_once(tmp_path: Path) -> None:
    root = tmp_path / "serve"
    place = root / "uploads" / "shop"
    write_files(place / SENT, {"0": SHOP})
    wanted = spec(place, kind="upload", shown="upload", sent=(("shop.py", "0", len(SHOP)),), limits=replace(LIMITS, bytes=1))
    wanted.write(place / "spec.json")
    for said in ("more bytes than a source may have", "send it again"):
        done = subprocess.run(command(root, wanted), capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
        assert [path.name for path in place.iterdir()] == ["spec.json"]


@pytest.mark.parametrize("left", ["", SHOP[:5], None])
def test_an_upload_that_lost_its_bytes_is_not_taken_in(tmp_path: Path, left: str | None) -> None:
    root = tmp_path / "serve"
    place = root / "uploads" / "shop"
    write_files(place / SENT, {"0": left} if left is not None else {"1": SHOP})
    wanted = spec(place, kind="upload", shown="upload", sent=(("shop.py", "0", len(SHOP)),))
    done = subprocess.run(command(root, wanted), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not on the disk as it came" in done.stderr
    assert "send it again" in done.stderr
    assert Library(ServeRoot(root)).all() == []


@pytest.mark.slow
def test_a_killed_ingest_leaves_what_was_there(tmp_path: Path, shop: Path) -> None:
    root = tmp_path / "serve"
    take(root, spec(shop))
    library = Library(ServeRoot(root))
    before = library.get("shop")
    steps = "".join(f"def step_{line}() -> int:\n    return {line}\n\n\n" for line in range(200))
    committed(shop, {f"part{number}.py": f"{steps}# {number}\n" for number in range(60)})
    for seconds in (0.8, 1.2, 1.6):
        child = subprocess.Popen(command(root, spec(shop)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGKILL)
        if child.wait() == 0:
            break
        assert library.get("shop") == before
        assert library.search("sell ticket")
    assert take(root, spec(shop))["files"] == 61
    assert library.get("shop").changes["unchanged"] in (1, 61)
    assert not [path for path in (root / "sources" / "shop").iterdir() if path.name.endswith(".tmp")]


def test_a_job_that_is_asked_to_stop_stops(tmp_path: Path, shop: Path) -> None:
    committed(shop, {f"part{number}.py": SHOP * 100 + f"# {number}\n" for number in range(100)})
    events = tmp_path / "serve" / "sources" / "shop" / EVENTS
    child = subprocess.Popen(command(tmp_path / "serve", spec(shop)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not read_events(events):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, b"")
    assert read_events(events)[-1]["event"] == "ingest.stopped"


def test_a_spec_that_is_not_there(tmp_path: Path, shop: Path) -> None:
    line = command(tmp_path, spec(shop))
    Path(line[-1]).write_text(json.dumps({"name": "shop"}))
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "what is to be taken in is not there" in done.stderr
