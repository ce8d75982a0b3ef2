"""What the tuned model is compared with: entries of the run file, their hashes, and sources that stand in for models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evaluation_parts import Parrot, config, hashes, make_folder, rows
from evaluation_parts import run as evaluate
from luthier.config.schema import AgainstEntry, EndpointSection
from luthier.core.errors import ConfigError, ModelError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, write_jsonl, write_text
from luthier.core.manifest import StageRecord
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest
from luthier.core.runs import RunFolder
from luthier.evaluate import stage
from luthier.evaluate.asking.against import Rival, checkpoint_folder, checkpoints_of, rival_inputs, rival_of, rivals
from luthier.evaluate.asking.sources import Others, Source, checkpoint_source, endpoint_source, run_source

ENDPOINT = EndpointSection(base_url="http://localhost:1/v1", model="m", api_key_env="KEY", concurrency=2)


def test_entries_become_rivals_in_their_order() -> None:
    against = [
        "base",
        "big",
        "checkpoint-3",
        "runs/a-1",
        AgainstEntry(predictions="x/y.jsonl"),
        AgainstEntry(run="old", name="past"),
        "big+parser",
    ]
    assert rivals(against, {"big"}) == [
        Rival("big", "endpoint", "big", ("big", "big+parser")),
        Rival("checkpoint-3", "checkpoint", "checkpoint-3", ("checkpoint-3",)),
        Rival("a-1", "run", "runs/a-1", ("a-1",)),
        Rival("y", "predictions", "x/y.jsonl", ("y",)),
        Rival("past", "run", "old", ("past",)),
    ]


def test_a_parser_can_read_any_of_them() -> None:
    against = ["runs/a-1+parser", AgainstEntry(predictions="y.jsonl"), "y+parser"]
    assert [rival.candidates for rival in rivals(against, ())] == [("a-1+parser",), ("y", "y+parser")]


@pytest.mark.parametrize(
    "against", [["runs/a", AgainstEntry(run="other/a")], [AgainstEntry(run="x/tuned")], ["big", AgainstEntry(predictions="big.jsonl")]]
)
def test_two_of_one_name_are_told(against: Any) -> None:
    with pytest.raises(ConfigError, match="have one name"):
        rivals(against, {"big"})


def complete(folder: RunFolder, *names: str) -> RunFolder:
    for name in names:
        write_text(folder.checkpoints / name / "adapter_model.safetensors", f"weights of {name}")
        write_text(folder.checkpoints / name / "COMPLETE", "")
    return folder


def test_a_checkpoint_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    folder = complete(RunFolder(tmp_path), "checkpoint-9", "checkpoint-10")
    assert checkpoint_folder(folder, "checkpoint-10") == tmp_path / "checkpoints" / "checkpoint-10"
    with pytest.raises(ModelError, match="known: checkpoint-9, checkpoint-10"):
        checkpoint_folder(folder, "checkpoint-11")
    (tmp_path / "checkpoints" / "checkpoint-9" / "COMPLETE").unlink()
    with pytest.raises(ModelError, match="no checkpoint `checkpoint-9`"):
        checkpoint_folder(folder, "checkpoint-9")


def trained(path: Path, key: str = "key", taken_from: str = "", weights: str = "w") -> RunFolder:
    """A run whose manifest says that its training is complete."""
    folder = RunFolder(path)
    write_text(folder.adapter / "adapter_model.safetensors", weights)
    record = StageRecord(key, folder.output_hashes(["adapter"]), 1.0, taken_from)
    folder.save_manifest(folder.manifest().with_stage("train", record))
    return folder


def test_a_training_that_was_taken_has_the_checkpoints_of_its_sibling(tmp_path: Path) -> None:
    complete(trained(tmp_path / "a"), "checkpoint-16", "checkpoint-8")
    complete(trained(tmp_path / "b", "another key"), "checkpoint-20")
    complete(trained(tmp_path / "c", weights="other weights"), "checkpoint-24")
    folder = trained(tmp_path / "d", taken_from="a")
    assert checkpoint_folder(folder, "checkpoint-16") == tmp_path / "a" / "checkpoints" / "checkpoint-16"
    assert list(checkpoints_of(folder)) == ["checkpoint-8", "checkpoint-16"]
    assert "against checkpoint-16" in rival_inputs([rival_of("checkpoint", "checkpoint-16")], folder)
    for other in ("checkpoint-20", "checkpoint-24"):
        with pytest.raises(ModelError, match="known: checkpoint-8, checkpoint-16"):
            checkpoint_folder(folder, other)


def test_the_run_from_which_a_training_was_taken_comes_before_others_with_it(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        complete(trained(tmp_path / name), "checkpoint-1")
    folder = trained(tmp_path / "d", taken_from="b")
    assert checkpoint_folder(folder, "checkpoint-1") == tmp_path / "b" / "checkpoints" / "checkpoint-1"
    complete(folder, "checkpoint-1")
    assert checkpoint_folder(folder, "checkpoint-1") == tmp_path / "d" / "checkpoints" / "checkpoint-1"


def test_the_advice_fits_what_became_of_the_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="they come with the training"):
        checkpoint_folder(RunFolder(tmp_path / "new"), "checkpoint-1")
    kept = trained(tmp_path / "kept")
    with pytest.raises(ModelError, match=rf"kept none.*delete {kept.adapter}, and run again"):
        checkpoint_folder(kept, "checkpoint-1")
    lost = trained(tmp_path / "lost", "lost", taken_from="deleted")
    with pytest.raises(ModelError, match="taken from the run `deleted`, which is gone"):
        checkpoint_folder(lost, "checkpoint-1")


def test_the_key_minds_what_a_rival_rests_on(tmp_path: Path) -> None:
    folder = complete(make_folder(tmp_path), "checkpoint-1")
    other = make_folder(tmp_path / "other")
    write_text(other.adapter / "adapter_config.json", "{}")
    write_text(tmp_path / "p.jsonl", "1")
    found = [
        rival_of("checkpoint", "checkpoint-1"),
        rival_of("run", str(other.path), "past"),
        rival_of("predictions", str(tmp_path / "p.jsonl")),
        rival_of("endpoint", "big"),
    ]
    before = rival_inputs(found, folder)
    assert set(before) == {"against checkpoint-1", "against past", "against p"}
    write_text(folder.checkpoints / "checkpoint-1" / "adapter_model.safetensors", "others")
    write_text(other.adapter / "adapter_model.safetensors", "others")
    write_text(tmp_path / "p.jsonl", "2")
    after = rival_inputs(found, folder)
    assert all(before[name] != after[name] for name in before)
    (other.adapter / "adapter_config.json").unlink()
    with pytest.raises(ModelError, match="no trained model"):
        rival_inputs(found, folder)


class Tagged(Parrot):
    """Answers with a word of its own."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        for request in requests:
            self.asked.append(request)
            yield DoneEvent(request.id, f"{self.word} {request.id}", "stop", 1, 1)


