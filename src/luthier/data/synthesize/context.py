"""Rows that show what a search would: the right piece among others, or others alone, in the form in which a server asks.

After RAFT (Zhang et al. 2024, "RAFT: Adapting Language Model to Domain Specific RAG"): 3 to 5 distractors, and the right piece in about
80 % of the rows, so that a model learns both to pick the right piece and not to lean on what it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luthier.config.row_sections import ContextSection, MakerName
from luthier.core.files import sha256_json
from luthier.core.records import Message
from luthier.data.synthesize.made import Made, Material
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import Retriever, WordSearch, found_chunks
from luthier.retrieval.shown import TAUGHT, Shown, with_pieces

# Rows of a teacher show so many others, and so often the piece which the answer stands on.
FEWEST, MOST = 3, 5
WITH_ANSWER = 0.8
# Longer pieces would drown the question.
LONGEST_CHARACTERS = TAUGHT.characters
# Makers whose rows ask about the source without showing it.
ASKING_MAKERS: frozenset[MakerName] = frozenset(("question", "section", "locate", "usage"))
# How many pieces are looked through for one that is shown: some are of the right one's lines, some equal others.
_LOOKED_AT = 4


def in_context(made: Made, chunk: Chunk, retriever: Retriever, seed: int) -> Made | None:
    """A teacher's row with pieces of the source before its request; None where too few others resemble it, or its piece is too long.

    The others are the ones that `retriever` finds for the request, none of them of the lines that the answer stands on. Number, order and
    whether the right piece is there are drawn from the request and `seed`.
    """
    draw = _draw(made, seed)
    others = [other for other in _others(made, chunk, retriever, _LOOKED_AT * MOST) if len(other.text) <= LONGEST_CHARACTERS]
    shown = others[: FEWEST + int(draw[:8], 16) % (MOST - FEWEST + 1)]
    if len(shown) < FEWEST or len(chunk.text) > LONGEST_CHARACTERS:
        return None
    return _showing(made, [*shown, chunk] if _has_right(draw, WITH_ANSWER) else shown, draw, LONGEST_CHARACTERS)


class AskedInContext:
    """Rows of one material as a server asks them: `settings` say how many pieces they show, and how long ones."""

    def __init__(self, material: Material, settings: ContextSection) -> None:
        self._settings = settings
        self._retriever = WordSearch({material.name: material.index})
        self._chunks: dict[str, list[Chunk]] = {}
        for chunk in material.chunks:
            self._chunks.setdefault(chunk.path, []).append(chunk)

    def __call__(self, maker: str, made: Made) -> Made | None:
        """`made` with pieces before its request; None where it shows its source already, or no piece has its lines or resembles it."""
        right = self._right(made) if maker in ASKING_MAKERS else None
        if right is None:
            return None
        draw = _draw(made, 0)
        has_right = _has_right(draw, self._settings.with_answer)
        others = _others(made, right, self._retriever, _LOOKED_AT * self._settings.pieces)[: self._settings.pieces - has_right]
        return _showing(made, [*others, right] if has_right else others, draw, self._settings.characters) if others else None

    def _right(self, made: Made) -> Chunk | None:
        """The smallest piece that holds all lines of the row, or else the one that holds most of them."""
        lines = made.lines
        around = [chunk for chunk in self._chunks.get(made.path, ()) if lines is not None and _common(chunk.lines, lines)]
        if lines is None or not around:
            return None
        return max(around, key=lambda chunk: (_common(chunk.lines, lines), chunk.lines[0] - chunk.lines[1]))


def _draw(made: Made, seed: int) -> str:
    return sha256_json([seed, "context", made.path, made.messages[0].content])


def _has_right(draw: str, share: float) -> bool:
    return int(draw[8:16], 16) < share * (1 << 32)


def _others(made: Made, right: Chunk, retriever: Retriever, limit: int) -> list[Chunk]:
    """What a search for the request finds beside the right piece, each text once, best first."""
    found = found_chunks(retriever.search(made.messages[0].content, limit))
    apart = [other for other in found if other.path != right.path or not _common(other.lines, right.lines)]
    return list({other.text: other for other in apart if other.text != right.text}.values())


def _showing(made: Made, chunks: Sequence[Chunk], draw: str, characters: int) -> Made:
    ordered = sorted(chunks, key=lambda one: sha256_json([draw, one.path, list(one.lines), one.text]))
    pieces = [Shown(one.path, one.lines, one.text, one.language).cut(characters) for one in ordered]
    first = made.messages[0]
    return replace(made, messages=(Message(first.role, with_pieces(pieces, first.content)), *made.messages[1:]))


def _common(first: tuple[int, int], second: tuple[int, int]) -> int:
    """How many lines two spans have in common."""
    return max(0, min(first[1], second[1]) - max(first[0], second[0]) + 1)
