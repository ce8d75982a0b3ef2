"""What a program tries in order to get out of the sandbox or to take more than it was given, and what came of each attempt.

    python -m benchmarks.escapes

Prints a Markdown table and ends with 1 where one attempt succeeded. Every attempt is real: a listener waits, a secret lies there, a process
stands by to be killed. `tests/integration/test_sandbox_escapes.py` runs the same list, and proves on some of them that they do
succeed where there is no sandbox.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.core.errors import DataError, SandboxError
from luthier.core.protocols import Job, Limits, Outcome, Sandbox
from luthier.guard.confinement import syscalls
from luthier.guard.confinement.trees import prepare
from luthier.guard.sandbox import open_sandbox

MEBIBYTE = 1 << 20
ATTEMPTS: list[Attempt] = []


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way out. `run` tries it and returns whether the wall held, and what happened in a few words."""

    group: str
    what: str
    run: Callable[[Sandbox], tuple[bool, str]]


def attempt(group: str, what: str) -> Callable[[Callable[[Sandbox], tuple[bool, str]]], Callable[[Sandbox], tuple[bool, str]]]:
    """Registers a function as an attempt."""

    def register(run: Callable[[Sandbox], tuple[bool, str]]) -> Callable[[Sandbox], tuple[bool, str]]:
        ATTEMPTS.append(Attempt(group, what, run))
        return run

    return register


def shell(sandbox: Sandbox, command: str, **limits: float) -> Outcome:
    """The outcome of a bash command under the given limits."""
    return sandbox.run(Job(("bash", "-c", command), limits=replace(Limits(), **limits)))  # type: ignore[arg-type]


def python(sandbox: Sandbox, source: str, **limits: float) -> Outcome:
    """The outcome of a Python program under the given limits."""
    program = str(Path(sys.executable).resolve())
    return sandbox.run(Job((program, "-I", "-S", "-c", source), limits=replace(Limits(), **limits)))  # type: ignore[arg-type]


def words(outcome: Outcome) -> str:
    """Exit code, reason and the last line said, for the table."""
    said = (outcome.stdout + b"\n" + outcome.stderr).decode("utf-8", "replace").strip().splitlines()
    parts = [outcome.reason if outcome.exit_code is None else f"exit {outcome.exit_code}", *([said[-1][:90]] if said else [])]
    return ": ".join(parts)


def tried(outcome: Outcome, success: bytes = b"OUT") -> tuple[bool, str]:
    """Held where the program ended by itself, said what it tried (`TRIED`), and never said that it succeeded."""
    return success not in outcome.stdout and b"TRIED" in outcome.stdout, words(outcome)


