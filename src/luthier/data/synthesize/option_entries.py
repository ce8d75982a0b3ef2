"""The options that a manual lists, as questions: which option does this, and what does that option do."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.prose import Block, Unsuited, blocks, is_list_or_table
from luthier.data.synthesize.wording import pick
from luthier.retrieval.records import Chunk

# How readers of manuals call the language of their pages.
MANUAL = "roff"
_HEADINGS = re.compile(r"(?:^|\b)(?:options|switches|flags)\b", re.IGNORECASE)
_ENTRY = re.compile(r"^(?P<indent> *)(?P<options>-{1,2}[\w?][^\n]*?)(?:(?: {2,}|\t)(?P<rest>\S.*))?$")
_AT_MARGIN = re.compile(r"^-{1,2}[\w?][^\n]*\n(?:\n?[ \t]+\S|\n)", re.MULTILINE)
_MIN_OPTIONS = 3
_SEE = re.compile(r"see also\b", re.IGNORECASE)
_POINTS = re.compile(r"\b(?:see|described|explained|listed|mentioned) (?:below|above)\b|^(?:same as|like|see)\b.{0,60}$", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w-])--?[A-Za-z0-9][\w-]*")
_MIN_WORDS, _MAX_WORDS = 5, 150
_WHAT = (
    "What does the option {option} of {tool} do?",
    "What does {option} do in {tool}?",
    "Explain the {option} option of {tool}.",
    "{tool}: what is {option} for?",
)


class Entry(NamedTuple):
    """An option of a manual as it is written there (`-n, --lines=NUM`), its names, and its text."""

    written: str
    names: tuple[str, ...]
    text: str


def entries(text: str) -> Iterator[Entry]:
    """The options that stand in a manual's section: a line that begins with a dash, and what is indented under it."""
    written, indent, body = "", 0, list[str]()
    for line in [*text.splitlines(), "-"]:
        found = _ENTRY.match(line)
        if found is None and line != "-":
            if written and line.strip() and len(line) - len(line.lstrip()) <= indent:
                yield from _finished(written, body)
                written, body = "", []
            body.append(line)
            continue
        if written:
            yield from _finished(written, body)
        if found is not None:
            written, indent = found["options"].strip(), len(found["indent"])
            body = [found["rest"]] if found["rest"] else []


def _finished(written: str, body: list[str]) -> Iterator[Entry]:
    names = tuple(dict.fromkeys(_NAME.findall(written)))
    if names:
        paragraphs = [_paragraph(block) for block in blocks(textwrap.dedent("\n".join(body)))]
        while paragraphs and _SEE.match(paragraphs[-1]):
            paragraphs.pop()
        yield Entry(" ".join(written.split()), names, "\n\n".join(part for part in paragraphs if part))


def _paragraph(block: Block) -> str:
    """A block of an option's text: prose on one line, as the manual fills it; fences, lists and what is indented as they stand."""
    if block.is_fence or "```" in block.text or is_list_or_table(block.text) or "\n " in block.text:
        return block.text
    return " ".join(block.text.split())


def is_of_options(chunk: Chunk) -> bool:
    """Whether a chunk is a manual's section that lists options."""
    if chunk.kind != "section" or chunk.language != MANUAL:
        return False
    # GNU's manuals have no heading for them.
    return _HEADINGS.search(chunk.full_name) is not None or len(_AT_MARGIN.findall(chunk.body)) >= _MIN_OPTIONS


def rows_of_options(material: Material) -> Iterator[Made | Unfit]:
    """A row for each option whose manual says in sentences what it does."""
    pages = manuals(material)
    told: Counter[tuple[str, str]] = Counter()
    rows = list[tuple[Chunk, str, Entry]]()
    for chunk in material.chunks:
        if is_of_options(chunk):
            tool = tool_of(chunk, pages)
            try:
                found = list(entries(chunk.body))
            except Unsuited as error:
                yield Unfit(chunk.path, chunk.lines, error.reason, error.detail)
                continue
            written = Counter((chunk.path, name) for entry in found for name in set(entry.names))
            told.update(written)
            rows += [(chunk, tool, entry) for entry in found]
    for chunk, tool, entry in rows:
        own = [name for name in entry.names if told[chunk.path, name] == 1]
        if own:
            yield _row(chunk, tool, entry, own)
        else:
            yield Unfit(chunk.path, chunk.lines, "told_twice", f"the manual tells of {entry.names[0]} in several places")


def manuals(material: Material) -> frozenset[str]:
    """The names of the manuals in the material."""
    return frozenset(_page(chunk) for chunk in material.chunks if chunk.language == MANUAL)


def tool_of(chunk: Chunk, pages: frozenset[str]) -> str:
    """The tool that a manual is of, as it is typed: `git merge` for the page `git-merge` where there is one of `git` as well."""
    name = _page(chunk)
    program, _, command = name.partition("-")
    return f"{program} {command}" if command and program in pages else name


def _page(chunk: Chunk) -> str:
    return re.sub(r"(?:\.\d\w*)?(?:\.gz)?$", "", chunk.path.rpartition("/")[2])


def _row(chunk: Chunk, tool: str, entry: Entry, own: Sequence[str]) -> Made | Unfit:
    """The row of an option, which is asked for by one of the names that are its `own`."""
    count = len(entry.text.split())
    if count < _MIN_WORDS:
        return Unfit(chunk.path, chunk.lines, "too_short", f"the text of {entry.names[0]} has {count} words")
    if count > _MAX_WORDS:
        return Unfit(chunk.path, chunk.lines, "too_long", f"the text of {entry.names[0]} has {count} words")
    text = entry.text.rstrip()
    if "\n" not in text and text[-1].isalnum():
        # GNU's manuals write them as phrases.
        text += "."
    if not text.endswith((".", "!", ")", "`", "'", '"', "~~~")):
        return Unfit(chunk.path, chunk.lines, "broken_text", f"the text of {entry.names[0]} does not end as a sentence does")
    if _POINTS.search(text):
        return Unfit(chunk.path, chunk.lines, "pointer_only", f"the text of {entry.names[0]} points to another place of the manual")
    # `--autostash, --no-autostash`: what is told is told of the first.
    option = max([name for name in own if not name.startswith("--no-")] or own, key=len)
    request = pick(_WHAT, tool, option, "what").format(option=option, tool=tool)
    answer = f"`{entry.written}`: {text}"
    return Made(asked(request, answer), chunk.path, chunk.lines, chunk.license)
