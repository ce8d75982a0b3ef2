"""The newest commits of a repository with what they changed. Who made them is never read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO

from luthier.retrieval.git.fetching import FULL_SHA
from luthier.retrieval.git.program import Git, GitFailure, Progress
from luthier.retrieval.records import Commit, FileChange
from luthier.retrieval.repository.languages import language_of_path
from luthier.retrieval.repository.objects import contents
from luthier.retrieval.repository.sides import MAX_TABLE_CHARACTERS, may_show_a_key, may_show_a_row, texts_of
from luthier.retrieval.unread import MOST_HISTORY_BYTES, Unread

# A commit that touches more files imports or renames; its diff teaches nothing, and is not computed.
MAX_CHANGED_FILES = 100
MAX_DIFF_BYTES = 100_000
MAX_COMMIT_DIFF_BYTES = 400_000
# Git reads both sides of a change whole to compare them.
MAX_COMPARED_BYTES = 16_000_000
_MAX_MESSAGE = 20_000
_MOST_TOUCHED = 400_000
_MAX_LINE_BYTES = 1 << 20

_FILE = b"diff --git "
_HUNK = re.compile(rb"@@ -\d+(?:,(?P<old>\d+))? \+\d+(?:,(?P<new>\d+))? @@")
_TRAILER = re.compile(
    r"(?:signed-off-by|co-authored-by|reviewed-by|acked-by|tested-by|reported-by|suggested-by|cc|author|committed-by|helped-by"
    r"|mentored-by|approved-by|change-id|git-svn-id|differential revision)\s*:.*",
    re.IGNORECASE,
)
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}
_ESCAPED = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_NO_PATCH = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all")

PathTest = Callable[[str], bool]


@dataclass(slots=True)
class _Change:
    """One file of a patch while it is read. `is_whole` falls where it grew too large."""

    status: str = "modified"
    path: str | None = None
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    added: int = 0
    removed: int = 0
    is_whole: bool = True
    # The objects of the file before and after.
    sides: tuple[str, ...] = ()

    def take(self, line: bytes) -> None:
        """Keeps a line of a hunk, as long as the change is not too large."""
        self.size += len(line)
        if self.size > MAX_DIFF_BYTES:
            self.is_whole = False
            self.lines.clear()
        else:
            self.lines.append(line)


def read_commits(
    git: Git, commit: str, most: int, wanted: PathTest, progress: Progress, unread: Unread | None = None
) -> tuple[tuple[Commit, ...], tuple[str, ...]]:
    """The newest `most` commits up to `commit` that are no merges, newest first, and notes on those left out.

    A commit has the changes of the files that `wanted` takes by path and whose diff is text of at most 100 kB; one without any is left
    out, as is one of more than 100 files or 400 kB, and one that touches a file above 16 MB or one that a partial clone lacks. What is
    left out so, and what merges hold that none of their parents does, goes to `unread`.
    """
    if most == 0:
        return (), ()
    messages = _messages(git, commit, most)
    every = _touched(git, list(messages))
    touched = {sha: blobs for sha, blobs in every.items() if len(blobs) <= 2 * MAX_CHANGED_FILES}
    large = _large(git, sorted({blob for blobs in touched.values() for blob in blobs}))
    shas = [sha for sha in messages if sha in touched and not large.intersection(touched[sha])]
    commits = []
    sides: dict[FileChange, tuple[str, ...]] = {}
    others = _Others(unread)
    for sha in messages:
        others.blobs += every.get(sha, ()) if sha not in touched or large.intersection(touched[sha]) else ()
    for number, (sha, changes) in enumerate(_patches(git, shas), 1):
        made = [_made(change, wanted, sides) for change in changes]
        kept = tuple(change for change in made if change is not None)
        is_kept = bool(kept) and sum(change.size for change in changes) <= MAX_COMMIT_DIFF_BYTES
        if is_kept:
            commits.append(Commit(sha, *_message(messages[sha]), kept))
        for change, one in zip(changes, made, strict=True):
            if one is None or not is_kept:
                others.take(change)
        if number % 100 == 0 or number == len(shas):
            progress("reading commits", number, len(shas))
    texts = texts_of(git, [name for names in sides.values() for name in names])
    commits = [done for commit in commits if (done := _with_sides(commit, sides, texts)).changes] if texts else commits
    if unread is not None:
        kept_shas = {commit.sha for commit in commits}
        merges = _messages(git, commit, most, "--merges")
        for message in (*(messages[sha] for sha in messages if sha not in kept_shas), *merges.values()):
            unread.change(message)
        others.blobs += _merged(git, list(merges))
        _hand_on(git, others.blobs, unread)
    left_out = len(messages) - len(commits)
    why = "too many files, too large, not there, or none of the files chosen"
    note = f"{left_out:,} of {len(messages):,} commits have no diff that is read: {why}"
    return tuple(commits), (note,) if left_out else ()


class _Others:
    """Changes that no row is made of, on their way to `unread`, and the objects that are to be looked through whole."""

    def __init__(self, unread: Unread | None) -> None:
        self._unread = unread
        self.blobs: list[str] = []

    def take(self, change: _Change) -> None:
        """Hands on the diff of a change; its whole sides where the diff is none that is kept, or may show a part of a key or a table."""
        if self._unread is None or (change.status == "added" and not self._unread.seen.isdisjoint(change.sides)):
            return
        diff = b"".join(change.lines).decode("utf-8", "replace")
        if diff:
            self._unread.change(diff)
        if not change.is_whole or may_show_a_key(diff) or may_show_a_row(change.path or "", diff):
            self.blobs += change.sides


def _merged(git: Git, shas: Sequence[str]) -> list[str]:
    """The objects of files that merges hold and none of their parents does, with those of the parents."""
    options = ("--stdin", "-r", "-c", "--raw", "--no-renames", "--no-abbrev", *_NO_PATCH)
    found: list[str] = []
    with _fed(git, shas, "diff-tree", *options) as lines:
        for number, line in enumerate(lines):
            if line.startswith(b"::"):
                parents = len(line) - len(line.lstrip(b":"))
                found += line.decode("ascii", "replace").split("\t")[0].split()[parents + 1 : 2 * parents + 2]
            if number % 10_000 == 0:
                git.clock.check()
    return found


def _hand_on(git: Git, object_ids: Sequence[str], unread: Unread) -> None:
    """Hands on the objects that are there and were not handed on, each once."""
    wanted = [name for name in dict.fromkeys(object_ids) if name.strip("0") and name not in unread.seen]
    with _fed(git, wanted, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer") as lines:
        told = [line.decode("ascii", "replace").split() for line in lines]
    sizes = [(words[0], int(words[2])) for words in told if len(words) == 3 and words[1] == "blob"]
    for content in contents(git, unread.chosen(sizes, MOST_HISTORY_BYTES)):
        unread.content(content)


def _messages(git: Git, commit: str, most: int, which: str = "--no-merges") -> dict[str, str]:
    """The message of each commit, newest first. Git cuts a message at a NUL byte, so that none can stand for two."""
    options = (which, f"--max-count={most}", "--no-patch", "--no-show-signature", "--encoding=UTF-8", "--no-color", "--no-mailmap")
    with git.stream("log", *options, "-z", "--format=%H%n%B", commit, "--") as child:
        listed = child.stdout.read()
    found = {}
    for record in listed.split(b"\0"):
        sha, _, message = record.decode("utf-8", "replace").partition("\n")
        if FULL_SHA.fullmatch(sha):
            found[sha] = message[:_MAX_MESSAGE]
        elif record:
            raise GitFailure("the list of commits cannot be read")
    return found


def _touched(git: Git, shas: Sequence[str]) -> dict[str, list[str]]:
    """The objects on both sides of each commit's changes, two a file, without a look at any of them; not all of many large commits."""
    touched: dict[str, list[str]] = {}
    count = 0
    options = ("--stdin", "-r", "--root", "--raw", "--no-renames", "--no-abbrev", *_NO_PATCH)
    with _fed(git, shas, "diff-tree", *options) as lines:
        sha = ""
        for number, line in enumerate(lines):
            if not line.startswith(b":"):
                sha = line.decode("ascii").strip()
            elif len(touched.setdefault(sha, [])) <= 2 * MAX_CHANGED_FILES or count < _MOST_TOUCHED:
                count += 2
                old_mode, new_mode, old, new = line[1:].decode("ascii", "replace").split()[:4]
                touched[sha] += [_nothing_for_submodule(old_mode, old), _nothing_for_submodule(new_mode, new)]
            if number % 10_000 == 0:
                git.clock.check()
    return touched


