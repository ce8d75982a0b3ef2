"""Attempts through the tree that goes in and comes out, and through what a run leaves behind."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

from benchmarks.escapes.registry import Attempt, python, register, shell, timed, tried, within, words
from luthier.core.errors import DataError
from luthier.core.protocols import Outcome, Sandbox
from luthier.guard.confinement.trees import prepare

ATTEMPTS: list[Attempt] = []
attempt = partial(register, ATTEMPTS)


@attempt("tree", "links in the resulting tree that point at the machine's files")
def links(sandbox: Sandbox) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory(prefix="luthier-links-") as folder:
        Path(folder, "secret").write_text("OUT", encoding="ascii")
        outcome = shell(sandbox, f"ln -s {folder} out; ln -s {folder}/secret file; ln -s ../../../../etc/passwd up; ln -s / root")
    kinds = {entry.path: (entry.kind, entry.content) for entry in outcome.tree}
    held = kinds == {
        "out": ("link", folder),
        "file": ("link", f"{folder}/secret"),
        "up": ("link", "../../../../etc/passwd"),
        "root": ("link", "/"),
    }
    return held, f"{len(kinds)} links listed, none followed"


@attempt("tree", "pipes, sockets, files without read rights, names that are no text, 3,000 folders deep")
def odd_tree(sandbox: Sandbox) -> tuple[bool, str]:
    source = (
        "import os, socket\nos.mkfifo('/work/pipe')\nsocket.socket(socket.AF_UNIX).bind('/work/socket')\n"
        "def make(path):\n    open(path, 'w').close()\n"
        "make('/work/closed')\nos.chmod('/work/closed', 0)\nos.mkdir('/work/shut')\nmake('/work/shut/in')\nos.chmod('/work/shut', 0)\n"
        "make(b'/work/\\xff\\n')\nmake('/work/hole')\nos.truncate('/work/hole', 60 << 20)\n"
        "os.chdir('/work')\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    )
    outcome, seconds = timed(lambda: python(sandbox, source))
    kinds = {entry.path: (entry.kind, entry.mode) for entry in outcome.tree}
    held = (
        outcome.exit_code == 0
        and not outcome.tree_complete
        and {kinds.get("pipe", ("",))[0], kinds.get("socket", ("",))[0]} == {"other"}
        and kinds.get("closed") == ("file", 0)
        and kinds.get("shut") == ("folder", 0)
        and "shut/in" in kinds
    )
    return within(seconds, 5, held, f"{len(kinds)} names listed, the rest counted as not complete")


@attempt("tree", "a tar with ../ names, absolute names, names below a link, devices")
def hostile_tar(sandbox: Sandbox) -> tuple[bool, str]:
    def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    cases = [
        [member("a/../../out")],
        [member("../out")],
        [member("/etc/out")],
        [member("null", tarfile.CHRTYPE)],
        [member("pipe", tarfile.FIFOTYPE)],
        [member("x", tarfile.SYMTYPE, "/tmp"), member("x/out")],
        [member("b", tarfile.SYMTYPE, ".."), member("b/c/out")],
        [member("y"), member("y")],
    ]
    refused = 0
    with tempfile.TemporaryDirectory(prefix="luthier-tar-") as folder:
        for index, members in enumerate(cases):
            path = Path(folder, f"{index}.tar")
            with tarfile.open(path, "w") as archive:
                for info in members:
                    archive.addfile(info, io.BytesIO(b"") if info.isreg() else None)
            with contextlib.suppress(DataError):
                prepare(path)
                continue
            refused += 1
    return refused == len(cases), f"{refused} of {len(cases)} refused"


@attempt("tree", "what one run leaves is not there for the next, in /work, /tmp and /dev/shm")
def freshness(sandbox: Sandbox) -> tuple[bool, str]:
    shell(sandbox, "touch /work/left /tmp/left /dev/shm/left")
    return tried(
        shell(
            sandbox,
            "echo TRIED; ls /work/left /tmp/left /dev/shm/left && echo OUT; ls -A /work /tmp /dev/shm | grep left && echo OUT; true",
        )
    )


@attempt("tree", "two runs at once see nothing of each other")
def side_by_side(sandbox: Sandbox) -> tuple[bool, str]:
    found: list[Outcome] = []
    first = threading.Thread(target=lambda: found.append(shell(sandbox, "touch /tmp/mine /dev/shm/mine; sleep 1")))
    first.start()
    time.sleep(0.3)
    second = shell(
        sandbox, "echo TRIED; ls -A /tmp /dev/shm | grep mine && echo OUT; pgrep -x sleep && echo OUT; kill -0 -1 2>/dev/null; true"
    )
    first.join()
    return tried(second)[0] and found[0].exit_code == 0, words(second)
