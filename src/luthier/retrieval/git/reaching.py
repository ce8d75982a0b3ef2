"""A repository at a URL that somebody else has named: from an allowed host, at a public address, without a detour.

The name is resolved here, every address that it has is looked at, and git is held to those that were looked at: a name that leads elsewhere
a moment later leads nowhere. What a server's ingest fetches is held so, and all that a process fetches whose environment has a `Rule`.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from luthier.core.errors import DataError, Problem
from luthier.retrieval.git import addresses
from luthier.retrieval.git.addresses import Address, Reach, address
from luthier.retrieval.git.program import Git

VARIABLE = "LUTHIER_FETCH_RULE"
_PORT = 443
# From here on git holds itself to addresses that it is given; an older one would pass over them.
_LEAST_GIT = (2, 37)
_VERSION = re.compile(r"(\d+)\.(\d+)")
# Prefixes whose addresses stand for others, in which any may be hidden, and one for examples that Python does not know yet.
_HIDING = ("3fff::/20", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0/96")
_STANDING_FOR_OTHERS = tuple(map(ipaddress.ip_network, _HIDING))
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a process that works for others may fetch: repositories of `hosts`, and as they are `own`, those that its owner named."""

    hosts: tuple[str, ...]
    own: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """What tells a process, and all that it starts, of the rule."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def of_process(cls) -> Rule | None:
        """The rule of this process; None where a person uses it. `DataError` where it cannot be read: nothing is fetched then."""
        text = os.environ.get(VARIABLE)
        if text is None:
            return None
        try:
            row = json.loads(text)
            return cls(tuple(map(str, row["hosts"])), tuple(map(str, row["own"])))
        except (ValueError, TypeError, KeyError) as error:
            hint = 'it looks like `{"hosts": ["github.com"], "own": []}`; without it repositories are fetched from anywhere'
            raise DataError(Problem("this is no rule of what may be fetched", where=VARIABLE, found=text[:200], hint=hint)) from error


def address_within(repo: str, allowed: tuple[str, ...]) -> Address:
    """What `repo` names, as `addresses.address`; where this process has a rule, a URL is one that the rule lets it fetch."""
    rule = Rule.of_process()
    if rule is None or repo in rule.own:
        return address(repo, allowed)
    if "://" not in repo and "\0" not in repo and Path(repo).expanduser().is_dir():
        return address(repo, ())
    return replace(checked_url(repo, rule.hosts), must_be_held=True)


def resolved(host: str, port: int) -> list[str]:
    """The addresses that the system knows for `host`; `OSError` where it knows none."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def checked_url(url: str, hosts: Sequence[str]) -> Address:
    """What `url` names, before anyone is asked; `DataError` unless it is by https, at its port, of one of `hosts`, without credentials."""
    if "://" not in url:
        raise _refused("this is no URL of a repository", url[:200], "name one by https, or the path of a folder")
    scheme = addresses.printable_head(url.partition("://")[0].lower())
    if scheme != "https":
        raise _refused(f"repositories are not fetched by `{scheme}` here", f"{scheme}://...", "name it by https")
    place = address(url, (), with_keys=False)
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


def reach(host: str, port: int, found: Sequence[str], is_newest_alone: bool = True) -> Reach:
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
        ),
        is_newest_alone,
    )


def held(place: Address, git: Git, resolve: Resolve | None = None, is_newest_alone: bool = True) -> Address:
    """`place` held to the addresses that its host has now; `DataError` where one is not public, there are none, or git is too old."""
    host = (urlsplit(place.url or "").hostname or "").rstrip(".")
    try:
        found = (resolve or resolved)(host, _PORT)
    except (OSError, UnicodeError) as error:
        raise _refused("the host is not known", host, f"check the name, and the network of this machine ({error})") from None
    if not found or not all(map(is_public, found)):
        raise _refused("the host leads to an address that is not public", host, "name a host of the internet")
    _check_version(git)
    return replace(place, reach=reach(host, _PORT, found, is_newest_alone))


def _check_version(git: Git) -> None:
    said = git.output("version").decode("utf-8", "replace").strip()
    match = _VERSION.search(said)
    if match is None or (int(match[1]), int(match[2])) < _LEAST_GIT:
        raise _refused("this git cannot be held to an address", said, "install git 2.37 or later, or clone it yourself and name the folder")


def _refused(what: str, found: str, hint: str) -> DataError:
    return DataError(Problem(what, where="sources: repo", found=addresses.printable_head(found), hint=hint))
