"""Who is asked: the tuned model, its base, and the base helped by a Markdown parser or by examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.candidates import BASE, BASE_PARSER, BASE_SHOTS, PARSER, RUN, TUNED
from luthier.core.files import read_jsonl, sha256_bytes, sha256_json
from luthier.core.protocols import GenerationRequest
from luthier.core.records import INPUT_ROLE, Example, Message
from luthier.evaluate.asking.against import Rival
from luthier.evaluate.rows.conversations import question
from luthier.evaluate.rows.suite import Drawing, SuiteRow


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of answering: a model of one of the run's sources, asked with or without examples, read with or without a Markdown parser."""

    name: str
    model: str
    source: str = RUN
    shots: tuple[Message, ...] = ()
    # The command is looked for in Markdown.
    with_parser: bool = False

    @property
    def asked_as(self) -> str:
        """The candidate whose answers it reads: `base+parser` reads those of `base`."""
        return self.name.removesuffix(PARSER) if self.with_parser else self.name


def candidates(against: Sequence[object], shots: tuple[Message, ...], others: Sequence[Rival] = ()) -> list[Candidate]:
    """The candidates of a run, the tuned model last; those that share answers stand together."""
    known = {
        BASE: Candidate(BASE, BASE),
        BASE_PARSER: Candidate(BASE_PARSER, BASE, with_parser=True),
        BASE_SHOTS: Candidate(BASE_SHOTS, BASE, shots=shots),
    }
    chosen = [known[name] for name in known if name in against and (name != BASE_SHOTS or shots)]
    rivals = [Candidate(name, TUNED, rival.name, with_parser=name != rival.name) for rival in others for name in rival.candidates]
    return [*chosen, *rivals, Candidate(TUNED, TUNED)]


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


def requests_of(candidate: Candidate, rows: Sequence[SuiteRow], drawing: Drawing) -> list[GenerationRequest]:
    """The requests for each row, one for each sample; shots stand between a row's system message and its first turn."""
    requests = []
    for row in rows:
        head = 1 if row.messages[0].role == "system" else 0
        messages = row.messages[:head] + candidate.shots + row.messages[head:]
        for sample in range(drawing.samples):
            requests.append(
                GenerationRequest(
                    id=request_id(row.id, sample),
                    messages=messages,
                    model=candidate.model,
                    tools=row.tools,
                    template=row.template,
                    max_new_tokens=drawing.max_new_tokens,
                    temperature=drawing.temperature,
                    top_p=drawing.top_p,
                    seed=sample_seed(drawing.seed, row.id, sample) if drawing.temperature > 0 else 0,
                )
            )
    return requests


def request_id(row_id: str, sample: int) -> str:
    """The id of the request for one sample of a row; the row's own for the first."""
    return f"{row_id}#{sample}" if sample else row_id


def sample_seed(seed: int, row_id: str, sample: int) -> int:
    """The seed of one sample: 63 bits of a hash, so that neither the order of rows nor their number changes an answer."""
    return int(sha256_bytes(f"{seed}:{row_id}:{sample}".encode("utf-8", "surrogatepass"))[:16], 16) >> 1


def request_key(identity: str, request: GenerationRequest, by_id: bool = False) -> str:
    """What an answer depends on, as one hash: the model and all that it is asked with, but not the suite that the question stands in."""
    return sha256_json(
        {
            "model": identity,
            "messages": [message.to_json() for message in request.messages],
            "tools": list(request.tools),
            "template": request.template,
            "max_new_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "id": request.id if by_id else "",
        }
    )
