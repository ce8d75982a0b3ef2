"""Luthier: one YAML file turns rows into a small, specialised language model that is measured, reproducible and exported.

import luthier
experiment = luthier.load("run.yaml", {"learning_rate": 1e-4})
experiment.run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from luthier.pipeline.experiment import Experiment

__all__ = ["load"]


def load(path: str | Path, overrides: Mapping[str, object] | None = None) -> Experiment:
    """The experiment of run file `path`, with `overrides` (dotted key to value) applied; `ConfigError` lists everything wrong."""
    from luthier.pipeline.experiment import Experiment

    return Experiment.load(path, overrides or {})
