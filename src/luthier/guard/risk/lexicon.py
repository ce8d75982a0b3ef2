"""The words of `rules/wording.toml`: verbs, tools, and what the options of any program may be called."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache

from luthier.guard.risk.facts import RULES, spec_of

# Options with which a program only shows what it would do.
REHEARSES = spec_of("--dry-run|--dryrun|--simulate|--just-print|--what-if|-WhatIf|--noop|--plan-only|-n=--dry-run|--whatif|--check")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists of `rules/wording.toml`, each under its own name; `opens` are patterns of lines, the others words."""

    reads: frozenset[str]
    everyday: frozenset[str]
    deletes: frozenset[str]
    sensitive: frozenset[str]
    tools: frozenset[str]
    administrators: frozenset[str]
    routine: frozenset[str]
    losses: frozenset[str]
    settings: frozenset[str]
    tellers: frozenset[str]
    uploaders: frozenset[str]
    opens: re.Pattern[str]


@cache
def lexicon() -> Lexicon:
    """What `rules/wording.toml` says."""
    with (RULES / "wording.toml").open("rb") as stream:
        lists = tomllib.load(stream)
    opens = re.compile("|".join(lists.pop("opens")), re.IGNORECASE)
    return Lexicon(**{name: frozenset(words) for name, words in lists.items()}, opens=opens)
