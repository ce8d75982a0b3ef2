"""Rows as printed: readable without colour, trained tokens marked, unusual rows explained."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from luthier.config.keys.tokens import TokenSettings
from luthier.config.schema import RunConfig
from luthier.core.errors import DataError
from luthier.core.events import EventLog
from luthier.core.files import HashMemory
from luthier.core.records import Example, Message, Origin
from luthier.core.runs import RunFolder
from luthier.data import stage
from luthier.data.show import lines_of, show
from luthier.model.locate import locate
from luthier.model.template import ChatTemplate
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import RowEncoder

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
CHATML += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
# Rewrites what was said before: earlier answers lose their text.
UNSTABLE = CHATML.replace("{{ m.content }}", "{{ m.content if loop.last or m.role == 'user' else '...' }}")
ASK, SAY = Message("user", "list größe 🎈"), Message("assistant", "ls -l größe 🎈")


def encoder(text: str = CHATML, **settings: Any) -> RowEncoder:
    tokenizer = TextTokenizer.from_folder(locate("starter", None, HashMemory(Path("none"))).path)
    known = {"chat_template": None, "chat_template_jinja": None, "default_system_message": None, "train_on_inputs": False}
    limits = {"sequence_len": 512, "excess_length_strategy": "drop", **settings}
    return RowEncoder(tokenizer, ChatTemplate("test", text), {}, TokenSettings(**known, **limits))  # type: ignore[arg-type]


def printed(row: Example, used: RowEncoder, ids: bool = False) -> str:
    return "\n".join(line.plain for line in lines_of(used, row, ids))


def example(*messages: Message, maker: str = "chat_template") -> Example:
    return Example("0123456789abcdef", messages, Origin(maker, 1, file="rows.jsonl", line=7))


def test_trained_tokens_stand_in_brackets() -> None:
    text = printed(example(ASK, SAY), encoder())
    assert "0123456789abcdef  rows.jsonl:7  user > assistant  " in text
    body = "<|im_start|>user\nlist größe 🎈<|im_end|>\n<|im_start|>assistant\n【ls -l größe 🎈<|im_end|>】\n"
    assert text.endswith(body)


def test_counts_are_those_of_the_tokens() -> None:
    used = encoder()
    row = used.encode(example(ASK, SAY))
    assert isinstance(row, list)
    trained, tokens = int(row[0].trained.sum()), len(row[0].ids)
    assert 0 < trained < tokens
    assert f"{trained} of {tokens} tokens are trained" in printed(example(ASK, SAY), used)


def test_ids_and_labels_on_request() -> None:
    used = encoder()
    row = used.encode(example(ASK, SAY))
    assert isinstance(row, list)
    text = printed(example(ASK, SAY), used, ids=True)
    first, last = int(row[0].ids[0]), int(row[0].ids[row[0].trained][-1])
    assert f"'<|im_start|>'[{first}/-100] " in text
    assert f"【'<|im_end|>'[{last}/{last}]】" in text
    assert text.count("/-100]") == int((~row[0].trained).sum())


def test_a_template_that_is_not_prefix_stable_is_told() -> None:
    turns = example(ASK, SAY, ASK, SAY)
    assert "prefix-stable" not in printed(turns, encoder())
    text = printed(turns, encoder(UNSTABLE))
    assert "the template is not prefix-stable for this row: only its last turn is trained" in text
    assert text.count("【") == 1


def test_a_row_that_cannot_be_trained_says_why() -> None:
    text = printed(example(ASK, Message("assistant", "a", train=False)), encoder())
    assert "cannot be trained on" in text
    assert "no_trained_token" in text


def test_long_rows_say_so() -> None:
    assert "longer than `sequence_len: 8`: `excess_length_strategy` is drop" in printed(example(ASK, SAY), encoder(sequence_len=8))
    text = printed(example(Message("text", "a b c d e f g h i j k l", train=True), maker="completion"), encoder(sequence_len=8))
    assert "piece 1 of" in text


@pytest.fixture
def run(tmp_path: Path) -> tuple[RunConfig, RunFolder]:
    path = tmp_path / "rows.jsonl"
    rows = [{"instruction": f"count {number}", "output": f"seq {number}"} for number in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"path": str(path), "type": {"no_input_format": "Do: {instruction}\n"}}
    config = RunConfig.model_validate({"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, "datasets": [entry]})
    return config, RunFolder(tmp_path / "runs" / "test")


def shown(run: tuple[RunConfig, RunFolder], count: int, **options: Any) -> str:
    stream = io.StringIO()
    show(*run, count, Console(file=stream, width=60, **options))
    return stream.getvalue()


def test_a_finished_run_is_shown(run: tuple[RunConfig, RunFolder]) -> None:
    with pytest.raises(DataError, match="no rows yet"):
        shown(run, 1)
    stage.run(*run, EventLog(None))
    text = shown(run, 2)
    assert text.startswith("【trained tokens】, all others are only read\n")
    assert "\nDo: count 0\n【seq 0" in text
    assert text.count("rows.jsonl:") == 2
    assert "\x1b[" not in text
    coloured = shown(run, 9, force_terminal=True, color_system="standard")
    assert "\x1b[1;32m" in coloured
    assert coloured.count("tokens are trained") == 5


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = printed(example(Message("user", "a\x1b[31mb"), Message("assistant", "c\x07d\x7f")), encoder())
    assert not {"\x1b", "\x07", "\x7f"} & set(text)
    assert {"\u241b", "\u2407", "\u2421"} <= set(text)
