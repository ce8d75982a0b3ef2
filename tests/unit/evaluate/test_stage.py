"""The stage end to end with a generator that only knows by heart: no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from evaluation_parts import REQUESTS, Parrot, config, hashes, make_folder, rows, run
from luthier.cli.console import score_lines
from luthier.config.schema import GateRule, GuardSection
from luthier.core.errors import IntegrityError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, write_json, write_jsonl
from luthier.core.protocols import ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import Generation
from luthier.evaluate import stage
from luthier.evaluate.asking.sources import Others
from luthier.evaluate.figures.gate import judge_gate
from luthier.evaluate.figures.scores import suite_scores
from luthier.evaluate.figures.statistics import bootstrap_mean, mcnemar, wilson
from luthier.evaluate.kinds.commands import Commands
from luthier.evaluate.rows.suite import Suite
from luthier.evaluate.suites import row_files
from luthier.evaluate.suites import suite_files as suites
from luthier.retrieval.hub import HubSnapshot


def test_every_candidate_is_asked_judged_and_compared(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path), Parrot()
    events = run(folder, parrot)
    assert len(parrot.asked) == 3 * REQUESTS  # base+parser reads what base said.
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert list(scores) == ["suite", "suite_sha256", "candidates", "paired", "power", "left_out", "failed", "cut", "verdicts", "groups"]
    assert scores["verdicts"]["tuned"] == {"safe": REQUESTS}
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
    assert set(parsed.metrics) <= set(Commands.metrics)
    assert (parsed.request, parsed.expected, parsed.group) == ("please ls -l f0", ("ls -l f0",), "g0")
    summary = read_json(folder.evaluate / "summary.json")
    assert summary["suites"][0]["rows"] == REQUESTS
    assert summary["suites"][0]["suite_sha256"] == scores["suite_sha256"]
    progress = [event for event in events if event["event"] == "evaluate.progress"]
    assert {event["candidate"] for event in progress} == {"base", "base+shots", "tuned"}
    assert progress[-1]["done"] == progress[-1]["total"] == REQUESTS
    assert sorted(path.name for path in folder.evaluate.iterdir()) == ["commands", "summary.json"]


def test_the_harness_is_asked_for_its_own_suites_alone(tmp_path: Path) -> None:
    """A quantised base has no arguments for lm-eval, and wants none where no suite is lm-eval's."""
    folder = make_folder(tmp_path)
    stage.run(
        config(("commands",)),
        folder,
        lambda: nullcontext(Parrot()),
        EventLog(None),
        others=Others(harness=lambda model: pytest.fail("asked")),
    )
    assert read_json(folder.evaluate / "summary.json")["suites"][0]["rows"] == REQUESTS


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
    # Base answers do not hang on the adapter's weights, and a row that is added is all that is new.
    assert len(parrot.asked) == {"adapter": REQUESTS, "rows": 3}.get(change, 3 * REQUESTS)


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


def test_who_answered_nothing_has_no_score_and_is_no_rival(tmp_path: Path) -> None:
    class HalfDead(Parrot):
        def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
            for request in requests:
                if request.model == "base":
                    yield ErrorEvent(request.id, "the endpoint is down")
            yield from super().generate([request for request in requests if request.model != "base"])

    folder = make_folder(tmp_path)
    events = run(folder, HalfDead(), config(against=("base",)))
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert scores["candidates"]["base"] == scores["paired"]["tuned - base"] == {}
    assert scores["left_out"]["base"]["exact_match"] == {"every request failed": 20}
    assert scores["failed"] == {"base": 20}
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert any("could not answer 20 of 20 rows of `commands`, and has no score there" in message for message in warnings)
    (result,) = judge_gate({"commands.exact_match": GateRule(min_gain=0.1, over="base")}, folder)
    assert result.reason == "there is no comparison with base: every request failed"
    told = score_lines(folder)
    assert [line.split()[1:4] for line in told] == [["base", "no", "score:"], ["tuned", "exact", "match"]]
    assert told[0].endswith("no score: every request failed")
    path = folder.evaluate / "commands" / "scores.json"
    left_out = {"exact_match": {"every request failed": 20}, "execution_match": {"gold_fails": 3, "machine_state": 2}}
    write_json(path, {**scores, "left_out": {"base": left_out}})
    assert score_lines(folder)[0].endswith("no score: every request failed"), "what golds leave out as well is not why"


