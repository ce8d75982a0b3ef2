"""What a model is asked at `/query`: the question behind what was found for it, as much of it as the model has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from luthier.core.records import JsonObject
from luthier.retrieval.shown import PLAIN, ContextForm, Shown
from luthier.serve.asking.catalogue import Named
from luthier.serve.door.redact import redacted

# How many characters a token has at least, about; a prompt that is too long all the same is made shorter and asked again.
_CHARACTERS_OF_A_TOKEN = 3
# Beside the pieces stand their heads and fences, and what the template adds.
_AROUND_CHARACTERS, _AROUND_PIECE_CHARACTERS = 200, 80
# A shorter rest of a piece says nothing.
_LEAST_CHARACTERS = 200
# What is shown to a model of which nobody knows how much it can hold.
_UNKNOWN_POSITIONS = 8_192


class Found(Protocol):
    """A piece as the search gives it: `lines` (first and last) of `path` in `source` at `commit`."""

    @property
    def source(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def lines(self) -> tuple[int, int]: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def language(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cited:
    """A piece that a model is shown, and where it is from."""

    source: str
    commit: str | None
    shown: Shown

    def to_json(self, number: int) -> JsonObject:
        """The piece as an answer cites it; `number` is its number in the prompt."""
        place: JsonObject = {"path": self.shown.path, "lines": list(self.shown.lines), "commit": self.commit}
        return {"id": str(number), "source": self.source, **place, "text": self.shown.text}


def cited(found: Sequence[Found]) -> list[Cited]:
    """What was found, without the secrets in it."""
    return [Cited(one.source, one.commit, Shown(one.path, one.lines, redacted(one.text), one.language)) for one in found]


def form_of(named: Named) -> ContextForm:
    """How much the model is shown: as it was trained, where it was trained with pieces."""
    return named.context or PLAIN


def fitting(pieces: Sequence[Cited], form: ContextForm, tokens: int | None, question_characters: int) -> list[Cited]:
    """The first of `pieces` that fit into so many tokens beside the question, each as long as the form has it; the last may be cut."""
    room = (tokens if tokens is not None else _UNKNOWN_POSITIONS) * _CHARACTERS_OF_A_TOKEN - question_characters - _AROUND_CHARACTERS
    chosen: list[Cited] = []
    for piece in pieces:
        longest = min(form.characters, room - _AROUND_PIECE_CHARACTERS)
        if longest < min(_LEAST_CHARACTERS, form.characters, len(piece.shown.text)):
            break
        shown = piece.shown.cut(longest)
        chosen.append(replace(piece, shown=shown))
        room -= len(shown.text) + _AROUND_PIECE_CHARACTERS
    return chosen
