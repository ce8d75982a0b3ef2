"""A run redone from its folder alone ends with the same bytes, and whatever is otherwise is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from git_repositories import committed
from luthier.cli import main as cli
from luthier.core.errors import IntegrityError, TrainingError, UserError
from luthier.core.files import sha256_file
from luthier.core.runs import RunFolder
from luthier.pipeline.check import load_run
from luthier.pipeline.reproduce import Extent, reproduce
from luthier.pipeline.run import run_stages
from maker_parts import CART
from training_driver import write_base

RUN = """\
base_model: base
adapter: lora
lora_r: 4
lora_dropout: 0.1
datasets: [{path: rows.jsonl, type: chat_template}]
chat_template: chatml
bf16: false
deterministic: true
sequence_len: 256
sample_packing: true
num_epochs: 4
max_steps: 4
learning_rate: 1e-2
split: {validation: 0.1, test: 0.1, seed: 1}
evaluate: {suites: [commands], max_new_tokens: 4}
export: [adapter, merged]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, the rows of which are gone since."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_base(folder / "base")
        with (folder / "rows.jsonl").open("w") as stream:
            for number in range(40):
                messages = [{"role": "user", "content": f"print {number}"}, {"role": "assistant", "content": f"echo {number * number}"}]
                stream.write(json.dumps({"messages": messages}) + "\n")
        (folder / "run.yaml").write_text(RUN)
        run_stages(load_run("run.yaml"), "report")
        (folder / "rows.jsonl").unlink()
    return folder


