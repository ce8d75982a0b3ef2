"""Which part of a rendered conversation is trained: found by rendering prefixes, never by looking for a template's markers.

For an answer, turn i, the text that stands before it is `render(messages[:i], add_generation_prompt=True)`, and the turn ends where
`render(messages[:i + 1])` ends. Where one is not a prefix of the whole (a template that rewrites earlier turns), only the last trained
turn is trained. Of any other turn the content is trained, which is found by rendering the conversation with another content in its place,
and the token that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from luthier.core.errors import LuthierError
from luthier.core.records import Message, TurnEnds
from luthier.model.masks.ends import AS_TURNS, EndTokens, TurnEnd, trained_ends
from luthier.model.masks.pieces import ASSISTANT, Marked, Piece, Render, Span, content_parts, is_trained, joined, without

# Stands in place of a content to find where it begins; no template says it by itself.
_MARK = "\u2e28here\u2e29"


@dataclass(frozen=True, slots=True)
class _Conversation:
    """A conversation, its text, and where its turns were found."""

    messages: Sequence[Message]
    render: Render
    full: str
    tokens: EndTokens
    wholes: dict[int, Span | None] = field(default_factory=dict)


def mark_chat(
    messages: Sequence[Message], render: Render, tokens: EndTokens, train_on_inputs: bool, ends: TurnEnds | None = None
) -> Marked | None:
    """The conversation as one piece with the spans of its trained turns; None where not even the last of them can be found.

    A turn is trained up to and with the token that ends it, as far as `ends` trains that. Where the template writes none after the last
    turn, the end-of-text token is added. `train_on_inputs` trains everything but turns that say `train: false`.
    """
    said = _Conversation(messages, render, render(messages, False), tokens)
    rules = ends or AS_TURNS
    answer = messages[-1]
    open_end = answer.role == ASSISTANT and not tokens.at_end(said.full.rstrip(), is_answer=True)
    found = _all_but_spared(said, rules) if train_on_inputs else _turns(said, rules)
    if found is None:
        return None
    piece, stable = found
    own = TurnEnd(len(messages) - 1, tokens.eos, answer.train is not False)
    return Marked((replace(piece, ends=open_end, trains_end=bool(trained_ends([own], tokens, rules))),), last_turn_only=not stable)


def _turns(said: _Conversation, rules: TurnEnds) -> tuple[Piece, bool] | None:
    """The trained turns' spans, and whether all of them were found; None where not even the last was."""
    trained = [index for index, message in enumerate(said.messages) if is_trained(message)]
    turns = [_turn(said, index) for index in trained]
    stable = None not in turns
    kept = turns if stable else turns[-1:]
    found = [turn for turn in kept if turn is not None]
    if len(found) < len(kept):
        return None
    others = set(range(len(said.messages))) - {turn.index for turn in found} if "all" in (rules.eos, rules.eot) else set()
    closed = _ends(said, found, others, trained)
    kept_ends = trained_ends([end for end, _ in closed], said.tokens, rules)
    spans = [span for turn in found for span in turn.spans]
    spans += [span for end, span in closed if end.turn in kept_ends]
    return Piece(said.full, tuple(joined(spans)), contents=tuple(span for turn in found for span in turn.contents)), stable


