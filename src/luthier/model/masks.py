"""Which part of a rendered row is trained: found by rendering prefixes, never by looking for a template's markers.

For turn i the text that stands before its answer is `render(messages[:i], add_generation_prompt=True)`, and the turn ends where
`render(messages[:i + 1])` ends. Where one is not a prefix of the whole (a template that rewrites earlier turns), only the last trained turn
is trained.
"""

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
    """A text that is tokenized on its own, and the character spans of it that are trained.

    `ends` adds the end-of-text token, trained if `trains_end`; `begins` lets the tokenizer put its beginning-of-text token in front.
    """

    text: str
    spans: tuple[Span, ...]
    ends: bool = False
    trains_end: bool = True
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """A row's pieces in order; `last_turn_only` says that the template is not prefix-stable for it."""

    pieces: tuple[Piece, ...]
    last_turn_only: bool = False


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


def is_trained(message: Message) -> bool:
    """Whether a turn is trained: its own word first; else answers are."""
    return message.role == ASSISTANT if message.train is None else message.train


def mark_chat(messages: Sequence[Message], render: Render, special: Sequence[str], train_on_inputs: bool) -> Marked | None:
    """The conversation as one piece with the spans of its trained turns; None where not even the last of them can be found.

    `special` are the texts of the special tokens: a turn is trained up to and with the one that ends it. Where the template writes none
    after the last turn, the end-of-text token is added and trained. `train_on_inputs` trains everything but turns that say `train: false`.
    """
    full = render(messages, False)
    if train_on_inputs:
        spared = [_turn_span(messages, index, render, full) for index, message in enumerate(messages) if message.train is False]
        found = [span for span in spared if span is not None]
        if len(found) < len(spared):
            return None
        spans, stable = _without(len(full), found), True
    else:
        trained = [index for index, message in enumerate(messages) if is_trained(message)]
        turns = [_turn_span(messages, index, render, full) for index in trained]
        stable = None not in turns
        kept = turns if stable else turns[-1:]
        found = [span for span in kept if span is not None]
        if len(found) < len(kept):
            return None
        spans = [_without_tail(full, span, special) for span in found]
    answer = messages[-1]
    open_end = answer.role == ASSISTANT and not _ends_with_special(full.rstrip(), special)
    trains_end = answer.train is not False
    return Marked((Piece(full, tuple(spans), ends=open_end, trains_end=trains_end),), last_turn_only=not stable)


def _turn_span(messages: Sequence[Message], index: int, render: Render, full: str) -> Span | None:
    answers = messages[index].role == ASSISTANT
    before = render(messages[:index], answers) if index or answers else ""
    after = full if index == len(messages) - 1 else render(messages[: index + 1], False)
    if not full.startswith(before) or not full.startswith(after) or len(after) < len(before):
        return None
    start = len(before)
    if not answers and (content := messages[index].content.strip()):
        # The header of a turn that the model does not write itself is not trained.
        found = full.find(content, start, len(after))
        start = found if found >= 0 else start
    return (start, len(after))


def _without(length: int, spared: Sequence[Span]) -> list[Span]:
    """What is left of a text of `length` characters without the `spared` spans, which are in order."""
    borders = [0, *(border for span in spared for border in span), length]
    return [(start, end) for start, end in zip(borders[::2], borders[1::2], strict=True) if start < end]


def _without_tail(full: str, span: Span, special: Sequence[str]) -> Span:
    """The span without the white space that a template puts after the token that ends a turn."""
    start, end = span
    stripped = start + len(full[start:end].rstrip())
    return (start, stripped) if _ends_with_special(full[start:stripped], special) else span


def _ends_with_special(text: str, special: Sequence[str]) -> bool:
    return any(token and text.endswith(token) for token in special)


def mark_apart(messages: Sequence[Message], render: Render, end: str, train_on_inputs: bool) -> Marked | None:
    """The conversation in pieces, each answer apart from what stands before it and with the end-of-text token after it.

    The template writes `end`, the end-of-text token's text, after an answer; here it is added as a token.
    """
    answers = [index for index, message in enumerate(messages) if message.role == ASSISTANT]
    if not answers:
        return Marked((Piece(render(messages, False), ()),))
    pieces = _apart_pieces(messages, answers, render, end, train_on_inputs)
    if pieces is not None:
        return Marked(tuple(pieces))
    pieces = _apart_pieces(messages, answers[-1:], render, end, train_on_inputs)
    return None if pieces is None else Marked(tuple(pieces), last_turn_only=True)


def _apart_pieces(
    messages: Sequence[Message], answers: Sequence[int], render: Render, end: str, train_on_inputs: bool
) -> list[Piece] | None:
    pieces: list[Piece] = []
    done, first = "", 0
    for index in answers:
        before = render(messages[:index], True)
        if not before.startswith(done):
            return None
        context, answer = before[len(done) :], messages[index].content
        pieces.append(Piece(context, tuple(_context_spans(context, messages[first:index], train_on_inputs))))
        trains = is_trained(messages[index])
        # Axolotl adds no end to an answer that is empty.
        pieces.append(Piece(answer, ((0, len(answer)),) if trains else (), ends=bool(answer), trains_end=trains))
        done, first = before + answer + (end if answer else ""), index + 1
    return pieces


def _context_spans(context: str, messages: Sequence[Message], train_on_inputs: bool) -> list[Span]:
    """What is trained of the text before an answer: under `train_on_inputs` all but turns that say no, else only turns that say yes."""
    named: list[Span] = []
    position = 0
    for message in messages:
        start = context.find(message.content, position)
        if start >= 0 and message.content:
            position = start + len(message.content)
            if message.train is not None and message.train is not train_on_inputs:
                named.append((start, position))
    return _without(len(context), named) if train_on_inputs else named
