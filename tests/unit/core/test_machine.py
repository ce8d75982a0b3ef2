"""Facts that Linux and macOS tell under different names."""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from luthier.core import machine


def test_processors_are_those_of_the_affinity_mask_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    assert machine.own_processors() == {1, 3}
    monkeypatch.delattr(machine.os, "sched_getaffinity")
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 3)
    assert machine.own_processors() == {0, 1, 2}
    monkeypatch.setattr(machine.os, "cpu_count", lambda: None)
    assert machine.own_processors() == {0}


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_a_resident_set_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch, platform: str, unit: int) -> None:
    monkeypatch.setattr(machine.sys, "platform", platform)
    assert machine.peak_resident_bytes(SimpleNamespace(ru_maxrss=7)) == 7 * unit
    assert machine.peak_resident_bytes(resource.getrusage(resource.RUSAGE_SELF)) > 0


@pytest.mark.parametrize("events", [machine.GONE, 0], ids=["as here", "where no such event is known"])
def test_a_side_that_is_gone_is_noticed(events: int) -> None:
    ours, theirs = socket.socketpair()
    poller = select.poll()
    poller.register(ours.fileno(), events)
    assert poller.poll(0) == []
    theirs.close()
    assert poller.poll(1000) != []
    ours.close()


def test_the_worker_of_a_crew_starts_where_linux_names_are_missing() -> None:
    code = "import os, select; vars(select).pop('POLLRDHUP', None); vars(os).pop('sched_getaffinity', None)"
    code += "; from luthier.data.crew import members, worker; print(members.processors() >= 1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "True"
