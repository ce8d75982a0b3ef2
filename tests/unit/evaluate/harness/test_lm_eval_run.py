"""lm-eval's tasks: what its result becomes, and what happens without it. The harness itself runs where it is installed."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation_parts import config, make_folder
from luthier.cli.console import Progress
from luthier.config.schema import GateRule
from luthier.core.errors import ConfigError, LuthierError, UserError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, write_jsonl
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate import stage
from luthier.evaluate.asking.candidates import Candidate
from luthier.evaluate.asking.sources import Others
from luthier.evaluate.figures.gate import gate_problems, judge_gate
from luthier.evaluate.harness import lm_eval_run
from luthier.evaluate.kinds.lm_eval import corpus_figures, lower_is_better, read_result
from luthier.evaluate.rows.suite import Suite
from luthier.evaluate.suites.suite_files import read_suite_file
from luthier.report.glance import tone_of
from luthier.report.reading import read_run
from luthier.report.results import comparison

STARTER = Path(__file__).parents[4] / "src" / "luthier" / "assets" / "starter"


def sample(number: int, **values: object) -> JsonObject:
    """A sample in the form that lm-eval 0.4.13 logs."""
    return {
        "doc_id": number,
        "doc": {"question": f"q{number}"},
        "target": 0,
        "arguments": [[f"Question: q{number}\nAnswer:", " a"], [f"Question: q{number}\nAnswer:", " b"]],
        "resps": [[[-2.4, False]], [[-4.5, False]]],
        "filtered_resps": [[-2.4, False], [-4.5, False]],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": 1.0,
        "acc_norm": 0.0,
        **values,
    }


def result(right: int = 3) -> JsonObject:
    chosen = [sample(number, acc=float(number < right)) for number in range(4)]
    written = sample(
        0, metrics=["exact_match"], exact_match=1, arguments=[["Compute", {"until": ["\n"]}]], filtered_resps=["4"], filter="strict"
    )
    other = {**written, "filter": "flexible-extract", "exact_match": 0}
    return {"samples": {"tiny_choice": chosen, "gsm": [written, other]}, "results": {}}


def test_samples_become_rows() -> None:
    pairs = read_result(result())
    assert [row.id for row, _ in pairs] == [*(f"tiny_choice:{number}" for number in range(4)), "gsm:0"]
    row, judged = pairs[3]
    assert (row.request, row.expected, row.check, judged.extracted) == ("Question: q3\nAnswer:", ("0",), {"class": "tiny_choice"}, "")
    assert judged.metrics == {"acc": 0.0, "acc_norm": 0.0}
    assert pairs[4][1].metrics == {"exact_match": 1.0, "exact_match_flexible_extract": 0.0}
    assert (pairs[4][0].request, pairs[4][1].extracted) == ("Compute", "4")


def texts_result(right: int) -> JsonObject:
    """Two tasks: of one a figure over all samples alone, of the other own metrics, of which less is better for one."""
    written = [sample(number, metrics=["word_perplexity", "acc"], word_perplexity=[-3.0, 9]) for number in range(3)]
    own = [
        sample(number, metrics=["slips", "grade", "odd"], slips=float(number >= right), grade=0.5 * number, odd=number)
        for number in range(4)
    ]
    return {
        "samples": {"t": written, "own": own},
        "results": {
            "t": {"word_perplexity,none": 12.5 - right, "word_perplexity_stderr,none": "N/A", "acc,none": 1.0},
            "own": {"slips,none": 0.5},
        },
        "higher_is_better": {"t": {"word_perplexity": False, "acc": True}, "own": {"slips": False, "grade": True}},
    }


def test_a_metric_that_is_no_number_of_a_sample_leaves_its_row_visibly() -> None:
    judged = read_result(texts_result(2))[0][1]
    assert (judged.metrics, judged.left_out) == ({"acc": 1.0}, {"word_perplexity": "no number for each sample"})
    assert corpus_figures(texts_result(2)) == {"t": {"word_perplexity": 10.5}}
    filtered = {"samples": {"t": [sample(0, metrics=["bleu"], bleu=["a", "b"])]}, "results": {"t": {"bleu,strict-match": 30, "alias": "t"}}}
    assert corpus_figures(filtered) == {"t": {"bleu_strict_match": 30.0}}


def test_which_way_is_better_is_the_harness_word() -> None:
    told = lower_is_better({**result(), "higher_is_better": {"gsm": {"exact_match": True, "x": True}, "other": {"x": False}}})
    assert (told["exact_match"], told["exact_match_flexible_extract"], "x" in told) == (False, False, False)


def test_the_word_of_the_harness_reaches_scores_gate_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite.yaml").write_text("name: general\nkind: lm_eval\ntasks: [t, own]\n")
    folder = make_folder(tmp_path)
    run_with(folder, tmp_path / "suite.yaml", monkeypatch, [], texts_result)
    scores = read_json(folder.evaluate / "general" / "scores.json")
    ours, gain = scores["candidates"]["tuned"], scores["paired"]["tuned - base"]
    assert {name: (ours[name]["is_rate"], ours[name]["lower_is_better"]) for name in ("slips", "grade", "odd")} == {
        "slips": (True, True),
        "grade": (False, False),
        "odd": (False, None),
    }
    assert gain["slips"]["value"] == -0.5
    assert "is_rate" not in ours["acc"]
    assert scores["corpus"] == {"base": {"t": {"word_perplexity": 10.5}}, "tuned": {"t": {"word_perplexity": 8.5}}}
    assert scores["left_out"]["tuned"] == {"word_perplexity": {"no number for each sample": 3}}
    rules = {"slips": GateRule(min_gain=0.5), "odd": GateRule(min_gain=0.0), "grade": GateRule(max_loss=0.0), "acc": GateRule(min=0.9)}
    results = judge_gate({f"general.{name}": rule for name, rule in rules.items()}, folder)
    assert [result.passed for result in results] == [True, False, True, True]
    assert results[1].reason == "nobody says which way is better"
    (suite,) = read_run(folder).suites
    assert tone_of("slips", {**gain["slips"], "low": -0.9, "high": -0.1, "p": 0.01}) == "good"
    assert tone_of("odd", {**ours["odd"], "low": 0.1, "high": 0.9}) == ""
    found = comparison(suite)
    labels = {row.label: row.cells[-1].value for row in found.scores.rows}
    assert (labels["slips (less is better)"], labels["grade"], labels["odd"]) == ("0.0 %", "0.75", "1.50")
    assert any("Tuned: word perplexity (less is better) 8.50" in note for note in found.notes)
    (tmp_path / "g.yaml").write_text("name: general\nkind: lm_eval\ntasks: [own]\n")
    assert gate_problems(["general.slips"], [read_suite_file(tmp_path / "g.yaml")]) == []


def run_with(
    folder: RunFolder,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[JsonObject],
    found: Callable[[int], JsonObject] = result,
) -> None:
    def answer(request: JsonObject, where: Path, on_wait: object) -> JsonObject:
        asked.append(request)
        return found(4 if "peft" in request["model_args"] else 2)

    monkeypatch.setattr(lm_eval_run, "_run", answer)

    def arguments(model: str) -> JsonObject:
        return {"model_args": {"pretrained": "base"} | ({"peft": "adapter"} if model == "tuned" else {}), "device": "cpu", "batch_size": 2}

    stage.run(
        config((str(path),)), folder, lambda: pytest.fail("no model is opened here"), EventLog(None), others=Others(harness=arguments)
    )


def test_the_suite_is_scored_and_compared_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite.yaml").write_text("name: general\nkind: lm_eval\ntasks: [tiny_choice, gsm]\nnum_fewshot: 2\nlimit: 50\n")
    folder, asked = make_folder(tmp_path), []
    run_with(folder, tmp_path / "suite.yaml", monkeypatch, asked)
    assert [(request["tasks"], request["num_fewshot"], request["limit"]) for request in asked] == [(["tiny_choice", "gsm"], 2, 50)] * 2
    scores = read_json(folder.evaluate / "general" / "scores.json")
    assert {name: found["acc"]["value"] for name, found in scores["candidates"].items()} == {"base": 0.5, "tuned": 1.0}
    assert (scores["paired"]["tuned - base"]["acc"]["value"], scores["paired"]["tuned - base"]["acc"]["count"]) == (0.5, 4)
    assert scores["classes"]["gsm"]["tuned"]["exact_match"]["count"] == 1
    assert len(list(read_jsonl(folder.evaluate / "general" / "generations.jsonl"))) == 10
    summary = read_json(folder.evaluate / "summary.json")
    assert summary["suites"][0]["rows"] == 5
    assert {row["candidate"] for row in summary["left_out"]} == {"base+parser", "base+shots"}
    run_with(folder, tmp_path / "suite.yaml", monkeypatch, asked)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nkind: lm_eval\n", "`tasks` is missing"),
        ("name: a\nkind: lm_eval\ntasks: arc_easy\n", "a list of names"),
        ("name: a\nkind: lm_eval\ntasks: [3]\n", "a list of names"),
        ("name: a\nkind: lm_eval\ntasks: [a]\nrows: x.jsonl\n", "bring their own rows"),
        ("name: a\nkind: lm_eval\ntasks: [a]\nnum_fewshot: -1\n", "at least 0"),
        ("name: a\nkind: lm_eval\ntasks: [a]\ninclude_path: nowhere\n", "names a file that is not there"),
    ],
)
def test_mistakes_in_its_suite_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_suite_file(tmp_path / "suite.yaml")


def measure(tmp_path: Path, on_wait: Callable[[float], None] = lambda seconds: None) -> None:
    suite = Suite("s", "lm_eval", (), "x", fields={"tasks": ["t"]})
    lm_eval_run.measured(suite, Candidate("base", "base"), {"model_args": {}, "device": "cpu", "batch_size": 1}, tmp_path, "m", on_wait)


def test_without_the_package_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module of that name without anything in it, found first by the child, raises as a missing one does.
    (tmp_path / "lm_eval.py").write_text("raise ModuleNotFoundError('No module named lm_eval', name='lm_eval')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    with pytest.raises(UserError, match=r"pip install 'luthier\[lm_eval\]'"):
        measure(tmp_path)


def test_a_harness_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm_eval.py").write_text("raise RuntimeError('no such task')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    with pytest.raises(LuthierError, match="no such task"):
        measure(tmp_path)


@pytest.mark.lm_eval
@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="lm-eval is an extra: pip install 'luthier[lm_eval]'")
def test_the_harness_itself_on_a_task_of_our_own(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "tiny.jsonl", [{"question": f"{number} + 1", "choices": [str(number + 1), "fish"], "answer": 0} for number in range(6)]
    )
    (tmp_path / "tiny.yaml").write_text(
        f"task: tiny_choice\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: {tmp_path}/tiny.jsonl}}\ntest_split: test\n"
        'output_type: multiple_choice\ndoc_to_text: "Question: {{question}}\\nAnswer:"\ndoc_to_choice: "{{choices}}"\n'
        'doc_to_target: "{{answer}}"\nmetric_list:\n  - {metric: acc, aggregation: mean, higher_is_better: true}\n'
    )
    suite = Suite("s", "lm_eval", (), "x", fields={"tasks": ["tiny_choice"], "include_path": str(tmp_path)}, limit=4)
    arguments: JsonObject = {"model_args": {"pretrained": str(STARTER), "dtype": "float32"}, "device": "cpu", "batch_size": 2}
    measured = lm_eval_run.measured(suite, Candidate("base", "base"), arguments, tmp_path / "kept", "m")
    generations = measured.generations
    assert [row.id for row in measured.suite.rows] == [f"tiny_choice:{number}" for number in range(4)]
    assert all(row.metrics["acc"] in (0.0, 1.0) for row in generations)
    stored = json.loads((tmp_path / "kept" / "base.json").read_text())
    assert stored["result"]["results"]["tiny_choice"]["acc,none"] == sum(row.metrics["acc"] for row in generations) / 4


def test_what_is_kept_is_not_asked_again_for_the_same_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[JsonObject] = []
    monkeypatch.setattr(lm_eval_run, "_run", lambda request, *_: (asked.append(request), result())[1])
    suite = Suite("s", "lm_eval", (), "x", fields={"tasks": ["t"]})

    def ask(model: JsonObject | None = None, **changes: object) -> int:
        model = {"pretrained": "/a", "dtype": "float32", **(model or {})}
        found = lm_eval_run.measured(suite, Candidate("base", "base"), {"model_args": model, "batch_size": 2, **changes}, tmp_path, "m")
        assert (len(found.suite.rows), len(found.generations)) == (5, 5)
        return len(asked)

    assert [ask(), ask(), ask({"pretrained": "/moved"})] == [1, 1, 1]
    assert [ask(batch_size=4), ask({"dtype": "bfloat16"}), ask({"peft": "/b"}), ask(device="cuda")] == [2, 3, 4, 5]


def test_the_child_tells_that_it_is_at_work_and_of_its_words_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm_eval.py").write_text(
        "import sys, time\nsys.stderr.write('bar ' * 1_000_000)\ntime.sleep(0.5)\nraise RuntimeError('no such task')\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    monkeypatch.setattr(lm_eval_run, "HEARTBEAT_SECONDS", 0.05)
    seconds: list[float] = []
    tracemalloc.start()
    with pytest.raises(LuthierError, match="no such task") as caught:
        measure(tmp_path, seconds.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(seconds) > 5
    assert seconds == sorted(seconds)
    assert len(str(caught.value)) < 3_000
    assert peak < 1_000_000


def test_who_is_interrupted_leaves_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm_eval.py").write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    monkeypatch.setattr(lm_eval_run, "HEARTBEAT_SECONDS", 0.05)

    def interrupt(seconds: float) -> None:
        if (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_stage_passes_the_signs_of_life_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite.yaml").write_text("name: general\nkind: lm_eval\ntasks: [t]\n")
    told: list[JsonObject] = []
    monkeypatch.setattr(lm_eval_run, "_run", lambda request, folder, on_wait: (on_wait(61.0), result())[1])
    others = Others(harness=lambda model: {"model_args": {}, "device": "cpu", "batch_size": 2})
    events = EventLog(None, [told.append])
    stage.run(config((str(tmp_path / "suite.yaml"),)), make_folder(tmp_path), lambda: pytest.fail("no model"), events, others=others)
    waiting = [event for event in told if event["event"] == "evaluate.waiting"]
    assert [(event["suite"], event["candidate"], event["seconds"]) for event in waiting] == [
        ("general", "base", 61.0),
        ("general", "tuned", 61.0),
    ]
    shown = io.StringIO()
    Progress(shown)(waiting[0])
    assert "lm-eval at work, 1m 01s" in shown.getvalue()
