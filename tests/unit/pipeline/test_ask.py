"""What is asked: a run, a run by its adapter's folder, a run file, a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from luthier.cli.main import group
from luthier.config.load import LoadedRun
from luthier.core.errors import UserError
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.guard.settings import GuardSettings, guard_settings
from luthier.model.answering import local
from luthier.pipeline import ask, opening
from luthier.pipeline.ask import Question, answer

RUN = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\noutput_dir: {out}\n"


class Opened(Exception):
    """Stands for the opened model: what was opened, and from where."""


@pytest.fixture(autouse=True)
def openers(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(loaded: LoadedRun, target: str) -> None:
        raise Opened("run", loaded.folder)

    def model(target: str, overrides: object) -> None:
        raise Opened("model", target)

    monkeypatch.setattr(opening, "_run", run)
    monkeypatch.setattr(opening, "_model", model)


def opened(target: Path | str, *overrides: str) -> tuple[str, object]:
    with pytest.raises(Opened) as raised:
        answer(str(target), Question("hi"), overrides)
    return raised.value.args  # type: ignore[return-value]


def test_a_run_is_asked_by_its_folder_its_adapter_and_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a-00000000"
    (folder / "adapter").mkdir(parents=True)
    (folder / "resolved.yaml").write_text(RUN.format(out=tmp_path / "runs"))
    assert opened(folder) == ("run", folder)
    assert opened(folder / "adapter") == ("run", folder)
    (tmp_path / "run.yaml").write_text(RUN.format(out=tmp_path / "runs"))
    named, other = opened(tmp_path / "run.yaml"), opened(tmp_path / "run.yaml", "lora_r=4")
    assert named[0] == other[0] == "run"
    assert named[1] != other[1], "another rank is another run"


def test_anything_else_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    assert opened(tmp_path / "adapter")[0] == "model"
    assert opened("starter")[0] == "model"


def test_half_a_character_is_no_question() -> None:
    with pytest.raises(UserError, match="UTF-8"):
        answer("starter", Question("\udcff"))


class Said:
    """A model that always gives the same answer."""

    def __init__(self, text: str) -> None:
        self._text = text

    def names(self) -> tuple[str, ...]:
        return ("base",)

    def generate(self, requests: list[GenerationRequest]) -> Iterator[GenerationEvent]:
        yield TokenEvent("ask", self._text)
        yield DoneEvent("ask", self._text, "stop", 1, 1)


def asked(monkeypatch: pytest.MonkeyPatch, text: str, guard: GuardSettings, *options: str) -> Result:
    monkeypatch.setattr(ask, "target_of", lambda target, overrides: opening.Target(None, guard))  # type: ignore[arg-type]
    monkeypatch.setattr(local, "open_local", lambda parts: nullcontext(Said(text)))
    return CliRunner().invoke(group, ["ask", "starter", "hi", *options])


def test_the_terminal_shows_the_verdict_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asked(monkeypatch, "rm -rf /", guard_settings({}))
    assert (done.exit_code, done.stdout) == (0, "rm -rf /\n")
    assert done.stderr.startswith("guard: dangerous destruction: ")
    assert done.stderr.endswith("(policy: reject)\n")
    assert done.stderr.count("\n") == 1
    shown = asked(monkeypatch, "Here:\n```bash\nmake \x07all\n```", guard_settings({"policy": {"unknown": "reject"}}))
    assert "of `make \\x07all` (policy: reject)" in shown.stderr, "what acts on a terminal is made visible"
    assert asked(monkeypatch, "It depends on what you mean.", guard_settings({})).stderr == ""


def test_json_has_the_verdict_and_what_the_policy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = guard_settings({"protect": ["~/work"], "policy": {"dangerous": "ask"}})
    told = json.loads(asked(monkeypatch, "rm -r ~/work/a", settings, "--json").stdout)
    assert (told["text"], told["guard"]["level"], told["guard"]["action"]) == ("rm -r ~/work/a", "dangerous", "ask")
    assert set(told["guard"]) == {"command", "level", "class", "span", "reason", "action"}
    assert json.loads(asked(monkeypatch, "No.", settings, "--json").stdout)["guard"] is None
