"""Variants of a row by rule, for small sets: each said otherwise, with the same meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from luthier.config.row_sections import AugmentRule
from luthier.data.augment.argument_names import with_other_names
from luthier.data.augment.flag_order import with_other_flags
from luthier.data.augment.synonyms import in_other_words
from luthier.data.rows.digests import digest_of
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.wording import drawn

Rule = Callable[[Fields, str], Fields | None]

# Names first: a synonym is not taken where the answer has the word, and the answer's words are settled then.
RULES: Mapping[AugmentRule, Rule] = {
    "argument_names": with_other_names,
    "synonyms": in_other_words,
    "flag_order": with_other_flags,
}
# Further draws where one gives a variant that is there already.
_TRIES = 4


def vary(row: Fields, rules: Sequence[AugmentRule], copies: int, seed: int) -> list[tuple[Fields, tuple[AugmentRule, ...]]]:
    """Up to `copies` variants of `row`, each with the names of the rules that changed it, in the order in which they did.

    All hangs on the row, the rules and `seed` alone. No variant equals the row or another one; fewer come where the rules find nothing.
    """
    if any(message.details for message in row.messages):
        return []  # What is trained is named by characters, and a rule moves them.
    wanted = [name for name in RULES if name in rules]
    own = digest_of(row, "")
    parent = own.hex()
    seen = {own}
    found: list[tuple[Fields, tuple[AugmentRule, ...]]] = []
    for copy in range(copies):
        for attempt in range(_TRIES):
            variant, used = _variant(row, wanted, f"{parent}\n{seed}\n{copy}\n{attempt}")
            if used and (key := digest_of(variant, "")) not in seen:
                seen.add(key)
                found.append((variant, used))
                break
    return found


def _variant(row: Fields, rules: Sequence[AugmentRule], key: str) -> tuple[Fields, tuple[AugmentRule, ...]]:
    """The row after some of the rules, drawn by `key`; after all of them where the drawn ones change nothing."""
    chosen = [name for name in rules if drawn(key, "rule", name) % 3]
    for taken in (chosen, rules):
        variant, used = row, list[AugmentRule]()
        for name in taken:
            changed = RULES[name](variant, f"{key}\n{name}")
            if changed is not None:
                variant = changed
                used.append(name)
        if used:
            return variant, tuple(used)
    return row, ()
