"""What is asked: a run, a run by its adapter's folder, a run file, a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import UserError
from luthier.pipeline import ask
from luthier.pipeline.ask import Question, answer

RUN = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\noutput_dir: {out}\n"


class Opened(Exception):
    """Stands for the opened model: what was opened, and from where."""


@pytest.fixture(autouse=True)
def openers(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(loaded: ask.LoadedRun, target: str) -> None:
        raise Opened("run", loaded.folder)

    def model(target: str, overrides: object) -> None:
        raise Opened("model", target)

    monkeypatch.setattr(ask, "_open_run", run)
    monkeypatch.setattr(ask, "_open_model", model)


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
