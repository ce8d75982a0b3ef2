"""How the models of a run are spoken to: the wording of a prompt and the tokens that end an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from luthier.config.keys.tokens import TokenSettings
from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import ModelError, Problem, UserError
from luthier.core.protocols import ErrorEvent, GenerationRequest
from luthier.core.records import TEXT_ROLE, JsonObject, Message, without_input_role
from luthier.model.answering.parts import ModelParts
from luthier.model.template import ChatTemplate, TemplateRefusal
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import RowEncoder


@dataclass(frozen=True, slots=True)
class Voice:
    """How one of the two models is spoken to. `folds_input`: its wording knows no role `input` and no wording named by a row."""

    encoder: RowEncoder
    folds_input: bool = False
    wordings: frozenset[str] = frozenset()

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return frozenset(self.encoder.stop_ids)

    def stops_of(self, messages: Sequence[Message]) -> frozenset[int]:
        """The same for an answer to `messages`: a plain text ends where its document does, too."""
        return self.stop_ids | self.encoder.tokenizer.document_end_ids if _is_text(messages) else self.stop_ids

    def prompt(self, messages: Sequence[Message], tools: Sequence[JsonObject] = (), template: str = "") -> list[int]:
        """The ids up to where the answer starts. Plain text (role `text`) is not worded; it begins as a document of this tokenizer does."""
        if _is_text(messages):
            tokenizer = self.encoder.tokenizer
            begin = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
            return [begin, *tokenizer.encode("".join(message.content for message in messages))]
        if self.folds_input:
            return self.encoder.prompt(without_input_role(messages), tuple(tools))
        if template and template not in self.wordings:
            raise ModelError(Problem("the row names a wording that is not known here", where="template", found=template))
        return self.encoder.prompt(tuple(messages), tuple(tools), template)


def _is_text(messages: Sequence[Message]) -> bool:
    return bool(messages) and all(message.role == TEXT_ROLE for message in messages)


def worded(request: GenerationRequest, voices: Mapping[str, Voice], longest: int) -> list[int] | ErrorEvent:
    """The ids that `request` asks with, or why it cannot be asked; `longest` are the positions that there are."""
    voice = voices.get(request.model)
    if voice is None:
        return ErrorEvent(request.id, f"there is no model `{request.model}` here, only {', '.join(voices)}")
    try:
        prompt = voice.prompt(request.messages, request.tools, request.template)
    except (UserError, TemplateRefusal) as error:
        return ErrorEvent(request.id, str(error), "messages")
    if not prompt:
        return ErrorEvent(request.id, "the prompt is empty", "messages")
    answer_tokens = 1 if request.cut_to_fit else request.max_new_tokens
    if len(prompt) + answer_tokens > longest:
        room = f"{len(prompt):,} tokens of prompt and {answer_tokens:,} of answer"
        field = "messages" if len(prompt) + 1 > longest else "max_tokens"
        return ErrorEvent(request.id, f"{room} are more than its {longest:,} positions", field)
    return prompt


def bounded(request: GenerationRequest, prompt: Sequence[int], longest: int) -> GenerationRequest:
    """`request` with the longest answer that `longest` positions have room for, where it is cut to fit."""
    return replace(request, max_new_tokens=min(request.max_new_tokens, longest - len(prompt))) if request.cut_to_fit else request


def make_voices(parts: ModelParts, tokenizer: TextTokenizer) -> dict[str, Voice]:
    """How `base` and, where something was trained, `tuned` are spoken to, both with `tokenizer`, the tuned model's own.

    `tuned` is asked with the chat template saved beside it; `base` with its own where it has one, else as the tuned model is.
    """
    is_adapted = parts.tuned is not None
    own = TextTokenizer.from_folder(parts.location.path).chat_template if is_adapted else tokenizer.chat_template
    asked = tokenizer.chat_template or own
    if asked is None:
        raise ModelError(
            Problem(
                "neither the base model nor the adapter has a chat template",
                found=parts.location.name,
                hint="set `chat_template` in the run file, for example `chat_template: chatml`",
            )
        )
    plain = TokenSettings(None, None, None, train_on_inputs=False, sequence_len=1 << 30, excess_length_strategy="raise")
    base = Voice(RowEncoder(tokenizer, ChatTemplate("base", own), {}, plain), folds_input=True) if own else None
    if not is_adapted and base:
        return {BASE: base}
    encoder = RowEncoder(tokenizer, ChatTemplate("run", asked), parts.templates, parts.tokens or plain)
    tuned = Voice(encoder, wordings=frozenset(parts.templates))
    return {BASE: base or tuned, TUNED: tuned}
