"""The sandbox at its door: what it says where it cannot be had, what it hands in and out, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.errors import SandboxError
from luthier.core.protocols import Job, Limits, Outcome, Tree, TreeNode
from luthier.guard import sandbox as module
from luthier.guard.confinement.trees import tree_of
from luthier.guard.sandbox import Sandbox, open_sandbox

needs_bubblewrap = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap on this machine: apt-get install bubblewrap"),
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    if shutil.which("bwrap") is None:
        pytest.skip("no bwrap on this machine: apt-get install bubblewrap")
    with open_sandbox() as opened:
        yield opened


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def shell(command: str, **keys: object) -> Job:
    return replace(Job(("bash", "-c", command)), **keys)  # type: ignore[arg-type]


def test_without_bubblewrap_nothing_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        open_sandbox()


def test_a_bubblewrap_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho bubblewrap 0.4.1\n", encoding="ascii")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match=r"(?s)too old.*0\.4\.1.*0\.8"):
        open_sandbox()


def test_a_bubblewrap_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.9.0 && exit\necho "bwrap: No permissions" >&2; exit 1\n'
    (tmp_path / "bwrap").write_text(text, encoding="ascii")
    tmp_path.chmod(0o755)
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxError) as caught:
        open_sandbox()
    assert "cannot be set up" in str(caught.value)


@pytest.mark.parametrize(
    ("switch", "off", "words"),
    [
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    ],
)
def test_the_switch_that_forbids_is_named(monkeypatch: pytest.MonkeyPatch, switch: str, off: str, words: str) -> None:
    path = Path("/proc/sys") / switch
    is_file, read_text = Path.is_file, Path.read_text
    monkeypatch.setattr(Path, "is_file", lambda self: self == path or (str(self)[:10] != "/proc/sys/" and is_file(self)))
    monkeypatch.setattr(Path, "read_text", lambda self, **keys: off if self == path else read_text(self, **keys))
    assert words in module._mend("bwrap: setting up uid map: Permission denied")


class NoWall:
    """Runs programs where they reach everything: what the trial must notice."""

    def run_python(self, source: str, seconds: float, stdin: bytes = b"") -> Outcome:
        done = subprocess.run([sys.executable, "-c", source], input=stdin, capture_output=True, timeout=seconds, check=False)
        return Outcome("done", done.returncode, None, done.stdout, done.stderr, False, False, 0.0)


def test_the_trial_notices_a_missing_wall() -> None:
    with pytest.raises(SandboxError, match=r"(?s)failed its trial.*the network.*luthier-canary"):
        module._try_out(NoWall())  # type: ignore[arg-type]


class TestRuns:
    pytestmark = needs_bubblewrap

    def test_tree_directory_input_and_files(self, sandbox: Sandbox) -> None:
        nodes = [
            TreeNode("", "folder", 0o755, 10**18),
            TreeNode("d", "folder", 0o500, 10**18),
            TreeNode("d/f", "file", 0o604, 10**18, b"content"),
            TreeNode("d/l", "link", 0o777, 10**18, b"f"),
        ]
        job = shell(
            "cat; cat d/l /etc/given; stat -c '%a %Y %n' d d/f; stat -c %Y d/l; pwd; echo $EXTRA;"
            " (echo x > /etc/given) 2>/dev/null || touch made",
            stdin=b"input ",
            tree=tree_of(nodes),
            mount="/testbed",
            files={"/etc/given": b" given\n"},
            environment={"EXTRA": "extra"},
        )
        outcome = sandbox.run(job)
        assert outcome.stdout.decode() == ("input content given\n500 1000000000 d\n604 1000000000 d/f\n1000000000\n/testbed\nextra\n"), (
            outcome.stderr
        )
        assert [(entry.path, entry.kind, entry.mode, entry.content[:4]) for entry in outcome.tree] == [
            ("d", "folder", 0o500, ""), ("d/f", "file", 0o604, "ed70"), ("d/l", "link", 0o777, "f"), ("made", "file", 0o644, "e3b0"),
        ]  # fmt: skip
        assert outcome.tree_complete
        assert (outcome.reason, outcome.exit_code, outcome.signal) == ("done", 0, None)

    @pytest.mark.parametrize(
        ("command", "reason", "code", "number"),
        [
            ("exit 3", "done", 3, None),
            ("kill -SEGV $$", "done", 139, 11),
            ("no-such-program", "done", 127, None),
            ("sleep 9", "timeout", None, None),
            ("while :; do :; done", "timeout", 152, 24),
        ],
    )
    def test_ends(self, sandbox: Sandbox, command: str, reason: str, code: int | None, number: int | None) -> None:
        outcome = sandbox.run(shell(command, limits=Limits(seconds=9 if "while" in command else 0.5, cpu_seconds=1)))
        assert (outcome.reason, outcome.exit_code, outcome.signal) == (reason, code, number)

    def test_a_program_that_is_not_there(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run(Job(("/no/such/program",)))
        assert outcome.exit_code == 127
        assert b"cannot start /no/such/program" in outcome.stderr

    def test_both_streams_and_the_last_byte(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run(shell("head -c 900000 /dev/zero; head -c 900000 /dev/zero >&2; echo end"))
        assert (len(outcome.stdout), len(outcome.stderr)) == (900_004, 900_000)
        assert outcome.stdout.endswith(b"end\n")
        assert not outcome.stdout_truncated

    def test_exactly_the_limit_of_output_is_no_excess(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run(shell("head -c 1000 /dev/zero", limits=Limits(output_bytes=1000)))
        assert (outcome.reason, len(outcome.stdout), outcome.stdout_truncated) == ("done", 1000, False)
        outcome = sandbox.run(shell("head -c 1001 /dev/zero; sleep 5", limits=Limits(output_bytes=1000)))
        assert (outcome.reason, len(outcome.stdout), outcome.stdout_truncated) == ("output", 1000, True)

    def test_python(self, sandbox: Sandbox) -> None:
        source = "import sys, json, hashlib, decimal\nprint(sys.version_info[:3], input())\nprint('torch' in sys.modules)"
        outcome = sandbox.run_python(source, 10, b"given\n")
        assert outcome.stdout.decode() == f"{sys.version_info[:3]} given\nFalse\n"
        assert b"AssertionError" in sandbox.run_python("assert 1 == 2", 10).stderr
        assert sandbox.run_python("while True: pass", 0.5).reason == "timeout"
        assert sandbox.run_python("x = '\ud800'", 10).exit_code == 1

    def test_many_at_once(self, sandbox: Sandbox) -> None:
        outcomes: dict[int, bytes] = {}

        def work(number: int) -> None:
            for step in range(5):
                outcomes[number * 10 + step] = sandbox.run(shell(f"echo {number * 10 + step} > f; cat f")).stdout

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == {number: f"{number}\n".encode() for number in outcomes}
        assert len(outcomes) == 20

    def test_no_descriptor_is_left_open(self, sandbox: Sandbox) -> None:
        sandbox.run(shell("true"))
        before = descriptors()
        for _ in range(5):
            sandbox.run(shell("true"))
            sandbox.run(shell("sleep 5", limits=Limits(seconds=0.1)))
        assert descriptors() == before

    def test_the_standard_streams_by_name(self, sandbox: Sandbox) -> None:
        outcome = sandbox.run(
            shell("cat /dev/stdin > /dev/stdout; echo x | tee /dev/stderr; diff <(echo a) <(echo a) && echo y > /dev/null", stdin=b"in\n")
        )
        assert (outcome.stdout, outcome.stderr, outcome.exit_code) == (b"in\nx\n", b"x\n", 0)

    def test_killed_from_outside(self, sandbox: Sandbox) -> None:
        found: list[Outcome] = []
        thread = threading.Thread(target=lambda: found.append(sandbox.run(shell("sleep 20", limits=Limits(seconds=20)))))
        thread.start()
        deadline = time.monotonic() + 10
        killed = False
        while not killed and time.monotonic() < deadline:
            time.sleep(0.5)  # So that the job itself has begun.
            for children in Path("/proc/self/task").glob("*/children"):
                for pid in children.read_text(encoding="ascii").split():
                    if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(int(pid), 9)
                        killed = True
        thread.join(15)
        assert killed
        assert (found[0].reason, found[0].exit_code) == ("killed", None)
        assert found[0].seconds < 12

    def test_a_tree_that_does_not_fit_is_told(self, sandbox: Sandbox) -> None:
        tree = Tree((TreeNode("big", "file", 0o644, 0, b"x" * 200_000),))
        with pytest.raises(SandboxError, match="No space left"):
            sandbox.run(shell("true", tree=tree, limits=Limits(tree_bytes=65_536)))

    @pytest.mark.alone
    def test_a_start_is_cheap(self, sandbox: Sandbox) -> None:
        # 21 ms a command and 27 ms a Python program on two cores; refused is a start that costs several times that.
        started = time.perf_counter()
        for _ in range(10):
            sandbox.run(shell("true"))
        assert (time.perf_counter() - started) / 10 < 0.25

    @pytest.mark.parametrize("mount", ["/", "work", "/usr/local", "/etc", "/work/../usr", "/tmp", "/work/", "//work", ""])
    def test_a_mount_among_the_systems_folders_is_refused(self, sandbox: Sandbox, mount: str) -> None:
        with pytest.raises(SandboxError, match="cannot be laid"):
            sandbox.run(shell("true", mount=mount))
