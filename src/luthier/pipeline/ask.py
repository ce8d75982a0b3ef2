"""One answer from a run, an adapter, a model folder or a hub model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from luthier.config.load import LoadedRun, load, load_model
from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import LuthierError, ModelError, Problem, UserError
from luthier.core.files import HashMemory, read_json
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator, TokenEvent
from luthier.core.records import Message
from luthier.core.runs import RunFolder, package_versions
from luthier.core.text import is_unicode
from luthier.evaluate.instruments.extract import plain
from luthier.evaluate.kinds.worst_command import commands_in, worst_of
from luthier.guard.risk.levels import Verdict
from luthier.guard.settings import GuardSettings, guard_settings
from luthier.guard.verdict import judge
from luthier.model.locate import locate
from luthier.pipeline.guarding import Guarded
from luthier.pipeline.plan import PLANNED_PACKAGES, plan_of
from luthier.pipeline.process import settle
from luthier.pipeline.stages import base_location

# A model that is opened on entering, and what the guard minds of its answers.
_Opened = tuple[AbstractContextManager[Generator], GuardSettings]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `temperature` 0 is greedy; `base` asks the untuned model of a run."""

    text: str
    system: str | None = None
    base: bool = False
    max_new_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `finish_reason` is `stop` or `length`.

    `guard` is the verdict on the worst command that the answer is or shows, with what the policy does about it; None where it shows none.
    """

    text: str
    model: str
    finish_reason: str
    completion_tokens: int
    guard: Guarded | None = None


def answer(target: str, question: Question, overrides: Sequence[str] = (), on_text: Callable[[str], None] = lambda text: None) -> Answer:
    """The answer of `target`; `on_text` gets it as it grows.

    `target` is a run file or a run folder, an adapter folder, a model folder, `starter` or a hub id. Of a run file `overrides` choose
    the run, of a model they set how it is asked.
    """
    if not is_unicode(question.text + (question.system or "")):
        raise UserError(Problem("the question is not UTF-8 text", hint="check the terminal's encoding"))
    turns = (Message("system", question.system),) if question.system else ()
    opened, guard = _open(target, overrides)
    with opened as generator:
        model = TUNED if TUNED in generator.names() and not question.base else BASE
        request = GenerationRequest(
            id="ask",
            messages=(*turns, Message("user", question.text)),
            model=model,
            max_new_tokens=question.max_new_tokens,
            temperature=question.temperature,
            seed=question.seed,
        )
        for event in generator.generate([request]):
            if isinstance(event, TokenEvent):
                on_text(event.text)
            elif isinstance(event, ErrorEvent):
                raise LuthierError(event.message)
            elif isinstance(event, DoneEvent):
                return Answer(event.text, model, event.finish_reason, event.completion_tokens, guarded(event.text, guard))
    raise LuthierError("the model ended without an answer")


def guarded(text: str, guard: GuardSettings) -> Guarded | None:
    """The verdict on the worst command that an answer is or shows, and the policy's action; None where it shows none."""

    def judged(command: str) -> Verdict:
        return judge(command, guard.settings)

    found = worst_of(commands_in(text, plain(text), judged), judged)
    return None if found is None else Guarded(found.verdict, guard.policy.action(found.verdict))


def _open(target: str, overrides: Sequence[str]) -> _Opened:
    settle()
    path = Path(target)
    # The result of a run is asked as the run is: its own files do not tell a 4-bit base from a whole one.
    if path.name in ("adapter", "model") and (path.parent / "resolved.yaml").is_file():
        path = path.parent
    if path.is_file() or (path / "resolved.yaml").is_file():
        return _open_run(load(path, overrides), target)
    return _open_model(target, overrides)


def _open_run(loaded: LoadedRun, target: str) -> _Opened:
    from luthier.model.answering.local import open_local

    config, folder = loaded.config, RunFolder(loaded.folder)
    if not folder.is_trained:
        raise ModelError(Problem("this run has no trained model yet", where=str(folder.path), hint=f"type `luthier train {target}`"))
    # Wrong rules are told before a model is opened.
    guard = guard_settings(config.guard.model_dump())
    opened = open_local(
        base_location(loaded, folder),
        folder.tuned,
        config.base_settings(),
        plan_of(config, folder),
        templates=read_json(folder.templates),
        tokens=config.token_settings(),
    )
    return opened, guard


def _open_model(target: str, overrides: Sequence[str]) -> _Opened:
    from luthier.model.answering.local import open_local
    from luthier.model.device import make_plan

    path = Path(target)
    adapter = path if (path / "adapter_config.json").is_file() else None
    name = str(read_json(path / "adapter_config.json")["base_model_name_or_path"]) if adapter else target
    if adapter is None and path.exists() and not (path / "config.json").is_file():
        raise ModelError(
            Problem(
                "this is neither a run folder nor a model",
                where=target,
                hint="a run folder holds `resolved.yaml`, a model folder `config.json`, an adapter `adapter_config.json`",
            )
        )
    config = load_model(name, overrides).config
    guard = guard_settings(config.guard.model_dump())
    memory = HashMemory(Path.home() / ".cache" / "luthier" / "hashes.json")
    location = locate(name, config.revision_of_model, memory, where=target)
    memory.save()
    plan = make_plan(config.precision_settings(), package_versions(PLANNED_PACKAGES))
    return open_local(location, adapter, config.base_settings(), plan), guard
