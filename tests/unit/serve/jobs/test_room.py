"""Whether there is room for a job, by its plan."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from luthier.serve.jobs import room
from luthier.serve.jobs.records import Job, Kind
from luthier.serve.jobs.room import lack, plan_command

GB = 10**9


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def job(kind: Kind = "train", command: tuple[str, ...] = ("-m", "luthier", "run", "a.yaml", "--set", "x=1", "--json")) -> Job:
    return Job("1", kind, "running", "t", command, "/nowhere/runs/a", 0.0, directory="/")


def memory(total: float, free: float, device: float | None = 80, change: dict[str, object] | None = None) -> dict[str, object]:
    told = {"fits": total <= free, "total_bytes": total * GB, "room_bytes": free * GB, "change": change}
    return {"memory": {**told, "device_bytes": device and device * GB}, "disk": {"needed_bytes": 0}}


@pytest.mark.parametrize(
    ("plan", "kind", "reason", "is_for_ever"),
    [
        (None, "train", None, False),
        ({"memory": None, "disk": None}, "train", None, False),
        (memory(2, 4), "train", None, False),
        (memory(20, 4), "train", "memory: 20.00 GB by the plan, 4.00 GB are free", False),
        (memory(20, 4, None), "train", "memory: 20.00 GB by the plan, 4.00 GB are free", False),
        (memory(20, 4), "export", None, False),
        (memory(100, 60), "train", "takes 100.00 GB of memory by its plan, and the device has 80.00 GB", True),
        (memory(100, 60, 80, {"micro_batch_size": 1}), "train", "the cheapest change that fits: micro_batch_size: 1", True),
        ({"disk": {"needed_bytes": 30 * GB}}, "train", "disk space at /: 30.00 GB by the plan, 10.00 GB are free", False),
        ({"disk": {"needed_bytes": 300 * GB}}, "export", "writes some 300.00 GB to /, by its plan, and that disk holds 100.00 GB", True),
    ],
)
def test_what_fits_now_later_and_never(
    plan: dict[str, object] | None, kind: Kind, reason: str | None, is_for_ever: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * GB, 90 * GB, 10 * GB))
    found = lack(plan, job(kind))
    if reason is None:
        assert found is None
        return
    assert found is not None
    assert reason in found.reason
    assert found.is_for_ever == is_for_ever


def test_a_disk_that_is_all_but_full_lets_nothing_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(GB, GB - 1_000, 1_000))
    found = lack(None, job())
    assert found is not None
    assert "disk space" in found.reason
    assert not found.is_for_ever
    assert room._LEAST_FREE_BYTES < GB


@pytest.mark.parametrize(
    ("kind", "command", "plan"),
    [
        ("train", ("-m", "luthier", "run", "a", "--json"), ("-m", "luthier", "plan", "a", "--json")),
        ("export", ("-m", "luthier", "export", "a", "--json"), ("-m", "luthier", "plan", "a", "--json")),
        ("data", ("-m", "luthier", "data", "a", "--json"), None),
        ("evaluate", ("-m", "luthier", "evaluate", "a", "--json"), None),
        ("train", ("-c", "pass"), None),
    ],
)
def test_the_plan_is_asked_for_in_the_jobs_own_words(kind: Kind, command: tuple[str, ...], plan: tuple[str, ...] | None) -> None:
    assert plan_command(kind, command) == plan


def test_the_folder_need_not_be_there(tmp_path: Path) -> None:
    assert lack(None, Job("1", "train", "running", "t", ("-c",), str(tmp_path / "a" / "b"), 0.0, directory=str(tmp_path))) is None
