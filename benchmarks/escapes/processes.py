"""Attempts on the machine's processes, and to gain rights."""

from __future__ import annotations

import platform
import time
from functools import partial
from pathlib import Path

from benchmarks.escapes.registry import Attempt, call, python, refusing, register, shell, standing_by, tried, words
from luthier.core.protocols import Sandbox
from luthier.guard.confinement import syscalls

ATTEMPTS: list[Attempt] = []
attempt = partial(register, ATTEMPTS)


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
