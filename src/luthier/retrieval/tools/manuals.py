"""Tools of this machine: their manual pages from the roff source, what they say with `--help`, and tldr pages."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.core.nearness import nearest
from luthier.retrieval.documents import roff
from luthier.retrieval.named_files import Progress, content_of, decoded
from luthier.retrieval.outline import Unreadable, sections_of
from luthier.retrieval.records import Chunk, CommandHelp, Excluded, Reading, SourceFile
from luthier.retrieval.tools.command_help import of_examples, of_tldr
from luthier.retrieval.tools.tool_output import help_of, program_of

_NAME = re.compile(r"[A-Za-z0-9_\[!$.+-][\w.+@:-]*\Z")
# Programs, those for administrators, and games.
_SECTIONS = ("1", "8", "6")
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_FIXED_FOLDERS = ("/usr/local/share/man", "/usr/share/man")
_REDIRECT = re.compile(r"\A(?:[.']\\\".*\n|\s*\n)*\.so[ \t]+(\S+)[ \t]*\n?")
_MAX_REDIRECTS = 4
# One letter of four: `fnd`, `gitt`.
_NEAR = 0.8
_PLATFORMS = ("common", "linux")
_TLDR_FOLDERS = ("~/.cache/tldr", "~/.local/share/tldr", "~/.cache/tealdeer", "~/.cache/tlrc", "~/.tldr", "/usr/share/tldr")
_TLDR_DEPTH = 4
_OTHER_LANGUAGE = re.compile(r"pages\.(?!en\b)\w+\Z")


@dataclass(slots=True)
class _Found:
    """What was read of all tools so far."""

    files: dict[str, SourceFile] = field(default_factory=dict)
    commands: list[CommandHelp] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_tools(entry: SourceEntry, progress: Progress) -> Reading:
    """What this machine tells of the programs in `tools`, by what `help` lists.

    Manual pages are files of language `roff`, by their place below the folder of manuals (`man1/tar.1`); those of its subcommands
    (`git-log`) belong to a tool. What `--help` prints is text, `help/tar`. `commands` are the entries of tldr pages, then the examples of
    manual pages. `progress` is told each tool. `DataError` names every tool of which there is neither program nor page, with the nearest
    name.
    """
    asked = entry.tools or ()
    tools = tuple(dict.fromkeys(asked))
    manuals = _manual_folders() if "man" in entry.help else []
    pages = _tldr_folders(entry) if "tldr" in entry.help else []
    found = _Found()
    unknown: list[Problem] = []
    for number, tool in enumerate(tools, 1):
        progress("tools", number, len(tools))
        problem = _read_tool(entry, tool, manuals, pages, found, asked.index(tool))
        unknown += [problem] if problem is not None else []
    if unknown:
        raise DataError(unknown)
    files = tuple(found.files[path] for path in sorted(found.files))
    commands = tuple(dict.fromkeys(found.commands))
    repo = ", ".join(tools)
    name = entry.name or (tools[0] if len(tools) == 1 else "tools")
    return Reading(name, repo, None, entry.license, files, (), commands, (), tuple(found.excluded), tuple(found.notes))


def _read_tool(entry: SourceEntry, tool: str, manuals: list[Path], pages: list[Path], found: _Found, number: int) -> Problem | None:
    """Reads one tool, `number` of the entry's, into `found`; the problem where nothing of this name is there."""
    program = program_of(tool) if _NAME.match(tool) else None
    before = len(found.files) + len(found.commands) + len(found.excluded)
    if _NAME.match(tool):
        for platform in pages:
            _read_tldr(entry, tool, platform, found)
        _read_manuals(entry, tool, manuals, found)
        if program is not None and "help" in entry.help:
            _read_help(entry, tool, program, found)
    if len(found.files) + len(found.commands) + len(found.excluded) > before:
        return None
    if program is None:
        best = _meant(tool)
        hint = f"did you mean `{best}`?" if best else "install it first, or name a program as it is called in a shell"
        what = "the program is not on this machine, and no page tells of it"
        return Problem(what, where=f"sources: tools[{number}]", found=tool[:200], hint=hint)
    asked = ", ".join(entry.help)
    found.excluded.append(Excluded(tool, "no_manual", f"none of {asked} tells of it"))
    found.notes.append(f"`{tool}`: {program} is there, but none of {asked} tells of it; `help: [man, help, tldr]` reads all there is")
    return None


