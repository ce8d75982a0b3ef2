"""The mask of wordings whose answers are tokenized apart from what stands before them, as Axolotl does for Alpaca's and for mappings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.records import Message, TurnEnds
from luthier.model.masks.ends import AS_TURNS, EndTokens, TurnEnd, trained_ends
from luthier.model.masks.pieces import ASSISTANT, Marked, Piece, Render, Span, content_parts, is_trained, without


@dataclass(frozen=True, slots=True)
class _Wording:
    """A conversation and how it is worded and trained; `kept_ends` are the answers whose ends are trained."""

    messages: Sequence[Message]
    render: Render
    end: str
    train_on_inputs: bool
    kept_ends: set[int]


def mark_apart(
    messages: Sequence[Message], render: Render, tokens: EndTokens, train_on_inputs: bool, ends: TurnEnds | None = None
) -> Marked | None:
    """The conversation in pieces, each answer apart from what stands before it and with the end-of-text token after it.

    The template writes the end-of-text token's text after an answer; here it is added as a token.
    """
    answers = [index for index, message in enumerate(messages) if message.role == ASSISTANT]
    if not answers:
        return Marked((Piece(render(messages, False), ()),))
    closed = [TurnEnd(index, tokens.eos, is_trained(messages[index])) for index in answers]
    wording = _Wording(messages, render, tokens.eos, train_on_inputs, trained_ends(closed, tokens, ends or AS_TURNS))
    pieces = _pieces(wording, answers)
    if pieces is not None:
        return Marked(tuple(pieces))
    pieces = _pieces(wording, answers[-1:])
    return None if pieces is None else Marked(tuple(pieces), last_turn_only=True)


def _pieces(wording: _Wording, answers: Sequence[int]) -> list[Piece] | None:
    messages = wording.messages
    pieces: list[Piece] = []
    done, first = "", 0
    for index in answers:
        before = wording.render(messages[:index], True)
        if not before.startswith(done):
            return None
        context, answer = before[len(done) :], messages[index].content
        pieces.append(_context(context, messages[first:index], wording.train_on_inputs))
        whole = is_trained(messages[index]) and not messages[index].details
        parts = content_parts(messages[index], 0) if is_trained(messages[index]) and not whole else []
        # Axolotl adds no end to an answer that is empty.
        trains_end = index in wording.kept_ends
        pieces.append(Piece(answer, ((0, len(answer)),) if whole else (), bool(answer), trains_end, contents=tuple(parts)))
        done, first = before + answer + (wording.end if answer else ""), index + 1
    return pieces


def _context(context: str, messages: Sequence[Message], train_on_inputs: bool) -> Piece:
    """What is trained of the text before an answer: under `train_on_inputs` all but turns that say no, else only turns that say yes."""
    spared: list[Span] = []
    contents: list[Span] = []
    position = 0
    for message in messages:
        start = context.find(message.content, position)
        if start < 0 or not message.content:
            continue
        position = start + len(message.content)
        if message.train is False or (train_on_inputs and message.details):
            spared.append((start, position))
        if message.train is True:
            contents += content_parts(message, start)
    return Piece(context, tuple(without(len(context), spared)) if train_on_inputs else (), contents=tuple(contents))