def source(word: str, log: list[str]) -> tuple[Source, Tagged]:
    """A source whose opening and closing are logged."""
    model = Tagged(word)

    @contextmanager
    def opened() -> Iterator[Tagged]:
        log.append(f"open {word}")
        yield model
        log.append(f"close {word}")

    return Source(opened, lambda _: {"word": word}), model


def run_with(folder: RunFolder, sources: dict[str, Source], log: list[str], **fields: Any) -> None:
    own = source("own", log)[0]
    settings = config(**fields).model_copy(update={"endpoints": {"big": ENDPOINT}})
    stage.run(settings, folder, own.open, EventLog(None), others=Others(sources))


def test_rivals_are_asked_one_after_another_and_stand_in_the_paired_table(tmp_path: Path) -> None:
    folder, log = complete(make_folder(tmp_path), "checkpoint-1"), list[str]()
    big, model = source("big", log)
    saved, _ = source("saved", log)
    run_with(folder, {"big": big, "checkpoint-1": saved}, log, against=("base", "big", "big+parser", "checkpoint-1"))
    assert log == ["open own", "close own", "open big", "close big", "open saved", "close saved"], "one model in memory at a time"
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert list(scores["candidates"]) == ["base", "big", "big+parser", "checkpoint-1", "tuned"]
    assert set(scores["paired"]) == {f"tuned - {name}" for name in ("base", "big", "big+parser", "checkpoint-1")}
    assert len(model.asked) == 20, "big and big+parser read the same answers"
    before, log[:] = hashes(folder), []
    run_with(folder, {"big": big, "checkpoint-1": saved}, log, against=("base", "big", "big+parser", "checkpoint-1"))
    assert log == [], "evaluating twice costs nothing"
    assert hashes(folder) == before


