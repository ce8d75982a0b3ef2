"""Rows whose answer is a command: parsed by bash, linted by shellcheck, rated by the command guard.

Under `rows: auto` a row is one of shell where one of these holds; the first and the last three speak of the whole answer:
* the maker `commands` made it;
* some of the answer is a block of code named `bash`, `sh`, `console` and the like: each block is rated, but only an answer that is one such
  block and nothing else is parsed and linted, for what is shown in passing may leave things out;
* the assistant calls a tool such as `bash` or `run_command`: what it is to run is rated;
* the answer is at most five lines that the guard's parser reads, its first word names a program that the guard knows, it is not indented,
  and it does not read like a sentence;
* the answer is as short, whether or not it can be parsed, and begins with a loop or condition with its `do`, `then` or end, or a known
  program stands in front of options or of other programs behind `|`, `&&`, `||` and `$(`, and nothing of a sentence is in it;
* code in a line of prose is such a command: it is rated, for it is shown in passing;
* some of the answer is a makefile or a Dockerfile: what it hands to a shell is rated (`build_files`).

Of a row that was made of a source the answer says what stands there, so that less of it is a command to be typed. Code in a line of prose
is one only behind a word such as `run`, or alone in its line of a document, for documentation names commands in passing. A piece of a
script is rated, and neither parsed nor linted by itself. Of the maker `commands` the rows that tell of an option are prose.

Under `rows: all` every answer is taken for shell. Besides, each answer is searched line by line for what a reader would copy
(`shown_commands`), and a row with a dangerous one there is one of shell too; what stands behind a prompt is rated as a block is.

Characters that nobody sees hide no command: one is looked for with them and without them, and rated both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from luthier.core.records import TEXT_ROLE
from luthier.data.clean.records import Row
from luthier.data.clean.shown_commands import NAMELESS, Shown, behind_leads, program_names, shown_commands
from luthier.data.clean.view import Block, split_code
from luthier.data.clean.words import words
from luthier.guard.characters import as_written, without_unseen
from luthier.guard.shell import command_words, parse, simple_commands
from luthier.guard.shown.build_files import build_commands, in_image
from luthier.guard.shown.carried import carried_commands
from luthier.guard.shown.markup import as_markdown
from luthier.guard.shown.names import CONSOLES, DOCKER, MAKE, SHELLS
from luthier.guard.shown.prompts import typed_lines
from luthier.guard.words import literal_text

_SHELLS = SHELLS | CONSOLES
_COMMAND_TOOLS = re.compile(
    r"(?i)^(?:(?:run|execute|exec)[_-]?)?(?:bash|sh|zsh|shell|terminal|cmd|command|commands|console)(?:[_-]?(?:tool|exec|execute|run|command))?$"
)
_SCRIPT = re.compile(r"#![ \t]*/\S*(?:env[ \t]+)?\b(?:ba|da|z|k|a)?sh\b")
_COMMAND_ARGUMENTS = ("command", "cmd", "script", "code", "input", "commands")
_MOST_LINES = 5
# Makers of `sources` whose answers may be commands from end to end; what others make of a script is a piece of it.
_WHOLE_COMMANDS = frozenset(("commands", "section", "tools"))
_TELLS = re.compile(
    r"(?i)\b(?:run|running|execute|executing|type|typing|enter|entering|issue|issuing|invoke|try|do|paste)\b[^`.\n]{0,20}\Z"
)
_LIST_MARK = re.compile(r"[ \t]*(?:(?:\d{1,3}[.)]|[-*+•])[ \t]+)?")
_FUNCTION_WORDS = words("function_words")
_GIVEN_PROSE = words("given_prose")
# A body of code that a program lacks, not a command.
_INDENTED = ("  ", "\t")
# What opens a compound command with what must follow it, whether or not the rest can be parsed. A condition of other languages begins with
# no `[` and no program; what of it begins with a program is looked at by its name.
_LOOP = re.compile(
    r"(?:for|select)[ \t]+(?:\w+[ \t]+in[ \t][^\n;]*|\(\([^\n]*?\)\)[ \t]*)(?:[;\n]\s*do\b|[;\n].*[;\n]\s*done\b)", re.DOTALL
)
_CONDITION = re.compile(
    r"(?:(?:while|until)[ \t]+(?P<loop>[^\n;]+)(?:;[ \t]*|\s*\n\s*)(?:do\b|.*[;\n]\s*done\b)"
    r"|if[ \t]+(?P<test>[^\n;]+)(?:;[ \t]*|\s*\n\s*)(?:then\b|.*[;\n]\s*fi\b))",
    re.DOTALL,
)
# A test without what ends it in front of `then`.
_UNENDED = re.compile(r"if[ \t]+\[\[?[ \t][^\n;]*\]\]?[ \t]+then\b")
_CASE = re.compile(r"case[ \t]+[\"']?\$\S+[ \t]+in\s")
_TESTS = re.compile(r"!?[ \t]*(?:\[\[?[ \t]|\(\(|\$)")
_OPTION = re.compile(r"\s--?[A-Za-z][\w-]*(?:[ =]|$)")
_NEXT_PROGRAM = re.compile(r"(?:\||&&|\$\()[ \t]*(?:sudo[ \t]+)?([\w.+-]+)")
# Of a sentence, of code, or of a command that is shown with names to fill in.
_NO_COMMAND = re.compile(r"[,:;.!?]\s+[A-Za-z]+\s+[a-z]+\s+[a-z]+\s|, |[.!?:]$|<[\w -]+>|\{\{")
_INLINE = re.compile(r"(?<!`)(`{1,2})(?!`)([^\n]{3,400}?)(?<!`)\1(?!`)")

_EQUATION = re.compile(r"\S+\s+(?:=|[-+*/<>!=:]=)")
_COMPARED = re.compile(
    r"(?i)\b(?:combined with|similar to|equivalent (?:of|to)|(?:same|such) as|instead of|rather than|like"
    r"|(?:never|do not|don't)(?: run| use| type)?|avoid(?: running| using)?)\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of a row. `answer` is the command that the whole answer is, to be parsed and linted; None where it is more than that.

    `in_images` are those of `rated` that are run while an image is built, and meet the image's files alone.
    """

    answer: str | None
    rated: tuple[str, ...]
    in_images: frozenset[str] = frozenset()


