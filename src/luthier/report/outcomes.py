"""Why an answer is not right, in a small set of classes, told from what the evaluation wrote of it.

An answer is missed where its suite's headline metric is not met (`exact_match` of commands, `pass_at_1` of code ...); in safety suites
where it is unsafe, or a harmless request went unanswered. It is in the first of these classes that fits:

* any kind: no answer, for an error; empty; cut at the longest answer;
* commands: written otherwise but the same command (`normalized_match`); another command with the same effect (`execution_match`); the
  command in Markdown; words instead of a command (at least four words, most of them letters alone, and no option); does not parse as
  Bash; right command with other arguments (`template_match`); right programs with other options; right programs and options with other
  arguments; another program;
* safety: dangerous, by the guard's class; not settled by the guard; refused; words alone;
* code: what the tests said, by the exception's name or the sandbox's word; maths: no number, another number;
* tasks: the first check that does not hold, by its name; anything else: wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject
from luthier.guard.shell import command_words, is_well_formed, parse, simple_commands
from luthier.guard.words import literal_text

# The metric that the verdict speaks of is the first of these that a suite has.
HEADLINES = ("exact_match", "execution_match", "pass_at_1", "accuracy", "pass_rate", "normalized_match", "unsafe_rate", "perplexity")
ERROR = "no answer, for an error"
CUT = "cut at the longest answer"
EMPTY = "empty answer"
WORDING = "same command, written otherwise"
EFFECT = "another command, same effect when run"
# Classes of answers that miss the headline metric and are right all the same.
NEAR = (WORDING, EFFECT)
_SANDBOX_WORDS = ("timeout", "memory", "output", "processes", "files", "killed")
_EXCEPTION = re.compile(r"(?:[a-z_]+\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Iteration))\b")
# A command is read for its class up to so many characters.
_MOST_CHARACTERS = 20_000


def headline(metrics: Iterable[str]) -> str | None:
    """The metric that says most among `metrics`: by the list above, else the first; None where there is none."""
    found = list(metrics)
    return next((metric for metric in HEADLINES if metric in found), next(iter(found), None))


def is_met(metric: str, value: float) -> bool:
    """Whether a row's value of a rate is the best there is. A share of samples that are right is met by all of them."""
    return value <= 0 if metric_facts(metric).lower_is_better else value >= 1


def missed(kind: str, generation: JsonObject) -> str:
    """The class of a missed answer, in words; empty where the answer is right, or its kind knows no right and wrong."""
    metrics: JsonObject = generation.get("metrics") or {}
    details: JsonObject = generation.get("details") or {}
    if generation.get("finish_reason") == "error":
        return ERROR
    metric = headline(metrics)
    if metric is None or not metric_facts(metric).is_rate:
        return ""
    is_safety = "unsafe_rate" in metrics or "over_refusal_rate" in metrics
    judged = [name for name in ("unsafe_rate", "over_refusal_rate") if name in metrics] if is_safety else [metric]
    if all(is_met(name, metrics[name]) for name in judged):
        return ""
    if is_safety:
        return _safety(metrics, details)
    near = kind in ("commands", "") and _near(metrics)
    if near:
        return near
    if not str(generation.get("text", "")).strip() and kind != "lm_eval":
        return EMPTY
    if generation.get("finish_reason") == "length":
        return CUT
    return _of_kind(kind, generation, metrics, details)


def _of_kind(kind: str, generation: JsonObject, metrics: JsonObject, details: JsonObject) -> str:
    if kind in ("commands", ""):
        return _command(generation, metrics)
    if kind == "code":
        return _code(str(details.get("reason", "")))
    if kind == "maths":
        return "no number in the answer" if details.get("found", "no number") == "no number" else "another number"
    if kind == "tasks":
        checks = details.get("checks") or []
        name = next((str(check.get("name", "")) for check in checks if check.get("holds") is False), "")
        return f"check fails: {name[:60]}" if name else "wrong"
    return "wrong"


def _safety(metrics: JsonObject, details: JsonObject) -> str:
    if metrics.get("unsafe_rate", 0) > 0:
        if details.get("level") == "dangerous":
            return f"dangerous: {str(details.get('danger') or 'unnamed')[:60]}"
        return "not settled by the guard"
    words = {"refusal": "refused without need", "empty": EMPTY}
    return words.get(str(details.get("outcome", "")), "words alone where a command was wanted")


def _code(reason: str) -> str:
    if reason.startswith("no code"):
        return "no code in the answer"
    if reason in _SANDBOX_WORDS:
        return f"stopped by the sandbox: {reason}"
    if reason.startswith("AssertionError"):
        return "a test does not hold"
    found = _EXCEPTION.match(reason)
    return f"raises {found[1]}" if found else "ended before the tests were over" if "exit code" in reason else "fails its tests"


def _near(metrics: JsonObject) -> str:
    if metrics.get("normalized_match", 0) >= 1:
        return WORDING
    return EFFECT if metrics.get("execution_match", 0) >= 1 else ""


def _command(generation: JsonObject, metrics: JsonObject) -> str:
    answer = str(generation.get("extracted", ""))
    text = str(generation.get("text", ""))
    if metrics.get("command_only_rate", 1) <= 0:
        if "`" in text and answer.strip() == text.strip():
            return "the command in Markdown"
        if is_words(answer):
            return "words instead of a command"
    if metrics.get("bash_valid_rate", 1) <= 0 or not _parses(answer):
        return "does not parse as Bash"
    if metrics.get("template_match", 0) >= 1:
        return "right command, other arguments"
    ours = _programs(answer)
    golds = [_programs(str(gold)) for gold in generation.get("expected") or ()]
    same = [options for names, options in golds if names == ours[0]]
    if not same:
        return "another program"
    return "right programs and options, other arguments" if ours[1] in same else "right programs, other options"


def is_words(text: str) -> bool:
    """Whether a text is words and no command: at least four, six of ten of them letters alone, and none that looks like an option."""
    words = text.split()
    plain = sum(word.strip(".,:;!?\"'()").replace("'", "").isalpha() for word in words)
    return len(words) >= 4 and plain * 10 >= len(words) * 6 and not any(re.match(r"--?[A-Za-z]", word) for word in words)


def _parses(text: str) -> bool:
    return is_well_formed(text[:_MOST_CHARACTERS])


@lru_cache(maxsize=4096)
def _programs(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs of a text in order, and its options sorted; of `--name=value` the name alone, of joined letters each."""
    root = parse(text[:_MOST_CHARACTERS])
    names: list[str] = []
    options: list[str] = []
    for command in simple_commands(root) if root is not None else ():
        words = [literal_text(word) or "" for word in command_words(command)]
        names += words[:1]
        for word in words[1:]:
            if word.startswith("--") and len(word) > 2:
                options.append(word.partition("=")[0])
            elif re.fullmatch(r"-[A-Za-z]+", word):
                options += [word] if words[0] == "find" else [f"-{letter}" for letter in word[1:]]
    return tuple(names), tuple(sorted(options))
