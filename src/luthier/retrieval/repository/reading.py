"""A git repository at one commit as text files and commits. It is hostile until shown otherwise: nothing in it is run or checked out."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.retrieval.git.addresses import Address
from luthier.retrieval.git.fetching import FULL_SHA, check_commit_name, commit_at, fetch, is_kept, unknown_commit
from luthier.retrieval.git.program import Clock, Git, GitFailure, Progress
from luthier.retrieval.git.reaching import address_within, held
from luthier.retrieval.git.standin import Standin, stand_in
from luthier.retrieval.patterns import matches
from luthier.retrieval.records import Commit, Excluded, Reading, SourceFile
from luthier.retrieval.repository.attributes import Attributes, read_attributes
from luthier.retrieval.repository.exclusions import BY_PATH, BY_TEXT, reason_by_path, reason_by_text
from luthier.retrieval.repository.headers import UNKNOWN
from luthier.retrieval.repository.history import read_commits
from luthier.retrieval.repository.languages import is_test, language_of_first_line, language_of_path, language_of_text, languages
from luthier.retrieval.repository.layout import layout_of
from luthier.retrieval.repository.licenses import is_license_file, is_manifest, license_of_header, licenses_by_folder, ruling_folder
from luthier.retrieval.repository.objects import Entry, contents, entries, too_many_files
from luthier.retrieval.unread import BINARY_ENDINGS, MOST_FILE_BYTES, Unread

# A tree may hold this many times `max_files` names, of which patterns and rules leave `max_files`.
_NAMES_PER_FILE = 20
_MAX_SAYING_BYTES = 200_000
_MAX_SAYING_FILES = 5_000
_CLOCK_EVERY = 256
# A reason code, and a detail for the person who reads it.
Reason = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file whose bytes are to be read."""

    path: str
    language: str | None
    object_id: str


def identify(entry: SourceEntry) -> tuple[str, str]:
    """The repository of `entry` as it may be shown, and the full SHA of its commit: equal for equal content.

    A folder is asked, a URL only where its commit is no full SHA. `DataError` where there is no such repository or commit.
    """
    with _git_errors(place := _address(entry)):
        clock = Clock(entry.timeout_seconds, place.shown)
        if place.folder is not None:
            with stand_in(place.folder, clock) as standin:
                return place.shown, _resolved(standin.git, entry.commit)
        with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
            if not FULL_SHA.fullmatch(entry.commit):
                place = _held(place, clock, Path(scratch))
            return place.shown, commit_at(place, entry.commit, entry.allow_protocols, clock, Path(scratch))[0]


def read_repository(entry: SourceEntry, cache: Path, progress: Progress, unread: Unread | None = None) -> Reading:
    """The files of the repository of `entry` at its commit by path, and its newest commits, newest first.

    A URL is fetched into `cache`, once for each commit. `unread` gets the other texts of the commit and of those commits. `DataError` where
    there is no such repository or commit, and where it is larger than `max_files` and `max_bytes` or takes longer than `timeout_seconds`.
    """
    with _git_errors(place := _address(entry)):
        clock = Clock(entry.timeout_seconds, place.shown)
        if place.folder is not None:
            with stand_in(place.folder, clock) as standin:
                commit = _resolved(standin.git, entry.commit)
                if standin.is_shallow and entry.max_commits:
                    raise _shallow(place.shown)
                return _read(entry, place, standin.git, commit, progress, unread, _changes_note(standin, commit))
        with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
            if not (FULL_SHA.fullmatch(entry.commit) and is_kept(place, entry.commit, cache)):
                place = _held(place, clock, Path(scratch))
            wanted = commit_at(place, entry.commit, entry.allow_protocols, clock, Path(scratch))
        git = fetch(place, wanted, entry.allow_protocols, cache, entry.max_bytes, clock, progress)
        return _read(entry, place, git, wanted[0], progress, unread, ())


def _address(entry: SourceEntry) -> Address:
    assert entry.repo is not None
    return address_within(entry.repo, entry.allow_protocols)


