"""The kinds of suites by name. A new kind is a module beside this one and a line here."""

from __future__ import annotations

from luthier.evaluate.kinds.code import Code
from luthier.evaluate.kinds.commands import Commands
from luthier.evaluate.kinds.kind import Kind, KindFacts, ScoringKind
from luthier.evaluate.kinds.lm_eval import Harness
from luthier.evaluate.kinds.maths import Maths
from luthier.evaluate.kinds.safety import Safety
from luthier.evaluate.kinds.tasks import Tasks
from luthier.evaluate.kinds.texts import Texts

ASKING: dict[str, Kind] = {kind.name: kind for kind in (Commands(), Code(), Maths(), Safety(), Tasks())}
SCORING: dict[str, ScoringKind] = {kind.name: kind for kind in (Texts("perplexity"), Texts("retention"))}
# Kinds whose rows and judgements another program brings.
HARNESS: dict[str, KindFacts] = {kind.name: kind for kind in (Harness(),)}
# Kinds that ask or score the run's own test rows where a suite names none.
OWN_ROWS = frozenset({"commands", "perplexity"})


def kinds() -> tuple[str, ...]:
    """The names of all kinds."""
    return (*ASKING, *SCORING, *HARNESS)


def kind_of(name: str) -> KindFacts:
    """The kind `name`."""
    found: dict[str, KindFacts] = {**ASKING, **SCORING, **HARNESS}
    return found[name]
