"""A repository at a URL, fetched once for each commit into a folder that is kept: by time and size limits, and never checked out."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.files import remove, remove_leftovers, sha256_bytes, sync_folder, temporary_name
from luthier.retrieval.git.addresses import PRIVATE_WITHOUT_KEYS, Address
from luthier.retrieval.git.program import Clock, Git, GitFailure, Progress
from luthier.retrieval.git.standin import write_git_folder

FULL_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# A name of a commit: HEAD, a branch, a tag, a SHA, with steps back (`v1.2~3`). No `:` (a path, or words to search for), no `@{...}` (a
# journal that another clone has not), no blank; and no dash in front, which would be an option.
COMMIT_NAME = re.compile(r"(?!-)(?!.*\.\.)[\w./+@#%=,-]+(?:[~^]\d*)*", re.DOTALL)
_WANTED = "refs/heads/wanted"
_POLL_SECONDS = 0.2


def check_commit_name(name: str, shown: str) -> None:
    """`DataError` where `name` can be the name of no commit."""
    if COMMIT_NAME.fullmatch(name) is None:
        hint = "give a branch, a tag, a SHA or HEAD"
        raise DataError(Problem("this cannot be the name of a commit", where=f"{shown}: commit", found=ascii(name), hint=hint))


def commit_at(address: Address, commit: str, allowed: tuple[str, ...], clock: Clock, scratch: Path) -> tuple[str, str | None]:
    """The SHA that `commit` stands for at a URL, and the reference that leads to it. A full SHA is taken at its word, without asking."""
    check_commit_name(commit, clock.shown)
    if FULL_SHA.fullmatch(commit):
        return commit, None
    if "~" in commit or "^" in commit:
        hint = "give a branch, a tag or a full SHA"
        raise DataError(
            Problem("steps back from a commit cannot be asked of a URL", where=f"{clock.shown}: commit", found=commit, hint=hint)
        )
    git = _empty(scratch, address, allowed, clock)
    names = [commit] if commit == "HEAD" else [commit, f"refs/heads/{commit}", f"refs/tags/{commit}"]
    wanted = [written for name in names for written in (name, f"{name}^{{}}")]
    found = _listed(git, address, *wanted)
    for name in reversed(wanted):  # A tag before a branch, as git itself chooses; of an annotated tag the commit.
        if name in found:
            return found[name], name.removesuffix("^{}")
    if commit == "HEAD":
        raise DataError(Problem("the repository is empty: it has no commit", where=clock.shown, hint="push a commit, or give a branch"))
    known = sorted({name.split("/", 2)[2].removesuffix("^{}") for name in _listed(git, address) if name.count("/") >= 2})
    raise unknown_commit(commit, known, clock.shown)


def unknown_commit(commit: str, known: list[str], shown: str) -> DataError:
    """The error for a name that no branch and no tag has, with the nearest one."""
    near = get_close_matches(commit, known, n=1) or get_close_matches(commit, [name.rsplit("/", 1)[-1] for name in known], n=1)
    near = [name for name in known if name == near[0] or name.endswith(f"/{near[0]}")] if near else []
    short = re.fullmatch(r"[0-9a-f]{4,63}", commit) is not None
    hint = (
        f"did you mean `{near[0]}`?"
        if near
        else "its history was written anew since, or this is a clone that lacks a part of it"
        if FULL_SHA.fullmatch(commit)
        else "a short SHA must be given in full"
        if short
        else "give a branch, a tag, a full SHA or HEAD"
    )
    return DataError(Problem("the repository has no such commit, branch or tag", where=f"{shown}: commit", found=commit, hint=hint))


def clone_folder(address: Address, commit: str, cache: Path) -> Path:
    """Where the clone of a URL at a full SHA is kept below `cache`."""
    assert address.url is not None
    # git works in the clone's folder, where a relative path would lead elsewhere.
    return cache.absolute() / "repositories" / f"{sha256_bytes(address.url.encode())[:16]}-{commit}.git"


def is_kept(address: Address, commit: str, cache: Path) -> bool:
    """Whether nobody has to be asked for `commit`, a full SHA."""
    return (clone_folder(address, commit, cache) / "HEAD").is_file()


def fetch(
    address: Address,
    wanted: tuple[str, str | None],
    allowed: tuple[str, ...],
    cache: Path,
    max_bytes: int,
    clock: Clock,
    progress: Progress,
) -> Git:
    """Git in the clone of `address` at the SHA `wanted[0]`, which the reference `wanted[1]` leads to; fetched where it is not kept.

    `DataError` where it cannot be had, or is larger than `max_bytes` or takes longer than the clock: then nothing is left of it.
    """
    sha, reference = wanted
    folder = clone_folder(address, sha, cache)
    if is_kept(address, sha, cache):
        return Git(folder, clock)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.parent)
    temporary = temporary_name(folder)
    remove(temporary)
    try:
        git = _empty(temporary, address, allowed, clock, "sha256" if len(sha) == 64 else "sha1")
        tries = [f"+{sha}:{_WANTED}", *([f"+{reference}:{_WANTED}"] if reference else ["+refs/heads/*:refs/heads/*"])]
        for number, refspec in enumerate(tries):
            try:
                _fetch_once(git, address, refspec, max_bytes, progress)
                break
            except GitFailure as error:  # Not every server hands out a commit by its SHA: then by the name that leads to it.
                if number == len(tries) - 1:
                    raise _not_fetched(address, clock.shown, str(error)) from None
        _check_fetched(git, sha, clock.shown)
        sync_folder(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / "HEAD").is_file():  # Not that another process was first.
                raise
    finally:
        remove(temporary)
    return Git(folder, clock)


def _empty(folder: Path, address: Address, allowed: tuple[str, ...], clock: Clock, object_format: str = "sha1") -> Git:
    assert address.reach is not None or not address.must_be_held
    write_git_folder(folder, f"ref: {_WANTED}", object_format)
    for name in ("objects/pack", "objects/info", "refs/heads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Git(folder, clock, address.protocols(allowed), None if address.reach is None else address.reach.settings)


def _listed(git: Git, address: Address, *names: str) -> dict[str, str]:
    """What the references at a URL stand for: those of `names`, or all branches and tags."""
    assert address.url is not None
    options = [] if names else ["--heads", "--tags"]
    try:
        listed = git.output("ls-remote", "--quiet", *options, "--", address.url, *names)
    except GitFailure as error:
        raise _not_fetched(address, git.clock.shown, str(error)) from None
    found = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        sha, _, name = line.partition("\t")
        if FULL_SHA.fullmatch(sha) and (not names or name in names):
            found[name] = sha
    return found


def _fetch_once(git: Git, address: Address, refspec: str, max_bytes: int, progress: Progress) -> None:
    assert address.url is not None
    options = ["--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--quiet"]
    options += ["--depth=1"] if address.reach is not None and address.reach.is_newest_alone else []
    with git.stream("fetch", *options, "--", address.url, refspec) as child:
        running = True
        while running:
            running = child.is_running(_POLL_SECONDS)
            size = _size_bytes(git.folder)
            progress("fetching", size, None)
            if size > max_bytes:
                what = "the repository is larger than a source may be"
                hint = "raise `max_bytes`, or clone it yourself with a filter and name the folder"
                raise DataError(Problem(what, where=git.clock.shown, found=f"max_bytes: {max_bytes:,}", hint=hint))


def _check_fetched(git: Git, sha: str, shown: str) -> None:
    try:
        kind = git.output("cat-file", "-t", sha).decode().strip()
    except GitFailure:
        kind = ""
    if kind != "commit":
        what = f"the SHA is that of a {kind}" if kind else "the repository has no such commit on its branches"
        raise DataError(Problem(what, where=f"{shown}: commit", found=sha, hint="give the full SHA of a commit, a branch or a tag"))


def _size_bytes(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.lstat().st_size
        except FileNotFoundError:  # Git renames its files as it goes.
            continue
    return size


def _not_fetched(address: Address, shown: str, reason: str) -> DataError:
    # One that is reached so was named by somebody else, and git was handed no keys.
    private = "private repositories want an ssh URL with a key, or ~/.netrc" if address.reach is None else PRIVATE_WITHOUT_KEYS
    hint = f"check the URL and the network; {private}"
    return DataError(Problem("the repository cannot be fetched", where=shown, found=reason, hint=hint))