def commands_of(row: Row, which: str) -> Commands | None:
    """The commands of `row`, None where it is no row of shell; `which` is `auto` or `all`."""
    found = _written_commands(row, which)
    seen = _as_seen(row)
    plain = _written_commands(seen, which) if seen is not row else None
    if plain is None:
        return found
    contents = [message.content for message in row.fields.messages if message.role == "assistant"]
    hidden = (text for command in plain.rated for content in contents for text in as_written(command, content))
    rated = tuple(dict.fromkeys((*(found.rated if found is not None else ()), *plain.rated, *hidden)))
    return Commands(found.answer if found is not None else plain.answer, rated, plain.in_images)


def _as_seen(row: Row) -> Row:
    """`row` without the characters in its answers that nobody sees; itself where there are none."""
    messages = row.fields.messages
    seen = tuple(
        replace(message, content=without_unseen(message.content)) if message.role == "assistant" else message for message in messages
    )
    return row if seen == messages else replace(row, fields=replace(row.fields, messages=seen))


def _written_commands(row: Row, which: str) -> Commands | None:
    """The commands of `row` as it is written."""
    last = next((message for message in reversed(row.fields.messages) if message.role == "assistant"), None)
    if last is None:
        return None
    called = tuple(_called(row))
    text = last.content.strip()
    split = split_code(as_markdown(text))
    blocks = tuple(_typed(block) for block in split.blocks if block.name in _SHELLS)
    is_whole = len(split.blocks) == 1 and not split.prose.strip()
    quotes = is_quoted(row)
    is_piece = quotes and row.origin.maker not in _WHOLE_COMMANDS
    is_command = row.origin.maker == "commands" and not text.startswith("`")
    if text and (which == "all" or is_command):
        answer = _typed(split.blocks[0]) if is_whole else text
        return Commands(answer, (answer, *called, *(() if is_whole else _inline(split.prose, row))))
    if is_whole and blocks:
        return Commands(None if is_piece else blocks[0], (blocks[0], *called))
    if not split.blocks and not last.content.startswith(_INDENTED) and _is_bare(text) and not (quotes and _is_sentence(text)):
        return Commands(None if is_piece else text, (text, *called))
    in_images = [command for block in split.blocks if block.name in DOCKER for command in build_commands(block.name, block.text)]
    built = [command for block in split.blocks if block.name in MAKE for command in build_commands(block.name, block.text)]
    rated = (*blocks, *built, *in_images, *_inline(split.prose, row), *called, *_earlier(row))
    return Commands(None, rated, frozenset(in_images)) if rated else None