def refusing(body: str) -> str:
    """A program that says TRIED, runs `body`, and says OUT unless `body` raised OSError; what was raised is said too."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    start = "import ctypes, os, socket\nprint('TRIED')\ntry:\n"
    return f"{start}{lines}\n    print('OUT')\nexcept OSError as error:\n    print(error)\n"


def call(expression: str) -> str:
    """A program that makes one system call and says OUT where it did not fail."""
    return refusing(
        f"libc = ctypes.CDLL(None, use_errno=True)\nresult = libc.{expression}\n"
        "if result == -1:\n    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"
    )


# --- network


@attempt("network", "TCP to a listener on the machine's loopback")
def tcp(sandbox: Sandbox) -> tuple[bool, str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 2).close()
        return tried(python(sandbox, refusing(f"socket.create_connection(('127.0.0.1', {port}), 2)")))


@attempt("network", "UDP to a listener on the machine's loopback")
def udp(sandbox: Sandbox) -> tuple[bool, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        port = listener.getsockname()[1]
        source = f"import socket\nprint('TRIED')\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))"
        outcome = python(sandbox, source)
        try:
            listener.recv(1)
        except TimeoutError:
            return b"TRIED" in outcome.stdout, f"{words(outcome)}; nothing arrived"
        return False, "it arrived"


@attempt("network", "a name looked up, and TCP and UDP to an address outside")
def outside(sandbox: Sandbox) -> tuple[bool, str]:
    outcome = python(
        sandbox,
        "import socket\nprint('TRIED')\nfailed = 0\n"
        "for step in (lambda: socket.getaddrinfo('example.com', 80), lambda: socket.create_connection(('192.0.2.1', 80), 2),\n"
        "             lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))):\n"
        "    try:\n        step()\n        print('OUT')\n    except OSError as error:\n        print(error)\n",
    )
    return tried(outcome)


@attempt("network", "an abstract UNIX socket of the machine")
def abstract(sandbox: Sandbox) -> tuple[bool, str]:
    name = f"luthier-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as control:
        listener.bind(f"\0{name}")
        listener.listen()
        control.connect(f"\0{name}")
        return tried(python(sandbox, refusing(f"socket.socket(socket.AF_UNIX).connect('\\0{name}')")))


@attempt("network", "a raw socket and a packet socket")
def raw(sandbox: Sandbox) -> tuple[bool, str]:
    first = tried(python(sandbox, refusing("socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)")))
    second = tried(python(sandbox, refusing("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)")))
    return first[0] and second[0], second[1]


# --- files and processes of the machine


@attempt("files", "a secret file in the machine's /tmp, /etc/shadow, /root and every home")
def others_files(sandbox: Sandbox) -> tuple[bool, str]:
    with tempfile.NamedTemporaryFile(prefix="luthier-secret-") as secret:
        Path(secret.name).write_text("OUT", encoding="ascii")
        Path(secret.name).chmod(0o644)
        homes = f"{Path.home()}/.[a-zA-Z]*rc {Path.home()}/.ssh /home/*/.[a-z]*"
        command = f"echo TRIED; cat {secret.name}; for f in /etc/shadow {homes}; do [ -e $f ] && echo OUT $f; done; true"
        return tried(shell(sandbox, command))


@attempt("files", "/proc of the machine: other processes' lines, their roots and environments")
def processes(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"luthier-{secrets.token_hex(8)}"
    with standing_by(marker) as child:
        # In pieces, or the program would find its own command line.
        source = (
            f"import glob, os\nprint('TRIED')\nmarker = b'{marker[:9]}' + b'{marker[9:]}'\nread = 0\n"
            "for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n"
            "    try:\n        content = open(path, 'rb').read()\n    except OSError:\n        continue\n"
            "    read += 1\n    if marker in content:\n        print('OUT', path)\n"
            f"if os.path.exists('/proc/{child.pid}/root/usr'):\n    print('OUT', 'a root')\nprint(read, 'files read')\n"
        )
        return tried(python(sandbox, source))


@attempt("files", "writing to /usr, /etc, /, /proc/sys and the machine's /tmp")
def writing(sandbox: Sandbox) -> tuple[bool, str]:
    name = f"luthier-{secrets.token_hex(8)}"
    command = (
        f"echo TRIED; for p in /usr/{name} /usr/bin/{name} /etc/{name} /{name} /run/{name} /dev/{name} /etc/passwd"
        " /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger; do (echo x >> $p) 2>/dev/null && echo OUT $p; done;"
        f" echo x > /tmp/{name} && echo kept its own /tmp"
    )
    outcome = shell(sandbox, command)
    held, said = tried(outcome)
    return held and not any(Path(folder, name).exists() for folder in ("/usr", "/usr/bin", "/etc", "/", "/run", "/dev", "/tmp")), said


@attempt("files", "rights of a device changed, a device node made, a disk opened")
def devices(sandbox: Sandbox) -> tuple[bool, str]:
    before = Path("/dev/null").stat().st_mode
    made = "mknod /work/disk b 8 0 && echo OUT; mknod /work/null c 1 3 && echo OUT"
    command = f"echo TRIED; chmod 000 /dev/null && echo OUT; {made}; ls /dev/[sv]d* && echo OUT; true"
    held, said = tried(shell(sandbox, command))
    return held and Path("/dev/null").stat().st_mode == before, said


@attempt("files", "descriptors inherited from the machine")
def descriptors(sandbox: Sandbox) -> tuple[bool, str]:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.set_inheritable(writer, True)
    try:
        source = (
            "import os\nprint('TRIED')\nfor name in os.listdir('/proc/self/fd'):\n"
            "    path = f'/proc/self/fd/{name}'\n    if int(name) > 2 and os.path.exists(path):\n        print('OUT', os.readlink(path))\n"
        )
        outcome = python(sandbox, source)
    finally:
        os.close(reader)
        os.close(writer)
    return tried(outcome)


@attempt("files", "environment variables of the machine")
def environment(sandbox: Sandbox) -> tuple[bool, str]:
    name = f"LUTHIER_{secrets.token_hex(4).upper()}"
    os.environ[name] = "OUT"
    try:
        return tried(shell(sandbox, "echo TRIED; env; tr '\\0' '\\n' < /proc/1/environ"))
    finally:
        del os.environ[name]


@attempt("files", "the standard input's file changed through /proc/self/fd/0")
def standard_input(sandbox: Sandbox) -> tuple[bool, str]:
    job = Job(("bash", "-c", "echo TRIED; (echo OUT > /proc/self/fd/0) 2>&1; cat /proc/self/fd/0"), stdin=b"given\n")
    outcome = sandbox.run(job)
    return tried(outcome, b"OUT\n")


@contextlib.contextmanager
def standing_by(marker: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the machine, of the user that jobs have, with `marker` in its command line."""
    user = 65534 if os.geteuid() == 0 else None
    words = ["bash", "-c", "read -r line", marker]
    groups = [] if user is not None else None
    with subprocess.Popen(words, stdin=subprocess.PIPE, user=user, group=user, extra_groups=groups, cwd="/") as child:
        yield child
        child.kill()


