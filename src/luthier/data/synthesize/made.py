"""What row makers take and give: the material of one source, the rows made of it, and what was not good enough to become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from luthier.core.records import JsonObject, Message
from luthier.retrieval.index import Index
from luthier.retrieval.records import Chunk, CommandHelp, Commit, Layout, SourceFile, ToolDefinition


@dataclass(frozen=True, slots=True)
class Material:
    """One source, read and cut: what a maker may speak of. `name` is how rows call the source.

    `chunks` are pieces of code and sections of documents in the order of path and line; `index` finds them by words and by symbol.
    `layout` tells which files an import may mean.
    """

    name: str
    files: tuple[SourceFile, ...]
    chunks: tuple[Chunk, ...]
    index: Index
    commits: tuple[Commit, ...] = ()
    commands: tuple[CommandHelp, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    layout: Layout = field(default_factory=Layout)


@dataclass(frozen=True, slots=True)
class Made:
    """One row as a maker gives it: its turns and where it stands. `commit` is set only where it is not the source's own.

    `parents` and `teacher` are those of its origin.
    """

    messages: tuple[Message, ...]
    path: str
    lines: tuple[int, int] | None = None
    license: str | None = None
    commit: str | None = None
    tools: tuple[JsonObject, ...] = ()
    parents: tuple[str, ...] = ()
    teacher: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Unfit:
    """What a maker's quality rule turned down: a reason code (`lower_snake_case`) and a detail that a person can act on."""

    path: str
    lines: tuple[int, int] | None
    reason: str
    detail: str


Maker = Callable[[Material], Iterator[Made | Unfit]]


def asked(request: str, answer: str) -> tuple[Message, ...]:
    """A request and its answer as two turns."""
    return (Message("user", request), Message("assistant", answer))
