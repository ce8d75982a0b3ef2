"""What tests of the evaluation share: a generator that only knows by heart, and a run folder to evaluate. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from luthier.config.schema import EvaluateSection, RunConfig
from luthier.core.events import EventLog
from luthier.core.files import sha256_file, write_jsonl
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, Scored, TokenEvent
from luthier.core.records import Example, JsonObject, Message, Origin
from luthier.core.runs import RunFolder
from luthier.evaluate import stage
from luthier.evaluate.kinds.kind import Bench

REQUESTS = 20


class Parrot:
    """Answers each request from its last message: the base with talk around the command, the tuned model with the command."""

    def __init__(self, die_at: int | None = None, mute: tuple[str, ...] = (), silent: str = "") -> None:
        self.asked: list[GenerationRequest] = []
        self.scored: list[tuple[tuple[Message, ...], str]] = []
        self._die_at, self._mute, self._silent = die_at, mute, silent

    def names(self) -> tuple[str, ...]:
        return ("base", "tuned")

    def score(self, rows: Sequence[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """The base takes two nats for each word, the tuned model one, and half a nat for an answer."""
        self.scored += rows
        nats = 2.0 if model == "base" else 1.0
        return [Scored(-(nats if messages[0].role == "text" else 0.5) * len(text.split()), len(text.split())) for messages, text in rows]

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        for request in reversed(requests):
            self.asked.append(request)
            if self._die_at is not None and len(self.asked) > self._die_at:
                raise KeyboardInterrupt
            if request.id in self._mute:
                yield ErrorEvent(request.id, "too long")
                continue
            if request.id == self._silent:
                continue
            command = request.messages[-1].content.removeprefix("please ")
            text = command if request.model == "tuned" else f"Use this:\n```bash\n{command}\n```"
            if len(request.messages) > 1:
                text = command if int(request.id[1:]) % 2 else "no idea"
            yield TokenEvent(request.id, text)
            yield DoneEvent(request.id, text, "stop", 7, 3)


def rows(count: int = REQUESTS, split: str = "t") -> list[JsonObject]:
    made = []
    for number in range(count):
        messages = (Message("user", f"please ls -l f{number}"), Message("assistant", f"ls -l f{number}"))
        made.append(Example(f"{split}{number}", messages, Origin("test", 1, file="x"), group=f"g{number // 2}").to_json())
    return made


def make_folder(path: Path, test_rows: list[JsonObject] | None = None) -> RunFolder:
    folder = RunFolder(path / "run")
    write_jsonl(folder.split("train"), rows(6, "r"))
    write_jsonl(folder.split("test"), rows() if test_rows is None else test_rows)
    folder.adapter.mkdir()
    (folder.adapter / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def config(suites: Sequence[str] = ("commands",), **evaluate: object) -> RunConfig:
    section = EvaluateSection(suites=tuple(suites), **evaluate)
    return RunConfig(base_model="starter", adapter="lora", learning_rate=1e-3, evaluate=section)


def run(folder: RunFolder, parrot: Parrot, settings: RunConfig | None = None, bench: Bench | None = None) -> list[JsonObject]:
    """Runs the stage; the events."""
    events: list[JsonObject] = []

    @contextmanager
    def open_generator() -> Iterator[Parrot]:
        yield parrot

    stage.run(settings or config(), folder, open_generator, EventLog(None, [events.append]), bench)
    return events


def hashes(folder: RunFolder) -> dict[str, str]:
    return {str(path.relative_to(folder.evaluate)): sha256_file(path) for path in sorted(folder.evaluate.rglob("*")) if path.is_file()}
