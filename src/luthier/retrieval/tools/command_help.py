"""Ways to use a tool, each a task in words and its command: from tldr pages, and from the examples of manual pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.retrieval.documents.roff_text import plain
from luthier.retrieval.records import Chunk, CommandHelp, SourceFile

_FENCE = re.compile(r"\s*`{3,}")
_PROMPT = re.compile(r"(?:\$|#|%|>|~\$|\w+@\w+[:~\w]*[$#]) +")
_NUMBER = re.compile(r"\A(?:- |\d+[.)] ?)")
_CALLOUT = re.compile(r"\s{2,}\(\d+\)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MAX_TASK = 240
_MAX_COMMAND = 400
# Examples speak of themselves; without the example next to them these say nothing.
_POINTING = re.compile(
    r"(?:for example|for instance|e\.g\.|example|examples?:?|note|or|and|as follows|this|that|these|the following|the above|output|same|"
    r"then|here|it|later|back|now|next|finally|if you|to actually|again|also|instead|likewise|similarly|alternatively|however|"
    r"in such|in this case|you should|after the above|suppose|assume|so)\b",
    re.IGNORECASE,
)


def of_tldr(tool: str, text: str, path: str) -> Iterator[CommandHelp]:
    """The entries of a tldr page: `- task:` with the command in backticks below it. Placeholders stay in `{{...}}`."""
    task = ""
    for number, line in enumerate(text.split("\n"), 1):
        shown = line.strip()
        if shown.startswith("- "):
            task = shown[2:].strip().rstrip(":").strip()
        elif task and len(shown) > 2 and shown.startswith("`") and shown.endswith("`"):
            yield CommandHelp(tool, task, shown.strip("`").strip(), path, number)
            task = ""


def of_examples(tool: str, file: SourceFile, chunk: Chunk) -> Iterator[CommandHelp]:
    """The commands in a section of examples before which, or as whose meaning, a task stands in prose. One line each.

    What holds several commands, or shows output alone, is no way to do one thing and is left out.
    """
    prose, margin = "", 0
    pieces = list(_pieces(chunk.body))
    for index, (lines, is_code) in enumerate(pieces):
        commands = _commands(tool, lines, is_code)
        if not is_code and not commands:
            prose, margin = _task(lines), _margin(lines[0])
            continue
        below = lines[1:] if not is_code else []
        if not is_code and not below and index + 1 < len(pieces) and _is_meaning(pieces[index + 1], lines[0]):
            below = pieces[index + 1][0]
        # A command with what it does set in below, else what stands before it, unless that is set in further: it is said of another.
        task = _task(below, is_first=True) if below else prose if _margin(lines[0]) >= margin else ""
        if task and len(commands) == 1:
            yield CommandHelp(tool, task, commands[0], file.path, _line(file, chunk, commands[0]))
        prose, margin = "", 0


def _is_meaning(piece: tuple[list[str], bool], command: str) -> bool:
    lines, is_code = piece
    return not is_code and _margin(lines[0]) > _margin(command)


def _pieces(body: str) -> Iterator[tuple[list[str], bool]]:
    """Paragraphs, and code as it stands between its fences."""
    lines: list[str] = []
    in_code = False
    for line in body.split("\n"):
        if _FENCE.match(line):
            if lines:
                yield lines, in_code
            lines, in_code = [], not in_code
        elif line.strip() or in_code:
            lines.append(line)
        elif lines:
            yield lines, False
            lines = []
    if lines:
        yield lines, in_code


def _commands(tool: str, lines: list[str], is_code: bool) -> list[str]:
    """The commands of `tool` in a piece: of prose its first line alone can be one."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)) if is_code else lines[0]
    shown = [_CALLOUT.sub("", line.strip()) for line in joined.split("\n") if line.strip()]
    prompted = [_PROMPT.sub("", line, count=1) for line in shown if _PROMPT.match(line)]
    candidates = prompted or shown
    # One of several commands in a row is a step, and not what the sentence before them asks for.
    if is_code and (len(prompted) > 1 or (not prompted and len(shown) > 1)):
        return []
    if not is_code and not prompted and len(lines) > 1 and _margin(lines[1]) <= _margin(lines[0]):
        return []
    names = {tool, tool.replace("-", " ")}
    return [line for line in candidates if len(line) <= _MAX_COMMAND and any(_calls(name, line) for name in names)]


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _calls(name: str, line: str) -> bool:
    return bool(re.match(rf"(?:sudo +|[A-Z_]+=\S+ +)*{re.escape(name)}(?:\s|$)", line)) or bool(
        re.search(rf"^\w[^.;:]*\| *{re.escape(name)}(?:\s|$)", line)
    )


def _task(lines: list[str], is_first: bool = False) -> str:
    """The sentence of prose that says what a command does; empty where it says nothing by itself."""
    sentences = _SENTENCE_END.split(" ".join(line.strip() for line in lines))
    sentence = (sentences[0] if is_first else sentences[-1]).strip().rstrip(":").strip()
    sentence = _NUMBER.sub("", sentence)
    if not 8 <= len(sentence) <= _MAX_TASK or len(sentence.split()) < 3 or _POINTING.match(sentence):
        return ""
    return sentence


def _line(file: SourceFile, chunk: Chunk, command: str) -> int:
    """The line of the source on which the command stands, else the first of the section."""
    lines = file.text.split("\n")
    start = command.split("  ", maxsplit=1)[0][:40]
    for number in range(chunk.lines[0], chunk.lines[1] + 1):
        if start in plain(lines[number - 1]):
            return number
    return chunk.lines[0]
