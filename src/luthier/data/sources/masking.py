"""Secrets of a source, masked where it is read: each file is scanned whole, before a cut can part a secret from what gives it away.

What was found in one place (a file, a commit, the definition of a tool) is masked wherever the source holds it, before anything is made of
it or sent anywhere; so is what texts give away that no row is made of, and other sources. The values are kept in memory alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from luthier.data.clean.leaves import CollidingKeys, Leaf, mapped, whole
from luthier.data.sources.steps import Crew, Scan, characters, is_large, parts
from luthier.guard.secrets.findings import FAILED_KINDS, Finding
from luthier.guard.secrets.known import KnownSecrets, Told, masked_by_line
from luthier.guard.secrets.patterns import key_findings
from luthier.guard.secrets.scan import scan
from luthier.guard.secrets.strength import Strength
from luthier.retrieval.records import CommandHelp, Commit, Excluded, Reading, SourceFile, ToolDefinition
from luthier.retrieval.repository.sides import may_show_a_row

_UNSCANNABLE = "unscannable"
_IN_ITS_PATH = "its path holds a secret that was found in the source"
Progress = Callable[[str, int], None]


def without_secrets(reading: Reading, progress: Progress, strength: Strength = "fast", crew: Crew | None = None) -> Reading:
    """`reading` with a mark over each secret that a scan of its files, commits, commands and tools found, wherever the source holds it.

    A secret of several lines gets a mark a line, also where only a part of one stands. A file that no scanner could vouch for is left out
    (`unscannable`), as is such a commit, command or tool, and what has a secret in its path. A note counts what was masked, by kind.
    The processes of `crew` scan; this one alone where there is none.
    """
    scanned = Scanned(progress, strength, crew)
    scanned.take(reading)
    return scanned.masked()


@dataclass(slots=True)
class _Text:
    """A text of the source: as it was read, and with marks over what was found in it. `is_judged` is false where no scanner could."""

    masked: str
    is_judged: bool = True


class Scanned:
    """One source on its way: all its texts are scanned before the first one is changed for good, and may hear what others hold."""

    def __init__(self, progress: Progress, strength: Strength, crew: Crew | None = None) -> None:
        self._strength = strength
        self._crew = crew
        self._progress = progress
        self._known = KnownSecrets()
        self._kinds: Counter[str] = Counter()
        self._unread: list[str] = []
        self._unread_characters = 0

    def take_unread(self, text: str) -> None:
        """Takes a text that no row is made of: what is found in it is known, and it is not kept."""
        self._unread.append(text)
        self._unread_characters += len(text)
        if is_large(self._unread_characters):
            self._note_unread()

    def _note_unread(self) -> None:
        crew = self._crew if is_large(self._unread_characters) else None
        for text, findings in zip(self._unread, self._findings(self._unread, None, crew), strict=True):
            if findings and not _is_failed(findings):
                self._known.note(text, findings)
        self._unread, self._unread_characters = [], 0

    def take(self, reading: Reading) -> None:
        """Scans the source. It is divided among the processes of the crew where it is not small; none is needed afterwards."""
        self._note_unread()
        self._reading = reading
        crew = self._crew if is_large(characters(reading)) else None
        self._files_read = self._scanned([file.text for file in reading.files], "files scanned for secrets", crew)
        texts = [text for commit in reading.commits for text in _texts(commit)]
        self._commits_read = self._scanned(texts, "texts of commits scanned for secrets", crew)
        self._note_sides()
        self._shown_read = self._scanned([*map(_shown, reading.commands), *map(_shown, reading.tools)], None, crew)
        self._spare()
        self._crew = None

    def _spare(self) -> None:
        self._known.spare(text.masked for text in (*self._files_read, *self._commits_read, *self._shown_read))

    def told(self) -> list[Told]:
        """What other sources and rows are to know of this one."""
        return self._known.told()

    def masked(self, others: Sequence[Told] = ()) -> Reading:
        """The source without its secrets, and without those that others told."""
        if others:
            self._known.take(others)
            self._spare()
        reading, known, shown = self._reading, self._known, self._shown_read
        excluded = [replace(item, path=known.masked(item.path), detail=known.masked(item.detail)) for item in reading.excluded]
        changed = replace(
            reading,
            files=tuple(self._files(self._files_read, excluded)),
            commits=tuple(self._commits(iter(self._commits_read))),
            commands=tuple(self._commands(shown[: len(reading.commands)])),
            tools=tuple(self._tools(shown[len(reading.commands) :], excluded)),
            excluded=tuple(excluded),
            notes=tuple(map(known.masked, reading.notes)),
        )
        return self._with_note(changed)

    def _note_sides(self) -> None:
        """Remembers the keys in whole files of changes, and all that is found in those of tables."""
        sides: dict[str, bool] = {}
        for change in (change for commit in self._reading.commits for change in commit.changes):
            is_table = bool(change.sides) and may_show_a_row(change.path, change.diff)
            for side in change.sides:
                sides[side] = sides.get(side, False) or is_table
        for side, is_table in sides.items():
            self._known.note(side, scan([side], self._strength)[0] if is_table else key_findings(side))

    def _with_note(self, reading: Reading) -> Reading:
        kinds = self._kinds + self._known.counts
        if not kinds:
            return reading
        told = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
        return replace(reading, notes=(*reading.notes, f"secrets that were masked where the source was read: {told}"))

    def _scanned(self, texts: Sequence[str], step: str | None, crew: Crew | None) -> list[_Text]:
        """The texts with marks over what was found in each, which is known from now on."""
        done: list[_Text] = []
        for text, findings in zip(texts, self._findings(texts, step, crew), strict=True):
            if _is_failed(findings):
                done.append(_Text(text, is_judged=False))
                continue
            self._known.note(text, findings)
            self._kinds.update(finding.kind for finding in findings)
            done.append(_Text(masked_by_line(text, findings) if findings else text))
        return done

    def _findings(self, texts: Sequence[str], step: str | None, crew: Crew | None) -> Iterator[tuple[Finding, ...]]:
        """What a scan finds in each text, by several processes where there are."""
        shares: list[tuple[str, ...]] = parts(texts, len)

        def told(shares_done: int) -> None:
            if step is not None:
                self._progress(step, sum(map(len, shares[:shares_done])))

        if crew is not None and crew.is_divided:
            for found in crew.each([Scan(share, self._strength) for share in shares], told):
                yield from found
            return
        for number, share in enumerate(shares, 1):
            yield from scan(share, self._strength)
            told(number)

    def _files(self, texts: Sequence[_Text], excluded: list[Excluded]) -> Iterator[SourceFile]:
        for file, text in zip(self._reading.files, texts, strict=True):
            if not text.is_judged:
                excluded.append(Excluded(self._known.masked(file.path), _UNSCANNABLE, "no scanner could tell whether it holds a secret"))
            elif self._known.holds(file.path):
                excluded.append(Excluded(self._known.masked(file.path), _UNSCANNABLE, _IN_ITS_PATH))
            else:
                done = self._known.masked(text.masked)
                yield file if done == file.text else replace(file, text=done)

    def _commits(self, texts: Iterator[_Text]) -> Iterator[Commit]:
        for commit in self._reading.commits:
            judged = [next(texts) for _ in _texts(commit)]
            if not all(text.is_judged for text in judged):
                continue
            subject, body, *diffs = (self._known.masked(text.masked) for text in judged)
            changes = [
                replace(change, diff=diff, sides=())
                for change, diff in zip(commit.changes, diffs, strict=True)
                if not self._known.holds(change.path)
            ]
            if changes or not commit.changes:
                yield replace(commit, subject=subject, body=body, changes=tuple(changes))

    def _commands(self, texts: Sequence[_Text]) -> Iterator[CommandHelp]:
        known = self._known
        for command, text in zip(self._reading.commands, texts, strict=True):
            if text.is_judged and not known.holds(f"{command.path} {command.tool}"):
                yield replace(command, task=known.masked(command.task), command=known.masked(command.command))

    def _tools(self, texts: Sequence[_Text], excluded: list[Excluded]) -> Iterator[ToolDefinition]:
        known = self._known
        for tool, text in zip(self._reading.tools, texts, strict=True):
            if not text.is_judged or known.holds(f"{tool.path} {tool.name}"):
                what = "no scanner could tell whether the definition holds a secret" if not text.is_judged else _IN_ITS_PATH
                excluded.append(Excluded(known.masked(tool.path), _UNSCANNABLE, what, tool.lines[0]))
                continue
            try:
                definition = mapped(tool.definition, _masking_by(known))
                examples = tuple([mapped(example, _masking_by(known)) for example in tool.examples])
            except CollidingKeys:
                detail = "two keys of its definition would have one mark"
                excluded.append(Excluded(tool.path, _UNSCANNABLE, detail, tool.lines[0]))
                continue
            title, description = known.masked(tool.title), known.masked(tool.description)
            yield replace(tool, title=title, description=description, definition=definition, examples=examples)


def _masking_by(known: KnownSecrets) -> Callable[[str, str], str]:
    return lambda text, _key: known.masked(text)


def _texts(commit: Commit) -> list[str]:
    return [commit.subject, commit.body, *(change.diff for change in commit.changes)]


def _shown(item: CommandHelp | ToolDefinition) -> str:
    """All that a row may show of a command or a tool, as one text."""
    if isinstance(item, CommandHelp):
        return f"{item.task}\n{item.command}"
    found = [Leaf(item.title), Leaf(item.description)]

    def note(text: str, key: str) -> str:
        found.append(Leaf(text, key))
        return text

    for value in (item.definition, *item.examples):
        mapped(value, note)
    return whole(found)


def _is_failed(findings: Sequence[Finding]) -> bool:
    return any(finding.kind in FAILED_KINDS for finding in findings)
