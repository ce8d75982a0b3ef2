"""Where a repository is: a folder or a URL, told apart without asking anyone, and refused where it is a trap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from luthier.core.errors import DataError, Problem

# What git may use unasked: encrypted, or without any way to run a program on this side.
PROTOCOLS = ("https", "ssh", "git")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)::")
# `host:path` and `user@host:path`; as for git itself, no slash stands before the colon.
_SCP = re.compile(r"(?:(?P<user>[^/:@]+)@)?(?P<host>\[[^\]/]+\]|[^/:@\[\]]+):(?P<path>.+)", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.%]+\])", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


# What helps where git is handed no keys.
PRIVATE_WITHOUT_KEYS = "to read a private repository, clone it and name the folder"


@dataclass(frozen=True, slots=True)
class Reach:
    """How a URL is reached that somebody else has named: `settings` of git for this alone; `is_newest_alone` leaves out earlier commits.

    Git gets nothing of this process's environment then but certificates: no keys, no `~/.netrc`, no proxy.
    """

    settings: tuple[tuple[str, str], ...]
    is_newest_alone: bool = True


@dataclass(frozen=True, slots=True)
class Address:
    """A repository: `url` for git, or `folder`. `shown` names it without credentials; `reach` is set where it is no user's own choice.

    One that `must_be_held` is asked nothing before it has its `reach`.
    """

    shown: str
    folder: Path | None = None
    url: str | None = None
    scheme: str = ""
    reach: Reach | None = None
    must_be_held: bool = False

    def protocols(self, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """The protocols that a fetch may use, redirections included."""
        if self.reach is not None:
            return (self.scheme,)
        return tuple(dict.fromkeys((*PROTOCOLS, *allowed)))


def address(repo: str, allowed: tuple[str, ...], with_keys: bool = True) -> Address:
    """What `repo` names; `allowed` are protocols beside https, ssh and git. `with_keys` says whether git is handed the user's own.

    A folder that exists is a folder, whatever its name. `DataError` for credentials in a URL (which are not repeated), for a protocol
    that is not allowed, and for hosts and users that ssh would take for options.
    """
    if _has_controls(repo):
        raise _refused("the name of a repository holds control characters", printable_head(repo), "write it without them")
    if (url := _URL.match(repo)) or (helper := _HELPER.match(repo)):
        found = url or helper
        assert found is not None
        scheme = found["scheme"].lower()
        if scheme not in PROTOCOLS and scheme not in allowed:
            may = (
                "`allow_protocols: [" + scheme + "]` allows it" if scheme in ("file", "http", "ext") else "it is none that git may use here"
            )
            raise _refused(f"git may not use the protocol `{scheme}`", _without_secrets(repo), f"use https or ssh; {may}")
        return _of_url(repo, scheme, with_keys) if url else Address(_without_secrets(repo), url=repo, scheme=scheme)
    folder = Path(repo).expanduser()
    if folder.is_dir():
        return Address(repo, folder=folder)
    if (scp := _SCP.fullmatch(repo)) and not repo.startswith(("/", ".", "~")):
        _check_host(scp["host"], scp["user"], repo)
        return Address(repo, url=repo, scheme="ssh")
    raise _refused("there is no such folder, and it is no URL", repo, "name a folder that holds a repository, or a URL (`https://...`)")


def _of_url(repo: str, scheme: str, with_keys: bool) -> Address:
    try:
        parts = urlsplit(repo)
        host, user, password, _ = parts.hostname or "", parts.username, parts.password, parts.port
    except ValueError:
        raise _refused("this is no URL that can be read", _without_secrets(repo), "write it as `https://host/path`") from None
    if password is not None or (user is not None and scheme != "ssh"):
        way = "use an ssh URL with a key, or ~/.netrc, which git reads" if with_keys else PRIVATE_WITHOUT_KEYS
        hint = f"take them out; {way}; a token that was written or sent should be replaced"
        raise _refused("a URL of a repository must not hold credentials", _without_secrets(repo), hint)
    if parts.query or parts.fragment:
        hint = "leave out what stands from `?` or `#` on; a token that stood there should be replaced"
        raise _refused("a URL of a repository ends with its path", _without_secrets(repo), hint)
    if scheme != "file":
        _check_host(f"[{host}]" if ":" in host else host, user, repo)
        if not parts.path.strip("/"):
            raise _refused("the URL names a host, but no repository", repo, "give the whole URL, with the path of the repository")
    return Address(repo, url=repo, scheme=scheme)


def _check_host(host: str, user: str | None, repo: str) -> None:
    """ssh takes a host or a user that begins with a dash for an option, and an option can be a program to run."""
    if _HOST.fullmatch(host) is None or (user is not None and _USER.fullmatch(user) is None):
        raise _refused("the host or user of the repository is no name", _without_secrets(repo), "a name begins with a letter or a digit")


def _has_controls(text: str) -> bool:
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)


def printable_head(text: str) -> str:
    """The start of `text` with control characters as `?`."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])


def _without_secrets(repo: str) -> str:
    """`repo` without what may be a secret: the part before the host, a query, a fragment; all of a helper's words."""
    if helper := _HELPER.match(repo):
        return f"{helper['scheme']}::..."
    head, separator, rest = repo.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    # A password may itself hold a slash: everything up to the last `@` of the whole goes.
    if "@" in rest:
        host, slash, path = rest.rsplit("@", 1)[1].partition("/")
    return printable_head(f"{head}{separator}{host}{slash}{path}")


def _refused(what: str, found: str, hint: str) -> DataError:
    return DataError(Problem(what, where="sources: repo", found=found, hint=hint))
