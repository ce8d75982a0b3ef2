"""Which host a word names, and whether it is a machine of one's own.

A host that cannot be told for certain is none: clients disagree on odd URLs, and whoever writes one on purpose counts on that.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network

from luthier.guard.values.symbols import as_typed

# An address that is not in the ranges of one's own machine and network (RFC 1918, RFC 1122).
PUBLIC_ADDRESS = r"(?!127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)\d{1,3}(?:\.\d{1,3}){3}"
# What rules write as `<own-host>`: a host of one's own, whole, up to a port, a path or the end.
_PRIVATE = r"(?:127|10)(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}"
OWN_HOST = rf"(?:localhost|{_PRIVATE}|0\.0\.0\.0|\[?::1\]?)(?=[:/?#,]|$)"
_OWN_NETWORKS = tuple(
    map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/32", "::1/128", "fc00::/7"))
)
# Of a host's name, RFC 1035.
_MOST_CHARACTERS = 253
_PLAIN_HOST = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")


@lru_cache(1024)
def host_of(word: str) -> str:
    """The host of a URL, `user@host`, `host:port` or `host:path`, in small letters; empty where it is not plain."""
    rest = _SCHEME.sub("", as_typed(word), count=1)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if re.search(r"[\\\s%]", rest.split("/", 1)[0]):
        return ""
    host = authority.rsplit("@", 1)[-1].lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") > 1:  # An address of version 6 without brackets.
        return host
    host = host.partition(":")[0].removesuffix(".")
    return host if len(host) <= _MOST_CHARACTERS and _PLAIN_HOST.fullmatch(host) else ""


def is_own_host(host: str) -> bool:
    """Whether a host, as `host_of` gives it, is this machine or lies in a private network."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _OWN_NETWORKS if network.version == address.version)
