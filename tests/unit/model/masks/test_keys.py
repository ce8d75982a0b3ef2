"""The keys that choose what is trained: as Axolotl 0.19 has them, where it has them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from luthier.config.row_sections import DatasetEntry
from luthier.core.errors import ModelError
from luthier.core.records import Detail, Example, Message, TurnEnds
from luthier.data.reading.formats import converter
from luthier.model.masks.chat import mark_chat
from luthier.model.masks.ends import EndTokens, TurnEnd, trained_ends
from luthier.model.masks.pieces import touches
from luthier.model.template import ChatTemplate
from tokenizer_parts import SETTINGS, encoder_for, row, trained_texts

# The row and the settings of example 5 of `docs/dataset-formats/conversation.qmd` in Axolotl's repository.
DOCUMENTED = [
    {"from": "system", "value": "You are an AI assistant.", "train": False},
    {"from": "human", "value": "Hello", "train": False},
    {"from": "assistant", "value": "Hello", "train": True},
    {"from": "human", "value": "How are you?", "train": True},
    {
        "from": "assistant",
        "value": "I'm doing very well, thank you!",
        "train_detail": [
            {"begin_offset": 0, "end_offset": 8, "train": False},
            {"begin_offset": 9, "end_offset": 18, "train": True},
            {"begin_offset": 19, "end_offset": 30, "train": False},
        ],
    },
    {"from": "human", "value": "I'm doing very well, thank you!", "train": True},
    {"from": "assistant", "value": "Hi there!", "train": True},
]
DOCUMENTED_ENTRY = {
    "field_messages": "conversations",
    "message_property_mappings": {"role": "from", "content": "value"},
    "roles_to_train": [],
    "train_on_eos": "turn",
    "message_field_training": "train",
    "message_field_training_detail": "train_detail",
}
SPECIAL = ("<|im_end|>", "</s>", "[/INST]")


def read(messages, **entry) -> Example:
    """A conversation as the data stage hands it on, through the line in which it is stored."""
    fields = converter(DatasetEntry(path="rows.jsonl", **entry))({"conversations": messages})
    return Example.from_json(row(*fields.messages, ends=fields.ends).to_json())


def trained(encoder, example) -> list[str]:
    return trained_texts(encoder.tokenizer, encoder.encode(example)[0])


def test_the_documented_example_of_axolotl(tmp_path):
    """Every character is a token of the details' borders here: the corpus holds none of these words."""
    encoder = encoder_for(tmp_path, "chatml")
    assert trained(encoder, read(DOCUMENTED, **DOCUMENTED_ENTRY)) == [
        "Hello<|im_end|>",
        "How are you?<|im_end|>",
        " very well",
        "<|im_end|>",
        "I'm doing very well, thank you!<|im_end|>",
        "Hi there!<|im_end|>",
    ]


def test_the_rows_keep_what_is_needed(tmp_path):
    example = read(DOCUMENTED, **{**DOCUMENTED_ENTRY, "train_on_eos": "last"})
    assert example.ends == TurnEnds("last", "last")
    assert example.messages[4].details[1] == Detail(9, 18, train=True)
    assert example.messages[4].train is True
    assert read(DOCUMENTED, **DOCUMENTED_ENTRY).ends is None
    # A template never sees the keys of training.
    seen = ChatTemplate("keys", "{% for m in messages %}{{ m | list }}{% endfor %}")
    assert "train" not in seen.render(example.messages, special_tokens={})


@pytest.mark.parametrize(
    ("token", "content", "goes"),
    [
        # Inclusive offsets 3 to 6 are the content (3, 7): `adjust_train_details` and `get_offsets_for_train_detail`, worked out by hand.
        ((3, 5), (3, 7), True),
        ((1, 3), (3, 7), False),
        ((2, 4), (3, 7), False),  # Shares the first character alone.
        ((2, 5), (3, 7), True),
        ((5, 9), (3, 7), True),
        ((6, 9), (3, 7), False),  # Shares the last character alone.
        ((6, 7), (3, 7), True),
        ((7, 8), (3, 7), False),
        ((0, 12), (3, 7), True),
        ((4, 5), (4, 5), True),
        ((3, 5), (4, 5), False),
    ],
)
def test_a_token_on_the_border_of_a_detail_goes_as_in_axolotl(token, content, goes):
    assert touches(token, content) is goes


def axolotl_labels(tokens, details):
    """What Axolotl 0.19 trains, written down from its two functions: tokens and details with inclusive ends."""
    moved = []
    for first, last, train in details:
        begin = next((i for i, (start, _) in enumerate(tokens) if start >= first), len(tokens))
        if begin > 0 and tokens[begin - 1][1] > first:
            begin -= 1
        end = next((i for i in range(len(tokens) - 1, -1, -1) if tokens[i][1] <= last), -1)
        if end < len(tokens) - 1 and tokens[end + 1][0] < last:
            end += 1
        if begin <= end:
            moved.append((tokens[begin][0], tokens[end][1], train))
    return [any(train and start >= first and end <= last for first, last, train in moved) for start, end in tokens]


def test_any_details_over_any_tokens_are_axolotls():
    for cuts in range(1 << 7):
        borders = [0, *(place + 1 for place in range(7) if cuts >> place & 1), 8]
        tokens = [(start, end - 1) for start, end in pairwise(borders)]
        for first in range(8):
            for last in range(first, 8):
                own = [touches((start, end + 1), (first, last + 1)) for start, end in tokens]
                assert own == axolotl_labels(tokens, [(first, last, True)]), (tokens, first, last)


