from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from luthier.cli import main as cli
from luthier.config.load import load
from luthier.pipeline.doctor import examine as module
from luthier.pipeline.doctor.examine import Extent, examine, needed_probes
from luthier.pipeline.doctor.findings import Finding

RUN = "base_model: starter\nadapter: {adapter}\nlearning_rate: 1e-3\ndatasets: [{{path: {rows}}}]\n{more}"


def run_file(folder: Path, adapter: str = "lora", more: str = "") -> Path:
    rows = folder / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    path = folder / "run.yaml"
    path.write_text(RUN.format(adapter=adapter, rows=rows, more=more))
    return path


@pytest.mark.parametrize(
    ("adapter", "more", "needed"),
    [
        ("lora", "", {"torch"}),
        ("qlora", "load_in_4bit: true\n", {"torch", "nf4"}),
        ("lora", "load_in_8bit: true\noptimizer: adamw_bnb_8bit\n", {"torch", "int8", "adamw_8bit"}),
    ],
)
def test_what_a_run_file_cannot_do_without(tmp_path: Path, adapter: str, more: str, needed: set[str]) -> None:
    assert needed_probes(load(run_file(tmp_path, adapter, more)).config) == needed


def test_quick_imports_no_torch_and_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*words: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "kernel_findings", never)
    monkeypatch.setattr(module, "hub_findings", never)
    found = list(examine(load(run_file(tmp_path)), Extent(quick=True)))
    assert {item.part for item in found} >= {"versions", "machine", "devices", "disks", "programs"}


@pytest.mark.parametrize(
    ("base", "offline", "state", "told"),
    [
        ("starter", True, "well", "inside the package"),
        ("{folder}", False, "broken", "holds no model"),
        ("nobody/nowhere", True, "broken", "HF_HUB_OFFLINE keeps it"),
        ("nobody/nowhere", False, "note", "the run fetches it"),
    ],
)
def test_a_base_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, offline: bool, state: str, told: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1" if offline else "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    run = run_file(tmp_path)
    run.write_text(run.read_text().replace("starter", base.format(folder=tmp_path)))
    (found,) = [item for item in examine(load(run), Extent(quick=True)) if item.part == "base model"]
    assert (found.state, told in found.told) == (state, True)


def test_a_gpu_that_pytorch_does_not_see_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_findings", lambda: [Finding("devices", "GPU 0", "well", "H100")])
    monkeypatch.setattr(module, "kernel_findings", lambda names, needed: [Finding("kernels", "PyTorch", "well", "built for the CPU")])
    found = list(examine(None, Extent()))
    assert found[-1].state == "broken"
    assert "PyTorch sees none" in found[-1].told


def test_the_command_ends_with_1_where_something_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for state, code in (("warning", 0), ("broken", 1)):
        monkeypatch.setattr(module, "disk_findings", lambda runs, state=state: [Finding("disks", "runs", state, "so", "mend it")])
        monkeypatch.setattr(sys, "argv", ["luthier", "doctor", str(run_file(tmp_path)), "--quick", "--json"])
        with pytest.raises(SystemExit) if code else pytest.MonkeyPatch.context() as ended:
            cli.main()
        told = json.loads(capsys.readouterr().out)
        assert told["well"] is (code == 0)
        assert {"part": "disks", "name": "runs", "state": state, "told": "so", "mend": "mend it"} in told["findings"]
        assert code == 0 or ended.value.code == 1