def _held(place: Address, clock: Clock, scratch: Path) -> Address:
    """`place`, held to public addresses where this process works for others. Rows are made of its history too."""
    return held(place, Git(scratch, clock), is_newest_alone=False) if place.must_be_held else place


@contextmanager
def _git_errors(place: Address) -> Iterator[None]:
    try:
        yield
    except GitFailure as error:
        hint = "run `git fsck` in it; a partial clone lacks objects and has to be cloned whole"
        raise DataError(Problem("git cannot read the repository", where=place.shown, found=str(error), hint=hint)) from None


def _shallow(shown: str) -> DataError:
    hint = "run `git fetch --unshallow` in it, or set `max_commits: 0` to read its files alone"
    return DataError(Problem("the repository is a shallow clone: its history is cut off", where=shown, hint=hint))


def _resolved(git: Git, commit: str) -> str:
    """The full SHA of `commit` in a folder's repository."""
    shown = git.clock.shown
    check_commit_name(commit, shown)
    try:
        return git.output("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode("ascii").strip()
    except GitFailure:
        names = git.output("for-each-ref", "--format=%(refname:short)").decode("utf-8", "replace").split()
        if not names and commit == "HEAD":
            raise DataError(Problem("the repository is empty: it has no commit", where=shown, hint="commit something in it")) from None
        raise unknown_commit(commit, sorted(names), shown) from None


def _changes_note(standin: Standin, commit: str) -> tuple[str, ...]:
    """A note where the work tree has changes beside what is read."""
    if standin.worktree is None or standin.index is None:
        return ()
    git = standin.git
    try:
        if git.output("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode("ascii").strip() != commit:
            return ()
        options = ("--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all", "--no-renames")
        variables = {"GIT_WORK_TREE": str(standin.worktree.absolute()), "GIT_INDEX_FILE": str(standin.index.absolute())}
        found = git.output("-c", "core.bare=false", "status", *options, variables=variables)
    except GitFailure as error:
        return (f"whether the work tree has uncommitted changes cannot be told: {error}",)
    count = found.count(b"\0")
    return (f"{count:,} uncommitted or untracked files in the work tree were not read: only what is committed is",) if count else ()


def _read(
    entry: SourceEntry, place: Address, git: Git, commit: str, progress: Progress, unread: Unread | None, notes: tuple[str, ...]
) -> Reading:
    listed = list(entries(git, commit, entry.max_files * _NAMES_PER_FILE))
    sayings = _sayings(git, listed)
    by_folder = licenses_by_folder(_only(sayings, is_license_file), _only(sayings, is_manifest))
    excluded: list[Excluded] = []
    chosen = _chosen(entry, listed, read_attributes(_only(sayings, _is_attributes)), excluded, git.clock)
    if not chosen and any(item.reason == "missing" for item in excluded):
        raise GitFailure("none of the files to read is there")
    if len(chosen) > entry.max_files:
        raise too_many_files(place.shown, entry.max_files)
    sizes = {item.object_id: item.size for item in listed}
    if sum(sizes[kept.object_id] for kept in chosen) > entry.max_bytes:
        hint = "leave some files out with `include` or `exclude`, or raise `max_bytes`"
        raise DataError(Problem("the repository is too large", where=place.shown, found=f"max_bytes: {entry.max_bytes:,}", hint=hint))
    files = []
    for number, (kept, content) in enumerate(zip(chosen, contents(git, [kept.object_id for kept in chosen]), strict=True), 1):
        read = _file(entry, kept, content, by_folder)
        if isinstance(read, SourceFile):
            files.append(read)
        else:
            excluded.append(read)
            if unread is not None:
                unread.content(content)
        if number % 500 == 0 or number == len(chosen):
            progress("reading files", number, len(chosen))
    if unread is not None:
        unread.seen = {kept.object_id for kept in chosen}
        _hand_on(git, listed, unread)
    commits, left_out = read_commits(git, commit, entry.max_commits, lambda path: _reason_of_path(entry, path) is None, progress, unread)
    return Reading(
        name=entry.name or _name(place),
        repo=place.shown,
        commit=commit,
        license=by_folder.get(".") or entry.license,
        files=tuple(files),
        commits=tuple(_with_licenses(commits, files, entry, by_folder)),
        excluded=tuple(sorted(excluded, key=lambda item: (item.path, item.reason))),
        notes=(*notes, *left_out, *(unread.notes() if unread is not None else ())),
        layout=layout_of(git, listed, frozenset(file.path for file in files)),
    )


def _hand_on(git: Git, listed: Sequence[Entry], unread: Unread) -> None:
    """Hands on every file of the commit that was not read, each content once."""
    others = {
        item.object_id: item
        for item in listed
        if not (item.is_link or item.is_submodule or item.is_missing) and item.object_id not in unread.seen
    }
    # By the name: its ending tells what may be binary.
    by_name = {item.shown: item.object_id for item in others.values()}
    names = unread.chosen([(name, others[object_id].size) for name, object_id in by_name.items()], MOST_FILE_BYTES)
    for content in contents(git, [by_name[name] for name in names]):
        unread.content(content)
    unread.seen.update(others)


def _name(place: Address) -> str:
    if place.folder is not None:
        return place.folder.resolve().name.removesuffix(".git") or place.shown
    return place.shown.rstrip("/").replace(":", "/").rsplit("/", 1)[-1].removesuffix(".git") or place.shown


def _is_attributes(path: str) -> bool:
    return PurePosixPath(path).name == ".gitattributes"


def _only(texts: dict[str, str], fits: Callable[[str], bool]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if fits(path)}


def _sayings(git: Git, listed: Sequence[Entry]) -> dict[str, str]:
    """The texts of files that say something about others: licenses, manifests and attributes, the upper ones first where they are many."""
    wanted = [
        item
        for item in listed
        if item.path is not None
        and not (item.is_link or item.is_submodule)
        and (is_license_file(item.path) or is_manifest(item.path) or _is_attributes(item.path))
    ]
    wanted = sorted(wanted, key=lambda item: (item.shown.count("/"), item.shown))[:_MAX_SAYING_FILES]
    small = [item for item in wanted if item.size <= _MAX_SAYING_BYTES and not item.is_missing]
    texts = contents(git, [item.object_id for item in small])
    # A license that is too long to be read, or is not there, holds too: it is one that is not known.
    sayings = {item.path or "": "" for item in wanted if item.size > _MAX_SAYING_BYTES or item.is_missing}
    return sayings | {item.path or "": content.decode("utf-8", "replace") for item, content in zip(small, texts, strict=True)}


def _reason_of_path(entry: SourceEntry, path: str) -> Reason | None:
    """Why a file is left out by its path alone, None where it is not."""
    if (entry.include and not matches(path, entry.include)) or matches(path, entry.exclude):
        return "excluded", "by `include` or `exclude`"
    if (reason := reason_by_path(path)) is not None:
        return reason, BY_PATH[reason]
    if is_license_file(path):
        return "license_file", "its text tells the license of rows, and none is made of it"
    language = language_of_path(path)
    if language is None:
        ending = PurePosixPath(path).suffix.lower()
        if ending in BINARY_ENDINGS:
            return "binary", f"a file that ends in `{ending}` holds no text"
        return ("unknown_language", f"`{ending}` is the ending of no language that is read") if ending else None
    if languages()[language].is_binary:
        return "binary", f"{language} is no text"
    return _not_asked_for(language) if entry.languages and language not in entry.languages else None


def _not_asked_for(language: str) -> Reason:
    return "excluded", f"`{language}` is not among `languages`"


def _reason_of_entry(entry: SourceEntry, item: Entry, attributes: Attributes) -> Reason | None:
    if item.is_submodule:
        return "submodule", "another repository, which is not fetched: name it as a source of its own"
    if item.is_link:
        return "link", "links are not followed"
    if item.path is None:
        return "odd_name", "its name is not one line of UTF-8"
    reason = _reason_of_path(entry, item.path)
    for named in ("vendored", "generated"):
        said = attributes.says(item.path, named)
        if said and (reason is None or reason[0] != "excluded"):
            return named, f"`.gitattributes` says `linguist-{named}`"
        if said is False and reason is not None and reason[0] == named:
            reason = None
    if reason is not None:
        return reason
    if item.is_missing:
        return "missing", "its bytes are not in the repository: a partial clone lacks them"
    if item.size == 0:
        return "empty", "it has no bytes"
    return ("too_large", f"{item.size:,} bytes, more than `max_file_bytes`") if item.size > entry.max_file_bytes else None


def _chosen(entry: SourceEntry, listed: Sequence[Entry], attributes: Attributes, excluded: list[Excluded], clock: Clock) -> list[_Kept]:
    """The files to read, by path; of files with equal bytes the first. What is left out goes to `excluded`."""
    chosen: list[_Kept] = []
    first: dict[str, str] = {}
    for number, item in enumerate(sorted(listed, key=lambda item: item.shown)):
        if number % _CLOCK_EVERY == 0:
            clock.check()
        reason = _reason_of_entry(entry, item, attributes)
        if reason is None and item.object_id in first:
            reason = "copy", f"its bytes are those of {first[item.object_id]}"
        if reason is not None:
            excluded.append(Excluded(item.shown, *reason))
            continue
        assert item.path is not None
        first[item.object_id] = item.path
        chosen.append(_Kept(item.path, language_of_path(item.path), item.object_id))
    return chosen


def _file(entry: SourceEntry, kept: _Kept, content: bytes, by_folder: dict[str, str | None]) -> SourceFile | Excluded:
    """The file as text, or why it is none that is read. Line ends are made `\\n`, a byte order mark goes."""
    if b"\0" in content:
        return Excluded(kept.path, "binary", "it holds a NUL")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Excluded(kept.path, "invalid_utf8", f"at byte {error.start:,}")
    text = text.replace("\r\n", "\n")
    language = kept.language or language_of_first_line(content)
    language = language and language_of_text(language, kept.path, text)
    if language is None:
        return Excluded(kept.path, "unknown_language", "neither its name nor its first line tells a language that is read")
    if entry.languages and language not in entry.languages:
        return Excluded(kept.path, *_not_asked_for(language))
    if not text.strip():
        return Excluded(kept.path, "empty", "no text but white space")
    if (reason := reason_by_text(text, language)) is not None:
        return Excluded(kept.path, reason, BY_TEXT[reason])
    return SourceFile(kept.path, language, text, _license(entry, kept.path, text, by_folder), is_test(kept.path))


def _license(entry: SourceEntry, path: str, text: str, by_folder: dict[str, str | None]) -> str | None:
    """The license of a file; that of the run file only where nothing but the source's own root could tell another one."""
    folder = ruling_folder(path, by_folder)
    nearest = by_folder[folder] if folder is not None else None
    if nearest is None and folder in (None, "."):
        nearest = entry.license
    found = license_of_header(text, nearest) or nearest
    return None if found == UNKNOWN else found


def _with_licenses(
    commits: Sequence[Commit], files: Sequence[SourceFile], entry: SourceEntry, by_folder: dict[str, str | None]
) -> Iterator[Commit]:
    """The commits with the license of each file that they change."""
    known = {file.path: file.license for file in files}
    for commit in commits:
        changes = [
            replace(change, license=known[change.path] if change.path in known else _license(entry, change.path, "", by_folder))
            for change in commit.changes
        ]
        yield replace(commit, changes=tuple(changes))


def counted(reading: Reading) -> dict[str, int]:
    """How many files were left out for each reason, in the order of the reasons."""
    return dict(sorted(Counter(item.reason for item in reading.excluded).items()))