def _nothing_for_submodule(mode: str, object_id: str) -> str:
    """An object's name; zeros, as for a side that is not there, for the commit of a submodule, which lies elsewhere."""
    return "0" * len(object_id) if mode == "160000" else object_id


def _large(git: Git, object_ids: Sequence[str]) -> set[str]:
    """Those of the objects that are too large to be compared, and those that a partial clone lacks."""
    with _fed(
        git, [name for name in object_ids if name.strip("0")], "cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer"
    ) as lines:
        found = [line.decode("ascii", "replace").split() for line in lines]
    sizes = {words[0]: words[1] for words in found if len(words) == 2}
    return {name for name, size in sizes.items() if size == "missing" or (size.isdecimal() and int(size) > MAX_COMPARED_BYTES)}


def _patches(git: Git, shas: Sequence[str]) -> Iterator[tuple[str, list[_Change]]]:
    """The changes of each commit. Only the counts in a hunk's head say where it ends: no line of a file can pass for one of git's own."""
    options = ("--stdin", "-r", "--root", "-p", "-M", "-l200", "--no-color", "--unified=3", "--full-index", *_NO_PATCH)
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
    with _fed(git, shas, "diff-tree", *options, *prefixes) as lines:
        sha, changes = "", list[_Change]()
        for line in lines:
            if hunk := _HUNK.match(line):
                if not changes:
                    raise GitFailure("a diff begins without a file")
                _read_hunk(lines, changes[-1], line, hunk)
            elif line.startswith(_FILE):
                changes.append(_Change())
            elif FULL_SHA.fullmatch(written := line.decode("latin-1").strip()):
                if sha:
                    yield sha, changes
                sha, changes = written, []
                git.clock.check()
            elif changes:
                _read_head(changes[-1], line.rstrip(b"\n"))
        if sha:
            yield sha, changes


