"""The parts of a shell text as its own parser finds them: statements, words, and what stands in words.

Offsets are characters of the text that was parsed; `end` is the first character after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


class ShellSyntaxError(ValueError):
    """Text that this parser does not understand; `position` is the character where it gave up.

    `wants_more`: it gave up because the text ended, so that further lines may complete it.
    """

    def __init__(self, message: str, position: int, wants_more: bool = False) -> None:
        super().__init__(message)
        self.position = position
        self.wants_more = wants_more


@dataclass(slots=True)
class Text:
    """Literal characters. Unquoted ones may still act: globs, braces, a tilde; in double quotes an interactive shell acts on `!`.

    `source` is what was written where `text` does not say all: a pattern such as `(a|b)` after `@`, with any name as `text`; or `$'\\xff'`.
    """

    kind: ClassVar[str] = "text"
    text: str
    quoted: bool
    in_double_quotes: bool = False
    source: str = ""


@dataclass(slots=True)
class Variable:
    """`$name`, or `${name operator word}`.

    The operator is as written: `:-`, `##`, `/`, `:` for a slice, `!` in front of an indirection. `source` is all of it as written where
    it is more than a name.
    """

    kind: ClassVar[str] = "variable"
    name: str
    quoted: bool
    operator: str = ""
    word: Word | None = None
    index: Word | None = None
    source: str = ""


@dataclass(slots=True)
class Substitution:
    """`$(...)` or backticks. `spans_hold` says whether offsets inside are those of the whole text; in backticks they are not."""

    kind: ClassVar[str] = "substitution"
    body: Script
    quoted: bool
    spans_hold: bool = True


@dataclass(slots=True)
class Process:
    """`<(...)` or `>(...)`."""

    kind: ClassVar[str] = "process"
    direction: str
    body: Script


@dataclass(slots=True)
class Arithmetic:
    """`$((...))` and `$[...]`; `word` holds the expansions in it, `source` all of it as written."""

    kind: ClassVar[str] = "arithmetic"
    word: Word
    quoted: bool = False
    source: str = ""


Part = Text | Variable | Substitution | Process | Arithmetic


@dataclass(slots=True)
class Word:
    """One word before expansion."""

    parts: list[Part]
    start: int
    end: int

    def plain(self) -> str | None:
        """The text of a word that is one unquoted literal, else None."""
        if len(self.parts) == 1 and isinstance(part := self.parts[0], Text) and not part.quoted:
            return part.text
        return None


@dataclass(slots=True)
class Assignment:
    """`name=value`, `name+=value`, `name[i]=value` with its `index` as written, or `name=(...)` with its words in `items`."""

    name: str
    value: Word | None
    items: list[Word] | None = None
    appends: bool = False
    indexed: bool = False
    index: str = ""


@dataclass(slots=True)
class Redirect:
    """`descriptor operator target`; `body` is a here-document's text."""

    descriptor: str
    operator: str
    target: Word
    body: Word | None
    start: int
    end: int


@dataclass(slots=True)
class Simple:
    """A program with its words."""

    kind: ClassVar[str] = "simple"
    assignments: list[Assignment]
    words: list[Word | Assignment]
    redirects: list[Redirect]
    start: int
    end: int


@dataclass(slots=True)
class Compound:
    """A compound command: `form` is its first word (`if`, `for`, `case`, `{`, `(`, `((`, `[[`, `function`, `coproc` ...).

    `bodies` are its lists of commands in order (for `if`: condition, branch, condition, branch, else); `words` are its own words.
    `tokens` are those of `[[` and `case` as written, words and operators, where `)` stands for the body of a branch and `;;` is left out;
    and the expression of `((`.
    """

    kind: ClassVar[str] = "compound"
    form: str
    bodies: list[Script]
    words: list[Word]
    name: str
    redirects: list[Redirect]
    start: int
    end: int
    tokens: list[str] = field(default_factory=list)


Command = Simple | Compound


@dataclass(slots=True)
class Pipeline:
    """Commands joined by pipes; `after` is what follows it: `;`, `&`, `&&` or `||`, or nothing at the end.

    `before` are the reserved words in front, `!`, `time` and `time -p`; `pipes` has `|` or `|&` for each pipe.
    """

    commands: list[Command]
    after: str
    start: int
    end: int
    before: tuple[str, ...] = ()
    pipes: tuple[str, ...] = ()


@dataclass(slots=True)
class Script:
    """A list of pipelines; `comments` counts the comments in it, at any depth."""

    pipelines: list[Pipeline] = field(default_factory=list)
    comments: int = 0
