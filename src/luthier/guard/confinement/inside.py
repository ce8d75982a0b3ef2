"""The first program inside the sandbox: lays the tree, hands the watcher what it watches by, gives up its rights, and becomes the job.

It is started compiled, as `python -I -S inside.pyc CONTROL_FD`, and imports little more than the standard library's C modules, for each run
pays for its start. Nothing of the job runs before the last line.
"""

from __future__ import annotations

import _signal
import _socket
import ctypes
import marshal
import os
import resource
import sys

# System calls of Landlock, the same on all architectures: linux/include/uapi/asm-generic/unistd.h.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
# Rights of linux/include/uapi/linux/landlock.h: by version of the interface, all file rights that it knows.
_FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_ALL_FILE_RIGHTS = 0xFFFF
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1, 2, 4, 8
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_TRUNCATE, _CONTROL_DEVICE = 1 << 14, 1 << 15
_TCP, _SCOPES = 3, 3
# The first versions that know rules for TCP, and scopes.
FIRST_WITH_TCP, _FIRST_WITH_SCOPES = 4, 6


def receive(control: _socket.socket, count: int) -> bytes:
    """Exactly `count` bytes from `control`; the end of the stream before that ends the program."""
    parts = []
    while count:
        part = control.recv(min(count, 1 << 20))
        if not part:
            raise SystemExit("the watcher is gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def close_others(kept: int) -> None:
    """Closes every descriptor but the three standard ones and `kept`: a job must inherit nothing of the outside."""
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2 and number != kept:
            try:
                os.close(number)
            except OSError:  # The listing's own, closed by now.
                continue


def lay(mount: str, nodes: list[tuple[str, str, int, int, bytes]]) -> None:
    """Makes the tree below `mount`: names in their order, then the folders' rights and times from the deepest up."""
    folders = []
    for path, kind, mode, mtime, content in nodes:
        target = f"{mount}/{path}" if path else mount
        if kind == "folder":
            if path:
                os.mkdir(target)
            folders.append((target, mode, mtime))
        elif kind == "link":
            os.symlink(os.fsdecode(content), target)
            os.utime(target, ns=(mtime, mtime), follow_symlinks=False)
        else:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchmod(descriptor, mode)
            os.utime(descriptor, ns=(mtime, mtime))
            os.close(descriptor)
    for target, mode, mtime in reversed(folders):
        os.chmod(target, mode)
        os.utime(target, ns=(mtime, mtime))


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none."""
    libc = ctypes.CDLL(None)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def restrict(version: int, writable: list[str]) -> None:
    """Raises the second wall: no TCP, no signal or abstract socket to the outside, writing below `writable` and to devices only."""
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)
    words = [handled]
    words += [_TCP] if version >= FIRST_WITH_TCP else []
    words += [_SCOPES] if version >= _FIRST_WITH_SCOPES else []
    attributes = b"".join(word.to_bytes(8, sys.byteorder) for word in words)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise SystemExit(f"Landlock makes no ruleset: {os.strerror(ctypes.get_errno())}")
    reading = _EXECUTE | _READ_FILE | _READ_FOLDER
    rules = [("/", reading), ("/dev", reading | _WRITE_FILE | _TRUNCATE | _CONTROL_DEVICE)]
    rules += [(path, _ALL_FILE_RIGHTS & ~(_MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE | _CONTROL_DEVICE)) for path in writable]
    for path, rights in rules:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = (rights & handled).to_bytes(8, sys.byteorder) + descriptor.to_bytes(4, sys.byteorder)
        if libc.syscall(_ADD_RULE, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0)):
            raise SystemExit(f"Landlock refuses a rule for {path}: {os.strerror(ctypes.get_errno())}")
        os.close(descriptor)
    if libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)):
        raise SystemExit(f"Landlock does not restrict: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)


def hand_out(control: _socket.socket, writable: list[str], version: int) -> None:
    """Gives the watcher the writable places, the list of processes and the first process: it needs no path and no number of ours."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptors = [*(os.open(path, flags) for path in writable), os.open("/proc", flags), os.pidfd_open(1)]
    packed = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in descriptors)
    control.sendmsg([bytes([version])], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    """Reads the job from the control socket and becomes it."""
    control = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    close_others(control.fileno())
    size = int.from_bytes(receive(control, 8), "big")
    argv, environment, mount, directory, nodes, limits = marshal.loads(receive(control, size))
    with open("/proc/self/oom_score_adj", "w") as stream:  # Where the machine runs out of memory, the kernel takes this one first.
        stream.write("1000")
    os.umask(0o022)
    lay(mount, nodes)
    writable = [mount, "/tmp", "/dev/shm"]
    version = landlock_version()
    if version:
        restrict(version, writable)
    hand_out(control, writable, version)
    control.detach()
    for name, value in limits:
        # One second more for the hard limit of processor time: at the soft one comes SIGXCPU, which says what happened.
        resource.setrlimit(name, (value, value + (name == resource.RLIMIT_CPU)))
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores both, and a child would inherit that.
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.chdir(directory)
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


if __name__ == "__main__":
    main()
