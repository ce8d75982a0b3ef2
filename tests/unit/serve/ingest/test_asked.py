"""What is asked to be taken in, by many at once."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luthier.config.serve_section import ServeAllow, ServeLimits
from luthier.serve.ingest.asked import Asking, Wanted
from luthier.serve.ingest.records import Spec
from luthier.serve.state.root import ServeRoot


def test_what_was_asked_has_its_name_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    root = ServeRoot(tmp_path / "serve")
    kept: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: kept.add(os.fstat(descriptor).st_ino))
    Asking(root, ServeAllow(folders=[str(tmp_path)]), ServeLimits()).folder(str(tmp_path / "shop"), None, None)
    assert root.uploads.stat().st_ino in kept


def test_equal_requests_at_the_same_time_are_one_command_with_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    root = ServeRoot(tmp_path / "serve")
    asking = Asking(root, ServeAllow(folders=[str(tmp_path)]), ServeLimits())
    for number in range(50):
        old = root.uploads / f"old-{number}"
        (old / "sent").mkdir(parents=True)
        os.utime(old, (0, time.time() - 30 * 86_400))
    start = threading.Barrier(16)

    def ask(_: int) -> Wanted:
        start.wait()
        asking.tidy({})
        return asking.folder(str(tmp_path / "shop"), None, None)

    for _ in range(8):
        with ThreadPoolExecutor(16) as threads:
            wanted = set(threads.map(ask, range(16)))
        assert len(wanted) == 1
    (only,) = wanted
    assert Spec.read(Path(only.command[-1])).name == "shop"
    (folder,) = root.uploads.iterdir()
    assert [file.name for file in folder.iterdir()] == ["spec.json"]
