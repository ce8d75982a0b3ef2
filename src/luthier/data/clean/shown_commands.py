"""Commands that an answer shows line by line, with or without a prompt in front: what a reader would copy, though no fence names a shell.

Generous, for it is asked only whether one of them is dangerous: a line counts that begins with a known program, or does so behind a prompt
(`$`, `#`, `%`, `>`, `❯`, `➜ ~`, `user@host:~$`, `[root@host ~]#`, `(venv) $`) or the mark of a list. Looked at are the lines of prose, of
indented code, of fenced blocks that name no language and of those of shell, and in a sentence what follows words such as `run` and `type`.
Behind a prompt that nothing else is written with (`$`, `user@host:~#`, `❯`, `➜`) any text is one. Nobody knows all prompts: a known program
behind one to three signs, something in brackets, or a word or path that ends in a sign of a prompt is one as well (`★ `, `fish> `). What
Python hands to the shell or starts as a program is one, too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from luthier.data.clean.view import split_code
from luthier.data.clean.words import words
from luthier.guard.risk.facts import programs
from luthier.guard.risk.inline.effects import effects
from luthier.guard.shown.names import CONSOLES, SHELLS
from luthier.guard.shown.prompts import LEADS, PERHAPS, SURE
from luthier.guard.values.symbols import is_settled

# Fences of these names say nothing of what stands in them; those of other languages hold code.
NAMELESS = frozenset(("", "text", "txt", "plain", "plaintext", "none", "output", "log", "raw", "code"))
_SHELLS = SHELLS | CONSOLES
_SESSIONS = re.compile(r"console|session|terminal")
_MOST_CHARACTERS = 2_000
_MOST_CODE = 50_000
_CODE_WORDS = words("code_words")
_FUNCTION_WORDS = words("function_words")
_LIST_MARK = re.compile(r"[ \t]*(?:\d{1,3}[.)]|[-*+•])[ \t]+")
_MOST_LEADS = 4
_SET_APART = ("    ", "\t")
_PYTHON = frozenset(("python", "py", "python3", "ipython", "jupyter", "pycon"))
_STARTS_PROGRAMS = re.compile(r"\b(?:os|subprocess|pty|commands|asyncio)\b")
# The folder and the branch that themes of zsh show behind `➜`.
_THEME = re.compile(r"[~\w./-]+[ \t]+(?:git:\([^)\n]*\)[ \t]*)?(?:[✗✔][ \t]*)?")
_ODD_STARTS = re.compile(r">{1,2}[ \t]*/|:[ \t]*\(\)[ \t]*\{|\w+[ \t]*\(\)[ \t]*\{[^\n]*\|")
_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*=\S*[ \t]+)+")
_TOLD = re.compile(
    r"(?i)\b(?:run|running|execute|executing|type|typing|enter|issue|issuing|invoke|try|use|using|call|do|via|with|command|like|paste)"
    r"[ \t]*:?[ \t]+[\"']?(?=[\w./\\~]+[ \t]+\S)"
)
_WARNED = re.compile(
    r"(?i)\b(?:never|not|n't|avoid|without|instead of|rather than|equivalent (?:of|to)|similar to|(?:same|such) as)\b[^.\n]{0,20}\Z"
)
_END = re.compile(r"[.,;:!?][\"')]*(?:\s|$)|\s(?:—|–|-- )|`|[\"'](?=\s|$)")
# Words to fill in, as a synopsis has them; a mark of redaction is in capitals.
_SLOT = re.compile(r"<[a-z][\w -]*>|\[<")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command that is shown. `is_sure`: a prompt stands in front of it. `is_carried`: a block that is named for its form hands it on."""

    text: str
    is_sure: bool = False
    is_carried: bool = False


@lru_cache(maxsize=1)
def program_names() -> frozenset[str]:
    """The programs that the guard knows by name, without words that code begins with."""
    return frozenset(name.split(" ", 1)[0] for name in programs()) - _CODE_WORDS


def shown_commands(text: str, is_quoted: bool = False) -> list[Shown]:
    """What may be a command in `text`, each once: line by line, and lines that follow each other as one.

    `is_quoted`: the text stands in a source, whose sentences name commands to tell of them, so that no sentence holds one.
    """
    split = split_code(text)
    parts = ["\n".join(line for line in split.prose.split("\n") if not _is_sentence(line)) if is_quoted else split.prose]
    found: dict[str, Shown] = {}
    for block in split.blocks:
        if block.name in NAMELESS or _SESSIONS.search(block.name) is not None:
            parts.append(block.text)
        elif block.name in _PYTHON:
            found.update((one.text, one) for one in _of_python(block.text))
            parts.append("\n".join(line for line in block.text.split("\n") if line.lstrip().startswith(("!", "%", "In ["))))
        elif block.name in _SHELLS:  # A script, where `#` opens a comment.
            parts.append("\n".join(line for line in block.text.split("\n") if not line.lstrip().startswith("#")))
    for part in parts:
        for one in _of_lines(_joined(part)):
            if one.text not in found or one.is_sure:
                found[one.text] = one
    for one in () if is_quoted else _told(split.prose):
        found.setdefault(one.text, one)
    return list(found.values())