@attempt("processes", "signals to a process of the same user on the machine, and to every process")
def signals(sandbox: Sandbox) -> tuple[bool, str]:
    with standing_by("luthier-signals") as child:
        outcome = shell(sandbox, f"echo TRIED; kill -9 {child.pid}; trap '' TERM; kill -TERM -1; kill -9 1; echo still here")
        time.sleep(0.1)
        return child.poll() is None and b"TRIED" in outcome.stdout, f"{words(outcome)}; the process lives"


@attempt("processes", "ptrace, process memory, kernel keys, bpf, userfaultfd, io_uring, perf")
def calls(sandbox: Sandbox) -> tuple[bool, str]:
    numbers = syscalls.TABLES[platform.machine()][1] if platform.machine() in syscalls.TABLES else {}
    if not numbers:
        return True, "no filter is written for this processor: the calls are left to the kernel"
    expressions = {
        "ptrace": "ptrace(0, 0, 0, 0)",
        "process_vm_readv": "process_vm_readv(1, None, 0, None, 0, 0)",
        "keyctl": f"syscall({numbers['keyctl']}, 0, -3, 1)",
        "bpf": f"syscall({numbers['bpf']}, 0, None, 0)",
        "userfaultfd": f"syscall({numbers['userfaultfd']}, 1)",
        "io_uring_setup": "syscall(425, 1, ctypes.create_string_buffer(120))",
        "perf_event_open": f"syscall({numbers['perf_event_open']}, None, 0, -1, -1, 0)",
        "memfd_create": "memfd_create(b'x', 0)",
        "shmget": "shmget(0, 4096, 0o1600)",
    }
    results = {name: tried(python(sandbox, call(expression))) for name, expression in expressions.items()}
    wrong = [name for name, (held, said) in results.items() if not held or "Operation not permitted" not in said]
    return not wrong, f"let through: {', '.join(wrong)}" if wrong else f"{len(expressions)} calls, each: Operation not permitted"


@attempt("rights", "mount, and user namespaces inside (unshare, clone)")
def namespaces(sandbox: Sandbox) -> tuple[bool, str]:
    results = [
        tried(python(sandbox, call("mount(b'none', b'/tmp', b'tmpfs', 0, None)"))),
        tried(python(sandbox, call("unshare(0x10000000)"))),
        tried(python(sandbox, call("unshare(0x00020000)"))),
        tried(python(sandbox, call(f"syscall({220 if platform.machine() == 'aarch64' else 56}, 0x10000011, 0, 0, 0, 0)"))),
        tried(shell(sandbox, "echo TRIED; unshare --user --map-root-user echo OUT; unshare --mount echo OUT")),
        tried(shell(sandbox, "echo TRIED; bwrap --ro-bind / / --proc /proc echo OUT")),
    ]
    return all(held for held, _ in results), results[-1][1]


@attempt("rights", "programs with setuid, and becoming root")
def setuid(sandbox: Sandbox) -> tuple[bool, str]:
    found = [
        path
        for path in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh")
        if Path(path).exists() and Path(path).stat().st_mode & 0o4000
    ]
    command = (
        "echo TRIED; cp /usr/bin/id /work/id && chmod 6755 /work/id && /work/id -u | grep -qx 0 && echo OUT;"
        " su -c 'echo OUT' </dev/null; grep -E 'Cap(Eff|Prm|Bnd)' /proc/self/status | grep -v 0000000000000000 && echo OUT;"
        " grep -q 'NoNewPrivs:.1' /proc/self/status || echo OUT; true"
    )
    held, said = tried(shell(sandbox, command))
    root = tried(python(sandbox, call("setresuid(0, 0, 0)")))
    return held and root[0] and bool(found), f"{len(found)} such programs stand there; {said}"