def _meant(tool: str) -> str | None:
    """The program of this machine whose name was most likely meant by `tool`; None where no name is near.

    Letters in the wrong order are the most frequent slip. The first letter seldom is wrong: `rsync` is another program than `sync`.
    """
    programs = _programs()
    swapped = [name for name in programs if sorted(name) == sorted(tool)]
    return swapped[0] if swapped else nearest(tool, [name for name in programs if name[:1] == tool[:1].lower()], _NEAR)


def _programs() -> list[str]:
    names: set[str] = set()
    for folder in os.get_exec_path():
        try:
            # A link that leads round in a circle is no file, and hides no other one.
            names.update(path.name for path in Path(folder).iterdir() if path.is_file())
        except OSError:
            continue
    return sorted(names)


def _manual_folders() -> list[Path]:
    """The folders of manuals, as `manpath` finds them: those of MANPATH, those beside the folders in PATH, those of the system."""
    named = [folder for folder in os.environ.get("MANPATH", "").split(os.pathsep) if folder]
    beside = [str(Path(folder).parent / below) for folder in os.get_exec_path() for below in ("man", "share/man")]
    folders = dict.fromkeys(Path(folder).absolute() for folder in (*named, *beside, *_FIXED_FOLDERS))
    return [folder for folder in folders if folder.is_dir()]


def _read_manuals(entry: SourceEntry, tool: str, folders: list[Path], found: _Found) -> None:
    for folder in folders:
        own, others = _pages_of(tool, folder)
        for page, is_own in (*((page, True) for page in own), *((page, False) for page in others)):
            shown = f"{page.parent.name}/{_unpacked_name(page)}"
            if shown in found.files:
                continue
            try:
                text = _manual_text(page, folder, entry.max_file_bytes)
                file = SourceFile(shown, "roff", text, entry.license)
                chunks = sections_of(file, *roff.read(text))
            except (Unreadable, RecursionError) as error:
                reason = error.reason if isinstance(error, Unreadable) else "nested_too_deeply"
                found.excluded.append(Excluded(shown, reason, str(error)[:200]))
                continue
            if is_own or _is_subcommand(tool, page, chunks):
                _take(tool if is_own else _unpacked_name(page).rsplit(".", 1)[0], file, chunks, found)


def _take(tool: str, file: SourceFile, chunks: tuple[Chunk, ...], found: _Found) -> None:
    if not chunks:
        found.excluded.append(Excluded(file.path, "empty", "a page without a section"))
        return
    found.files[file.path] = file
    for chunk in chunks:
        if "EXAMPLE" in chunk.full_name.upper():
            found.commands += of_examples(tool, file, chunk)


def _pages_of(tool: str, folder: Path) -> tuple[list[Path], list[Path]]:
    """The pages of `tool` in one folder of manuals, the first section alone that has one, and those of what may be its subcommands."""
    own: list[Path] = []
    others: list[Path] = []
    for section in _SECTIONS:
        below = folder / f"man{section}"
        if not below.is_dir():
            continue
        ending = re.compile(rf"\.{section}\w*(?:\.(?:gz|bz2|xz))?\Z")
        names = sorted(entry.name for entry in os.scandir(below) if entry.name.startswith(tool))
        named = {name: ending.sub("", name) for name in names if ending.search(name)}
        own = own or [below / name for name, bare in named.items() if bare == tool][:1]
        others += [below / name for name, bare in named.items() if bare.startswith(f"{tool}-")]
    return own, others


