"""Attempts to reach the network: the machine's own sockets and addresses outside."""

from __future__ import annotations

import secrets
import socket
from functools import partial

from benchmarks.escapes.registry import Attempt, python, refusing, register, tried, words
from luthier.core.protocols import Sandbox
from luthier.guard.confinement.inside import FIRST_WITH_TCP, landlock_version

ATTEMPTS: list[Attempt] = []
attempt = partial(register, ATTEMPTS)


@attempt("network", "TCP to a listener on the machine's loopback")
def tcp(sandbox: Sandbox) -> tuple[bool, str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 2).close()
        return tried(python(sandbox, refusing(f"socket.create_connection(('127.0.0.1', {port}), 2)")))


# Takes a port on which the machine listens, which its own loopback alone has free, and calls itself there.
_OWN_LOOPBACK = """
import errno, os, socket
print('TRIED')
try:
    listener = socket.create_server(('127.0.0.1', {port}))
    socket.create_connection(('127.0.0.1', {port}), 2).close()
    print('TALKED to itself')
except OSError as error:
    print('OUT: the port is taken' if error.errno == errno.EADDRINUSE else f'[Errno {{error.errno}}] {{os.strerror(error.errno)}}')
"""


@attempt("network", "TCP to a listener of its own on its own loopback")
def own_loopback(sandbox: Sandbox) -> tuple[bool, str]:
    """Landlock's rules for TCP forbid it. Where there are none the job talks to itself, which is no way out: the machine hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = python(sandbox, _OWN_LOOPBACK.format(port=listener.getsockname()[1]))
    held, said = tried(outcome)
    is_forbidden = landlock_version() >= FIRST_WITH_TCP
    return held and not (is_forbidden and b"TALKED" in outcome.stdout), said


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
