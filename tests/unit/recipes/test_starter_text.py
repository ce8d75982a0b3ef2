"""The built-in base model: its text, its tokenizer, its template, its size and its papers."""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))  # the recipe is run from the root, not installed

from recipes.starter import make, names, requests, text  # noqa: E402
from recipes.starter.commands import dialect_table  # noqa: E402
from recipes.starter.initial import lay_in  # noqa: E402
from recipes.starter.model import build_model  # noqa: E402
from recipes.starter.packing import ROW_TOKENS, encode, rows  # noqa: E402
from recipes.starter.tokenizer import PAD, TURN_END, TURN_START, chat_template, train_tokenizer  # noqa: E402
from recipes.starter.train import Settings, rate_factor, train  # noqa: E402

STARTER = ROOT / "src" / "luthier" / "assets" / "starter"
QUICKSTART = ROOT / "examples" / "quickstart"
SAMPLE_DOCUMENTS = 20_000


@cache
def shipped_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(STARTER)


@cache
def stock_tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(STARTER)


@pytest.fixture(name="tokenizer")
def tokenizer_fixture() -> PreTrainedTokenizerFast:
    return shipped_tokenizer()


def ids_of(tokenizer: PreTrainedTokenizerFast, piece: str) -> list[int]:
    return tokenizer(piece, add_special_tokens=False)["input_ids"]


def shared_documents(count: int, first: int = 0) -> list[int]:
    """The numbers of the documents that share a word 8-gram with the quickstart, before any filter."""
    protected = text.protected_grams(QUICKSTART)
    assert len(protected) > 1000
    return [number for number in range(first, count) if not protected.isdisjoint(text.grams(text.whole(text.document(make.SEED, number))))]


def test_a_sample_of_the_text_shares_no_word_8_gram_with_the_quickstart() -> None:
    assert shared_documents(SAMPLE_DOCUMENTS) == []


@pytest.mark.slow
def test_the_whole_text_shares_no_word_8_gram_with_the_quickstart() -> None:
    assert shared_documents(make.DOCUMENTS) == []


def test_the_filter_drops_a_document_that_shares_one() -> None:
    long = next(number for number in range(1000) if text.grams(text.whole(text.document(make.SEED, number))))
    protected = {next(iter(text.grams(text.whole(text.document(make.SEED, long)))))}
    kept = [text.whole(pieces) for pieces in text.documents(make.SEED, long + 1, protected, first=long)]
    assert kept == []


def test_protected_grams_are_read_from_requests_and_answers_apart(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a b c d e f g"}, {"role": "assistant", "content": "h I j k l m n o"}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert text.protected_grams(tmp_path) == {tuple("hijklmno")}


def test_documents_do_not_change_and_do_not_depend_on_the_one_before() -> None:
    alone = text.document(make.SEED, 77)
    assert alone == text.document(make.SEED, 77)
    assert alone != text.document(make.SEED, 78)
    # The text of the shipped weights: when this hash changes, so must `text.VERSION` and the weights.
    stream = "\0".join(text.whole(text.document(make.SEED, number)) for number in range(4000, 4400))
    assert (text.VERSION, hashlib.sha256(stream.encode()).hexdigest()[:16]) == (1, "f7ec195084693049")


def test_every_intent_can_be_asked_and_every_dialect_names_all_its_roles() -> None:
    assert len(requests.intents()) > 100
    for intent in requests.intents():
        for seed in range(20):
            request = requests.draw_request(Random(seed), intent)
            for name in request.slots.values():
                # A name that opens a sentence may get a capital letter there.
                assert name in request.sentence or request.sentence.startswith(name[:1].upper() + name[1:]), request
            assert not set("[]|") & set(request.sentence), request
    for shapes in dialect_table().values():
        for intent in requests.intents():
            assert all("{" + role + "}" in shapes[intent.action] for role, _ in intent.roles)


def test_packed_rows_hold_each_document_once_and_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    fast = tokenizer.backend_tokenizer
    drawn = list(text.documents(make.SEED, 300, set()))
    counts: dict[str, int] = {}
    packed = list(rows(encode(fast, drawn, fast.token_to_id(PAD)), counts))
    found = []
    for ids, weights, owner in packed:
        assert len(ids) == ROW_TOKENS
        assert not weights[owner == 0].any()
        found += [fast.decode([int(i) for i in ids[owner == number]], skip_special_tokens=False) for number in range(1, owner.max() + 1)]
    expected = [text.whole(pieces) + PAD for pieces in drawn]
    assert sorted(found) == sorted(item for item in expected if len(fast.encode(item).ids) <= ROW_TOKENS)
    assert len(expected) - len(found) == counts.get("too_long", 0)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=80))
