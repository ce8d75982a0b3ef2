"""Who is asked: the tuned model, its base, and the base helped by a Markdown parser or by examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.files import read_jsonl, sha256_bytes, sha256_json
from luthier.core.protocols import GenerationRequest
from luthier.core.records import INPUT_ROLE, Example, Message
from luthier.evaluate.rows import SuiteRow, question

TUNED = "tuned"
SHOTS = "base+shots"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of answering. `source` is the candidate whose generations it judges: `base+parser` reads those of `base`."""

    name: str
    source: str
    model: str
    shots: tuple[Message, ...] = ()


def candidates(against: Sequence[str], shots: tuple[Message, ...]) -> list[Candidate]:
    """The candidates of a run, the tuned model last; those that share generations stand together."""
    known = {
        "base": Candidate("base", "base", "base"),
        "base+parser": Candidate("base+parser", "base", "base"),
        SHOTS: Candidate(SHOTS, SHOTS, "base", shots),
    }
    chosen = [known[name] for name in known if name in against and (name != SHOTS or shots)]
    return [*chosen, Candidate(TUNED, TUNED, "tuned")]


def choose_shots(path: Path, count: int, seed: int) -> tuple[Message, ...]:
    """`count` training rows as turns, request and answer in turn; fewer where the file has fewer that fit, none where it is absent.

    A row fits when it is one request with one answer. Rows are taken in the order of a hash of seed and id, one of each group before a
    second of any, so that the choice is even and does not change when other rows are added.
    """
    if not path.is_file():
        return ()
    fitting: list[tuple[str, SuiteRow]] = []
    for stored in read_jsonl(path):
        row = question(Example.from_json(stored))
        if isinstance(row, SuiteRow) and not row.tools and [message.role for message in _turns(row)] in (["user"], ["user", INPUT_ROLE]):
            fitting.append((sha256_bytes(f"{seed}:{row.id}".encode("utf-8", "surrogatepass")), row))
    fitting.sort(key=lambda pair: pair[0])
    seen: set[str] = set()
    first: list[SuiteRow] = []
    further: list[SuiteRow] = []
    for _, row in fitting:
        (further if row.group and row.group in seen else first).append(row)
        seen.add(row.group)
    turns: list[Message] = []
    for row in (first + further)[:count]:
        turns += [*_turns(row), Message("assistant", row.expected[0])]
    return tuple(turns)


def _turns(row: SuiteRow) -> list[Message]:
    return [message for message in row.messages if message.role != "system"]


def requests_of(candidate: Candidate, rows: Sequence[SuiteRow], max_new_tokens: int) -> list[GenerationRequest]:
    """One greedy request for each row; shots stand between a row's system message and its first turn."""
    requests = []
    for row in rows:
        head = 1 if row.messages[0].role == "system" else 0
        messages = row.messages[:head] + candidate.shots + row.messages[head:]
        requests.append(GenerationRequest(row.id, messages, candidate.model, row.tools, row.template, max_new_tokens))
    return requests


def answer_key(candidate: Candidate, suite_sha256: str, model_identity: str, max_new_tokens: int) -> str:
    """What a candidate's generations depend on, as one hash."""
    return sha256_json(
        {
            "candidate": candidate.source,
            "suite": suite_sha256,
            "model": model_identity,
            "shots": [message.to_json() for message in candidate.shots],
            "max_new_tokens": max_new_tokens,
        }
    )