def _is_sentence(line: str) -> bool:
    """Whether a line of prose is neither set apart from it, nor behind a prompt, nor without the words that hold sentences together."""
    return not (line.startswith(_SET_APART) or SURE.match(line) or _FUNCTION_WORDS.isdisjoint(line.lower().split()))


def _joined(text: str) -> Sequence[str]:
    return text.replace("\\\n", " ").split("\n")


def _of_lines(lines: Sequence[str]) -> Iterator[Shown]:
    run: list[str] = []
    for line in (*lines, ""):
        own = list(_of_line(line)) if line and len(line) <= _MOST_CHARACTERS else []
        yield from own
        if own:
            run.append(own[-1].text)
        elif line.strip() or not run:
            continue
        else:
            if len(run) > 1:
                yield Shown("\n".join(run))
            run = []


def _of_line(line: str) -> Iterator[Shown]:
    """The ways in which a line can be read as a command; the last one is the one with the least in front of it."""
    behind = behind_leads(line)
    if behind is not None:
        yield Shown(behind)
        yield Shown(_cut(behind))
    if _begins(line):
        yield Shown(_cut(line.strip()))
    mark = _LIST_MARK.match(line)
    if mark is not None:
        line = line[mark.end() :]
        if _begins(line):
            yield Shown(_cut(line.strip()))
    line = line.strip().strip("`") if line.strip().startswith("`") else line
    for _ in range(3):
        found = SURE.match(line)
        if found is not None and (rest := line[found.end() :].strip()):
            yield Shown(rest, is_sure=True)
            theme = _THEME.match(rest) if "➜" in found.group() else None
            if theme is not None and _begins(rest[theme.end() :]):
                yield Shown(rest[theme.end() :].strip(), is_sure=True)
            line = rest
            continue
        found = PERHAPS.match(line)
        if found is None:
            return
        line = line[found.end() :]
        if _begins(line):
            yield Shown(line.strip())
            yield Shown(_cut(line.strip()))


def behind_leads(line: str) -> str | None:
    """The command of a known program behind whatever short thing stands in front of it in `line`; None where there is none."""
    line = line.strip().strip("`")
    for _ in range(_MOST_LEADS):
        found = LEADS.match(line)
        if found is None:
            return None
        line = line[found.end() :]
        if _begins(line):
            return line.strip()
    return None


def _of_python(code: str) -> Iterator[Shown]:
    """What code of Python hands to the shell or starts as a program, where the code alone tells it."""
    if len(code) > _MOST_CODE or _STARTS_PROGRAMS.search(code) is None:
        return
    for effect in effects("python", code):
        if effect.kind in ("shell", "argv") and effect.texts and all(map(is_settled, effect.texts)):
            yield Shown(effect.texts[0] if effect.kind == "shell" else shlex.join(effect.texts))


def _begins(line: str) -> bool:
    """Whether a line begins as a command of a known program does."""
    text = line.lstrip(" \t\\")
    if _ODD_STARTS.match(text) is not None:
        return True
    if (given := _ASSIGNMENTS.match(text)) is not None:
        text = text[given.end() :]
    first = re.split(r"[\s;|&<>()]", text, maxsplit=1)[0]
    if len(first) == len(text) or first.endswith((":", ",", ".")) or _SLOT.search(text) is not None:
        return False
    # `init for the promise` is prose that begins with the name of a program.
    if (second := text[len(first) :].split(maxsplit=1)) and second[0] in _FUNCTION_WORDS:
        return False
    return first.rsplit("/", 1)[-1] in program_names()


def _cut(text: str) -> str:
    """A command without the sentence that goes on behind it."""
    found = re.search(r"[ \t](?:to|and|or|will|would|which|that|is|are|was|for the|in order|if you|because|then|as|but|does)[ \t]", text)
    return text if found is None else text[: found.start()]


def _told(prose: str) -> Iterator[Shown]:
    """Commands in sentences: `You can run rm -rf build to start anew`."""
    for found in _TOLD.finditer(prose):
        rest = prose[found.end() : found.end() + 400].split("\n", 1)[0]
        if not _begins(rest) or _WARNED.search(prose, max(0, found.start() - 30), found.start()) is not None:
            continue
        end = _END.search(rest)
        text = _cut(rest if end is None else rest[: end.start()]).strip()
        if len(_FUNCTION_WORDS.intersection(text.split())) < 2:
            yield Shown(text)
