"""The sandbox: programs run without network, in a fresh tree, with nobody's rights, under limits. Without it nothing is run.

The wall is bubblewrap (a child program): namespaces of its own for users, processes, network, names, messages and control groups; a
read-only view of the system's programs and nothing of anybody's home; private /proc, /dev and /tmp; no capabilities. Behind it stand
a filter of system calls (`confinement.syscalls`) and Landlock where the kernel has it (`confinement.inside`). Started as root, it first
becomes the user nobody for good: root without rights is still the owner of /proc/sys and of the devices.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import platform
import py_compile
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

from luthier.core.errors import Problem, SandboxError
from luthier.core.protocols import Job, Limits, Outcome, TreeEntry, TreeNode
from luthier.guard.confinement import inside, syscalls
from luthier.guard.confinement.staging import Staging, is_reachable
from luthier.guard.confinement.trees import read_tree, tree_of
from luthier.guard.confinement.watch import Handles, Stream, follow

INSTALL_HINT = "install it with: apt-get install bubblewrap (0.8 or later); without a sandbox Luthier runs no generated code"
NOBODY = 65534
# Where a tree can be laid, in words.
MOUNT = "an absolute path outside of the system's folders, such as /work"
# The first with --disable-userns and --size.
_OLDEST = (0, 8)
_SETUP_SECONDS = 60.0
_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What programs of the system read and what names nobody on this machine.
_SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/shells", "/etc/networks", "/etc/services",
    "/etc/protocols", "/etc/mime.types", "/etc/magic", "/etc/terminfo", "/etc/ssl/openssl.cnf", "/etc/debian_version", "/nix/store",
)  # fmt: skip
_OWN_FILES = {
    "/etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/tmp:/bin/bash\n",
    "/etc/group": b"root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost sandbox\n",
    "/etc/resolv.conf": b"nameserver 127.0.0.1\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
}
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "USER": "nobody",
}
_SHARED_MEMORY_BYTES = 64 << 20
_LAUNCHER = "/run/luthier.pyc"


@dataclass(frozen=True, slots=True)
class Switch:
    """A file of the kernel that forbids user namespaces, and with them the sandbox, where it says `forbids`; `mend` is for root."""

    path: Path
    forbids: str
    mend: str

    def value(self) -> str | None:
        """What the file says; None where this kernel has no such file."""
        return self.path.read_text(encoding="ascii").strip() if self.path.is_file() else None


SWITCHES = (
    Switch(Path("/proc/sys/user/max_user_namespaces"), "0", "sysctl -w user.max_user_namespaces=10000"),
    Switch(Path("/proc/sys/kernel/unprivileged_userns_clone"), "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    Switch(Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
)


class Sandbox:
    """Where programs run; made by `open_sandbox`. Safe to use from several threads; `close` when nothing is to run any more.

    `walls` names what stands between a job and the machine, and what this machine does not have.
    """

    def __init__(self, bubblewrap: str, version: str, read_only: Sequence[Path]) -> None:
        self._bubblewrap = bubblewrap
        self._filter = syscalls.program(platform.machine())
        self._python = str(Path(sys.executable).resolve())
        folders = dict.fromkeys(path.resolve() for path in (Path(sys.base_prefix), *read_only))
        outside_usr = [path for path in folders if not path.is_relative_to("/usr")]
        self._user = NOBODY if os.geteuid() == 0 else None
        self._staging = Staging(outside_usr) if self._user is not None and not all(map(is_reachable, outside_usr)) else None
        self._fixed = self._fixed_arguments(outside_usr)
        self._launcher = _compiled(Path(inside.__file__))
        self._lock = threading.Lock()
        self._landlock = -1
        self._version = version

    @property
    def walls(self) -> tuple[str, ...]:
        """What stands between a job and the machine, one line each."""
        return (
            f"bubblewrap {self._version}",
            "system call filter" if self._filter else f"no system call filter (none is written for {platform.machine()})",
            f"Landlock {self._landlock}" if self._landlock > 0 else "no Landlock (this kernel has none)",
        )

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives back what was prepared for all runs."""
        if self._staging is not None:
            self._staging.close()

    def run_python(self, source: str, seconds: float, stdin: bytes = b"") -> Outcome:
        """Runs `source` as a Python program: this interpreter, its standard library, no other packages; at most `seconds`."""
        node = TreeNode("program.py", "file", 0o644, 0, source.encode("utf-8", "surrogatepass"))
        argv = (self._python, "-I", "-S", "/work/program.py")
        limits = Limits(seconds=seconds, cpu_seconds=max(1, int(seconds + 1)))
        return self.run(Job(argv, stdin, tree_of([node]), limits=limits, wants_tree=False))

    def run(self, job: Job) -> Outcome:
        """Runs `job` and returns when nothing of it is alive any more.

        Raises `SandboxError` where the sandbox itself cannot be set up; whatever the job does is an `Outcome`.
        """
        _check_mount(job.mount)
        with ExitStack() as stack:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            child = self._start(job, theirs, stack)
            assert child.stdout is not None
            assert child.stderr is not None
            if self._user is not None:
                # A pipe belongs to who made it, and only its owner can open it by name (`> /dev/stdout`).
                for pipe in (child.stdout, child.stderr):
                    os.fchown(pipe.fileno(), self._user, self._user)
            handles = self._hand_over(job, ours, child)
            stack.callback(handles.close)
            streams = tuple(Stream(pipe.fileno(), job.limits.output_bytes) for pipe in (child.stdout, child.stderr))
            started = time.monotonic()
            reason = follow(child, handles, streams, job.limits)
            seconds = time.monotonic() - started
            entries: tuple[TreeEntry, ...] = ()
            complete = True
            if job.wants_tree:
                entries, complete = read_tree(handles.places[0], job.limits)
        code = child.returncode if reason == "done" else None
        if code is not None and code < 0:  # bubblewrap itself was killed, and not by the watcher.
            reason, code = "killed", None
        number = code - 128 if code is not None and 128 < code < 128 + signal.NSIG else None
        reason = "timeout" if number == signal.SIGXCPU else reason
        out, err = streams
        return Outcome(reason, code, number, out.content(), err.content(), out.truncated, err.truncated, seconds, entries, complete)

    def _start(self, job: Job, control: socket.socket, stack: ExitStack) -> subprocess.Popen[bytes]:
        with control:
            arguments = [*self._fixed, *self._place_arguments(job)]
            passed = []
            for path, content in {**_OWN_FILES, **job.files, _LAUNCHER: self._launcher}.items():
                passed.append(_sealed(content, stack))
                arguments += ["--ro-bind-data", str(passed[-1]), path]
            arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
            if self._filter:
                passed.append(_sealed(self._filter, stack))
                arguments += ["--seccomp", str(passed[-1])]
            # Through a descriptor, for the first process's command line can be read inside.
            listed = _sealed(b"".join(os.fsencode(word) + b"\0" for word in arguments), stack)
            passed += [listed, control.fileno()]
            words = [self._bubblewrap, "--args", str(listed), "--", self._python, "-I", "-S", _LAUNCHER, str(control.fileno())]
            prefix: tuple[str, ...] = ()
            user = self._user
            if self._staging is not None:
                prefix, user = self._staging.prefix(NOBODY), None
                passed.append(self._staging.descriptor)
            child = subprocess.Popen(
                [*prefix, *words],
                stdin=_sealed(job.stdin, stack) if job.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=passed,
                cwd="/",
                env={"PATH": _ENVIRONMENT["PATH"]},
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        stack.enter_context(child)
        stack.callback(child.kill)
        return child

    def _hand_over(self, job: Job, control: socket.socket, child: subprocess.Popen[bytes]) -> Handles:
        """Sends the job in and takes what it is watched by; raises `SandboxError` with bubblewrap's words where that comes to nothing."""
        limits = job.limits
        numbers = [
            (resource.RLIMIT_AS, limits.memory_bytes),
            (resource.RLIMIT_CPU, limits.cpu_seconds),
            # A few above the watcher's own bound, so that a fork bomb is seen and not only held.
            (resource.RLIMIT_NPROC, limits.processes + 16),
            (resource.RLIMIT_FSIZE, limits.file_bytes),
            (resource.RLIMIT_NOFILE, limits.open_files),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
        ]
        nodes = [(node.path, node.kind, node.mode, node.mtime_ns, node.content) for node in job.tree.nodes]
        environment = {**_ENVIRONMENT, **job.environment}
        body = marshal.dumps((list(job.argv), environment, job.mount, job.directory or job.mount, nodes, numbers))
        control.settimeout(_SETUP_SECONDS)
        try:
            control.sendall(len(body).to_bytes(8, "big") + body)
            message, descriptors, _, _ = socket.recv_fds(control, 1, 5, socket.MSG_CMSG_CLOEXEC)
        except (OSError, TimeoutError):
            message, descriptors = b"", []
        if len(descriptors) != 5:
            child.kill()
            words = child.communicate()[1].decode("utf-8", "replace").strip()
            raise SandboxError(Problem("the sandbox cannot be set up", found=words[-2000:] or "it said nothing", hint=_mend(words)))
        with self._lock:
            self._landlock = message[0]
        return Handles(tuple(descriptors[:3]), descriptors[3], descriptors[4])

    def _fixed_arguments(self, outside_usr: Sequence[Path]) -> list[str]:
        arguments = ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        arguments += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
        arguments += ["--perms", "755", "--dir", "/etc", "--ro-bind", "/usr", "/usr"]
        for name in _SYSTEM_FOLDERS:
            path = Path(name)
            if path.is_symlink():
                arguments += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                arguments += ["--ro-bind", name, name]
        for name in _SYSTEM_FILES:
            arguments += ["--ro-bind-try", name, name]
        for path in outside_usr:
            arguments += ["--ro-bind", self._staging.place(path) if self._staging else str(path), str(path)]
        return [*arguments, "--proc", "/proc", "--dev", "/dev", "--perms", "755", "--dir", "/run"]

    def _place_arguments(self, job: Job) -> list[str]:
        places = (
            ("1777", _SHARED_MEMORY_BYTES, "/dev/shm"),
            ("1777", job.limits.tree_bytes, "/tmp"),
            ("755", job.limits.tree_bytes, job.mount),
        )
        return [word for mode, size, path in places for word in ("--perms", mode, "--size", str(size), "--tmpfs", path)]


def open_sandbox(read_only: Sequence[Path] = ()) -> Sandbox:
    """A sandbox that was tried: a program really ran in it and reached neither the network nor the machine's files.

    `read_only` are further folders that jobs may read, at their own paths, such as a virtual environment. Raises `SandboxError` with what
    is missing and how to get it.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxError(
            Problem("there is no sandbox for this system", found=sys.platform, hint="run it on Linux, or in a Linux machine")
        )
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError(Problem("the sandbox needs the program `bwrap`, which is not installed", hint=INSTALL_HINT))
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False, timeout=_SETUP_SECONDS).stdout.split()[-1:]
    numbers = tuple(int(part) for part in (version[0] if version else "0").split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise SandboxError(Problem("the program `bwrap` is too old", found=" ".join(version), expected="0.8 or later", hint=INSTALL_HINT))
    sandbox = Sandbox(found, version[0], read_only)
    try:
        _try_out(sandbox)
    except BaseException:
        sandbox.close()
        raise
    return sandbox


_TRIAL = """
import os, socket, sys
port, canary = int(sys.stdin.readline()), sys.stdin.readline().strip()
reached = []
try:
    socket.create_connection(("127.0.0.1", port), 1)
    reached.append("the network")
except OSError:
    pass
for path in (canary, "/etc/shadow"):
    if os.path.lexists(path):
        reached.append(path)
try:
    open("/usr/luthier-trial", "w")
    reached.append("/usr for writing")
except OSError:
    pass
print("reached:", *reached)
"""


def _try_out(sandbox: Sandbox) -> None:
    """Raises `SandboxError` unless a program runs inside and reaches nothing of what really is there outside."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile(prefix="luthier-canary-") as canary:
        question = f"{listener.getsockname()[1]}\n{canary.name}\n".encode()
        outcome = sandbox.run_python(_TRIAL, 30.0, question)
    if outcome.exit_code != 0 or outcome.stdout != b"reached:\n":
        said = (outcome.stdout + outcome.stderr).decode("utf-8", "replace").strip()
        raise SandboxError(
            Problem(
                "the sandbox failed its trial: what runs in it is not shut in, or cannot run",
                found=f"{said[-1000:]} ({outcome.reason})",
                hint="nothing is run; is `bwrap` on PATH the real one?",
            )
        )


def _mend(words: str) -> str:
    """What to do about bubblewrap's complaint: the switch that forbids user namespaces, where one does."""
    for switch in SWITCHES:
        if switch.value() == switch.forbids:
            return f"user namespaces are switched off by {switch.path}; as root: {switch.mend}"
    if "mount proc" in words:
        return "this container hides parts of /proc; start it with an unmasked one (Docker: --security-opt systempaths=unconfined)"
    if "namespace" in words:
        return "user namespaces are forbidden here; in a container, give it a seccomp profile that lets `unshare` and `mount` through"
    return "nothing was run"


def can_mount(mount: str) -> bool:
    """Whether a tree can be laid at `mount`: one plain absolute path, outside of the system's own folders."""
    path = PurePosixPath(mount)
    own = ("usr", "etc", "proc", "dev", "tmp", "run", "sys", *(name.strip("/") for name in _SYSTEM_FOLDERS))
    return (
        path.is_absolute()
        and str(path) == mount
        and ".." not in path.parts
        and not mount.startswith("//")
        and path.parts[1:2] not in ((), *((name,) for name in own))
    )


def _check_mount(mount: str) -> None:
    if not can_mount(mount):
        raise SandboxError(Problem("the tree cannot be laid there", found=mount, expected=MOUNT))


def _compiled(source: Path) -> bytes:
    """A module as the bytes that this interpreter runs without compiling."""
    with tempfile.TemporaryDirectory(prefix="luthier-") as folder:
        target = Path(folder) / "inside.pyc"
        py_compile.compile(str(source), cfile=str(target), dfile=_LAUNCHER, doraise=True)
        return target.read_bytes()


def _sealed(content: bytes, stack: ExitStack) -> int:
    """A descriptor of a file in memory with `content`, which nobody can change any more; closed with `stack`."""
    descriptor = os.memfd_create("luthier", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor
