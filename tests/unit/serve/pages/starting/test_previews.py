"""What `luthier check` and `luthier plan` say of a run that a form describes, told by a process of its own."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from luthier.config.load import load_text
from luthier.core.errors import ConfigError
from luthier.report.wording import count
from luthier.retrieval.git.reaching import VARIABLE, Rule
from luthier.serve.door.errors import RequestError
from luthier.serve.jobs.submitted import Checked
from luthier.serve.pages.starting.previews import Preview, Previews

TEXT = "base_model: starter\nlearning_rate: 1e-3\nadapter: lora\nmax_steps: 3\n"
TOLD = {
    "run": "state/runs/run-1-12345678",
    "notes": ["a note"],
    "warnings": ["a warning"],
    "resolved": TEXT,
    "plan": {
        "device": "a card", "dtype": "bfloat16", "processes": 2, "stages": {"data": "done", "train": "to do"}, "trained_whole": [],
        "batches": {"rows": 1_200, "steps": 75, "tokens": 40_000, "basis": "the rows"},
        "memory": {
            "parts": {"weights": 14e9, "buffers": 0}, "total_bytes": 15e9, "device_bytes": 16e9, "room_bytes": 12e9, "fits": False,
            "by_process": [1, 1], "changes": [{"change": {"gradient_checkpointing": True}, "total_bytes": 1}], "basis": "the largest",
        },
        "disk": {"needed_bytes": 5e8}, "time": {"seconds": 3_700, "tokens_per_second": 900.4, "basis": "an earlier run"},
    },
}  # fmt: skip


def checked(text: str = TEXT) -> Checked:
    path = Path("state/run-files/run-1.yaml")
    overrides = ('output_dir="state/runs"',)
    return Checked(load_text(text, path, overrides), path, overrides, Rule(("github.com",)).environment())


def saying(told: object) -> tuple[str, ...]:
    """A process that answers so, whatever it is asked."""
    return "-c", f"import sys; sys.stdin.read(); print({json.dumps(json.dumps(told))})"


def made(previews: Previews) -> Preview:
    return asyncio.run(previews.of(checked()))


def test_a_plan_is_told_in_words_with_units() -> None:
    found = made(Previews(saying(TOLD)))
    assert dict(found.facts) == {
        "Folder": "state/runs/run-1-12345678",
        "Device": "a card, bfloat16",
        "Processes": "2",
        "Training": f"{count(1200)} rows, 75 steps, {count(40_000)} tokens",
        "Memory": "15.0 GB of 16.0 GB in each process",
        "Disk": "500.0 MB to write at most",
        "Time": "1 h 01 min of training at 900 tokens a second, by an earlier run",
    }
    assert found.memory == (("weights", "14.0 GB"),)
    assert (
        found.lack == "It does not fit the 12.0 GB that are free for it; what would fit, the cheapest first: gradient_checkpointing: true."
    )
    assert (found.warnings, found.notes) == (("a warning",), ("a note",))


def test_what_is_wrong_has_the_place_in_the_text_that_was_sent() -> None:
    problem = {"what": "no such suite", "where": "state/run-files/run-1.yaml:4", "found": "x", "expected": "", "hint": ""}
    with pytest.raises(ConfigError) as wrong:
        made(Previews(saying({"problems": [problem]})))
    assert [one.where for one in wrong.value.problems] == ["text:4"]


def test_one_that_takes_too_long_is_ended_and_the_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    mark = tmp_path / "came to its end"
    command = ("-c", f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()")

    async def beside() -> float:
        longest, asked = 0.0, asyncio.create_task(Previews(command, seconds=0.8).of(checked()))
        while not asked.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        with pytest.raises(RequestError, match=r"not there within 0\.8 seconds") as slow:
            await asked
        assert slow.value.status == 503
        await asyncio.sleep(2.6)
        return longest

    assert asyncio.run(beside()) < 0.5
    assert not mark.exists()


def test_two_are_made_one_after_the_other(tmp_path: Path) -> None:
    words = "import time, pathlib; f = pathlib.Path({0!r}); assert not f.exists(); f.touch(); time.sleep(0.4); f.unlink(); print({1})"
    command = ("-c", words.format(str(tmp_path / "at work"), json.dumps(json.dumps(TOLD))))

    async def both() -> list[Preview]:
        previews = Previews(command)
        return list(await asyncio.gather(previews.of(checked()), previews.of(checked())))

    first, second = asyncio.run(both())
    assert first == second


def test_a_process_that_breaks_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RequestError, match="log tells why") as broken:
        made(Previews(("-c", "raise SystemExit('the inner words')")))
    assert broken.value.status == 503
    assert "the inner words" in caplog.text


def test_keys_that_the_run_does_not_name_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["BIG_KEY", "LUTHIER_TOKEN", "OTHER_API_KEY", "WANDB_API_KEY"]
    for name in names:
        monkeypatch.setenv(name, "a-secret-of-the-server")
    words = (
        f"import os, json; told = json.loads({json.dumps(json.dumps(TOLD))}); told['run'] = str([n for n in {names} if n in os.environ])"
    )
    previews = Previews(("-c", f"{words}; print(json.dumps(told))"))
    assert dict(made(previews).facts)["Folder"] == "[]"
    named = checked(f"{TEXT}endpoints: {{big: {{base_url: 'https://example.com/v1', model: m, api_key_env: BIG_KEY}}}}\n")
    assert dict(asyncio.run(previews.of(named)).facts)["Folder"] == "['BIG_KEY']"


def test_the_process_fetches_from_where_its_job_may() -> None:
    words = f"import os, json; told = json.loads({json.dumps(json.dumps(TOLD))}); told['run'] = os.environ[{VARIABLE!r}]"
    found = made(Previews(("-c", f"{words}; print(json.dumps(told))")))
    assert json.loads(dict(found.facts)["Folder"]) == {"hosts": ["github.com"], "own": []}


def test_the_process_says_what_the_commands_say(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "list files", "output": "ls"}\n' * 20)
    text = f"{TEXT}datasets:\n- {{path: {tmp_path}/rows.jsonl, type: alpaca}}\n"
    found = asyncio.run(Previews().of(checked(text)))
    facts = dict(found.facts)
    assert facts["Folder"].startswith("state/runs/run-1-")
    assert facts["Training"] == "3 steps at most; rows and tokens are known once the data is made"
    assert facts["Memory"][0].isdigit()
    assert ("data", "to do") in found.stages
    assert "micro_batch_size: 1" in found.resolved
    assert any("held out for the suite `commands`" in line for line in found.warnings)
    wrong = checked(f"{text}clean: {{off: [no_such_rule]}}\n")
    with pytest.raises(ConfigError) as told:
        asyncio.run(Previews().of(wrong))
    (problem,) = told.value.problems
    assert problem.what == "`clean.off` names no rule"
    assert problem.where == "text:7"
