"""The wheel: built, installed outside the tree, and tried there."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_STARTER_BYTES = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    # A build works in the tree: of two processes of these tests one waits for the other.
    with (tmp_path_factory.getbasetemp().parent / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("luthier-*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return site


def try_in(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(site)!r}); import luthier.cli.main"
    code = f"{start}; assert luthier.__file__.startswith({str(site)!r}); luthier.cli.main.main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=folder, check=False)


def try_without(folder: Path, missing: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command line where the packages of `missing` are not installed."""
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); import luthier.cli.main; luthier.cli.main.main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=folder, check=False)


TRAINING = ["torch", "transformers", "peft", "bitsandbytes"]
EXTRAS = [*TRAINING, "tokenizers", "safetensors", "jinja2", "numpy", "huggingface_hub", "pyarrow", "datasets"]


def test_a_bare_install_checks_and_names_what_it_lacks(tmp_path: Path) -> None:
    assert try_without(tmp_path, EXTRAS, "init").returncode == 0
    done = try_without(tmp_path, EXTRAS, "check", "run.yaml")
    assert done.returncode == 0, done.stderr
    for command in ("data", "run"):
        done = try_without(tmp_path, EXTRAS, command, "run.yaml")
        assert done.returncode == 2, done.stderr
        assert "pip install 'luthier[" in done.stderr
        assert "Traceback" not in done.stderr


def test_rows_are_made_and_shown_without_torch(tmp_path: Path) -> None:
    assert try_without(tmp_path, EXTRAS, "init").returncode == 0
    done = try_without(tmp_path, TRAINING, "data", "run.yaml", "--show", "1")
    assert done.returncode == 0, done.stderr
    assert "trained tokens" in done.stdout
    done = try_without(tmp_path, TRAINING, "train", "run.yaml")
    assert done.returncode == 2
    assert "pip install 'luthier[train]'" in done.stderr


def test_the_wheel_holds_what_the_package_needs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "assets/starter/model.safetensors",
        "config/tables/refused.toml",
        "assets/init/commands.yaml",
        "model/templates/chatml.jinja",
        "py.typed",
    ):
        assert f"luthier/{name}" in names
    assert not [name for name in names if name.startswith(("tests", "recipes", "examples")) or "__pycache__" in name]
    assert sum(item.file_size for item in zipfile.ZipFile(wheel).infolist() if "assets/starter" in item.filename) < MAX_STARTER_BYTES


def test_the_wheel_runs_outside_the_tree(site: Path, tmp_path: Path) -> None:
    assert try_in(site, tmp_path, "init").returncode == 0
    done = try_in(site, tmp_path, "check", "run.yaml")
    assert done.returncode == 0, done.stderr
    done = try_in(site, tmp_path, "run", "run.yaml", "--set", "max_steps=2", "--set", "evaluate.max_new_tokens=4")
    assert done.returncode == 0, done.stderr
    report = next((tmp_path / "runs").glob("*/report.html"))
    assert "<html" in report.read_text(encoding="utf-8")
