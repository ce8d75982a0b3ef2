"""What the readers of repositories, documents and tools hand on. All records are frozen and hold text, no paths on disk."""

from __future__ import annotations

from dataclasses import dataclass, field

from luthier.core.records import JsonObject


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One text file of a source. `path` is posix and relative to the source's root; `language` is a name of `languages.toml`.

    `license` is an SPDX expression: of the file's own header where it has one, else of the nearest license file above it, else of the
    source; None where the first of them that there is says nothing that is known. Of documents and schemas `written` is the path as the
    run file names it and `sha256` the hash of the file's bytes.
    """

    path: str
    language: str
    text: str
    license: str | None = None
    is_test: bool = False
    written: str = ""
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file that can be spoken of: a function, a class, a type, a section of a document.

    `kind` is one of `function method class type constant module section block`. `name` is the bare name, `scope` the names around it
    joined by a dot (`Outer.Inner`, `Module`), or the headings above a section joined by ` > `. `text` is the source as it stands,
    lines `lines` (first and last, counted from 1) of `path`. For code: `signature` is the declaration without its body, on as many lines
    as it stands on; `doc` the docstring or the comment that stands right before or at the head of it, without comment marks and common
    indentation (empty where there is none); `body` the code after signature and doc, as it stands. `calls` are the bare names it calls,
    in their order, each once. For a section: `name` is the heading, `body` the text under it, without the sections below.
    """

    path: str
    language: str
    kind: str
    name: str
    text: str
    lines: tuple[int, int]
    scope: str = ""
    signature: str = ""
    doc: str = ""
    body: str = ""
    calls: tuple[str, ...] = ()
    is_test: bool = False
    is_public: bool = True
    license: str | None = None

    @property
    def full_name(self) -> str:
        """`scope.name` for code, `scope > name` for sections."""
        if not self.scope:
            return self.name
        return f"{self.scope} > {self.name}" if self.kind == "section" else f"{self.scope}.{self.name}"


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a commit did to one file. `status` is `added modified deleted renamed`; `diff` is its unified diff without the head lines.

    `license` is that of the file as it stands at the commit that is read, or would. `sides` are the whole file before and after where
    `diff` may show a part of a private key or a row of a table of passwords, else nothing.
    """

    path: str
    status: str
    diff: str
    language: str
    added_lines: int
    removed_lines: int
    license: str | None = None
    sides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit with one parent, or none; merges are left out. `subject` is the first line of its message, `body` the rest."""

    sha: str
    subject: str
    body: str
    changes: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """What is known of one way to use a tool: a task in words and the command that does it. `placeholders` are still in `{{...}}`."""

    tool: str
    task: str
    command: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that a model can call, from an OpenAPI operation or a JSON schema, in OpenAI's nested form under `definition`.

    `examples` are whole arguments that the file itself gives (OpenAPI `example`, JSON schema `examples`): nothing is invented in them.
    `title` is the operation's summary, `description` its longer text.
    """

    path: str
    name: str
    title: str
    description: str
    definition: JsonObject
    examples: tuple[JsonObject, ...] = ()
    lines: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A file that was not read, and why: a reason code (`binary generated vendored minified too_large excluded link invalid_utf8 ...`).

    `line` is set where a part of the file is meant, a definition that begins there.
    """

    path: str
    reason: str
    detail: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """What a manifest says of the files of its folder and below: what others import them by, and what they may import.

    `system` is `rescript npm go cargo python`. `name` is that of the package, of Go the path of the module, of Python empty. Of ReScript
    `namespace` is the module in which others find its files, empty where they find them by their own names, and `opened` are modules that
    its flags open in each file. `dependencies` are names of packages.
    """

    folder: str
    system: str
    name: str
    namespace: str = ""
    dependencies: frozenset[str] = frozenset()
    opened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a repository belong together, whatever of them is read.

    `unread` are the paths of modules of Python and ReScript that are there and were left out: empty ones, copies, those not asked for.
    """

    packages: tuple[Package, ...] = ()
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read of one source.

    `name` is how rows speak of it; `repo` is what the run file names (a URL without credentials, or the folder), `commit` the full
    SHA of a repository, None for documents and tools. `excluded` lists every file that was left out. `layout` is that of a repository.
    """

    name: str
    repo: str
    commit: str | None
    license: str | None
    files: tuple[SourceFile, ...] = ()
    commits: tuple[Commit, ...] = ()
    commands: tuple[CommandHelp, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = field(default=())
    layout: Layout = Layout()
