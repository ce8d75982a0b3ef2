"""What one answer is worth: metrics of shell commands, each 0 or 1 for a row. No metric runs a command, and none raises on any text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from luthier.evaluate.instruments.shape import shape
from luthier.guard.lint import LONGEST_BYTES, lint
from luthier.guard.shell import command_words, has_comment, normalized, parse, simple_commands
from luthier.guard.shown.placeholders import marks_as_words
from luthier.guard.words import EXPANSIONS, Word, literal_text

_NAME = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~+@%:-]*|\[|:")
_TITLE_CASE = re.compile(r"[A-Z][a-z']*")
_PROGRAMS_IN_TITLE_CASE = frozenset(("Rscript", "Xorg", "Xvfb", "Xephyr", "Xnest", "Xwayland", "R", "X"))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that begin an English sentence and name no program of a usual system.
_OPENERS = _words(
    """a an and answer can check could enter execute first for hello hi i if in it no not of ok okay or please run should
    simply so sorry sure that the then there these this those to try use used using with would you your"""
)
_FUNCTION_WORDS = _words("a an and are be can for in is it of that the this will with you your")
# Programs that do nothing but say their arguments.
SPEAKERS = _words("cowsay echo printf say")
# Programs whose arguments are prose by nature.
_GIVEN_PROSE = SPEAKERS | _words("""espeak wall notify-send logger figlet banner toilet git svn hg zenity dialog whiptail at man apropos""")


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """1 where the answer is one of the accepted ones, white space at the ends aside."""
    return float(answer.strip() in {text.strip() for text in accepted})


def normalized_match(answer: str, accepted: Sequence[str]) -> float:
    """1 where the answer and an accepted one share a normalized form: see `guard.shell.normalized`."""
    return float(exact_match(answer, accepted) or normalized(answer) in {normalized(text) for text in accepted})


def command_only(answer: str) -> float:
    """1 where the answer is one line of shell and nothing else. All of this must hold, white space at the ends aside:

    1. it is not empty, has no control character, and is one line once line continuations are joined;
    2. it has no Markdown: no fence, not all of it in backticks, no `$ ` prompt in front;
    3. it parses with no error, and no comment stands in it;
    4. every program in it is named by a plausible word: letters, digits and `_ . / ~ + @ % : -`, not ending in `: , ; ? !`
       or, after a letter or digit, in a full stop; or an expansion names it;
    5. it is no English sentence: the first program's name is no word that opens one (`use`, `the`, `to` ...), no title-case word
       such as `List` that has arguments (`Rscript` and its like aside), and its arguments hold at most one function word
       (`the`, `of`, `is` ...) unless the program is one that is given prose, such as `echo` or `git`.
    """
    text = answer.strip().replace("\\\n", "")
    if not text or any(ord(character) < 32 and character != "\t" for character in text):
        return 0.0
    if "```" in text or text.startswith("$ ") or (text[0] == "`" and text[-1] == "`"):
        return 0.0
    script = parse(text)
    if script is None or has_comment(script):
        return 0.0
    commands = [command_words(command) for command in simple_commands(script)]
    names = [_written_name(words[0]) for words in commands if words]
    if not all(name is None or _is_plausible_name(name) for name in names):
        return 0.0
    arguments = [literal_text(word) or "" for word in commands[0][1:]] if commands else []
    return float(not (names and names[0] is not None and _is_sentence(names[0], arguments)))


def _written_name(word: Word) -> str | None:
    """The name of a program without quotes; None where an expansion decides it."""
    return None if any(part.kind in EXPANSIONS for part in word) else "".join(part.text for part in word)


def _is_plausible_name(name: str) -> bool:
    if name in (".", "..", "[", ":"):
        return True
    if not _NAME.fullmatch(name) or name[-1] in ":,;?!":
        return False
    return not (name[-1] == "." and (name[-2].isalnum()))


def _is_sentence(name: str, arguments: Sequence[str]) -> bool:
    if name.lower() in _OPENERS:
        return True
    if _TITLE_CASE.fullmatch(name) and arguments and name not in _PROGRAMS_IN_TITLE_CASE:
        return True
    return name not in _GIVEN_PROSE and len(_FUNCTION_WORDS.intersection(arguments)) > 1


def template_match(answer: str, accepted: Sequence[str]) -> float:
    """1 where the answer and an accepted one share a shape: see `instruments.shape`."""
    return float(exact_match(answer, accepted) or shape(answer) in {shape(text) for text in accepted})


def command_metrics(answers: Sequence[str], accepted: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """What every answer is worth as a text, against its accepted ones."""
    return [
        {
            "exact_match": exact_match(answer, texts),
            "normalized_match": normalized_match(answer, texts),
            "template_match": template_match(answer, texts),
            "command_only_rate": command_only(answer),
        }
        for answer, texts in zip(answers, accepted, strict=True)
    ]


# The linters whose word is read.
_LINTERS = ("bash", "shellcheck")


def lint_metrics(answers: Sequence[str]) -> list[tuple[dict[str, float], dict[str, str]]]:
    """For each answer what `bash -n` and shellcheck say of it, and why a tool says nothing.

    `shellcheck_rate` is 1 where shellcheck finds no error and no warning; what it only informs of or finds of poor style does not count.
    Marks of masking (`<PASSWORD>`) are words, as they were where the rows were cleaned.
    """
    found = []
    for answer, result in zip(answers, lint([*map(marks_as_words, answers)], tools=_LINTERS), strict=True):
        metrics: dict[str, float] = {}
        if result.bash_valid is not None:
            metrics["bash_valid_rate"] = float(result.bash_valid)
        if result.shellcheck is not None:
            metrics["shellcheck_rate"] = float(not any(finding.level in ("error", "warning") for finding in result.shellcheck))
        left_out = {}
        for tool, metric in (("bash", "bash_valid_rate"), ("shellcheck", "shellcheck_rate")):
            if tool in result.missing:
                left_out[metric] = f"no {tool} on this machine"
            elif tool in result.failed:
                too_long = tool == "shellcheck" and len(answer.encode("utf-8", "replace")) > LONGEST_BYTES
                longest = f"not checked: {tool} is handed no answer of more than {LONGEST_BYTES >> 10} KiB"
                left_out[metric] = longest if too_long else f"not checked: {tool} did not end on the answer"
        found.append((metrics, left_out))
    return found