ENDS = EndTokens(SPECIAL, "</s>", after_answers=("<|im_end|>",))
TURNS = [TurnEnd(0, "<|im_end|>", False), TurnEnd(1, "<|im_end|>", True), TurnEnd(2, "</s>", False), TurnEnd(3, "</s>", True)]
LAST_ASKS = [*TURNS, TurnEnd(4, "</s>", False)]


@pytest.mark.parametrize(
    ("rules", "eot", "found", "kept"),
    [
        (TurnEnds("turn", "turn"), None, TURNS, {1, 3}),
        (TurnEnds("all", "all"), None, TURNS, {0, 1, 2, 3}),
        (TurnEnds("last", "last"), None, TURNS, {3}),
        (TurnEnds("none", "none"), None, TURNS, set()),
        # The end-of-text token is an end of turn too, as long as no tokens are named.
        (TurnEnds("none", "turn"), None, TURNS, {1, 3}),
        (TurnEnds("none", "turn"), ("<|im_end|>",), TURNS, {1}),
        (TurnEnds("turn", "none"), ("<|im_end|>",), TURNS, {3}),
        (TurnEnds("last", "last"), ("<|im_end|>",), TURNS, {1, 3}),
        # The last trained turn's end, not the last of all, unless the other rule looks at all.
        (TurnEnds("last", "none"), ("<|im_end|>",), LAST_ASKS, {3}),
        (TurnEnds("last", "all"), ("<|im_end|>",), LAST_ASKS, {0, 1, 4}),
        # A token that is neither is never trained.
        (TurnEnds("turn", "turn"), ("[/INST]",), TURNS, {3}),
    ],
)
def test_which_ends_are_trained(rules, eot, found, kept):
    assert trained_ends(found, replace(ENDS, eot=eot), rules) == kept


def test_an_end_that_is_only_the_start_of_an_answer_is_no_end_of_a_question():
    assert ENDS.at_end("[INST] a [/INST]", is_answer=False) == ""
    assert ENDS.at_end("[INST] a [/INST]", is_answer=True) == "[/INST]"
    assert replace(ENDS, eot=("[/INST]",)).at_end("[INST] a [/INST]", is_answer=False) == "[/INST]"


def test_eot_tokens_name_what_ends_a_turn(tmp_path):
    turns = [{"from": "human", "value": "list"}, {"from": "gpt", "value": "ls"}]
    example = read(turns)
    named = encoder_for(tmp_path / "named", "llama3", replace(SETTINGS, eot_tokens=("<|eot_id|>",)))
    other = encoder_for(tmp_path / "other", "llama3", replace(SETTINGS, eot_tokens=("<|end_of_text|>",)))
    assert trained(encoder_for(tmp_path / "plain", "llama3"), example) == ["ls<|eot_id|>"]
    assert trained(named, example) == ["ls<|eot_id|>"]
    assert trained(other, example) == ["ls"]
    with pytest.raises(ModelError, match="eot_tokens"):
        encoder_for(tmp_path / "unknown", "llama3", replace(SETTINGS, eot_tokens=("<|no such token|>",)))


def test_an_added_end_of_text_obeys_the_rule(tmp_path):
    template = ChatTemplate("no end", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    turns = [{"from": "human", "value": "list"}, {"from": "gpt", "value": "ls"}]
    encoder = encoder_for(tmp_path, ChatTemplate("x", template.text + "{% if add_generation_prompt %}assistant: {% endif %}"))
    texts = {rule: trained(encoder, read(turns, train_on_eos=rule)) for rule in ("turn", "all", "last", "none")}
    assert texts == {"turn": ["ls\n</s>"], "all": ["ls\n</s>"], "last": ["ls\n</s>"], "none": ["ls\n"]}
    asked = [{**turns[0], "train": True}, {**turns[1], "train": False}]
    assert trained(encoder, read(asked, train_on_eos="turn")) == ["list"]
    assert trained(encoder, read(asked, train_on_eos="all")) == ["list", "</s>"]


def test_a_content_is_found_where_its_header_says_the_same(tmp_path):
    turns = [{"from": "human", "value": "user", "train": True}, {"from": "gpt", "value": "ls"}]
    encoder = encoder_for(tmp_path, "chatml")
    assert trained(encoder, read(turns)) == ["user<|im_end|>", "ls<|im_end|>"]
    ids = encoder.encode(read(turns))[0]
    assert not ids.trained[:2].any()


def test_details_hold_where_the_template_cuts_white_space(tmp_path):
    detail = [{"begin_offset": 3, "end_offset": 4, "train": True}]
    turns = [{"from": "human", "value": "list"}, {"from": "gpt", "value": "   ls -la  ", "parts": detail}]
    encoder = encoder_for(tmp_path, "llama3")
    assert trained(encoder, read(turns, message_field_training_detail="parts")) == ["ls", "<|eot_id|>"]


def test_details_of_a_turn_that_is_rewritten_refuse_the_row():
    shouts = ChatTemplate("shouts", "{% for m in messages %}{{ m.content | upper }}<|im_end|>{% endfor %}")
    render = lambda part, prompt: shouts.render(part, add_generation_prompt=prompt, special_tokens={})  # noqa: E731
    answer = Message("assistant", "ls", train=True, details=(Detail(0, 1, train=True),))
    assert mark_chat((Message("user", "a"), answer), render, ENDS, train_on_inputs=False) is None
