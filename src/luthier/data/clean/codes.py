"""The rules of cleaning in the order in which a row meets them: the reason code of each and what it does, in one sentence.

Apart from the rules themselves, because whoever checks a run file or writes the reference needs no scanner and no parser. A row that
redaction changed meets the rules in front of it once more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its reason code, which `off` names, and what it does."""

    code: str
    what: str


RULES = (
    Rule("role_order", "Rejects rows whose turns are out of order: an answer without a request in front, a system turn in the middle."),
    Rule("tool_result", "Rejects rows with a result that belongs to no call: its id is of none, or there are more results than calls."),
    Rule("tool_call", "Rejects rows that call a tool which they do not declare, or with an argument that its schema does not have."),
    Rule(
        "control_characters",
        "Rejects rows with control characters other than line breaks, tabs and form feeds, such as a terminal's colours.",
    ),
    Rule(
        "broken_characters",
        "Rejects rows with replacement characters (U+FFFD), private-use characters, non-characters, hidden tag characters or controls"
        " that turn the order of a line around (U+202A-202E, U+2066-2069).",
    ),
    Rule("license", "Rejects rows whose license is not one of `licenses`, where that names any."),
    Rule("short_answer", "Rejects rows with an answer of fewer than `min_answer_characters`."),
    Rule("long_row", "Rejects rows of more than `max_row_characters`."),
    Rule("language", "Rejects rows whose request is told to be in a language that is not one of `natural_languages`."),
    Rule("boilerplate", "Rejects answers that are a phrase of an assistant and nothing else, or that speak as an AI language model."),
    Rule("truncated", "Rejects answers that are cut off: a code block that is not closed, an end in the middle of a sentence."),
    Rule("vague_answer", "Rejects answers that say nothing: `N/A`, `TODO`, `It depends.`, filler text, the request itself."),
    Rule("repetition", "Rejects answers that go in circles: one word, line or phrase over and over."),
    Rule("refusal", "Rejects answers that decline to answer."),
    Rule("template_token", "Rejects rows in which tokens of a chat template leaked into the text."),
    Rule(
        "contaminated",
        "Rejects rows that repeat an item of a suite of the run or of `decontaminate`, or that ask what `test_datasets` ask.",
    ),
    Rule("secret", "Writes a mark such as `<GITHUB_TOKEN>` over each secret (or rejects the row) and drops rows in which one may be left."),
    Rule("url", "Does with URLs what `urls` says; those with credentials or a private host count as secrets."),
    Rule(
        "personal_data",
        "Writes a mark such as `<EMAIL>` (of several `<EMAIL_1>`) over personal data, rejects the row or leaves it: see `personal_data`.",
    ),
    Rule("shell_syntax", "Rejects answers that are shell and that bash cannot parse."),
    Rule("shellcheck", "Rejects answers that are shell and in which shellcheck finds an error."),
    Rule("dangerous_command", "Rejects rows with a command that the guard's policy rejects."),
)

# What `provenance.json` says of its counts of commands, so that they promise no more than was done.
COMMANDS_LOOKED_AT = (
    "answers and raw text: blocks of shell, lines, prompts, backticks, tool calls, make, Dockerfile, YAML steps, cron, just, package.json,"
    " PowerShell, cmd, diffs, code in HTML, reStructuredText, AsciiDoc and Org, what Python hands to a shell; not: reasoning, other formats"
    " of files, and other calls of programming languages, such as shutil.rmtree"
)


def rule_codes() -> tuple[str, ...]:
    """The reason codes of all rules, in their order."""
    return tuple(rule.code for rule in RULES)