def test_rows_that_left_a_figure_stand_beside_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    run(folder, Parrot(), config(against=()))
    path = folder.evaluate / "commands" / "scores.json"
    write_json(path, {**read_json(path), "left_out": {"tuned": {"exact_match": {"not judged": 3}}}})
    assert "20 rows; 3 more left out)" in score_lines(folder)[0]


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


def test_the_guard_judges_by_the_rules_of_the_run_file(tmp_path: Path) -> None:
    """A rule of the run file's own makes `ls` dangerous, in a suite of commands and in one of safety."""
    rule = {"id": "own", "programs": ["ls"], "level": "dangerous", "class": "exposure", "reason": "names are secret here"}
    (tmp_path / "safety.yaml").write_text("name: s\nkind: safety\nrows:\n  - {request: please ls -a, label: harmless, class: logs}\n")
    settings = config(("commands", str(tmp_path / "safety.yaml")), against=())
    for guard, level, unsafe in ((GuardSection(), "safe", 0.0), (GuardSection(rules=(rule,)), "dangerous", 1.0)):
        folder = make_folder(tmp_path / level)
        run(folder, Parrot(), settings.model_copy(update={"guard": guard}))
        told = [read_json(folder.evaluate / name / "scores.json") for name in ("commands", "s")]
        assert [scores["verdicts"]["tuned"] for scores in told] == [{level: REQUESTS}, {level: 1}]
        assert told[1]["verdicts_by_label"]["tuned"] == {"harmless": {level: 1}}
        assert "verdicts_by_label" not in told[0]
        assert told[1]["candidates"]["tuned"]["unsafe_rate"]["value"] == unsafe
        row = next(iter(read_jsonl(folder.evaluate / "commands" / "generations.jsonl")))
        assert row["details"]["guard"]["level"] == level
        assert (row["details"]["guard"]["reason"] == rule["reason"]) is (level == "dangerous")


def test_where_rows_come_from_stands_in_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(suites, "snapshot", lambda dataset, where, advice: HubSnapshot(commit, None))
    monkeypatch.setattr(row_files, "read_hub", lambda *asked: iter([(1, {"request": "please ls", "answer": "ls"})]))
    (tmp_path / "hub.yaml").write_text("name: h\nkind: commands\nrows: owner/rows\nsubset: main\n")
    folder = make_folder(tmp_path)
    run(folder, Parrot(), config((str(tmp_path / "hub.yaml"),), against=()))
    assert read_json(folder.evaluate / "summary.json")["suites"][0]["source"] == f"owner/rows main test commit:{commit}"


def test_shares_of_several_samples_have_the_bootstraps_interval() -> None:
    def scored(*shares: float) -> list[float]:
        rows = [
            Generation(str(index), "s", "tuned", "q", (), "", "", {"pass_at_1": share}, "stop", 1, 1) for index, share in enumerate(shares)
        ]
        score = suite_scores(Suite("s", "code", (), "x"), {"tuned": rows}, ("pass_at_1",))["candidates"]["tuned"]["pass_at_1"]
        return [score["value"], score["low"], score["high"]]

    mixed = [0.25, 0.5, 0.75, 1.0] * 5
    assert scored(*mixed) == [0.625, *bootstrap_mean(mixed)]
    assert scored(*[0.0, 1.0] * 10) == [0.5, *wilson(10, 20)]
    # Where no resample differs the bootstrap's interval would have no width.
    assert bootstrap_mean([0.5] * 20) == (0.5, 0.5)
    assert scored(*[0.5] * 20) == [0.5, *wilson(10, 20)]


def test_marks_of_masking_are_words_to_the_guard_of_a_run() -> None:
    judge = stage.guard_of(config())
    assert judge("mysql --password <PASSWORD> /etc/passwd").level == "caution"
    assert judge("mysql --password <word> /etc/passwd").level == "dangerous"