def _all_but_spared(said: _Conversation, rules: TurnEnds) -> tuple[Piece, bool] | None:
    """Everything but turns that say no, stretches that details leave out, and ends that are not trained."""
    spared: list[Span | None] = []
    contents: list[Span] = []
    for index, message in enumerate(said.messages):
        if message.train is False:
            spared.append(_spared(said, index))
        elif message.details:
            content = _content(said, index)
            spared.append(None if content is None else content[0])
            contents += [] if content is None else content[1]
    added: list[Span] = []
    if rules != AS_TURNS or said.tokens.eot is not None:
        closed = [(_end(said, index), index) for index in range(len(said.messages))]
        ends = [TurnEnd(index, end[0], said.messages[index].train is not False) for end, index in closed if end is not None]
        kept = trained_ends(ends, said.tokens, rules)
        for end, index in closed:
            if end is not None and index in kept:
                added.append(end[1])
            elif end is not None:
                spared.append(end[1])
    found = [span for span in spared if span is not None]
    if len(found) < len(spared):
        return None
    rest = without(len(said.full), joined(found))
    return Piece(said.full, tuple(joined([*rest, *added])), contents=tuple(contents)), True


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is trained of turn `index` but for the token that ends it."""

    index: int
    spans: tuple[Span, ...] = ()
    contents: tuple[Span, ...] = ()


def _turn(said: _Conversation, index: int) -> _Turn | None:
    """A trained turn: an answer as the model writes it, else (and where there are details) the content; None where it is not found."""
    message = said.messages[index]
    if message.role != ASSISTANT or message.details:
        content = _content(said, index)
        return None if content is None else _Turn(index, contents=tuple(content[1]))
    whole = _whole(said, index)
    if whole is None:
        return None
    start, after = whole
    stripped = start + len(said.full[start:after].rstrip())
    end = said.tokens.at_end(said.full[start:stripped], is_answer=True)
    return _Turn(index, spans=((start, stripped - len(end)) if end else whole,))


def _ends(said: _Conversation, found: Sequence[_Turn], others: Iterable[int], trained: Sequence[int]) -> list[tuple[TurnEnd, Span]]:
    """The ends of the turns that were found and of `others`, in the order of the turns."""
    closed = []
    for index in sorted({turn.index for turn in found}.union(others)):
        end = _end(said, index)
        if end is not None:
            closed.append((TurnEnd(index, end[0], index in trained), end[1]))
    return closed


def _end(said: _Conversation, index: int) -> tuple[str, Span] | None:
    """The special token that ends a turn, and where it stands."""
    whole = _whole(said, index)
    if whole is None:
        return None
    start, after = whole
    stripped = start + len(said.full[start:after].rstrip())
    token = said.tokens.at_end(said.full[start:stripped], is_answer=said.messages[index].role == ASSISTANT)
    return (token, (stripped - len(token), stripped)) if token else None


def _whole(said: _Conversation, index: int) -> Span | None:
    """A turn from its first character, an answer's header left out, to its last; None where prefixes of the conversation do not show it."""
    if index not in said.wholes:
        said.wholes[index] = _looked_up(said, index)
    return said.wholes[index]


def _looked_up(said: _Conversation, index: int) -> Span | None:
    messages, full = said.messages, said.full
    answers = messages[index].role == ASSISTANT
    try:
        before = said.render(messages[:index], answers) if index or answers else ""
        after = full if index == len(messages) - 1 else said.render(messages[: index + 1], False)
    except LuthierError:
        # Some templates refuse a conversation that ends there.
        if answers:
            raise
        return None
    if not full.startswith(before) or not full.startswith(after) or len(after) < len(before):
        return None
    return (len(before), len(after))


def _spared(said: _Conversation, index: int) -> Span | None:
    """What `train: false` takes out under `train_on_inputs`: an answer, or any other turn without its header."""
    whole = _whole(said, index)
    if said.messages[index].role == ASSISTANT:
        return whole
    content = _content(said, index)
    if content is None:
        return None if said.messages[index].content.strip() else whole
    return content[0] if whole is None else (content[0][0], max(content[0][1], whole[1]))


def _content(said: _Conversation, index: int) -> tuple[Span, list[Span]] | None:
    """Where a turn's content stands, and what is trained of it; None where the template does not write it as it is."""
    message = said.messages[index]
    other = [*said.messages]
    other[index] = replace(message, content=_MARK)
    marked = said.render(other, False)
    start = marked.find(_MARK)
    if start < 0 or not said.full.startswith(marked[:start]):
        return None
    behind = marked[start + len(_MARK) :]
    length = len(said.full) - start - len(behind)
    # Templates cut white space at either side.
    content = message.content
    shift = 0 if said.full.startswith(content, start) else len(content) - len(content.lstrip())
    if length < 0 or not said.full.endswith(behind) or not content.startswith(said.full[start : start + length], shift):
        return None
    return (start, start + length), content_parts(message, start, shift, length)
