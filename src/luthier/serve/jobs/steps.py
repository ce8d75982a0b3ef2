"""What an event of a run or of an ingest says of how far it is: read here alone, told by the API, by pages of jobs and of runs."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.records import JsonObject, JsonValue

# Events that say how far a stage is, with the names of their own for what is done and for all that there is.
_FIGURES = {
    "train.start": ("", "steps"),
    "train.step": ("step", "steps"),
    "evaluate.progress": ("done", "total"),
    "evaluate.waiting": ("", ""),
    "data.progress": ("done", "total"),
    "ingest.progress": ("done", "total"),
}
SAYING = frozenset(_FIGURES)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a stage is: `done` of `of`, each None where nobody knows. `what` names what is counted where that is not always the same.

    `rate` are tokens a second, `seconds_left` an estimate, `seconds` how long another program has been at work that tells nothing. `rows`
    are told when a training begins.
    """

    stage: str
    done: int | None = None
    of: int | None = None
    what: str = ""
    suite: str = ""
    candidate: str = ""
    loss: float | None = None
    rate: float | None = None
    epoch: float | None = None
    seconds_left: float | None = None
    seconds: float | None = None
    rows: int | None = None

    @property
    def part(self) -> float | None:
        """How much of the stage is done, from 0 to 1; None where nobody knows.

        An evaluation counts the rows of one suite and one candidate, and does not say how many of these there are.
        """
        if self.stage == "evaluate":
            return None
        return None if self.done is None or self.of is None or self.of <= 0 else min(1.0, max(0.0, self.done / self.of))

    def to_json(self) -> JsonObject:
        """The step as the API tells it: what every stage has, and beside it what this one says."""
        told: dict[str, JsonValue] = {"stage": self.stage, "step": self.done, "of": self.of, "loss": self.loss, "rate": self.rate}
        more = {"what": self.what, "suite": self.suite, "candidate": self.candidate, "seconds_left": self.seconds_left, "epoch": self.epoch}
        return {**told, **{name: value for name, value in more.items() if value not in ("", None)}}

    @classmethod
    def from_json(cls, told: JsonObject) -> Step:
        """What `to_json` told."""
        return _made(str(told.get("stage") or ""), told.get("step"), told.get("of"), told.get("what"), {**told, "step": None})


def step_of(event: JsonObject) -> Step | None:
    """What the event says of how far its stage is; None where it says nothing of it, or of what stage is at work."""
    name = str(event.get("event"))
    if name == "stage.start":
        return Step(str(event.get("stage") or ""))
    if name not in _FIGURES:
        return None
    done, of = (event.get(key) if key else None for key in _FIGURES[name])
    # A training that begins has done nothing yet; of its step it is a number that is told, elsewhere the name of what is counted.
    return _made(name.partition(".")[0], 0 if name == "train.start" else done, of, event.get("step"), event)


def _made(stage: str, done: JsonValue, of: JsonValue, what: JsonValue, more: JsonObject) -> Step:
    return Step(
        stage,
        _number(done),
        _number(of),
        _words(what),
        _words(more.get("suite")),
        _words(more.get("candidate")),
        loss=_figure(more.get("loss")),
        rate=_figure(more.get("tokens_per_second", more.get("rate"))),
        epoch=_figure(more.get("epoch")),
        seconds_left=_figure(more.get("seconds_left")),
        seconds=_figure(more.get("seconds")),
        rows=_number(more.get("rows")),
    )


def _words(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _number(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _figure(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