def test_any_text_comes_back_composed(piece: str) -> None:
    """Qwen2's tokenizer composes accents (NFC) before anything else, and so does this one."""
    tokenizer = shipped_tokenizer()
    assert tokenizer.decode(ids_of(tokenizer, piece)) == unicodedata.normalize("NFC", piece)


def test_white_space_indentation_and_every_byte_come_back(tokenizer: PreTrainedTokenizerFast) -> None:
    for piece in ["  two\n\n\tlines  ", "\r\n", "a  .  b ,c !", "𝄞🎻", "".join(map(chr, range(256))), "<|im_start", " 's"]:
        assert tokenizer.decode(ids_of(tokenizer, piece)) == piece


def test_a_name_is_the_same_tokens_wherever_it_stands(tokenizer: PreTrainedTokenizerFast) -> None:
    random = Random(5)
    for _ in range(400):
        name = names.stem(random)
        alone = ids_of(tokenizer, name)
        # A quote at the beginning of a line or after a letter is not among them: there Qwen2's splitting reads `'s` as a word's end.
        for before, after in [
            (" ", ".txt"),
            ("/", "/"),
            (" '", "'"),
            ("='", "'"),
            ("('", "'"),
            ("=", " "),
            ("--", "="),
            ("\n", "\n"),
            ("(", ")"),
            ("7", "7"),
        ]:
            around = ids_of(tokenizer, before + name + after)
            assert around == ids_of(tokenizer, before) + alone + ids_of(tokenizer, after), (before, name, after)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=80))
def test_the_stock_loader_gives_the_same_tokens(piece: str) -> None:
    # transformers 5 takes `Qwen2Tokenizer` for this model type, whatever the folder says: its splitting is the file's own.
    assert stock_tokenizer()(piece)["input_ids"] == ids_of(shipped_tokenizer(), piece)


@pytest.mark.parametrize(
    "piece", ["a  b   c", "it's 'server'", "caf\u00e9 cafe\u0301", "\t\tx \n\n y", "12\u00bd \u0661", "for x in *; do echo  $x; done"]
)
def test_the_stock_loader_gives_the_same_tokens_on_odd_texts(piece: str) -> None:
    assert stock_tokenizer()(piece)["input_ids"] == ids_of(shipped_tokenizer(), piece)


def test_the_stock_loader_gives_the_same_tokens_on_the_quickstart(tokenizer: PreTrainedTokenizerFast) -> None:
    stock = stock_tokenizer()
    for line in (QUICKSTART / "train.jsonl").read_text(encoding="utf-8").splitlines():
        rendered = render(tokenizer, json.loads(line)["messages"])
        assert stock(rendered)["input_ids"] == ids_of(tokenizer, rendered), line


def test_special_tokens_are_single_and_padding_is_not_the_end_of_a_turn(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [ids_of(tokenizer, token) for token in (PAD, TURN_START, TURN_END)] == [[0], [1], [2]]
    assert tokenizer.pad_token == PAD
    assert tokenizer.eos_token == TURN_END
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) == 4096


def test_the_tokenizer_comes_out_the_same_again() -> None:
    sample = [text.whole(pieces) for pieces in text.documents(make.TOKENIZER_SEED, 300, set())]
    assert train_tokenizer(sample).to_str() == train_tokenizer(sample).to_str()


CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "what is in /tmp?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "list", "arguments": {"where": "/tmp"}}}],
    },
    {"role": "tool", "content": "a.txt"},
    {"role": "assistant", "content": "a.txt is."},
    {"role": "user", "content": "and now?"},
    {
        "role": "assistant",
        "content": "see",
        "tool_calls": [{"name": "list", "arguments": '{"where": "/"}'}, {"name": "end", "arguments": {}}],
    },
]


def render(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, Any]], **options: Any) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))


def test_the_template_writes_chatml(tokenizer: PreTrainedTokenizerFast) -> None:
    assert render(tokenizer, CONVERSATION[:1], add_generation_prompt=True) == (
        "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nwhat is in /tmp?<|im_end|>\n<|im_start|>assistant\n"
    )
    own = [{"role": "system", "content": "Be brief."}, *CONVERSATION]
    written = render(tokenizer, own)
    assert written.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    assert '<|im_start|>assistant\n<tool_call>\n{"name": "list", "arguments": {"where": "/tmp"}}\n</tool_call><|im_end|>\n' in written
    assert "<|im_start|>tool\na.txt<|im_end|>\n" in written
    assert written.endswith(
        'see\n<tool_call>\n{"name": "list", "arguments": {"where": "/"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "end", "arguments": {}}\n</tool_call><|im_end|>\n'
    )


def test_the_template_lists_tools_and_refuses_an_unknown_role(tokenizer: PreTrainedTokenizerFast) -> None:
    tool = {"type": "function", "function": {"name": "list", "parameters": {}}}
    written = render(tokenizer, CONVERSATION[:1], tools=[tool])
    assert f"<tools>\n{json.dumps(tool)}\n</tools>" in written
    with pytest.raises(Exception, match="unknown role judge"):
        render(tokenizer, [{"role": "judge", "content": "no"}])