@pytest.fixture
def run(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of its own."""
    shutil.copytree(world, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    (path,) = Path("runs").glob("run-*")
    return RunFolder(path)


def bytes_of(folder: RunFolder) -> dict[str, str]:
    return {path.relative_to(folder.path).as_posix(): sha256_file(path) for path in folder.path.rglob("*") if path.is_file()}


def test_a_run_is_redone_to_the_same_bytes_and_left_as_it_was(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bytes_of(run)
    monkeypatch.setattr(sys, "argv", ["luthier", "runs", "reproduce", str(run.path), "--json"])
    cli.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["differences"], found["conditions"], found["not_redone"]) == ("equal", [], [], {})
    assert found["losses_compared"] >= 7
    redone = RunFolder(Path(found["reproduced"]))
    stages = redone.manifest().stages
    assert {name: record.taken_from for name, record in stages.items()} == {
        name: run.path.name if name == "data" else "" for name in ("data", "train", "evaluate", "export", "card", "report")
    }
    assert stages["train"].key == run.manifest().stages["train"].key
    assert bytes_of(run) == before
    # The text says the same, and nothing is trained twice.
    monkeypatch.setattr(sys, "argv", ["luthier", "runs", "reproduce", str(run.path)])
    cli.main()
    captured = capsys.readouterr()
    assert "verdict     equal" in captured.out
    assert "train.step" not in captured.err


def test_another_result_ends_with_3_and_names_file_and_hashes(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The run was trained otherwise than its files say.
    text = run.resolved_yaml.read_text().replace("learning_rate: 0.01", "learning_rate: 0.02")
    run.resolved_yaml.write_text(text + "use_tensorboard: true\nwandb_project: mine\nuse_wandb: true\nwandb_mode: offline\n")
    monkeypatch.setattr(sys, "argv", ["luthier", "runs", "reproduce", str(run.path), "--training-only"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    told = capsys.readouterr().out
    was = sha256_file(run.adapter / "adapter_model.safetensors")[:16]
    assert f"differs     adapter/adapter_model.safetensors: {was} -> " in told
    assert "verdict     different" in told
    # What was told to a tracker once is not told again.
    (redone,) = (RunFolder(path) for path in Path("runs").glob("*-reproduced/*") if path.is_dir())
    assert not [path.name for path in redone.path.iterdir() if path.name in ("wandb", "tensorboard")]
    assert "wandb" not in redone.resolved_yaml.read_text()


def test_rows_that_were_altered_are_not_trained_on(run: RunFolder) -> None:
    run.split("train").write_text(run.split("train").read_text() + "\n")
    with pytest.raises(IntegrityError, match="recorded bytes"):
        reproduce(str(run.path), Extent())
    assert not list(Path("runs").glob("*-reproduced/*/adapter"))


def test_an_unfinished_training_is_refused(run: RunFolder) -> None:
    run.save_manifest(run.manifest().with_stage("train", None))
    with pytest.raises(UserError, match="not finished"):
        reproduce(str(run.path), Extent())


def test_a_suite_that_is_gone_leaves_the_training_compared(run: RunFolder) -> None:
    run.resolved_yaml.write_text(run.resolved_yaml.read_text().replace("- commands", "- gone.yaml"))
    found = reproduce(str(run.path), Extent())
    assert found["verdict"] == "incomplete"
    assert "gone.yaml" in found["not_redone"]["evaluate"]


SOURCES = """\
base_model: base
adapter: lora
lora_r: 4
sources: [{repo: shop, license: MIT, make: [explain, complete]}]
chat_template: chatml
bf16: false
sequence_len: 2048
max_steps: 2
learning_rate: 1e-2
evaluate: {suites: []}
export: [adapter]
"""


def test_from_sources_the_commit_that_was_read_is_read_again(run: RunFolder) -> None:
    committed(Path("shop"), {"src/cart.py": CART})
    Path("code.yaml").write_text(SOURCES)
    run_stages(load_run("code.yaml"), "train")
    (path,) = Path("runs").glob("code-*")
    (Path("shop") / "src" / "cart.py").write_text(CART + "\n\ndef later(count: int) -> int:\n    return count + 1\n")
    committed(Path("shop"), {"src/more.py": CART})
    found = reproduce(str(path), Extent(from_sources=True, training_only=True))
    assert (found["verdict"], found["differences"]) == ("equal", [])
    assert RunFolder(Path(found["reproduced"])).manifest().stages["data"].taken_from == ""
    with pytest.raises(UserError, match="--again"):
        reproduce(str(path), Extent())


def test_from_sources_what_is_no_longer_what_was_read_is_refused_before_the_work(run: RunFolder) -> None:
    Path("rows.jsonl").write_text("{}\n")
    found = sha256_file(Path("rows.jsonl"))[:12]
    with pytest.raises(UserError, match=rf"found: rows.jsonl, sha256:{found}\n  expected: sha256:\w{{12}}, as recorded\n.*--from-sources"):
        reproduce(str(run.path), Extent(from_sources=True))
    Path("rows.jsonl").unlink()
    with pytest.raises(UserError, match=r"(?s)rows.jsonl.*--from-sources"):
        reproduce(str(run.path), Extent(from_sources=True))
    assert not run.path.with_name(f"{run.path.name}-reproduced").exists()


def test_from_sources_a_commit_that_is_gone_is_told_as_gone(run: RunFolder) -> None:
    committed(Path("shop"), {"src/cart.py": CART})
    Path("code.yaml").write_text(SOURCES)
    run_stages(load_run("code.yaml"), "train")
    (path,) = Path("runs").glob("code-*")
    shutil.rmtree("shop")
    committed(Path("shop"), {"src/more.py": CART})
    with pytest.raises(UserError, match=r"(?s)no such commit.*leave `--from-sources` out") as refused:
        reproduce(str(path), Extent(from_sources=True))
    assert "short SHA" not in str(refused.value)


@pytest.mark.slow
def test_a_training_of_two_processes_is_redone_by_two(run: RunFolder) -> None:
    rows = [json.loads(line) for line in run.split("train").read_text().splitlines()]
    Path("rows.jsonl").write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in rows))
    Path("two.yaml").write_text(RUN.replace("max_steps: 4", "max_steps: 2").replace("suites: [commands]", "suites: []"))
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "luthier", "run", "two.yaml"]
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = Path("runs").glob("two-*")
    found = reproduce(str(path), Extent())
    assert (found["verdict"], found["differences"], found["conditions"], found["not_redone"]) == ("equal", [], [], {})
    redone = RunFolder(Path(found["reproduced"]))
    assert json.loads(redone.train_summary.read_text())["processes"] == 2
    assert redone.manifest().stages["train"].taken_from == ""
    # One of them fails: the base is another than the run's.
    (Path("base") / "config.json").unlink()
    with pytest.raises(TrainingError, match="trained by 2 processes, and starting as many here ended with code 1"):
        reproduce(str(path), Extent(again=True))
