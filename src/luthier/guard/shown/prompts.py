"""Prompts in front of commands, told from text that the shell itself would read: `> file` is a redirection, `# text` a comment.

One list of prompts for cleaning and evaluation. `SURE` is what nothing but a prompt looks like; behind `PERHAPS` and `LEADS` a known
program has to follow, which the caller looks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.shown.names import CONSOLES, SHELLS
from luthier.guard.written import is_unfinished

_ENVIRONMENT = r"(?:\([\w .-]{1,40}\)[ \t]*)?"
SURE = re.compile(
    rf"[ \t]*{_ENVIRONMENT}(?:"
    r"\[[\w.-]+@[^\]\n]{1,80}\][$#%]"
    r"|[\w.-]+@[\w.-]+(?::[^\s$#%>]*|[ \t][~/][^\s$#%>]*)?[ \t]?[$#%>❯➜]"
    r"|[~/][\w./~-]*[ \t]?[$#%](?=[ \t])"
    r"|(?:ba|z|k)?sh-[\d.]+[$#%]"
    r"|PS (?:[A-Za-z]:|[~/])[^>\n]{0,200}>"
    r"|[└╰][─━]{1,4}[$#%❯>]"
    r"|[$❯➜»](?=[ \t])"
    r")[ \t]*"
)
# Prompts that are also headings, quotations, comments and variables.
PERHAPS = re.compile(rf"[ \t]*{_ENVIRONMENT}(?:[$%#>]{{1,2}})[ \t]*")
# Whatever else may stand in front of what is typed: a time of day, signs that open no quotation, option or path, something in brackets, a
# word or path that ends in a sign of a prompt, the number of a cell, and `!`, by which other programs hand a line to the shell.
LEADS = re.compile(
    r"[ \t]*(?:\d{1,2}:\d\d(?::\d\d)?(?=[ \t])|(?:In|Out)[ \t]?\[\d+\]:"
    r"|\[[^\]\n]{1,40}\]:?|\([^)\n]{1,40}\)|<[^>\n]{1,40}>|\{[^}\n]{1,40}\}"
    r"|[\w.-]{1,40}@[\w.-]{1,60}[ \t:]{0,2}[~/][\w./~-]{0,80}[ \t]?[$#%>❯➜➤»λ]"
    r"|[\w@.:~/\\+-]{1,60}[$#%>❯➜➤»λ]|\\!|λ|[^\w\s\"'`()\[\]{}<\\/.~-]{1,3})[ \t]*"
)
# zsh's prompt, which in text of other languages opens a comment; a root's prompt where sudo follows, which no comment has.
_IN_SHELL = re.compile(r"[ \t]*%[ \t]+")
_ROOT = re.compile(r"[ \t]*#[ \t]+(?=sudo\b)")
_ROOT_IN_CONSOLE = re.compile(r"[ \t]*#[ \t]+(?=\S)")
_CONTINUED = re.compile(r"[ \t]*>(?:[ \t]|$)")
# So many lines may one command behind a prompt have.
_MOST_LINES = 60


def without_prompts(text: str, name: str = "") -> str:
    """`text`, the body of a block called `name`, without the prompts in front of its lines.

    A `> ` is one only where a prompted command is in front of it that is not complete: the shell asks for the rest of it there. A `# ` is
    one where a console is shown in which no other prompt stands.
    """
    return "\n".join(line for line, _ in _lines(text, name))


def typed_lines(text: str, name: str = "") -> str | None:
    """What a person typed of a block in which prompts stand; None where none does."""
    found = list(_lines(text, name))
    return "\n".join(line for line, is_typed in found if is_typed) if any(is_typed for _, is_typed in found) else None


def _lines(text: str, name: str) -> Iterator[tuple[str, bool]]:
    """The lines of a block without their prompts, and whether a prompt, or an unfinished line behind one, says that it was typed."""
    lines = text.split("\n")
    has_prompts = any(_prompt(line, name) for line in lines)
    is_root = name in CONSOLES and not has_prompts
    typed: list[str] = []
    for line in lines:
        found = _prompt(line, name) or _ROOT.match(line)
        if found is None and is_root:
            found = _ROOT_IN_CONSOLE.match(line)
        goes_on = 0 < len(typed) < _MOST_LINES and is_unfinished("\n".join(typed))
        if found is not None:
            typed = []
        elif goes_on:
            found = _CONTINUED.match(line)
        is_typed = found is not None or goes_on
        rest = line[found.end() :] if found is not None else line
        typed = [*typed, rest] if is_typed else []
        yield rest, is_typed


def _prompt(line: str, name: str) -> re.Match[str] | None:
    return SURE.match(line) or (_IN_SHELL.match(line) if not name or name in SHELLS or name in CONSOLES else None)
