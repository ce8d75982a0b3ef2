"""lm-eval's tasks: what its result becomes, and what happens without it. The harness itself runs where it is installed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from evaluation_parts import config, make_folder
from luthier.core.errors import ConfigError, LuthierError, UserError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, sha256_json, write_json, write_jsonl
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate import harness, stage
from luthier.evaluate.candidates import Candidate
from luthier.evaluate.kinds.harness import read_result
from luthier.evaluate.rows import Suite
from luthier.evaluate.sources import Others
from luthier.evaluate.suites import read_suite_file

STARTER = Path(__file__).parents[3] / "src" / "luthier" / "assets" / "starter"


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


def test_a_metric_that_is_no_number_of_a_sample_is_not_taken() -> None:
    (pair,) = read_result({"samples": {"t": [sample(0, metrics=["word_perplexity", "acc"], word_perplexity=[-3.0, 9])]}})
    assert pair[1].metrics == {"acc": 1.0}


def run_with(folder: RunFolder, path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[JsonObject]) -> None:
    def answer(request: JsonObject, where: Path) -> JsonObject:
        asked.append(request)
        return result(4 if "peft" in request["model_args"] else 2)

    monkeypatch.setattr(harness, "_run", answer)

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


def measure(tmp_path: Path) -> None:
    suite = Suite("s", "lm_eval", (), "x", fields={"tasks": ["t"]})
    harness.measured(suite, Candidate("base", "base"), {"model_args": {}, "device": "cpu", "batch_size": 1}, tmp_path, "m")


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
    found, generations = harness.measured(suite, Candidate("base", "base"), arguments, tmp_path / "kept", "m")
    assert [row.id for row in found.rows] == [f"tiny_choice:{number}" for number in range(4)]
    assert all(row.metrics["acc"] in (0.0, 1.0) for row in generations)
    stored = json.loads((tmp_path / "kept" / "base.json").read_text())
    assert stored["result"]["results"]["tiny_choice"]["acc,none"] == sum(row.metrics["acc"] for row in generations) / 4


def test_what_is_kept_is_not_asked_again(tmp_path: Path) -> None:
    suite = Suite("s", "lm_eval", (), "x", fields={"tasks": ["t"]})
    write_json(tmp_path / "base.json", {"key": sha256_json({"model": "m", "suite": "x"}), "result": result()})
    found, generations = harness.measured(suite, Candidate("base", "base"), {}, tmp_path, "m")
    assert (len(found.rows), len(generations)) == (5, 5)
