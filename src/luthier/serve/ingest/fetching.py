"""A repository at a URL that somebody has named to the server: from an allowed host, at a public address, without a detour.

The name is resolved here, every address that it has is looked at, and git is held to those that were looked at: a name that leads elsewhere
a moment later leads nowhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from luthier.core.errors import DataError, Problem
from luthier.retrieval.git import addresses
from luthier.retrieval.git.addresses import Address, Reach
from luthier.retrieval.git.fetching import commit_at, fetch
from luthier.retrieval.git.program import Clock, Git
from luthier.serve.ingest.records import Spec

_PORT = 443
# From here on git holds itself to addresses that it is given; an older one would pass over them.
_LEAST_GIT = (2, 37)
_VERSION = re.compile(r"(\d+)\.(\d+)")
# Prefixes whose addresses stand for others, in which any may be hidden, and one for examples that Python does not know yet.
_HIDING = ("3fff::/20", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0/96")
_STANDING_FOR_OTHERS = tuple(map(ipaddress.ip_network, _HIDING))
Resolve = Callable[[str, int], Sequence[str]]
Progress = Callable[[str, int], None]


def resolved(host: str, port: int) -> list[str]:
    """The addresses that the system knows for `host`; `OSError` where it knows none."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def checked_url(url: str, hosts: Sequence[str]) -> Address:
    """What `url` names, before anyone is asked; `DataError` unless it is by https, at its port, of one of `hosts`, without credentials."""
    if "://" not in url:
        raise _refused("this is no URL of a repository", url[:200], "name one by https, or give the path of a folder as `folder`")
    scheme = addresses.printable_head(url.partition("://")[0].lower())
    if scheme != "https":
        raise _refused(f"repositories are not fetched by `{scheme}` here", f"{scheme}://...", "name it by https")
    try:
        place = addresses.address(url, ())
    except DataError as error:
        raise DataError([replace(problem, where="repo") for problem in error.problems]) from error
    parts = urlsplit(place.url or "")
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.port not in (None, _PORT):
        raise _refused("repositories are fetched from the port of https alone", place.shown, "leave the port out")
    if host not in {allowed.lower() for allowed in hosts}:
        hint = f"hosts are {', '.join(hosts) or '(none)'}; have the server started with this one among `serve.allow.hosts`"
        raise _refused("repositories are not fetched from this host", host, hint)
    return place


def is_public(address: str) -> bool:
    """Whether an address is one that anybody reaches: none of this machine, of a network's own, of a group, or that stands for another."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(found in network for network in _STANDING_FOR_OTHERS if network.version == found.version):
        return False
    is_special = found.is_multicast or found.is_reserved or found.is_unspecified or found.is_loopback or found.is_link_local
    return found.is_global and not is_special


def reach(host: str, port: int, found: Sequence[str]) -> Reach:
    """How `host` is reached at the addresses `found` and at no other, without a redirection, and nobody is asked for a password."""
    written = ",".join(f"[{address}]" if ":" in address else address for address in found)
    return Reach(
        (
            ("http.curloptResolve", f"{host}:{port}:{written}"),
            ("http.followRedirects", "false"),
            ("http.proxy", ""),
            ("credential.helper", ""),
            ("core.askPass", ""),
            ("http.cookieFile", ""),
        )
    )


def held(place: Address, resolve: Resolve = resolved) -> Address:
    """`place` held to the addresses that its host has now; `DataError` where one of them is not public, or there are none."""
    host = (urlsplit(place.url or "").hostname or "").rstrip(".")
    try:
        found = resolve(host, _PORT)
    except (OSError, UnicodeError) as error:
        raise _refused("the host is not known", host, f"check the name, and the network of this machine ({error})") from None
    if not found or not all(map(is_public, found)):
        raise _refused("the host leads to an address that is not public", host, "name a host of the internet")
    return replace(place, reach=reach(host, _PORT, found))


@contextmanager
def fetched(spec: Spec, progress: Progress, resolve: Resolve = resolved) -> Iterator[Path]:
    """A clone of the repository of `spec` at its commit, without history, for as long as it is read; `DataError` where it cannot be had."""
    clock = Clock(spec.limits.seconds, spec.shown)
    place = held(checked_url(spec.place, spec.hosts), resolve)
    with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
        yield clone(place, spec, clock, Path(scratch), progress)


def clone(place: Address, spec: Spec, clock: Clock, scratch: Path, progress: Progress) -> Path:
    """The folder below `scratch` with the clone of `place` at the commit of `spec`."""
    asking = scratch / "asking"
    _check_version(Git(scratch, clock))
    wanted = commit_at(place, spec.commit, (), clock, asking)
    return fetch(place, wanted, (), scratch, spec.limits.bytes, clock, lambda step, done, _: progress(step, done)).folder


def _check_version(git: Git) -> None:
    said = git.output("version").decode("utf-8", "replace").strip()
    match = _VERSION.search(said)
    if match is None or (int(match[1]), int(match[2])) < _LEAST_GIT:
        raise _refused("this git cannot be held to an address", said, "install git 2.37 or later, or clone it yourself and name the folder")


def _refused(what: str, found: str, hint: str) -> DataError:
    return DataError(Problem(what, where="repo", found=addresses.printable_head(found), hint=hint))
