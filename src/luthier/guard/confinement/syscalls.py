"""A filter of system calls for bubblewrap's `--seccomp`: what no judged program needs and what kernel holes are reached through.

A classic BPF program, assembled here; layout and constants from linux/include/uapi/linux/{filter,seccomp,bpf_common}.h, numbers of calls
from asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import errno
import struct
import sys

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4
_FIRST_ARGUMENT, _SECOND_ARGUMENT = (16, 24) if sys.byteorder == "little" else (20, 28)
# Every CLONE_NEW* flag of linux/sched.h.
_NEW_NAMESPACES = 0x7E020000 | 0x80
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32 = 0x40000000

# (audit architecture, {name: number}); the name is for the reader.
TABLES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "shmget": 29, "ptrace": 101, "syslog": 103, "personality": 135, "pivot_root": 155, "acct": 163, "mount": 165, "umount2": 166,
            "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175, "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212,
            "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "move_pages": 279,
            "vmsplice": 278, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319,
            "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
            "pidfd_getfd": 438, "memfd_secret": 447, "clone": 56, "clone3": 435, "ioctl": 16,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "shmget": 194, "ptrace": 117, "syslog": 116, "personality": 92, "pivot_root": 41, "acct": 89, "mount": 40, "umount2": 39,
            "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105, "delete_module": 106, "quotactl": 60, "lookup_dcookie": 18,
            "mq_open": 180, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "move_pages": 239,
            "vmsplice": 75, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "memfd_create": 279,
            "kexec_file_load": 294, "bpf": 280, "userfaultfd": 282,
            "pidfd_getfd": 438, "memfd_secret": 447, "clone": 220, "clone3": 435, "ioctl": 29,
        },
    ),
}  # fmt: skip
# The new mount calls and io_uring, the same number everywhere.
_REFUSED_EVERYWHERE = {"io_uring": (425, 427), "new mount calls": (428, 433), "mount_setattr": (442, 442)}
_SPECIAL = ("clone", "clone3", "ioctl")


def program(machine: str) -> bytes:
    """The filter for `machine` (`platform.machine()`), as an array of `struct sock_filter`; empty where its numbers are not known here.

    Refused calls fail with EPERM; `clone3`, whose flags a filter cannot read, with ENOSYS, upon which the C library takes `clone`.
    `memfd_create`, `shmget` and `mq_open` are among them because they make memory that belongs to no process and no watched place.
    """
    if machine not in TABLES:
        return b""
    architecture, numbers = TABLES[machine]
    refuse = [_step(_RETURN, _ERRNO | errno.EPERM)]
    steps = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _KILL)]
    steps += [_step(_EQUAL, numbers["clone3"], 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    for name, number in numbers.items():
        if name not in _SPECIAL:
            steps += [_step(_EQUAL, number, 0, 1), *refuse]
    for first, last in _REFUSED_EVERYWHERE.values():
        steps += [_step(_AT_LEAST, first, 0, 2), _step(_AT_LEAST, last + 1, 1, 0), *refuse]
    steps += [_step(_EQUAL, numbers["clone"], 0, 3), _step(_LOAD, _FIRST_ARGUMENT), _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1), *refuse]
    steps += [_step(_LOAD, _NUMBER), _step(_EQUAL, numbers["ioctl"], 0, 4), _step(_LOAD, _SECOND_ARGUMENT)]
    steps += [_step(_EQUAL, _TIOCSTI, 1, 0), _step(_EQUAL, _TIOCLINUX, 0, 1), *refuse]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
