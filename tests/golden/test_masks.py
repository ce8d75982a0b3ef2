"""The trained text of every kind of conversation under every template, held to a file that people can read.

`python tests/golden/test_masks.py` writes the file anew; the diff then shows what changed.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conversations import CONVERSATIONS, KEYS, REASONS, RUN, WITH_TOOLS
from luthier.config.row_sections import DatasetEntry
from luthier.core.records import Example, Reject
from luthier.core.stages import STAGES
from luthier.data.reading.formats import converter
from luthier.model.template import ChatTemplate
from luthier.model.tokens import RowEncoder
from tokenizer_parts import ENDS, SETTINGS, encoder_for, row, text_of

FILE = Path(__file__).parent / "masks.txt"
# Raise it together with the version of training in `core.stages` when a mask below changes.
EXPECTED_VERSION = 6
# Templates under which the keys that choose what is trained are shown.
KEY_TEMPLATES = ("alpaca", "chatml", "gemma", "llama3", "mistral_v1", "qwen_25")
HEAD = """Trained text stands between ⟦ and ⟧; ⏎ is a line break. Each block is one conversation under one template.
"""


def encoders(folder: Path) -> dict[str, RowEncoder]:
    built_in = {name: encoder_for(folder / name, name, adds_bos=name in ("alpaca", "llama3")) for name in ENDS}
    reasons = encoder_for(folder / "reasons", ChatTemplate("reasons", REASONS), bos=None, eos="<|im_end|>")
    return {**built_in, "reasons (strips earlier reasoning)": reasons}


def shown(encoder: RowEncoder, example: Example) -> str:
    found = encoder.encode(example)
    if isinstance(found, Reject):
        return f"refused: {found.reason}: {found.detail}"
    runs: list[tuple[bool, list[int]]] = []
    for token, trained in zip(found[0].ids.tolist(), found[0].trained.tolist(), strict=True):
        if not runs or runs[-1][0] != trained:
            runs.append((trained, []))
        runs[-1][1].append(token)
    text = "".join(f"⟦{text_of(encoder.tokenizer, ids)}⟧" if trained else text_of(encoder.tokenizer, ids) for trained, ids in runs)
    marked = encoder.mark(example)
    note = "(last turn only) " if not isinstance(marked, Reject) and marked.last_turn_only else ""
    return note + text.replace("\n", "⏎\n")


def book(folder: Path) -> str:
    blocks = [HEAD]
    for template, encoder in encoders(folder).items():
        for name, messages in CONVERSATIONS.items():
            example = row(*messages, tools=(RUN,) if name in WITH_TOOLS else ())
            blocks.append(f"==== {template} / {name}\n{shown(encoder, example)}\n")
    for template in KEY_TEMPLATES:
        for name, (entry, run, turns) in KEYS.items():
            settings = replace(SETTINGS, **run)
            encoder = encoder_for(folder / "keys", template, settings, adds_bos=template in ("alpaca", "llama3"))
            fields = converter(DatasetEntry(path="rows.jsonl", **entry))({"conversations": turns})
            blocks.append(f"==== {template} / {name}\n{shown(encoder, row(*fields.messages, ends=fields.ends))}\n")
    return "\n".join(blocks)


def test_trained_text_is_as_it_was(tmp_path):
    assert book(tmp_path) == FILE.read_text(encoding="utf-8")


def test_the_version_is_the_one_of_these_masks() -> None:
    assert STAGES["train"].version == EXPECTED_VERSION


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        FILE.write_text(book(Path(name)), encoding="utf-8")
