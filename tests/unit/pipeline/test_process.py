"""What is settled before torch is imported."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from luthier.pipeline.process import KEPT_KERNELS, SPIN_COUNT, quiet, settle


@pytest.mark.parametrize(("name", "kept"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_a_choice_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch, name: str, kept: str) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv(name, kept)
    settle()
    assert os.environ[name] == kept
    assert os.environ.get("GOMP_SPINCOUNT", kept) == kept


def test_threads_turn_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # So that what `settle` writes is taken back after the test.
        monkeypatch.delenv(name)
    settle()
    assert os.environ["GOMP_SPINCOUNT"] == str(SPIN_COUNT)


@pytest.mark.parametrize("name", ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"])
def test_products_keep_a_bounded_number_of_kernels(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    monkeypatch.delenv(name)
    settle()
    assert os.environ[name] == str(KEPT_KERNELS)
    monkeypatch.setenv(name, "7")
    settle()
    assert os.environ[name] == "7"


GROWTH = """
from pathlib import Path
from luthier.pipeline.process import settle
settle()
import torch
from luthier.core.records import Plan
from luthier.model.device_memory import held_bytes
weight, plan = torch.randn(256, 704, dtype=torch.bfloat16), Plan("cpu", "", "bfloat16", 1)
torch.set_num_threads(1)
for tokens in range(100, 700, 2):
    if tokens == 300:
        before = held_bytes(plan)
    torch.nn.functional.linear(torch.ones(tokens, 704, dtype=torch.bfloat16), weight)
print(held_bytes(plan) - before)
"""


def test_new_shapes_take_no_more_memory() -> None:
    """Two hundred more numbers of tokens; with oneDNN's own caches they took 80 MB on a processor with AVX-512 bf16."""
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 25 << 20


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward from kernels-community: No module named 'kernels'."),
        ("DeepSpeed", "Setting accelerator to CPU. If you have GPU or other accelerator, we were unable to detect it."),
    ],
)
def test_one_message_of_a_logger_is_left_out_and_no_other(name: str, noise: str) -> None:
    quiet()
    quiet()
    logger = logging.getLogger(name)
    assert logger.filter(logger.makeRecord(name, logging.WARNING, "", 0, noise, (), None)) is False
    assert logger.filter(logger.makeRecord(name, logging.WARNING, "", 0, "the state is lost", (), None))
    assert len(logger.filters) == 1