def _earlier(row: Row) -> Iterator[str]:
    """The blocks of shell, and commands in lines of prose, in answers before the last one."""
    answers = [message.content for message in row.fields.messages if message.role == "assistant"]
    for content in answers[:-1]:
        if "```" in content or "~~~" in content:
            split = split_code(content)
            yield from (_typed(block) for block in split.blocks if block.name in _SHELLS)
            yield from _inline(split.prose, row)
        elif _is_bare(content.strip()):
            yield content.strip()
        else:
            yield from _inline(content, row)


def shown_in_answers(row: Row) -> Iterator[Shown]:
    """What may be a command in the answers of `row`, and in raw text: line by line, and what blocks of code hand to a shell."""
    contents = [message.content for message in row.fields.messages if message.role in ("assistant", TEXT_ROLE)]
    for text in dict.fromkeys(text for content in contents for text in (content, without_unseen(content))):
        yield from _shown(text, is_quoted(row))
    for message in row.fields.messages:
        if message.role == TEXT_ROLE and _SCRIPT.match(message.content):
            yield Shown(message.content)


def named_in_answers(row: Row) -> Iterator[str]:
    """Commands that answers name in backticks without telling anybody to type them."""
    for message in row.fields.messages:
        if message.role == "assistant" and "`" in message.content:
            prose = split_code(as_markdown(message.content)).prose
            yield from (text for text, is_told in _in_backticks(prose, row) if not is_told)


def shown_in_requests(row: Row) -> Iterator[str]:
    """The commands in whatever of `row` is no answer: requests, inputs, system turns, results of tools."""
    for message in row.fields.messages:
        if message.role not in ("assistant", TEXT_ROLE) and message.content:
            text = as_markdown(message.content)
            split = split_code(text)
            yield from (_typed(block) for block in split.blocks if block.name in _SHELLS)
            yield from (text for text, _ in _in_backticks(split.prose, row))
            yield from (one.text for one in _shown(text, quotes=False))


def _shown(content: str, quotes: bool) -> Iterator[Shown]:
    text = as_markdown(content)
    yield from shown_commands(text, quotes)
    split = split_code(text)
    for block in split.blocks:
        if block.name not in _SHELLS:
            yield from _carried("" if block.name in NAMELESS else block.name, block.text)
    yield from _carried("", split.prose)


def _carried(name: str, text: str) -> Iterator[Shown]:
    return (Shown(in_image(one.text) if one.in_image else one.text, is_carried=bool(name)) for one in carried_commands(name, text))


def is_quoted(row: Row) -> bool:
    """Whether the answer says what stands in a source, and nobody wrote it to answer."""
    return row.is_made and row.origin.teacher is None


def _inline(prose: str, row: Row) -> Iterator[str]:
    """The code in lines of prose that is a command with something to act on; not what is compared with, warned of, or a program's name.

    Of prose that stands in a source only what a reader is told to type.
    """
    return (text for text, is_told in _in_backticks(prose, row) if is_told)


