"""The ways round are no theory: in a sandbox where `rm` only writes down its arguments, bash runs the seed's own words through each."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guard_cases.seeds import Seed
from guard_cases.ways_around import AROUND, SHELLS
from guard_cases.ways_words import WORDS

SEED = Seed("rm -rf /etc")
STUB = '#!/bin/bash\n{ printf %s "${0##*/}"; printf " <%s>" "$@"; echo; } >> /mnt/calls\n'
CALL = "rm <-rf> </etc>"
# Another order of flags or another spelling of the target: the same deed by other words.
OTHER_WORDS = {
    "flags apart",
    "flags reversed",
    "flags long or short",
    "flags shortened",
    "flags last",
    "end of flags",
    "target with dots",
    "target with doubled slashes",
    "target from the working folder",
}
# They need a program, a service, a terminal or rights that a sandbox lacks, or run later than the script.
ELSEWHERE = {
    "zsh",
    "ksh",
    "busybox sh",
    "sudo sh -c",
    "parallel, quoted",
    "watch, quoted",
    "ssh, quoted",
    "ssh bash -s",
    "su -c",
    "su, login",
    "sg",
}
ELSEWHERE |= {"script", "tmux", "screen", "at", "batch", "PROMPT_COMMAND"}

pytestmark = pytest.mark.system


def test_every_way_runs_the_seed(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (apt-get install bubblewrap): no sandbox, no execution")
    stub = tmp_path / "rm"
    stub.write_text(STUB)
    stub.chmod(0o755)
    # A stub that was not put in place must be found out before any way is run; the root is read-only all the same.
    if _calls(tmp_path / "plain", stub, SEED.text) != [CALL]:
        pytest.skip("the sandbox does not start here, or does not show the stub")
    ways = {
        name: text
        for name, way in {**WORDS, **{name: AROUND[name] for name in SHELLS if name not in ELSEWHERE}}.items()
        if (text := way(SEED)) is not None
    }
    with ThreadPoolExecutor(4) as pool:
        calls = dict(
            zip(ways, pool.map(lambda item: _calls(tmp_path / str(item[0]), stub, item[1]), enumerate(ways.values())), strict=True)
        )
    assert {name: ways[name][-100:] for name, made in calls.items() if CALL not in made and name not in OTHER_WORDS} == {}
    assert all(calls[name] and calls[name][0].startswith("rm ") for name in OTHER_WORDS)
    assert len(calls) > 180


def _calls(folder: Path, stub: Path, script: str) -> list[str]:
    folder.mkdir()
    # What runs beside the script gets a moment before the sandbox ends.
    (folder / "script").write_text(script + "\nsleep 0.3\n" if "(" in script or "&" in script or "coproc" in script else script)
    real = Path("/bin/rm").resolve()
    walls = ["--ro-bind", "/", "/", "--ro-bind", str(stub), str(real), "--tmpfs", "/tmp", "--tmpfs", "/root", "--tmpfs", "/home"]
    walls += ["--dev", "/dev", "--proc", "/proc", "--bind", str(folder), "/mnt", "--unshare-all", "--die-with-parent", "--new-session"]
    walls += [
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--setenv",
        "PATH",
        "/usr/bin:/bin:/usr/sbin:/sbin",
        "--setenv",
        "HOME",
        "/root",
        "--chdir",
        "/tmp",
    ]
    command = ["timeout", "-k", "1", "10", "bwrap", *walls, "bash", "/mnt/script"]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    calls = folder / "calls"
    return calls.read_text(errors="replace").splitlines() if calls.is_file() else []