def _is_subcommand(tool: str, page: Path, chunks: tuple[Chunk, ...]) -> bool:
    """Whether a page `git-log` says in its synopsis that it is called `git log`."""
    called = f"{tool} {_unpacked_name(page).rsplit('.', 1)[0][len(tool) + 1 :]}"
    return any(called in chunk.body for chunk in chunks if chunk.full_name.startswith("SYNOPSIS"))


def _unpacked_name(page: Path) -> str:
    return page.name.removesuffix(page.suffix) if page.suffix in _PACKED else page.name


def _manual_text(page: Path, folder: Path, max_bytes: int) -> str:
    """The roff source of a page; one that stands for another (`.so man1/x.1`) within the same manuals is that other one."""
    for _ in range(_MAX_REDIRECTS):
        text = _unpacked(page, max_bytes)
        redirect = _REDIRECT.match(text)
        if redirect is None:
            return text
        target = folder / redirect.group(1)
        if ".." in target.parts or redirect.group(1).startswith("/"):
            raise Unreadable("link", "it stands for a page outside of the manuals")
        packed = [target, *(target.with_name(target.name + ending) for ending in _PACKED)]
        page = next((path for path in packed if path.is_file()), target)
    raise Unreadable("link", "it stands for a page that stands for it again")


def _unpacked(page: Path, max_bytes: int) -> str:
    if page.suffix not in _PACKED:
        return decoded(content_of(page, max_bytes))
    try:
        with _PACKED[page.suffix](page, "rb") as stream:
            content = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Unreadable("broken", f"it cannot be unpacked: {str(error)[:200]}") from error
    if len(content) > max_bytes:
        raise Unreadable("too_large", f"more than {max_bytes:,} bytes (`max_file_bytes`)")
    return decoded(content)


def _read_help(entry: SourceEntry, tool: str, program: Path, found: _Found) -> None:
    path = f"help/{tool}"
    try:
        found.files[path] = SourceFile(path, "text", decoded(help_of(program).encode("utf-8")), entry.license)
    except Unreadable as error:
        found.excluded.append(Excluded(path, error.reason, error.detail))


def _tldr_folders(entry: SourceEntry) -> list[Path]:
    """The folders with English pages for this kind of machine; `DataError` where the one that is named has none."""
    if entry.tldr is None:
        return [found for folder in _TLDR_FOLDERS for found in _platforms(Path(folder).expanduser())]
    folder = Path(entry.tldr).expanduser()
    found = list(_platforms(folder)) or ([folder] if any(folder.glob("*.md")) else [])
    if not found:
        others = sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) if folder.parent.is_dir() else []
        best = None if folder.is_dir() else nearest(folder.name, others)
        hint = f"did you mean `{folder.parent / best}`?" if best else "name the folder that holds `common/` or `pages/common/`"
        raise DataError(Problem("`tldr` names no folder of tldr pages", where="sources: tldr", found=entry.tldr[:200], hint=hint))
    return found


def _platforms(folder: Path, depth: int = _TLDR_DEPTH) -> Iterator[Path]:
    if not folder.is_dir() or depth < 0:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not _OTHER_LANGUAGE.match(path.name):
            if path.name in _PLATFORMS:
                yield path
            elif not path.name.startswith("."):
                yield from _platforms(path, depth - 1)


def _read_tldr(entry: SourceEntry, tool: str, folder: Path, found: _Found) -> None:
    for page in sorted(path for path in folder.glob(f"{_escaped(tool)}*.md") if path.stem == tool or path.stem.startswith(f"{tool}-")):
        shown = f"tldr/{folder.name}/{page.name}"
        try:
            commands = list(of_tldr(page.stem, decoded(content_of(page, entry.max_file_bytes)), shown))
        except Unreadable as error:
            found.excluded.append(Excluded(shown, error.reason, error.detail))
            continue
        spoken = page.stem.replace("-", " ", 1)
        if page.stem == tool or any(command.command.startswith(spoken) for command in commands):
            found.commands += commands


def _escaped(tool: str) -> str:
    return re.sub(r"([\[*?])", r"[\1]", tool)