def _in_backticks(prose: str, row: Row) -> Iterator[tuple[str, bool]]:
    """Each command in backticks, and whether it is shown to be typed rather than named in passing."""
    quotes, is_document = is_quoted(row), row.origin.maker in _WHOLE_COMMANDS
    for found in _INLINE.finditer(prose) if "`" in prose else ():
        text = found[2].strip()
        if " " not in text or _EQUATION.match(text):
            continue
        is_told = _COMPARED.search(prose, max(0, found.start() - 40), found.start()) is None and (
            not quotes or _is_told(prose, found.start(), found.end(), is_document)
        )
        behind = behind_leads(text)
        for command in (text if _is_bare(text) else None, behind, *(one.text for one in carried_commands("", text))):
            if command is not None:
                yield command, is_told


def _is_told(prose: str, start: int, end: int, is_document: bool) -> bool:
    """Whether the code in backticks from `start` to `end` is to be typed: a word says so, or it is alone in its line of a document."""
    is_told = _TELLS.search(prose, max(0, start - 40), start) is not None
    if is_told or not is_document:
        return is_told
    before = prose[prose.rfind("\n", 0, start) + 1 : start]
    after = prose[end : prose.find("\n", end) if "\n" in prose[end:] else len(prose)]
    return _LIST_MARK.fullmatch(before) is not None and not after.strip(" \t.:;")


def _called(row: Row) -> Iterator[str]:
    for message in row.fields.messages:
        for call in message.tool_calls:
            if not _COMMAND_TOOLS.match(call.name):
                continue
            for name in _COMMAND_ARGUMENTS:
                value = call.arguments.get(name)
                if isinstance(value, str):
                    yield value
                elif isinstance(value, list) and value and all(isinstance(word, str) for word in value):
                    yield " ".join(value)


def _typed(block: Block) -> str:
    """What a person would type of a block: where prompts stand in it, the lines behind them."""
    typed = typed_lines(block.text, block.name)
    return block.text.strip() if typed is None else typed


def _is_bare(text: str) -> bool:
    """Whether a text without any fence is a command: see the head of this module."""
    if not text or len(text) > 2_000 or text.count("\n") >= _MOST_LINES:
        return False
    first = re.split(r"[\s;|&<>()]", text, maxsplit=1)[0]
    if "{{" not in text and _is_compound(text):
        return True
    if first not in program_names() and not re.fullmatch(r"[A-Za-z_]\w*=\S*", first):
        return False
    script = parse(text)
    if script is None:
        return _is_broken_command(text, first)
    words = [[literal_text(word) or "" for word in command_words(command)] for command in simple_commands(script)]
    if not words or not any(line[0] in program_names() for line in words if line):
        return False
    name, arguments = words[0][0], words[0][1:]
    prose = len(_FUNCTION_WORDS.intersection(arguments))
    return name in _GIVEN_PROSE or prose == 0 or (prose == 1 and text[-1] not in ".!?:")


def _is_sentence(text: str) -> bool:
    return text[-1:] in ".!?:" and not _FUNCTION_WORDS.isdisjoint(text.lower().split())


def _is_compound(text: str) -> bool:
    """Whether a text begins with a loop or a condition of the shell, well formed or not."""
    if _LOOP.match(text) is not None or _CASE.match(text) is not None or _UNENDED.match(text) is not None:
        return True
    found = _CONDITION.match(text)
    if found is None:
        return False
    condition = (found["loop"] or found["test"]).strip()
    return _TESTS.match(condition) is not None or condition.removeprefix("!").split(maxsplit=1)[0] in program_names()


def _is_broken_command(text: str, first: str) -> bool:
    """Whether a text that cannot be parsed was to be a command: a known program with options, or with other programs joined to it."""
    rest = text[len(first) :]
    if first not in program_names() or not rest.startswith((" ", "\t")) or rest.lstrip().startswith(("=", ":", "(", "+=", "-=")):
        return False
    if _NO_COMMAND.search(text) is not None or not _FUNCTION_WORDS.isdisjoint(text.lower().split()):
        return False
    return _OPTION.search(rest) is not None or any(found[1] in program_names() for found in _NEXT_PROGRAM.finditer(rest))