@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be brief."}]])
def test_the_template_is_prefix_stable(tokenizer: PreTrainedTokenizerFast, system: list[dict[str, Any]]) -> None:
    messages = system + CONVERSATION
    whole = render(tokenizer, messages)
    for count in range(len(system) + 1, len(messages)):
        ahead = messages[count]["role"] == "assistant"
        assert whole.startswith(render(tokenizer, messages[:count], add_generation_prompt=ahead)), count


def test_the_text_is_written_as_the_template_writes_it(tokenizer: PreTrainedTokenizerFast) -> None:
    exchanges = [("one?", "1"), ("two?", "2")]
    messages = [{"role": role, "content": said} for pair in exchanges for role, said in zip(("user", "assistant"), pair, strict=True)]
    assert text.whole(text.chat(text.SYSTEM, exchanges)) == render(tokenizer, messages)


def test_the_shipped_template_is_the_recipes(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.chat_template == chat_template()


def test_the_weights_are_small_and_the_whole_model_is_there() -> None:
    weights = STARTER / "model.safetensors"
    assert weights.stat().st_size <= 20_000_000
    with safe_open(weights, "pt") as held:
        tensors = {name: held.get_slice(name) for name in held.keys()}  # noqa: SIM118
        counts = {name: _product(piece.get_shape()) for name, piece in tensors.items()}
        assert {piece.get_dtype() for piece in tensors.values()} == {"BF16"}
    assert 1_000_000 < sum(counts.values()) <= 10_000_000
    config = json.loads((STARTER / "config.json").read_text(encoding="utf-8"))
    assert (config["architectures"], config["model_type"], config["vocab_size"]) == (["Qwen2ForCausalLM"], "qwen2", 4096)
    assert (config["pad_token_id"], config["eos_token_id"]) == (0, 2)
    assert not list(STARTER.glob("*.bin"))
    assert not list(STARTER.glob("*.pt"))
    assert not (STARTER / "PROVISIONAL").exists()


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def test_the_card_names_text_licenses_and_these_weights() -> None:
    card = (STARTER / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "Apache-2.0" in card
    assert "recipes/starter" in card
    for file in ("model.safetensors", "tokenizer.json"):
        assert hashlib.sha256((STARTER / file).read_bytes()).hexdigest() in card, f"the card's hash of {file} is another's"


def tiny_model() -> Qwen2ForCausalLM:
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=64, tie_word_embeddings=True, **sizes))


def test_training_that_was_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    packed = {
        "ids": random.integers(3, 64, (12, 24)).astype(np.uint16),
        "weights": random.choice([0, 30, 100], (12, 24)).astype(np.uint8),
        "owner": np.repeat(np.arange(1, 4), 8)[None].repeat(12, 0).astype(np.uint8),
    }
    settings_of_both = Settings(steps=6, rows_per_step=2, warm_up_steps=2, save_every=2, probe_every=3, log_every=6)
    straight, killed, resumed = tiny_model(), tiny_model(), tiny_model()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    train(straight, packed, tmp_path / "a", settings_of_both, lambda model: {})

    def stop(model: Qwen2ForCausalLM) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(killed, packed, tmp_path / "b", settings_of_both, stop)
    train(resumed, packed, tmp_path / "b", settings_of_both, lambda model: {})
    for (name, one), other, first in zip(straight.named_parameters(), resumed.parameters(), tiny_model().parameters(), strict=True):
        assert torch.equal(one, other), name
        assert "bias" in name or not torch.equal(one, first), name


def test_packed_documents_do_not_see_each_other() -> None:
    model = tiny_model()
    ids = torch.arange(3, 19)[None]
    owner = torch.tensor([[1] * 8 + [2] * 8])
    sees = (owner[:, :, None] == owner[:, None, :]).tril()[:, None]
    alone = model.model(input_ids=ids[:, 8:]).last_hidden_state
    packed = model.model(input_ids=ids, attention_mask=sees).last_hidden_state[:, 8:]
    assert torch.allclose(alone, packed, atol=1e-5)


def test_the_rate_goes_up_and_then_down_to_nothing() -> None:
    factors = [rate_factor(step, 1000, Settings()) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) == 1.0
    assert factors[-1] < 0.01
    assert factors[:50] == sorted(factors[:50])


def test_the_laid_in_start_copies_a_run_of_tokens_before_any_training() -> None:
    model = build_model(4096, 0, 2)
    lay_in(model)
    run = torch.randint(3, 4096, (4, 50), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        guessed = model(input_ids=torch.cat([run, run], 1)).logits[:, 50:-1].argmax(-1)
    assert (guessed == run[:, 1:]).float().mean() > 0.85
