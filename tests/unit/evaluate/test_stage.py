"""The stage end to end with a generator that only knows by heart: no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from luthier.config.schema import EvaluateSection, RunConfig
from luthier.core.errors import IntegrityError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, sha256_file, write_json, write_jsonl
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import Example, Generation, JsonObject, Message, Origin
from luthier.core.runs import RunFolder
from luthier.evaluate import stage
from luthier.evaluate.metrics import COMMAND_METRICS
from luthier.evaluate.statistics import mcnemar

REQUESTS = 20


class Parrot:
    """Answers each request from its last message: the base with talk around the command, the tuned model with the command."""

    def __init__(self, die_at: int | None = None, mute: tuple[str, ...] = (), silent: str = "") -> None:
        self.asked: list[GenerationRequest] = []
        self._die_at, self._mute, self._silent = die_at, mute, silent

    def names(self) -> tuple[str, ...]:
        return ("base", "tuned")

    def score(self, rows: object, model: str) -> list[tuple[float, int]]:
        raise NotImplementedError

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


def run(folder: RunFolder, parrot: Parrot, settings: RunConfig | None = None) -> list[JsonObject]:
    """Runs the stage; the events."""
    events: list[JsonObject] = []

    @contextmanager
    def open_generator() -> Iterator[Parrot]:
        yield parrot

    stage.run(settings or config(), folder, open_generator, EventLog(None, [events.append]))
    return events


def hashes(folder: RunFolder) -> dict[str, str]:
    return {str(path.relative_to(folder.evaluate)): sha256_file(path) for path in sorted(folder.evaluate.rglob("*")) if path.is_file()}


def test_every_candidate_is_asked_judged_and_compared(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path), Parrot()
    events = run(folder, parrot)
    assert len(parrot.asked) == 3 * REQUESTS  # base+parser reads what base said.
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert list(scores) == ["suite", "suite_sha256", "candidates", "paired"]
    assert list(scores["candidates"]) == ["base", "base+parser", "base+shots", "tuned"]
    exact = {name: metrics["exact_match"] for name, metrics in scores["candidates"].items()}
    assert [exact[name]["value"] for name in exact] == [0.0, 1.0, 0.5, 1.0]
    assert list(exact["tuned"]) == ["value", "low", "high", "count"]
    assert exact["tuned"]["count"] == REQUESTS
    assert scores["candidates"]["base"]["command_only_rate"]["value"] == 0.0
    assert list(scores["paired"]) == ["tuned - base", "tuned - base+parser", "tuned - base+shots"]
    paired = scores["paired"]["tuned - base"]["exact_match"]
    assert paired == {"value": 1.0, "low": pytest.approx(0.025 ** (1 / 10)), "high": 1.0, "p": mcnemar(REQUESTS, 0), "count": REQUESTS}
    assert scores["paired"]["tuned - base+shots"]["exact_match"]["p"] == mcnemar(10, 0)
    generations = [Generation.from_json(row) for row in read_jsonl(folder.evaluate / "commands" / "generations.jsonl")]
    assert len(generations) == 4 * REQUESTS
    parsed = next(row for row in generations if row.candidate == "base+parser")
    assert (parsed.text, parsed.extracted) == ("Use this:\n```bash\nls -l f0\n```", "ls -l f0")
    assert set(parsed.metrics) <= set(COMMAND_METRICS)
    assert (parsed.request, parsed.expected, parsed.group) == ("please ls -l f0", ("ls -l f0",), "g0")
    summary = read_json(folder.evaluate / "summary.json")
    assert summary["suites"][0]["rows"] == REQUESTS
    assert summary["suites"][0]["suite_sha256"] == scores["suite_sha256"]
    progress = [event for event in events if event["event"] == "evaluate.progress"]
    assert {event["candidate"] for event in progress} == {"base", "base+shots", "tuned"}
    assert progress[-1]["done"] == progress[-1]["total"] == REQUESTS
    assert not list(folder.evaluate.rglob("partial"))


def test_shots_are_training_rows_before_the_request(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path), Parrot()
    run(folder, parrot, config(against=("base+shots",), shots=3))
    shown = [request for request in parrot.asked if request.model == "base"]
    assert {len(request.messages) for request in shown} == {7}
    assert len({request.messages[:6] for request in shown}) == 1
    training = {row["messages"][0]["content"] for row in rows(6, "r")}
    assert {message.content for message in shown[0].messages[:6:2]} <= training


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = make_folder(tmp_path / "one"), make_folder(tmp_path / "two")
    run(one, Parrot())
    run(two, Parrot())
    assert hashes(one) == hashes(two)


@pytest.mark.parametrize("die_at", [0, 5, REQUESTS, 2 * REQUESTS + 7])
def test_a_broken_off_run_ends_with_the_same_bytes(tmp_path: Path, die_at: int) -> None:
    straight, broken = make_folder(tmp_path / "one"), make_folder(tmp_path / "two")
    run(straight, Parrot())
    with pytest.raises(KeyboardInterrupt):
        run(broken, Parrot(die_at))
    second = Parrot()
    run(broken, second)
    assert len(second.asked) == 3 * REQUESTS - die_at // REQUESTS * REQUESTS
    assert hashes(broken) == hashes(straight)


def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    run(folder, Parrot())
    before = hashes(folder)
    again = Parrot()
    run(folder, again)
    assert (again.asked, hashes(folder)) == ([], before)
    write_jsonl(tmp_path / "rows.jsonl", [{"request": "please pwd", "answer": "pwd", "id": "x1"}])
    (tmp_path / "more.yaml").write_text("name: more\nkind: commands\nrows: rows.jsonl\n")
    run(folder, again, config(("commands", str(tmp_path / "more.yaml"))))
    assert {request.id for request in again.asked} == {"x1"}
    assert read_json(folder.evaluate / "more" / "scores.json")["candidates"]["tuned"]["exact_match"]["value"] == 1.0
    run(folder, Parrot())
    assert not (folder.evaluate / "more").exists()
    assert hashes(folder) == before


@pytest.mark.parametrize("change", ["adapter", "plan", "rows", "max_new_tokens", "generations"])
def test_a_change_asks_again(tmp_path: Path, change: str) -> None:
    folder = make_folder(tmp_path)
    run(folder, Parrot())
    settings = config()
    if change == "adapter":
        (folder.adapter / "adapter_model.safetensors").write_bytes(b"other")
    elif change == "plan":
        write_json(folder.plan_json, {"device": "cpu", "dtype": "bfloat16"})
    elif change == "rows":
        write_jsonl(folder.split("test"), rows(REQUESTS + 1))
    elif change == "max_new_tokens":
        settings = config(max_new_tokens=9)
    else:
        path = folder.evaluate / "commands" / "generations.jsonl"
        path.write_text(path.read_text().replace("f1", "f2"))
    parrot = Parrot()
    run(folder, parrot, settings)
    assert len(parrot.asked) == 3 * (REQUESTS + (change == "rows"))


def test_without_test_rows_the_suite_is_left_out_with_a_reason(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path, []), Parrot()
    events = run(folder, parrot)
    summary = read_json(folder.evaluate / "summary.json")
    assert summary["suites"] == []
    assert summary["left_out"][0]["suite"] == "commands"
    assert "no test rows" in summary["left_out"][0]["reason"]
    assert any(event["event"] == "note" and "no test rows" in event["message"] for event in events)
    assert not parrot.asked
    assert not (folder.evaluate / "commands").exists()


def test_without_training_rows_there_are_no_shots(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    write_jsonl(folder.split("train"), [])
    events = run(folder, Parrot())
    assert "base+shots" not in read_json(folder.evaluate / "commands" / "scores.json")["candidates"]
    assert read_json(folder.evaluate / "summary.json")["left_out"][0]["candidate"] == "base+shots"
    assert any("base+shots" in event.get("message", "") for event in events)


def test_a_request_that_fails_counts_as_wrong_and_is_said(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    events = run(folder, Parrot(mute=("t3", "t4")))
    tuned = read_json(folder.evaluate / "commands" / "scores.json")["candidates"]["tuned"]
    assert all(score["value"] == 0.9 for score in tuned.values())
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert any("tuned could not answer 2 of 20" in message and "too long" in message for message in warnings)
    failed = [row for row in read_jsonl(folder.evaluate / "commands" / "generations.jsonl") if row["finish_reason"] == "error"]
    assert len(failed) == 8


def test_a_request_without_an_end_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the first t3"):
        run(make_folder(tmp_path), Parrot(silent="t3"))


def test_without_bash_its_metric_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = make_folder(tmp_path)
    run(folder, Parrot())
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert "bash_valid_rate" not in scores["candidates"]["tuned"]
    assert "bash_valid_rate" not in scores["paired"]["tuned - base"]
    assert read_json(folder.evaluate / "summary.json")["left_out"][0]["metric"] == "bash_valid_rate"