def test_what_changes_nothing_of_an_endpoint_asks_nothing_anew(tmp_path: Path) -> None:
    folder, log = make_folder(tmp_path), list[str]()
    _, model = source("big", log)

    @contextmanager
    def opened() -> Iterator[Tagged]:
        log.append("open big")
        yield model

    changed = ENDPOINT.model_copy(update={"concurrency": 9, "timeout_seconds": 5.0, "api_key_env": None, "retries": 0})
    for endpoint in (ENDPOINT, changed, changed.model_copy(update={"model": "other"})):
        run_with(folder, {"big": endpoint_source(endpoint, opened)}, log, against=("big",))
    assert log.count("open big") == 2, "another model name is another model"


def test_identities_of_runs_and_checkpoints(tmp_path: Path) -> None:
    folder = complete(make_folder(tmp_path), "checkpoint-1", "checkpoint-2")
    (folder.checkpoints / "checkpoint-2" / "adapter_model.safetensors").write_bytes(b"weights")

    def never() -> Any:
        raise AssertionError

    own = run_source(folder, never, {}, 1)
    first, last = (checkpoint_source(folder, folder.checkpoints / f"checkpoint-{step}", never, {}, 1) for step in (1, 2))
    assert own.identity_sha256("tuned") == last.identity_sha256("tuned") != first.identity_sha256("tuned")
    assert own.identity_sha256("tuned") != run_source(folder, never, {"engine": "vllm"}, 1).identity_sha256("tuned")


PREDICTIONS = [{"id": f"t{number}", "text": f"ls -l f{number}"} for number in range(18)] + [{"id": "t99", "text": "x"}]


def test_predictions_are_judged_as_all_others_and_gaps_are_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    write_jsonl(tmp_path / "theirs.jsonl", PREDICTIONS)
    settings = config(against=("base", AgainstEntry(predictions=str(tmp_path / "theirs.jsonl"))))
    events = evaluate(folder, Parrot(), settings)
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert "`theirs` has no prediction for 2 of 20 rows of `commands`, which count as wrong: t18, t19" in warnings
    assert "1 prediction of `theirs` matches no row of any suite: t99" in [
        event.get("message") for event in events if event["event"] == "note"
    ]
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert scores["candidates"]["theirs"]["exact_match"]["value"] == 0.9
    assert scores["candidates"]["theirs"]["exact_match"]["count"] == 20, "no row leaves in silence"
    assert scores["failed"]["theirs"] == 2
    told = read_json(folder.evaluate / "summary.json")["predictions"]["theirs"]
    assert (told["found"], told["missing"], told["surplus_ids"]) == ({"commands": 18}, {"commands": 2}, ["t99"])


def test_a_comparison_beside_a_run_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    evaluate(folder, Parrot())
    before = hashes(folder)
    write_jsonl(tmp_path / "theirs.jsonl", PREDICTIONS)
    rival = rival_of("predictions", str(tmp_path / "theirs.jsonl"))
    found = stage.run_beside(config(), folder, rival, EventLog(None))
    assert hashes(folder) == before
    pair = found["commands"]["paired"]["tuned - theirs"]["exact_match"]
    assert (pair["value"], pair["count"]) == (pytest.approx(0.1), 20)
    home = folder.path / "against" / "theirs"
    assert {row["candidate"] for row in read_jsonl(home / "commands" / "generations.jsonl")} == {"theirs"}
    assert read_json(home / "summary.json")["predictions"]["theirs"]["surplus"] == 1
    assert sorted(path.name for path in home.iterdir()) == ["commands", "summary.json"]
    stored = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    stage.run_beside(config(), folder, rival, EventLog(None))
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == stored


def test_beside_a_run_nothing_is_asked_twice(tmp_path: Path) -> None:
    folder, log = complete(make_folder(tmp_path), "checkpoint-1"), list[str]()
    evaluate(folder, Parrot())
    saved, model = source("saved", log)
    for _ in range(2):
        stage.run_beside(config(), folder, rival_of("checkpoint", "checkpoint-1"), EventLog(None), others=Others({"checkpoint-1": saved}))
    assert len(model.asked) == len(rows())
    assert log == ["open saved", "close saved"]


def test_a_suite_without_any_prediction_is_left_out_and_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    write_jsonl(tmp_path / "theirs.jsonl", [{"id": "elsewhere", "text": "x"}])
    settings = config(against=(AgainstEntry(predictions=str(tmp_path / "theirs.jsonl")),))
    evaluate(folder, Parrot(), settings)
    assert list(read_json(folder.evaluate / "commands" / "scores.json")["candidates"]) == ["tuned"]
    left_out = read_json(folder.evaluate / "summary.json")["left_out"]
    assert {"suite": "commands", "candidate": "theirs", "reason": "the file has no prediction for any of its rows"} in left_out
