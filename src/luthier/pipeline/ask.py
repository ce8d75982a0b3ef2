"""One answer from a run, an adapter, a model folder or a hub model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.core.text import is_unicode
from luthier.evaluate.kinds.answer_verdict import guarded
from luthier.guard.policy import Guarded
from luthier.pipeline.opening import target_of
from luthier.pipeline.process import settle


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
    settle()
    from luthier.model.answering.local import open_local

    opened = target_of(target, overrides)
    with open_local(opened.parts) as generator:
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
                return Answer(event.text, model, event.finish_reason, event.completion_tokens, guarded(event.text, opened.guard))
    raise LuthierError("the model ended without an answer")
