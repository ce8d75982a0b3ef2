"""Rows as the model will see them: every token, the trained ones marked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from rich.console import Console
from rich.text import Text

from luthier.config.schema import RunConfig
from luthier.core.errors import DataError, Problem
from luthier.core.files import read_jsonl
from luthier.core.records import Example, Message, Origin, Reject
from luthier.core.runs import RunFolder
from luthier.data.rows.fields import place
from luthier.model.locate import locate
from luthier.model.masks.pieces import Marked
from luthier.model.token_file import TokenRow
from luthier.model.tokens import RowEncoder, encoder_of

# Trained tokens stand in these brackets too, so that they are told apart where there is no colour.
OPEN, CLOSE = "【", "】"
# Two shades each, so that neighbouring tokens are told apart.
_TRAINED_STYLES = ("bold green", "bold bright_green underline")
_REST_STYLES = ("dim", "bright_black")
_MARK_STYLE = "green"
# What would speak to the terminal is shown as its picture (Unicode block Control Pictures).
_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {127: "\u2421"}
_UNSTABLE = "the template is not prefix-stable for this row: only its last turn is trained"


def show(config: RunConfig, folder: RunFolder, count: int, console: Console | None = None, ids: bool = False) -> None:
    """Prints the first `count` training rows with their trained tokens marked; with `ids` each token with its id and label.

    `DataError` where the run folder holds no rows yet.
    """
    console = console or Console()
    path = folder.split("train")
    if not path.is_file():
        raise DataError(Problem("there are no rows yet", where=str(path), hint="run `luthier data` on the run file first"))
    examples = [Example.from_json(row) for row in islice(read_jsonl(path), count)]
    base = locate(config.base_model, config.revision_of_model, folder.hashes)
    encoder = encoder_of(folder, base, config.tokenizer_config, config.token_settings())
    legend = f"{OPEN}trained tokens{CLOSE}, all others are only read"
    console.print(Text(legend if not ids else f"{legend}; id/label of each token, -100 where it is not trained"))
    for example in examples:
        for line in lines_of(encoder, example, ids):
            console.print(line, soft_wrap=True)


def lines_of(encoder: RowEncoder, example: Example, ids: bool = False) -> Iterator[Text]:
    """What is printed for one row: a head with id, origin and counts, the tokens, and a word on what is unusual."""
    yield Text("")
    rows = encoder.encode(example)
    if isinstance(rows, Reject):
        yield _head(example, "cannot be trained on")
        yield Text(f"{rows.reason}: {rows.detail}", style="red")
        return
    tokens = sum(len(row.ids) for row in rows)
    trained = sum(int(row.trained.sum()) for row in rows)
    yield _head(example, f"{trained} of {tokens} tokens are trained")
    marked = encoder.mark(example)
    if isinstance(marked, Marked) and marked.last_turn_only:
        yield Text(_UNSTABLE, style="yellow")
    limit = encoder.settings.sequence_len
    for number, row in enumerate(rows, 1):
        if len(rows) > 1:
            yield Text(f"piece {number} of {len(rows)}", style="cyan")
        yield _with_ids(encoder, row) if ids else _as_text(encoder, row)
        if len(row.ids) > limit:
            strategy = encoder.settings.excess_length_strategy
            yield Text(f"longer than `sequence_len: {limit}`: `excess_length_strategy` is {strategy}", style="yellow")


def _head(example: Example, count: str) -> Text:
    return Text.assemble((example.id, "bold cyan"), f"  {_origin(example.origin)}  {_turns(example.messages)}  ", (count, "cyan"))


def _origin(origin: Origin) -> str:
    if origin.file is not None:
        return place(origin.file, origin.line)
    return place(f"{origin.repo}/{origin.path}", origin.lines[0] if origin.lines else None)


def _turns(messages: tuple[Message, ...]) -> str:
    return " > ".join(message.role for message in messages)


def _as_text(encoder: RowEncoder, row: TokenRow) -> Text:
    """The row's text, the shade changing from token to token; tokens that hold parts of one character are shown as one."""
    text = Text()
    shade = 0
    for is_trained, group in groupby(zip(row.ids.tolist(), row.trained.tolist(), strict=True), key=lambda pair: pair[1]):
        styles = _TRAINED_STYLES if is_trained else _REST_STYLES
        text.append(OPEN if is_trained else "", _MARK_STYLE)
        for said in _pieces(encoder, [token for token, _ in group]):
            shade = 1 - shade
            text.append(said.translate(_CONTROL_PICTURES), styles[shade])
        text.append(CLOSE if is_trained else "", _MARK_STYLE)
    return text


def _pieces(encoder: RowEncoder, ids: list[int]) -> Iterator[str]:
    """The text of each token as it reads after the one before it (some tokenizers drop a blank at the start of a text)."""
    before: list[int] = []
    held: list[int] = []
    for number, token in enumerate(ids, 1):
        held.append(token)
        known = encoder.tokenizer.decode(before, skip_special=False) if before else ""
        said = encoder.tokenizer.decode([*before, *held], skip_special=False)[len(known) :]
        if said.endswith("\ufffd") and number < len(ids):
            continue
        yield said
        before, held = held, []


def _with_ids(encoder: RowEncoder, row: TokenRow) -> Text:
    text = Text()
    tokens, trained = row.ids.tolist(), row.trained.tolist()
    for piece, token, is_trained in zip(encoder.tokenizer.pieces(tokens), tokens, trained, strict=True):
        label = token if is_trained else -100
        said = f"{piece!r}[{token}/{label}]"
        text.append(f"{OPEN}{said}{CLOSE}" if is_trained else said, (_TRAINED_STYLES if is_trained else _REST_STYLES)[0]).append(" ")
    return text
