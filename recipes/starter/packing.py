"""Documents into rows of equal length: several whole documents a row, none cut, none seeing its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from tokenizers import Tokenizer

from recipes.starter.text import Piece

ROW_TOKENS = 320
GIVEN_WEIGHT = 0.3
POOL_DOCUMENTS = 256
Encoded = tuple[list[int], list[float]]


def encode(tokenizer: Tokenizer, documents: Iterable[list[Piece]], end_id: int) -> Iterator[Encoded]:
    """Each document's tokens, closed by the end token, with each token's weight as a target.

    Answers weigh 1, what is given weighs less: its names are drawn at random and cannot be foretold.
    """
    chunk: list[list[Piece]] = []
    for pieces in documents:
        chunk.append(pieces)
        if len(chunk) == 512:
            yield from _encode_chunk(tokenizer, chunk, end_id)
            chunk = []
    yield from _encode_chunk(tokenizer, chunk, end_id)


def _encode_chunk(tokenizer: Tokenizer, chunk: list[list[Piece]], end_id: int) -> Iterator[Encoded]:
    flat = tokenizer.encode_batch_fast([text for pieces in chunk for text, _ in pieces])
    at = 0
    for pieces in chunk:
        ids: list[int] = []
        weights: list[float] = []
        for _, answer in pieces:
            piece = flat[at].ids
            ids += piece
            weights += [1.0 if answer else GIVEN_WEIGHT] * len(piece)
            at += 1
        yield [*ids, end_id], [*weights, GIVEN_WEIGHT]


def rows(encoded: Iterable[Encoded], counts: dict[str, int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of `ROW_TOKENS`: token ids, weights, and each token's document number in its row (0 is padding).

    Takes the longest document of a small pool that still fits, so a few per cent of a row stay empty. Documents
    longer than a row are left out and counted.
    """
    pool: list[Encoded] = []
    source = iter(encoded)
    exhausted = False
    while True:
        while not exhausted and len(pool) < POOL_DOCUMENTS:
            document = next(source, None)
            if document is None:
                exhausted = True
            elif len(document[0]) > ROW_TOKENS:
                counts["too_long"] = counts.get("too_long", 0) + 1
            else:
                pool.append(document)
        if not pool:
            return
        yield _row(pool)


def _row(pool: list[Encoded]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.zeros(ROW_TOKENS, np.int64)
    weights = np.zeros(ROW_TOKENS, np.float32)
    owner = np.zeros(ROW_TOKENS, np.int64)
    used = number = 0
    at = 0  # the oldest document goes first, so that none waits for ever
    while at is not None:
        document_ids, document_weights = pool.pop(at)
        end = used + len(document_ids)
        number += 1
        ids[used:end], weights[used:end], owner[used:end] = document_ids, document_weights, number
        weights[used] = 0.0  # the first token has no context
        used = end
        fitting = [(len(document[0]), -index) for index, document in enumerate(pool) if used + len(document[0]) <= ROW_TOKENS]
        at = -max(fitting)[1] if fitting else None
    return ids, weights, owner