def _read_hunk(lines: Iterator[bytes], change: _Change, head: bytes, hunk: re.Match[bytes]) -> None:
    old, new = (int(hunk[name]) if hunk[name] is not None else 1 for name in ("old", "new"))
    change.take(head)
    while old > 0 or new > 0:
        line = next(lines, b"")
        mark = line[:1]
        if mark not in (b" ", b"+", b"-", b"\\"):
            raise GitFailure("a diff ends before its hunk does")
        old -= mark in (b" ", b"-")
        new -= mark in (b" ", b"+")
        change.added += mark == b"+"
        change.removed += mark == b"-"
        change.take(line)
        while not line.endswith(b"\n") and line:  # A line longer than what is read at once goes on.
            line = next(lines, b"")
            change.is_whole = False


def _read_head(change: _Change, line: bytes) -> None:
    """One line between a file's first line and its first hunk."""
    name, _, rest = line.partition(b" ")
    if line.startswith(b"\\ No newline"):
        change.take(line + b"\n")
    elif line.startswith(b"new file mode"):
        change.status = "added"
        change.is_whole &= not line.endswith((b"120000", b"160000"))
    elif line.startswith(b"deleted file mode"):
        change.status = "deleted"
        change.is_whole &= not line.endswith((b"120000", b"160000"))
    elif line.startswith(b"index "):
        change.sides = tuple(rest.split(b" ")[0].decode("ascii", "replace").split(".."))
        change.is_whole &= not line.endswith((b" 120000", b" 160000"))
    elif line.startswith(b"rename to "):
        change.status, change.path = "renamed", _unquoted(line.removeprefix(b"rename to "), b"")
    elif name == b"+++" and rest != b"/dev/null":
        change.path = _unquoted(rest, b"b/")
    elif name == b"---" and rest != b"/dev/null" and change.status == "deleted":
        change.path = _unquoted(rest, b"a/")


def _unquoted(name: bytes, prefix: bytes) -> str | None:
    """The path as git writes it in a patch: in quotes with escapes where it holds odd bytes, with a tab behind it where it holds blanks."""
    name = name.removesuffix(b"\t")
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPED.sub(lambda found: bytes([_ESCAPES.get(found[1]) or int(found[1], 8) & 255]), name[1:-1])
    try:
        path = name.removeprefix(prefix).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return path if path.isprintable() else None


class _Lines:
    """The lines of a stream, none longer than a megabyte: a longer one comes in parts, of which only the last ends in a newline."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if line := self._stream.readline(_MAX_LINE_BYTES):
            return line
        raise StopIteration


@contextmanager
def _fed(git: Git, names: Sequence[str], *arguments: str) -> Iterator[_Lines]:
    """The lines that `git ARGUMENTS` writes of the objects that it is handed by name."""
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{name}\n" for name in names).encode("ascii"))
        asked.seek(0)
        with git.stream(*arguments, stdin=asked) as child:
            yield _Lines(child.stdout)


def _message(message: str) -> tuple[str, str]:
    """Subject and body, without the lines at the end that name people and trackers."""
    lines = [line.rstrip() for line in message.strip().splitlines()]
    while lines and (not lines[-1] or _TRAILER.fullmatch(lines[-1])):
        lines.pop()
    return (lines[0], "\n".join(lines[1:]).strip("\n")) if lines else ("", "")


def _with_sides(commit: Commit, sides: dict[FileChange, tuple[str, ...]], texts: dict[str, str]) -> Commit:
    """`commit` with both whole files of each change of `sides`, without changes of tables in files too long to look for their heads."""
    changes = []
    for change in commit.changes:
        if change not in sides:
            changes.append(change)
            continue
        files = tuple(texts[name] for name in sides[change] if name in texts)
        if not may_show_a_row(change.path, change.diff) or all(len(text) <= MAX_TABLE_CHARACTERS for text in files):
            changes.append(replace(change, sides=files))
    return replace(commit, changes=tuple(changes))


def _made(change: _Change, wanted: PathTest, sides: dict[FileChange, tuple[str, ...]]) -> FileChange | None:
    """The change as a record; None where its diff is not text, too large, or of a file that is not wanted.

    The objects of one that may show a part of a private key, or a row of a table without its head, are noted in `sides`.
    """
    if change.path is None or not change.is_whole or not change.lines or not wanted(change.path):
        return None
    language = language_of_path(change.path)
    if language is None:
        return None
    try:
        diff = b"".join(change.lines).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    if "\0" in diff:
        return None
    made = FileChange(change.path, change.status, diff, language, change.added, change.removed)
    if may_show_a_key(diff) or may_show_a_row(change.path, diff):
        sides[made] = (*sides.get(made, ()), *change.sides)
    return made
