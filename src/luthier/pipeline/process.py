"""What is settled for the whole process before torch is imported: how its threads wait, and which words of libraries are noise."""

from __future__ import annotations

import logging
import os
import warnings

# GNU OpenMP's threads turn this often before they sleep. Its own 300,000 let two threads beside one busy process wait for each other
# from time slice to time slice: training fell from 3,060 tokens a second to under 500 on two cores; with 5,000 it kept 1,500, and on a
# quiet machine nothing is lost (at 1,000 a tenth was). Bytes do not depend on it.
SPIN_COUNT = 5_000


def settle() -> None:
    """Sets both, where nothing is set already; without effect on a process that has imported torch."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))
    # On a processor with AVX-512 bf16 it tells of an optional kernel that Luthier does not use.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    # transformers warns of its own attribute, which peft reads.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
