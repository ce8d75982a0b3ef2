"""Where a path leads, and what harm is done there."""

from __future__ import annotations

import time

import pytest

from luthier.guard.risk.levels import rank
from luthier.guard.risk.paths import SHARED_FOLDERS, harm_of, is_hidden_in_shared, names_hidden_in_shared, one_form, places_named, zones_of
from luthier.guard.values.symbols import CWD, HOME, NETWORK, QUESTION, STAR, TEMP, UNKNOWN


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/etc/../etc/./passwd", ("/etc/passwd", False)),
        ("/tmp/../../etc", ("/etc", False)),
        ("//etc///hosts", ("/etc/hosts", False)),
        ("a/b", (f"{CWD}/a/b", False)),
        ("..", (f"{CWD}/..", False)),
        ("../../x", (f"{CWD}/../../x", False)),
        ("/home/me/x", ("~/x", False)),
        ("/root", ("~", False)),
        (f"{HOME}/.ssh", ("~/.ssh", False)),
        ("/homestead/x", ("/homestead/x", False)),
        (f"/etc/{STAR}", ("/etc", True)),
        (f"/{STAR}", ("/", True)),
        (f"/etc/{STAR}/{STAR}", ("/etc", True)),
        (f"/etc/.{STAR}", ("/etc", True)),
        (f"{STAR}", (CWD, True)),
        (f"/etc/a{STAR}", (f"/etc/a{STAR}", False)),
        ("/private/etc/hosts", ("/etc/hosts", False)),
        ("/proc/self/root/etc", ("/etc", False)),
        (f"{TEMP}/x", ("/tmp/x", False)),
        ("/", ("/", False)),
    ],
)
def test_a_path_has_one_form(path: str, form: tuple[str, bool]) -> None:
    assert one_form(path, CWD) == form


def test_a_path_is_seen_from_the_working_folder() -> None:
    assert one_form("passwd", "/etc") == ("/etc/passwd", False)
    assert one_form("..", "/etc") == ("/", False)
    assert one_form("x", UNKNOWN)[0].startswith(UNKNOWN)


@pytest.mark.parametrize(
    ("role", "path", "tree", "level"),
    [
        ("delete", "/", True, "dangerous"),
        ("delete", "/tmp/x", True, None),
        ("delete", "/newfolder", True, "dangerous"),
        ("delete", "/newfolder", False, None),
        ("delete", f"/e{QUESTION}c", True, "dangerous"),
        ("delete", "build", True, None),
        ("delete", ".", True, "dangerous"),
        ("delete", "..", True, "dangerous"),
        ("delete", f"{UNKNOWN}/{STAR}", True, "dangerous"),
        ("delete", UNKNOWN, True, "unknown"),
        ("delete", f"/tmp/build-{UNKNOWN}", True, None),
        ("delete", f"/tmp/{UNKNOWN}", True, "unknown"),
        ("delete", NETWORK, False, "unknown"),
        ("read", UNKNOWN, False, None),
        ("read", "/etc/shadow", False, "dangerous"),
        ("read", f"/etc/sh{STAR}", False, "dangerous"),
        ("read", f"{HOME}/.ssh/id_rsa", False, "dangerous"),
        ("read", f"{HOME}/.ssh/id_rsa.pub", False, None),
        ("read", "config/master.key", False, "dangerous"),
        ("read", ".env", False, "unknown"),
        ("truncate", "/etc/passwd", False, "dangerous"),
        ("truncate", "/dev/null", False, None),
        ("truncate", "notes.txt", False, None),
        ("append", "/var/log/x.log", False, "caution"),
        ("permissions", "/", True, "dangerous"),
        ("write", "/dev/sda", False, "dangerous"),
    ],
)
def test_harm_by_role_and_place(role: str, path: str, tree: bool, level: str | None) -> None:
    harm = harm_of(role, path, CWD, tree)
    assert (harm.level if harm else None) == level


def test_zones_of_a_path() -> None:
    assert zones_of("x/y", CWD) == {"project"}
    assert zones_of(".", CWD) >= {"cwd"}
    assert "temp" in zones_of("/var/tmp/x", CWD)
    assert zones_of("/weird/place", CWD) == {"other"}
    assert "accounts" in zones_of("/etc/sudoers.d/x", CWD)


def test_places_of_a_name_come_worst_first() -> None:
    places = places_named("id_ed25519")
    assert "~/.ssh/id_ed25519" in places
    harms = [harm_of("read", place.replace("~", HOME, 1), CWD, False) for place in places]
    levels = [rank(harm.level) if harm else 0 for harm in harms]
    assert levels == sorted(levels, reverse=True)
    assert "/etc/shadow" in places_named("shadow")
    assert places_named("no-such-name") == ()


@pytest.mark.parametrize("folder", SHARED_FOLDERS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".x", True),
        (".cache/a", True),
        ("a/b/.venv/bin/python", True),
        (".../x", True),
        (".. /x", True),
        (f".{STAR}", True),
        (".X11-unix/evil", True),
        ("a", False),
        ("a.b/c", False),
        ("../etc/hosts", False),
        ("a/./b", False),
        (".X11-unix", False),
        (".X11-unix/X0", False),
        (f".X11-unix/{STAR}", False),
        (".ICE-unix/", False),
        (".X0-lock", False),
    ],
)
def test_what_lies_hidden_in_a_shared_folder(folder: str, name: str, expected: bool) -> None:
    assert is_hidden_in_shared(folder + name) is expected
    if " " not in name:
        assert names_hidden_in_shared(f"PATH={folder}{name}:/usr/bin") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tmp/.x", True),
        ("-I/tmp/.x", True),
        ("--at='/tmp/.x'", True),
        ("a,/dev/shm/.x", True),
        ("file:///var/tmp/.x", True),
        ("-v /tmp/.X11-unix:/tmp/.X11-unix", False),
        (f"{HOME}/tmp/.x", False),
        ("~/tmp/.x", False),
        ("build/tmp/.x", False),
        ("/tmp/a /home/me/.x", False),
    ],
)
def test_what_is_named_in_a_text(text: str, expected: bool) -> None:
    assert names_hidden_in_shared(text) is expected


@pytest.mark.parametrize("piece", ["/tmp/a", "=/tmp/a/", "/tmp/", "-I/tmp/", "/tmp/./"])
def test_a_long_text_is_searched_in_linear_time(piece: str) -> None:
    started = time.process_time()
    names_hidden_in_shared(piece * ((1 << 20) // len(piece)))
    assert time.process_time() - started < 2
