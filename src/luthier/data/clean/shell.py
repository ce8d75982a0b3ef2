"""The rules of shell over rows: parsed by bash, linted by shellcheck, rated by the command guard. Which commands: `row_commands`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from luthier.config.row_sections import CleanSection, ShellSection
from luthier.config.schema import GuardSection
from luthier.core.errors import DataError, MissingExtraError, Problem
from luthier.data.clean.records import Row
from luthier.data.clean.row_commands import Commands, commands_of, is_quoted, named_in_answers, shown_in_answers, shown_in_requests
from luthier.data.rows.fields import BadRow
from luthier.guard.lint import LintResult, lint, tool_path
from luthier.guard.policy import Policy
from luthier.guard.risk.levels import Verdict
from luthier.guard.settings import guard_settings
from luthier.guard.shown.build_files import in_image
from luthier.guard.shown.placeholders import marks_as_words, slots_as_words
from luthier.guard.verdict import judge

SHELL_SYNTAX, SHELLCHECK, DANGEROUS_COMMAND = "shell_syntax", "shellcheck", "dangerous_command"
_CACHED_VERDICTS = 50_000


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of a row: why it is rejected, None where it is kept, and what was counted."""

    bad: BadRow | None
    counts: Mapping[str, int] = field(default_factory=dict)


def _tools(settings: CleanSection) -> list[str]:
    """The tools that the settings ask for."""
    section = settings.shell or ShellSection()
    asked = (
        ("bash", section.parse and SHELL_SYNTAX not in settings.off),
        ("shellcheck", section.shellcheck and SHELLCHECK not in settings.off),
    )
    return [tool for tool, is_asked in asked if is_asked]


def absent_tools(settings: CleanSection) -> list[str]:
    """The tools by which rows of shell are to be judged and that this machine does not have."""
    return [tool for tool in _tools(settings) if tool_path(tool) is None]


