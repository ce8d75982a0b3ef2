"""What a mask is made of: texts that are tokenized apart, and the spans of them that are trained. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luthier.core.records import TEXT_ROLE, Example, Message

Span = tuple[int, int]
# Messages and whether the generation prompt is added, to the rendered text.
Render = Callable[[Sequence[Message], bool], str]

ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that is tokenized on its own, and the character spans [start, end) of it that are trained.

    `spans` are what the model itself writes after its prompt: a token belongs to what it starts in. `contents` are contents of turns, and
    parts of them, that are trained by themselves: tokens that reach over their borders go with them, as in Axolotl (`touches`).
    `ends` adds the end-of-text token, trained if `trains_end`; `begins` lets the tokenizer put its beginning-of-text token in front.
    """

    text: str
    spans: tuple[Span, ...]
    ends: bool = False
    trains_end: bool = True
    begins: bool = False
    contents: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Marked:
    """A row's pieces in order; `last_turn_only` says that the template is not prefix-stable for it."""

    pieces: tuple[Piece, ...]
    last_turn_only: bool = False


def touches(token: Span, content: Span) -> bool:
    """Whether a token goes with a trained content: it lies in it, or shares more than its border's character with it.

    Axolotl 0.19 moves the borders of `train_detail` so (`adjust_train_details` of `prompt_strategies/chat_template.py`).
    """
    (start, end), (first, after) = token, content
    return (start >= first or end > first + 1) and (end <= after or start < after - 1)


def is_trained(message: Message) -> bool:
    """Whether a turn is trained: its own word first; else answers are."""
    return message.role == ASSISTANT if message.train is None else message.train


def is_text(example: Example) -> bool:
    """Whether the row is trained as it stands, without a template."""
    return bool(example.messages) and all(message.role == TEXT_ROLE for message in example.messages)


def mark_text(example: Example, train_on_inputs: bool) -> Marked:
    """A row of plain texts: `completion` gets the tokenizer's begin and end, `input_output` nothing."""
    whole = example.origin.maker == "completion"
    pieces = []
    for message in example.messages:
        spans = ((0, len(message.content)),) if train_on_inputs or message.train is not False else ()
        pieces.append(Piece(message.content, spans, ends=whole, begins=whole))
    return Marked(tuple(pieces))


def without(length: int, spared: Sequence[Span]) -> list[Span]:
    """What is left of a text of `length` characters without the `spared` spans, which are in order and apart."""
    borders = [0, *(border for span in spared for border in span), length]
    return [(start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end]


def joined(spans: Sequence[Span]) -> list[Span]:
    """The spans in order, those that meet or overlap as one, without empty ones."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def content_parts(message: Message, start: int, shift: int = 0, length: int | None = None) -> list[Span]:
    """What is trained of a turn's content that stands at `start`: all of it, or the stretches that its details train.

    A template may have cut `shift` characters from the front and all after the next `length`.
    """
    length = len(message.content) if length is None else length
    if not message.details:
        return joined([(start, start + length)])
    trained = [(detail.begin - shift, detail.end + 1 - shift) for detail in message.details if detail.train]
    return [(start + max(0, first), start + min(after, length)) for first, after in trained if max(0, first) < min(after, length)]
