"""The names that the server answers to: a page elsewhere that points its own name at this machine asks for another one."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_LOCALHOST = "localhost"
# A name or an IPv4 address, or an IPv6 address in brackets; and a port.
_HOST = re.compile(r"(?:(?P<name>[^\[\]:@/?#\\\s]*)|\[(?P<inside>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\])(?::[0-9]*)?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether what listens there can be reached from this machine alone."""
    if host == _LOCALHOST:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Hosts:
    """Which names a request may have asked for. One that is open to others answers to every address, for only a name can be pointed."""

    names: frozenset[str]
    takes_addresses: bool

    def is_one(self, header: str) -> bool:
        """Whether a `Host` header names this server."""
        name = _name(header)
        if name in self.names or is_loopback(name):
            return True
        return self.takes_addresses and _is_address(name)


def hosts_of(listening: str, names: Iterable[str]) -> Hosts:
    """The names of a server that listens at `listening`; `names` are further ones."""
    own = {name.lower() for name in names}
    if not is_loopback(listening):
        own |= {listening.lower(), socket.gethostname().lower()}
    return Hosts(frozenset(own), not is_loopback(listening))


def address_of(header: str) -> SplitResult:
    """The parts of an address that a header holds (`Origin`, `Referer`); all of them empty where it is none: `http://[` cannot be read."""
    try:
        return urlsplit(header)
    except ValueError:
        return urlsplit("")


def _name(header: str) -> str:
    """The name in a `Host` header, without its port; empty where it is no host, for whoever reads it after this would fail at it."""
    found = _HOST.fullmatch(header)
    return (found["inside"] or found["name"] or "").lower().removesuffix(".") if found is not None else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
