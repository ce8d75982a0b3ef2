"""What cleaning takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from luthier.core.records import Origin
from luthier.data.rows.fields import BadRow, Fields
from luthier.guard.secrets.known import Told


@dataclass(frozen=True, slots=True)
class Row:
    """A row on its way through the rules. `is_made`: it comes from `sources`, and its secrets never pass, whatever the run file says."""

    fields: Fields
    origin: Origin
    template: str = ""
    is_made: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: `row` (perhaps changed) where it is kept, else `bad` with the reason code of the rule that rejected it.

    `changes` counts what was put in place of something else, by `rule:kind` (`secret:github-token`, `personal_data:email`).
    `counts` is what rows of shell are counted by, kept or not: `shell:rows`, `shell:shellchecked`, `shell:shellcheck_passed`; and of rows
    that are kept `shell:asked` (the policy asks a person), `shell:not_settled` (the guard cannot tell what a command would do), and
    commands that are rated dangerous: `shell:dangerous` in its answers, `shell:dangerous_named` in their prose, named in passing, and
    `shell:dangerous_in_requests` in whatever is no answer. `contaminated:one_word_answers_kept` counts rows with an item's answer of one
    word. `told` are the secrets found in the row that others are to know, also where the row is rejected for them.
    """

    row: Row | None
    bad: BadRow | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    told: Sequence[Told] = ()
