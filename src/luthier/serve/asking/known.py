"""What is known of each model that can be asked: its state, how it was trained, its run's scores and gate, its guard's policy."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import LuthierError
from luthier.core.files import read_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.gate import GATE_FILE, read_gate
from luthier.guard.policy import DEFAULTS
from luthier.serve.asking.catalogue import Catalogue, Named, UnknownModelError
from luthier.serve.door.redact import redacted
from luthier.serve.engine.place import Opened


def known_models(catalogue: Catalogue, opened: Mapping[str, Opened]) -> JsonObject:
    """Every model, with the names of the default one and of the served run's two; `opened` are those in memory. No keys of endpoints."""
    tuned = None
    with contextlib.suppress(UnknownModelError):
        tuned = catalogue.tuned.name
    base = catalogue.base.name
    models = [
        _known(named, opened.get(named.name), catalogue.tuned.run if tuned and named.name == base else None) for named in catalogue.all()
    ]
    return {"default": catalogue.default.name, "base": base, "fine_tuned": tuned, "models": models}


def _known(named: Named, opened: Opened | None, measured_by: Path | None) -> JsonObject:
    """One model; `measured_by` is the run that measured it where that is not its own."""
    state: JsonObject = {"loaded": opened is not None or named.endpoint is not None}
    if opened is not None:
        state |= {"positions": opened.positions, "dtype": opened.dtype, "device": opened.device}
    run = named.run or measured_by
    return {
        "name": named.name,
        "kind": named.kind,
        "base": named.base,
        "made": named.made or None,
        "state": state,
        "context": None if named.context is None else asdict(named.context),
        "guard": {**DEFAULTS, **named.guard.policy.actions},
        "run": None if named.run is None else str(named.run),
        "scores": {} if run is None else _scores(RunFolder(run), BASE if named.run is None else TUNED),
        "gate": [] if named.run is None else _gate(RunFolder(named.run)),
        # An address may hold a login.
        "endpoint": None if named.endpoint is None else redacted(named.endpoint.base_url),
    }


def _scores(folder: RunFolder, candidate: str) -> JsonObject:
    """The values of one candidate by suite and metric; of a suite that is being written nothing."""
    scores: JsonObject = {}
    for path in sorted(folder.evaluate.glob("*/scores.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, LuthierError):
            metrics = read_json(path)["candidates"].get(candidate, {})
            scores[path.parent.name] = {name: score.get("value") for name, score in metrics.items()}
    return scores


def _gate(folder: RunFolder) -> list[JsonObject]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, LuthierError):
        return [asdict(result) for result in read_gate(folder.evaluate / GATE_FILE)]
    return []
