"""Which keys of a run file send a training elsewhere, under the name and with the credentials of whoever runs the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.config.yaml_file import Document

# By tracker: what turns it on, where it then sends, and what. How a run is called there (`LABELS`) says none of this.
TRACKERS: tuple[tuple[str, ...], ...] = (
    ("use_wandb", "wandb_project", "wandb_entity", "wandb_run_id", "wandb_mode", "wandb_log_model"),
    ("use_mlflow", "mlflow_experiment_name", "mlflow_tracking_uri", "hf_mlflow_log_artifacts"),
)
LABELS = ("wandb_name", "mlflow_run_name")
# Words that send less than silence does: anybody may say them, and taking one back is for who wrote it.
_QUIET = (False, "false", "offline", "disabled")
_QUIETING = ("use_wandb", "wandb_mode", "use_mlflow")


def sending_keys(document: Document, served: Mapping[str, Any]) -> Iterator[str]:
    """The keys of `document` that would send a training where the served run file, which holds `served`, does not."""
    value = document.value
    for keys in TRACKERS:
        asks = any(value.get(key) not in (None, "", *_QUIET) for key in keys)
        for key in keys:
            said = value.get(key)
            if said in _QUIET or said == served.get(key):
                continue
            if said not in (None, "") or (key in _QUIETING and asks and (key,) in document.places):
                yield key
