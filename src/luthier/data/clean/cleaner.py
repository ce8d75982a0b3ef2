"""Cleaning: every row through the rules of `codes.RULES`, in their order. Equal rows have equal outcomes, however they come in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from luthier.config.row_sections import CleanSection
from luthier.config.schema import GuardSection
from luthier.core.errors import ConfigError, Problem
from luthier.data.clean.contamination import Decontaminator
from luthier.data.clean.language import LANGUAGES, language
from luthier.data.clean.length import long_row, short_answer
from luthier.data.clean.licenses import license_not_allowed
from luthier.data.clean.numbered import with_numbers
from luthier.data.clean.records import Outcome, Row
from luthier.data.clean.schema import RowRule, broken_characters, control_characters, role_order, tool_call, tool_result
from luthier.data.clean.secrets import Masking, masked, masked_by
from luthier.data.clean.shell import ShellRules
from luthier.data.clean.substance import boilerplate, refusal, repetition, template_token, truncated, vague_answer
from luthier.data.clean.view import view
from luthier.data.rows.fields import BadRow
from luthier.data.rows.rejects import CONTAMINATED
from luthier.guard.secrets.known import KnownSecrets
from luthier.guard.secrets.strength import Strength

# The rules on one row, in the order of `codes.RULES`.
ROW_RULES: Mapping[str, RowRule] = {
    "role_order": role_order,
    "tool_result": tool_result,
    "tool_call": tool_call,
    "control_characters": control_characters,
    "broken_characters": broken_characters,
    "license": license_not_allowed,
    "short_answer": short_answer,
    "long_row": long_row,
    "language": language,
    "boilerplate": boilerplate,
    "truncated": truncated,
    "vague_answer": vague_answer,
    "repetition": repetition,
    "refusal": refusal,
    "template_token": template_token,
}
# Counts rows that are kept though their answer, one word, is that of an item.
ONE_WORD = "contaminated:one_word_answers_kept"
# The changes that write marks of e-mail addresses.
_ADDRESSED = frozenset(("personal_data:email", "personal_data:name"))


class Cleaner:
    """Cleans rows under one run's settings. Worker processes make their own with `of`, or are handed a pickled one."""

    def __init__(self, settings: CleanSection | None, guard: GuardSection, decontaminator: Decontaminator | None) -> None:
        self._given = (settings, guard, decontaminator)
        self._settings = settings
        self._decontaminator = decontaminator
        self._rules = tuple((code, rule) for code, rule in ROW_RULES.items() if settings is not None and code not in settings.off)
        if settings is not None and not settings.natural_languages:
            self._rules = tuple(rule for rule in self._rules if rule[0] != "language")
        if settings is not None and CONTAMINATED in settings.off:
            self._decontaminator = None
        self._guard = guard
        self._shell = ShellRules(settings, guard) if settings is not None and settings.shell is not False else None

    @staticmethod
    def of(settings: CleanSection | None, guard: GuardSection, decontaminator: Decontaminator | None = None) -> Cleaner:
        """The cleaner of a run. Without settings it only masks the secrets and personal data of rows that are made, leaves out those with a
        command that the guard rejects, and keeps items of `decontaminator` out.

        `ConfigError` where `natural_languages` names a language that cannot be told or the guard's settings are wrong, `DataError` or
        `MissingExtraError` where a tool that rows of shell are judged with is missing.
        """
        unknown = [name for name in (settings.natural_languages if settings is not None else ()) if name not in LANGUAGES]
        if unknown:
            hint = f"the languages that are told: {', '.join(sorted(LANGUAGES))}"
            raise ConfigError(Problem("this language cannot be told", "clean.natural_languages", ", ".join(unknown), hint=hint))
        return Cleaner(settings, guard, decontaminator)

    def __reduce__(self) -> tuple[type[Cleaner], tuple[CleanSection | None, GuardSection, Decontaminator | None]]:
        return Cleaner, self._given

    def clean(self, rows: Sequence[Row]) -> list[Outcome]:
        """What becomes of each row, in the order of `rows`."""
        outcomes: list[Outcome] = [Outcome(row, self._rejected(row)) for row in rows]
        self._mask(outcomes)
        self._judge_shell(outcomes)
        self._count_passed_over(outcomes)
        return [outcome if outcome.bad is None else replace(outcome, row=None, changes={}) for outcome in outcomes]

    def _count_passed_over(self, outcomes: list[Outcome]) -> None:
        if self._decontaminator is None:
            return
        for index, outcome in enumerate(outcomes):
            if outcome.bad is None and outcome.row is not None and self._decontaminator.passes_over(outcome.row):
                outcomes[index] = replace(outcome, counts={**outcome.counts, ONE_WORD: 1})

    def _rejected(self, row: Row) -> BadRow | None:
        """Why a row is rejected by a rule that asks nothing but the row; None where it passes them all."""
        if self._settings is not None:
            seen = view(row)
            for code, rule in self._rules:
                if (detail := rule(seen, self._settings)) is not None:
                    return BadRow(code, detail)
        if self._decontaminator is not None and (found := self._decontaminator.repeats(row)) is not None:
            return BadRow(CONTAMINATED, f"it repeats the item `{found[1]}` of `{found[0]}`")
        return None

    def _mask(self, outcomes: list[Outcome]) -> None:
        """Masks the rows that are left; one that changed meets the rules once more."""
        places, rows, maskings = [], [], []
        for index, outcome in enumerate(outcomes):
            if outcome.bad is None and outcome.row is not None:
                masking = Masking.of(self._settings, outcome.row)
                if not masking.does_nothing:
                    places.append(index)
                    rows.append(outcome.row)
                    maskings.append(masking)
        for index, given, found in zip(places, rows, masked(rows, maskings, self._strength) if rows else (), strict=True):
            bad = found.bad
            if bad is None and found.changes and found.row is not None:
                bad = self._rejected(found.row)
            changed = found.row
            if bad is None and changed is not None and not _ADDRESSED.isdisjoint(found.changes):
                changed = with_numbers(given, changed)
            outcomes[index] = replace(found, row=changed, bad=bad)

    def clean_again(self, rows: Sequence[Row], known: KnownSecrets) -> list[Outcome]:
        """What becomes of rows that passed, by what other rows and sources gave away since; one that changes meets the rules once more."""
        maskings = [Masking.of(self._settings, row) for row in rows]
        outcomes = masked_by(rows, maskings, known, self._strength)
        return [
            replace(outcome, row=None, changes={}, bad=bad)
            if outcome.changes and outcome.row is not None and (bad := self._rejected(outcome.row)) is not None
            else outcome
            for outcome in outcomes
        ]

    @property
    def _strength(self) -> Strength:
        return self._settings.scanners if self._settings is not None else "fast"

    def _judge_shell(self, outcomes: list[Outcome]) -> None:
        """Judges the commands of the rows that are left; without settings those of rows that are made."""
        left = [
            (index, outcome.row)
            for index, outcome in enumerate(outcomes)
            if outcome.bad is None and outcome.row is not None and (self._settings is not None or outcome.row.is_made)
        ]
        if self._shell is None and self._settings is None and left:
            self._shell = ShellRules(CleanSection(), self._guard)
        if self._shell is None:
            return
        for (index, _), judged in zip(left, self._shell.judged([row for _, row in left]), strict=True):
            outcomes[index] = replace(outcomes[index], bad=judged.bad, counts=judged.counts)
