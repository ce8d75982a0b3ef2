"""Attempts on the machine's files, what /proc shows of it, its descriptors and its environment."""

from __future__ import annotations

import os
import secrets
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.escapes.registry import Attempt, python, register, shell, standing_by, tried
from luthier.core.protocols import Job, Sandbox

ATTEMPTS: list[Attempt] = []
attempt = partial(register, ATTEMPTS)


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