class ShellRules:
    """The rules of shell under one run's settings.

    Where `clean.shell` stands in the run file, `MissingExtraError` or `DataError` tells a missing tool; by default it is done without.
    """

    def __init__(self, settings: CleanSection, guard: GuardSection) -> None:
        section = settings.shell or ShellSection()
        absent = absent_tools(settings)
        if settings.shell is not None and "shellcheck" in absent:
            raise MissingExtraError("shellcheck", "guard", "the linter of shell")
        if settings.shell is not None and "bash" in absent:
            hint = "install bash, or write `clean: {shell: {parse: false}}`"
            raise DataError(Problem("no bash on this machine, which rows of shell are parsed by", where="clean.shell.parse", hint=hint))
        self._which = section.rows
        self._tools = [tool for tool in _tools(settings) if tool not in absent]
        self._parses, self._lints = "bash" in self._tools, "shellcheck" in self._tools
        self._rejects = section.risk == "reject" and DANGEROUS_COMMAND not in settings.off
        found = guard_settings(guard.model_dump())
        self._policy: Policy = found.policy
        self._judge: Callable[[str], Verdict] = lru_cache(maxsize=_CACHED_VERDICTS)(lambda command: judge(command, found.settings))

    def judged(self, rows: Sequence[Row]) -> list[Judged]:
        """What is found of each row."""
        commands = [commands_of(row, self._which) for row in rows]
        asked = [(index, found.answer) for index, found in enumerate(commands) if found is not None and found.answer is not None]
        linted: dict[int, LintResult] = {}
        if self._tools and asked:
            results = lint([slots_as_words(answer) for _, answer in asked], tools=self._tools)
            linted = {index: result for (index, _), result in zip(asked, results, strict=True)}
        return [
            self._one(row, self._with_shown(found, row), linted.get(index))
            for index, (row, found) in enumerate(zip(rows, commands, strict=True))
        ]

    def _with_shown(self, found: Commands | None, row: Row) -> Commands | None:
        """The commands with those that are shown line by line or carried by other files: behind a prompt all, else the dangerous ones.

        Of those that a block of another form carries also what the policy rejects by name, though it cannot be told what it would do.
        """
        rated = found.rated if found is not None else ()
        known = frozenset(rated)
        more = tuple(
            dict.fromkeys(
                one.text
                for one in shown_in_answers(row)
                if one.text not in known
                and (one.is_sure or self._is_dangerous(one.text, row) or (one.is_carried and self._is_refused(one.text, row)))
            )
        )
        if not more:
            return found
        return Commands(None, more) if found is None else replace(found, rated=(*rated, *more))

    def _one(self, row: Row, found: Commands | None, result: LintResult | None) -> Judged:
        counts: Counter[str] = Counter()
        bad = self._linted(result, counts)
        if found is not None:
            counts["shell:rows"] = 1
            bad = bad or self._risk(found, counts, row)
        if bad is None:
            counts["shell:dangerous_named"] = self._dangerous(named_in_answers(row), row)
            counts["shell:dangerous_in_requests"] = self._dangerous(shown_in_requests(row), row)
        return Judged(bad, {name: count for name, count in sorted(counts.items()) if count})

    def _linted(self, result: LintResult | None, counts: Counter[str]) -> BadRow | None:
        """Why the row is rejected for what bash and shellcheck say of its answer."""
        if result is None:
            return None
        bad = None
        if self._parses and not result.bash_valid:
            bad = BadRow(SHELL_SYNTAX, "bash cannot parse it" if result.bash_valid is False else "bash did not come to an end with it")
        if self._lints:
            errors = [] if result.shellcheck is None else sorted({item.code for item in result.shellcheck if item.level == "error"})
            counts["shell:shellchecked"] = 1
            counts["shell:shellcheck_passed"] = int(result.shellcheck is not None and not errors)
            if bad is None and not counts["shell:shellcheck_passed"]:
                codes = ", ".join(f"SC{code}" for code in errors)
                bad = BadRow(SHELLCHECK, f"shellcheck finds errors: {codes}" if codes else "shellcheck did not come to an end with it")
        return bad

    def _risk(self, found: Commands, counts: Counter[str], row: Row) -> BadRow | None:
        """Why the row is rejected for what a command of it does."""
        dangerous: list[str] = []
        for command in found.rated:
            verdicts = [self._judge(text) for text in _readings(command, row)]
            if command in found.in_images:
                verdicts = [self._judge(in_image(verdict.command)) if verdict.level == "dangerous" else verdict for verdict in verdicts]
            for verdict in verdicts:
                action = self._policy.action(verdict)
                if action == "reject" and self._rejects:
                    counts["shell:asked"] = counts["shell:not_settled"] = 0  # Of rows that are kept.
                    return BadRow(DANGEROUS_COMMAND, f"the guard rates a command as {verdict.level}: {verdict.danger}")
                counts["shell:asked"] |= int(action == "ask")
                counts["shell:not_settled"] |= int(verdict.level == "unknown")
            if any(verdict.level == "dangerous" for verdict in verdicts):
                dangerous.append(command)
        counts["shell:dangerous"] = _how_many(dangerous)
        return None

    def _is_dangerous(self, command: str, row: Row) -> bool:
        return any(self._judge(text).level == "dangerous" for text in _readings(command, row))

    def _is_refused(self, command: str, row: Row) -> bool:
        verdicts = [self._judge(text) for text in _readings(command, row)]
        return any(verdict.level == "unknown" and self._policy.action(verdict) == "reject" for verdict in verdicts)

    def _dangerous(self, commands: Iterable[str], row: Row) -> int:
        return _how_many([command for command in dict.fromkeys(commands) if self._is_dangerous(command, row)])


def _readings(command: str, row: Row) -> Collection[str]:
    """The ways in which a command is rated: marks of masking are words, and so are slots of documentation, in a source for sure."""
    if "<" not in command:
        return (command,)
    filled_in = slots_as_words(command)
    return (filled_in,) if is_quoted(row) else dict.fromkeys((marks_as_words(command), filled_in))


def _how_many(commands: Sequence[str]) -> int:
    """The number of commands, one within another not counted twice: a script and its line, a sentence and the command in it."""
    least: list[str] = []
    for command in sorted(set(commands), key=len):
        if not any(one in command for one in least):
            least.append(command)
    return len(least)