@attempt("rights", "characters pushed into the terminal (TIOCSTI)")
def terminal(sandbox: Sandbox) -> tuple[bool, str]:
    source = refusing("import fcntl\nfor number in (0, 1, 2):\n    fcntl.ioctl(number, 0x5412, b'x')")
    held, said = tried(python(sandbox, source))
    with_tty = tried(python(sandbox, refusing("open('/dev/tty')")))
    own = python(
        sandbox,
        "import fcntl, os, pty\nprint('TRIED')\nprimary, secondary = pty.openpty()\n"
        "try:\n    fcntl.ioctl(secondary, 0x5412, b'x')\n    print('OUT')\nexcept PermissionError as error:\n    print(error)\n",
    )
    return held and with_tty[0] and tried(own)[0], f"{said}; on a terminal of its own: {words(own)}"


# --- taking more than was given


def within(seconds: float, most: float, held: bool, said: str) -> tuple[bool, str]:
    """Held only where it was also over in time."""
    return held and seconds < most, f"{said} after {seconds:.2f} s"


def timed(run: Callable[[], Outcome]) -> tuple[Outcome, float]:
    """The outcome and the wall time of the whole call in seconds."""
    started = time.monotonic()
    return run(), time.monotonic() - started


@attempt("resources", "a fork bomb")
def fork_bomb(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"bomb_{secrets.token_hex(6)}"
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(sum(marker.encode() in safely(path) for path in Path("/proc").glob("[0-9]*/cmdline")))

    observer = threading.Thread(target=look)
    observer.start()
    outcome, seconds = timed(lambda: shell(sandbox, f"{marker}() {{ while :; do {marker} & done; }}; {marker}; wait", seconds=3))
    over.set()
    observer.join()
    left = sum(marker.encode() in safely(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    grew = outcome.reason == "processes" or max(seen) > 1
    held = grew and max(seen) <= Limits().processes + 20 and left == 0 and settled()
    return within(seconds, 6, held, f"{outcome.reason}: {max(seen)} seen at once, {left} left")


@attempt("resources", "more processes than allowed, each waiting (no bomb to see)")
def many_processes(sandbox: Sandbox) -> tuple[bool, str]:
    source = "import os, time\nfor _ in range(2000):\n    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, seconds=5))
    return within(
        seconds, 8, b"OUT" not in outcome.stdout and (outcome.reason == "processes" or b"BlockingIOError" in outcome.stderr), words(outcome)
    )


@attempt("resources", "8 GiB of memory in one process")
def memory_one(sandbox: Sandbox) -> tuple[bool, str]:
    source = "blocks = []\nfor _ in range(512):\n    blocks.append(bytearray(16 << 20))\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, memory_bytes=256 * MEBIBYTE))
    return within(
        seconds, 8, b"OUT" not in outcome.stdout and (outcome.reason == "memory" or b"MemoryError" in outcome.stderr), words(outcome)
    )


@attempt("resources", "memory taken by 20 processes, each within its own limit")
def memory_many(sandbox: Sandbox) -> tuple[bool, str]:
    child = "block = bytearray(100 << 20)\n        time.sleep(8)\n        os._exit(0)"
    source = f"import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        {child}\ntime.sleep(8)\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, memory_bytes=512 * MEBIBYTE))
    return within(seconds, 8, outcome.reason == "memory", outcome.reason)


@attempt("resources", "memory taken through files in /tmp and /dev/shm")
def memory_files(sandbox: Sandbox) -> tuple[bool, str]:
    command = "for i in $(seq 40); do head -c 60000000 /dev/zero > /tmp/$i || exit 3; done; echo OUT"
    outcome, seconds = timed(lambda: shell(sandbox, command))
    other = shell(sandbox, "head -c 60000000 /dev/zero > /dev/shm/a && head -c 60000000 /dev/zero > /dev/shm/b && echo OUT")
    tight = shell(sandbox, command, memory_bytes=128 * MEBIBYTE)
    held = all(b"OUT" not in result.stdout for result in (outcome, other)) and tight.reason == "memory"
    return within(seconds, 8, held, f"{words(outcome)}; with a smaller limit: {tight.reason}")


@attempt("resources", "10 GB of output")
def output(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "head -c 10000000000 /dev/zero"))
    other, _ = timed(lambda: shell(sandbox, "yes >&2"))
    held = outcome.reason == other.reason == "output" and len(outcome.stdout) == len(other.stderr) == Limits().output_bytes
    return within(
        seconds, 3, held and outcome.stdout_truncated and other.stderr_truncated, f"{outcome.reason}, {len(outcome.stdout)} bytes kept"
    )


@attempt("resources", "a file of 10 GB, and one with a hole of 1 TB")
def huge_file(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "head -c 10000000000 /dev/zero > big; echo $?; truncate -s 1T hole; echo $?; ls -s"))
    sizes = shell(sandbox, "stat -c %s big hole 2>/dev/null")
    codes = outcome.stdout.split()[:2]
    return within(
        seconds, 8, b"0" not in codes and not sizes.stdout, f"exit {b' and '.join(codes).decode()}, {len(outcome.tree)} names left"
    )


@attempt("resources", "a million files")
def many_files(sandbox: Sandbox) -> tuple[bool, str]:
    source = "import os\nfor number in range(1_000_000):\n    os.close(os.open(f'/work/{number}', os.O_CREAT))\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source))
    held = outcome.reason == "files" and not outcome.tree_complete and len(outcome.tree) <= Limits().tree_entries
    return within(seconds, 8, held, f"{outcome.reason}, {len(outcome.tree)} names listed")


@attempt("time", "sleeping past the limit")
def sleeping(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "sleep 60; echo OUT", seconds=1))
    return within(seconds, 2.5, outcome.reason == "timeout" and outcome.exit_code is None, outcome.reason)


