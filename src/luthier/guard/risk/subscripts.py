"""Subscripts of arrays in texts that bash takes for arithmetic or for a variable's name: their substitutions are run.

`[ -v 'a[$(rm x)]' ]`, `let`, `read`, `printf -v`, `declare -i` and every value that stands in arithmetic do so, although the text is quoted
(GNU Bash Reference Manual, 6.5 and 6.7: the subscript is expanded).
"""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument

# Commands of the shell that take some of their words for names or for arithmetic.
EVALUATING = frozenset(
    (
        *("[", "test", "let", "declare", "typeset", "local", "export", "readonly", "read", "unset", "wait", "getopts", "mapfile"),
        *("readarray", "shift", "return", "exit", "break", "continue", "printf", "ulimit", "compgen"),
    )
)
_SUBSCRIPT = re.compile(r"[A-Za-z_]\w*\[[^\]]*?(?:\$\(|`)")


def judge_subscript(shell: Context, text: str, place: Argument) -> None:
    """Follows the substitutions in `text` where it holds a subscript with one."""
    if "[" in text and ("$(" in text or "`" in text) and _SUBSCRIPT.search(text) is not None:
        shell.shell_text(f': "{text.replace(chr(34), "")}"', place)


def judge_subscripts(shell: Context, arguments: list[Argument]) -> None:
    """The same for each word that one of `EVALUATING` evaluates; `printf` does so with the value of `-v` alone."""
    words = arguments[1:]
    if arguments[0].text == "printf":
        words = words[1:2] if words and words[0].text == "-v" else [word for word in words[:1] if word.text.startswith("-v")]
    for word in words:
        judge_subscript(shell, word.text, word)
