"""A suite: its rows, each a question with the answers that are accepted, and how answers to them are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from luthier.core.files import sha256_bytes
from luthier.core.records import JsonObject, JsonValue, Message


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One question. `messages` end before the answer; `expected` are the accepted answers, the first one the reference.

    `check` is what the suite's kind judges by beside them: tests, checks, a label; a text under `class` in it groups rows in the report.
    """

    id: str
    messages: tuple[Message, ...]
    expected: tuple[str, ...]
    tools: tuple[JsonObject, ...] = ()
    template: str = ""
    group: str = ""
    check: JsonObject = field(default_factory=dict)

    @property
    def request(self) -> str:
        """The last thing said before the answer."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Drawing:
    """How answers are drawn. `temperature` 0 is greedy; otherwise each sample of a row has a seed of its own."""

    max_new_tokens: int
    seed: int = 0
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Questions of one kind. `skipped` counts rows that ask nothing, by reason; `sha256` names the questions and how they are judged.

    `fields` are the further keys of the suite file that its kind knows; those that name a file hold its path.
    `max_new_tokens` None leaves it to the run. `limit` is for kinds whose rows another program brings; elsewhere the rows are drawn.
    `source` names data set, part and commit of rows from the hub. `lower_is_better` says of metrics that another program brings which way
    is better.
    """

    name: str
    kind: str
    rows: tuple[SuiteRow, ...]
    sha256: str
    skipped: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    max_new_tokens: int | None = None
    limit: int | None = None
    source: str = ""
    lower_is_better: Mapping[str, bool] = field(default_factory=dict)

    def drawing(self, max_new_tokens: int, seed: int) -> Drawing:
        """How its answers are drawn: greedily, unless the suite asks for several samples of each.

        Several are drawn at temperature 0.8 and top-p 0.95 where the suite file says nothing: those of Chen et al., "Evaluating large
        language models trained on code" (2021), section 3.2, for many samples.
        """
        samples = int(self.fields.get("samples", 1))
        temperature = float(self.fields.get("temperature", 0.8 if samples > 1 else 0.0))
        top_p = float(self.fields.get("top_p", 0.95 if samples > 1 else 1.0))
        return Drawing(self.max_new_tokens or max_new_tokens, seed, samples, temperature, top_p)


def sample(rows: Sequence[SuiteRow], limit: int | None, seed: int) -> list[SuiteRow]:
    """At most `limit` rows in the order of the file, drawn by a hash of seed and id: equal draws whatever else changes."""
    if limit is None or limit >= len(rows):
        return list(rows)
    drawn = sorted(rows, key=lambda row: sha256_bytes(f"{seed}:{row.id}".encode("utf-8", "surrogatepass")))[:limit]
    chosen = {row.id for row in drawn}
    return [row for row in rows if row.id in chosen]