@attempt("time", "ignoring every signal that can be ignored")
def ignoring(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "trap '' TERM INT HUP QUIT XCPU ALRM; while :; do :; done", seconds=1))
    return within(seconds, 2.5, outcome.reason == "timeout", outcome.reason)


@attempt("time", "daemons left behind (setsid, double fork), output closed")
def daemons(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"7{secrets.randbelow(10**9):09d}"
    command = (
        f"setsid sleep {marker} >/dev/null 2>&1 & (setsid bash -c 'trap \"\" HUP TERM; sleep {marker} & disown; sleep {marker}' &) ;"
        " sleep 0.2; pgrep -c sleep; exec >&- 2>&-"
    )
    outcome, seconds = timed(lambda: shell(sandbox, command))
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in safely(path)]
    return within(
        seconds,
        3,
        outcome.stdout.strip() == b"3" and not left,
        f"{outcome.stdout.strip().decode()} were alive inside, {len(left)} are after it",
    )


@attempt("time", "daemons that hold the output open")
def holding(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "setsid sleep 60 & echo done"))
    return within(seconds, 3, outcome.reason == "done" and outcome.stdout == b"done\n", outcome.reason)


@attempt("time", "the watcher killed while a job runs")
def watcher_killed(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"8{secrets.randbelow(10**9):09d}"
    source = (
        "from luthier.core.protocols import Job\nfrom luthier.guard.sandbox import open_sandbox\n"
        f"open_sandbox().run(Job(('bash', '-c', 'setsid sleep {marker} & sleep {marker}')))"
    )
    with tempfile.TemporaryDirectory(prefix="luthier-killed-") as folder:
        child = subprocess.Popen([sys.executable, "-c", source], env={**os.environ, "TMPDIR": folder})
        try:
            seen = wait_for(lambda: count(marker) == 2, 20)
        finally:
            child.kill()
            child.wait()
    gone = wait_for(lambda: count(marker) == 0, 5)
    return seen and gone, f"{'both ran' if seen else 'they never ran'}, {count(marker)} are left"


def safely(path: Path) -> bytes:
    """The bytes of a file in /proc, or nothing where its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def count(marker: str) -> int:
    """How many processes of the machine are `sleep MARKER`."""
    return sum(safely(path) == f"sleep\0{marker}\0".encode() for path in Path("/proc").glob("[0-9]*/cmdline"))


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def settled() -> bool:
    """Whether the machine still starts a process at once."""
    started = time.monotonic()
    subprocess.run(["true"], check=True)
    return time.monotonic() - started < 1


# --- the tree in and out


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


def main() -> int:
    """Runs all attempts and prints the table; 1 where one succeeded."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        sandbox = open_sandbox()
    except SandboxError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    broken = 0
    with sandbox:
        print(f"Walls: {', '.join(sandbox.walls)}; started as {'root' if os.geteuid() == 0 else 'a plain user'}.\n")
        print("| | attempt | held | what happened |\n|---|---|---|---|")
        for one in ATTEMPTS:
            held, said = one.run(sandbox)
            broken += not held
            print(f"| {one.group} | {one.what} | {'yes' if held else '**NO**'} | {said.replace('|', '¦')} |", flush=True)
    print(f"\n{len(ATTEMPTS) - broken} of {len(ATTEMPTS)} held.")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
