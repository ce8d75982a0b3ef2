"""What is settled for the whole process before torch is imported: how threads wait, what products keep, what is noise, that it is alone."""

from __future__ import annotations

import logging
import os
import warnings

from luthier.core.errors import Problem, UserError
from luthier.core.ranks import own_rank

# GNU OpenMP's threads turn this often before they sleep, 300,000 times where nothing is said. Beside one busy process on two cores that let
# two threads wait for each other from time slice to time slice: a training of many small products printed no line in 50 seconds (of 3,060
# tokens a second); with 10,000 turns it kept 1,225. On a quiet machine nothing was lost with 5,000, a tenth with
# 1,000. Larger products hardly feel it. Bytes do not depend on it. See docs/log.md.
SPIN_COUNT = 5_000
# In 16 bits PyTorch's CPU products come from oneDNN, which keeps a kernel for each shape that it met, 1,024 in its own cache and 1,024 in
# that of its wrapper. Batches by rows have a new number of tokens at every step: measured, 600 shapes of products of 256 by 704 took 425 MB
# with these caches and 79 MB with 64 kernels each, in no more time. A step has fewer shapes. No result depends on it.
KEPT_KERNELS = 64


# Loggers of other packages, and the beginning of the one message of theirs that means nothing here: bitsandbytes tells of an optional
# kernel on a processor with AVX-512 bf16, DeepSpeed, which accelerate imports where it is installed, of a GPU that nobody asked for.
_NOISE = {"bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward", "DeepSpeed": "Setting accelerator to CPU"}


def _means_something(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOISE[record.name])


def quiet() -> None:
    """Leaves out these messages, and no other of the same loggers."""
    for name in _NOISE:
        logging.getLogger(name).addFilter(_means_something)


def settle() -> None:
    """Settles these; what the environment names itself is kept. Threads of a process that has imported torch wait as before."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(KEPT_KERNELS))
    quiet()
    # transformers warns of its own attribute, which peft reads.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)


def refuse_several(command: str) -> None:
    """`UserError` where this is one of several processes, for a command of which each would do the same by itself."""
    if (rank := own_rank()).count > 1:
        hint = f"start it alone: luthier {command}"
        raise UserError(Problem("this command runs in one process", where="WORLD_SIZE", found=str(rank.count), hint=hint))
