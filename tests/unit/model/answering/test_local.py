"""The local model's answers, token by token against `transformers.generate`, and the adapter's switch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from answering_parts import SIZES, Plain, make_adapter, make_base, mistral, save_tokenizer
from luthier.config.keys.base import BaseSettings
from luthier.config.keys.tokens import TokenSettings
from luthier.core.errors import ModelError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, Generator, TokenEvent
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, Message, Plan
from luthier.model.answering.local import LocalGenerator, open_local
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.rows import draw
from luthier.model.answering.voices import Voice, make_voices
from luthier.model.locate import ModelLocation
from luthier.model.tokenizer import TextTokenizer

# Products as small as these lose more to a second thread than they win.
torch.set_num_threads(1)
LENGTH = 24
PLAN = Plan(device="cpu", device_name="test", dtype="float32", threads=1)
SETTINGS = BaseSettings("tiny", None, None, quantization="none", attention=None)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelLocation:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapter(base: ModelLocation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter"))


def requests(count: int = 12, **changes: object) -> list[GenerationRequest]:
    texts = [f"{'list files ' * (number % 7)}{number}" for number in range(count)]
    made = [GenerationRequest(str(number), (Message("user", text),), "base", max_new_tokens=LENGTH) for number, text in enumerate(texts)]
    return [replace(request, **changes) for request in made]


def done(events: Iterator[GenerationEvent]) -> dict[str, DoneEvent]:
    found = {event.id: event for event in events if isinstance(event, DoneEvent)}
    return dict(sorted(found.items()))


def stock_answer(model: PreTrainedModel, ids: list[int], length: int = LENGTH) -> list[int]:
    """What `transformers` answers greedily in `length` tokens, with nothing to stop it but the model's own end of turn."""
    output = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=length, do_sample=False, pad_token_id=0, eos_token_id=2
    )
    answer = output[0, len(ids) :].tolist()
    return answer[:-1] if answer[-1] == 2 else answer


def common_tokens(answers: list[list[int]]) -> tuple[int, ...]:
    """Two tokens that a part of the answers hold: as stops they end answers at many lengths."""
    said = Counter(token for answer in answers for token in set(answer[3:]))
    return tuple(sorted(said, key=lambda token: (abs(said[token] - len(answers) // 3), token))[:2])


def cut(answer: list[int], stops: tuple[int, ...]) -> list[int]:
    return list(takewhile(lambda token: token not in stops, answer))


@pytest.mark.parametrize("kind", ["qwen", "mistral"])
def test_greedy_answers_are_those_of_transformers(base: ModelLocation, kind: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(base.path).eval() if kind == "qwen" else mistral()
    tokenizer = TextTokenizer.from_folder(base.path)
    answers = {request.id: stock_answer(model, tokenizer.encode(request.messages[-1].content)) for request in requests()}
    stops = (*common_tokens(list(answers.values())), 2)
    wanted = {row_id: cut(answer, stops) for row_id, answer in sorted(answers.items())}
    voices = {"base": Voice(Plain(tokenizer, stops))}  # type: ignore[arg-type]
    for batch_size in (1, 5, 12):
        found = done(LocalGenerator(model, tokenizer, voices, batch_size).generate(requests()))
        assert {row_id: event.text for row_id, event in found.items()} == {row_id: tokenizer.decode(ids) for row_id, ids in wanted.items()}
        for row_id, event in found.items():
            assert event.finish_reason == ("length" if len(wanted[row_id]) == LENGTH else "stop")
            assert event.completion_tokens == len(wanted[row_id]) + (event.finish_reason == "stop")
    assert len({len(ids) for ids in wanted.values()}) > 4  # Rows did leave the batch at different times.
    assert {event.finish_reason for event in found.values()} == {"stop", "length"}


def test_pieces_of_text_make_the_whole(base: ModelLocation) -> None:
    with open_local(ModelParts(base, None, SETTINGS, PLAN)) as generator:
        told: dict[str, str] = {}
        whole: dict[str, str] = {}
        for event in generator.generate(requests(6)):
            if isinstance(event, TokenEvent):
                assert event.id not in whole
                told[event.id] = told.get(event.id, "") + event.text
            elif isinstance(event, DoneEvent):
                whole[event.id] = event.text
    assert {row_id: text for row_id, text in whole.items() if text} == told


class Script(torch.nn.Module):
    """A model that says the ids it is given, whatever it is asked."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.ids, self.said = ids, 0
        self.embedding = torch.nn.Embedding(1, 1)
        self.config = Qwen2Config(vocab_size=259, max_position_embeddings=64, **SIZES)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def forward(self, input_ids: torch.Tensor, **ignored: object) -> object:
        logits = torch.zeros(len(input_ids), 1, 259)
        logits[:, :, self.ids[self.said]] = 1
        self.said += 1
        return type("Output", (), {"logits": logits})


def test_a_character_of_several_tokens_is_told_whole(base: ModelLocation) -> None:
    tokenizer = TextTokenizer.from_folder(base.path)
    text = "aé→😀b"
    ids = tokenizer.encode(text)
    assert len(ids) > len(text)
    generator = LocalGenerator(Script([*ids, 2]), tokenizer, {"base": Voice(Plain(tokenizer, (2,)))})  # type: ignore[arg-type]
    pieces = [event.text for event in generator.generate(requests(1)) if isinstance(event, TokenEvent)]
    assert pieces == list(text)


def test_a_plain_text_ends_where_its_document_does(base: ModelLocation) -> None:
    tokenizer = TextTokenizer.from_folder(base.path)
    assert (tokenizer.eos_id, tokenizer.document_end_ids) == (2, {0, 2})
    ids = [*tokenizer.encode("ab"), 0, *tokenizer.encode("cd")]
    voices = {"base": Voice(Plain(tokenizer, (2,)))}  # type: ignore[arg-type]
    for role, text, count in ((TEXT_ROLE, "ab", 3), ("user", "abcd", 6)):
        asked = GenerationRequest("1", (Message(role, "x"),), "base", max_new_tokens=9)
        (done,) = [
            event
            for event in LocalGenerator(Script([*ids, 2]), tokenizer, voices).generate([asked])
            if isinstance(event, DoneEvent)  # type: ignore[arg-type]
        ]
        assert (done.text, done.finish_reason, done.completion_tokens) == (text, "stop", count)


def test_the_adapter_is_switched(base: ModelLocation, adapter: Path) -> None:
    stock = AutoModelForCausalLM.from_pretrained(base.path).eval()
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        assert isinstance(generator, Generator)
        assert generator.names() == ("base", "tuned")
        mixed = [replace(request, id=f"{model} {request.id}", model=model) for request in requests(3) for model in ("tuned", "base")]
        found = done(generator.generate(mixed))
        again = done(generator.generate(mixed[:3]))
    assert all(found[row_id] == event for row_id, event in again.items())
    tokenizer = TextTokenizer.from_folder(adapter)
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.path), adapter).eval()
    for request in requests(3):
        text = request.messages[0].content
        asked = {"base": f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"}
        asked["tuned"] = asked["base"].replace("assistant", "helper")  # The template saved beside the adapter.
        for name, model in (("base", stock), ("tuned", tuned)):
            wanted = stock_answer(model, tokenizer.encode(asked[name]))
            assert found[f"{name} {request.id}"].text == tokenizer.decode(wanted)
            assert found[f"{name} {request.id}"].prompt_tokens == len(tokenizer.encode(asked[name]))


def test_a_base_without_a_template_is_asked_as_the_tuned_model(base: ModelLocation, adapter: Path, tmp_path: Path) -> None:
    save_tokenizer(tmp_path, None)
    bare = ModelLocation("bare", tmp_path, "sha256:0")
    tokenizer = TextTokenizer.from_folder(adapter)
    messages = (Message("user", "x"),)
    voices = make_voices(ModelParts(bare, adapter, SETTINGS, PLAN, {"shout": "!{{ messages[0].content }}"}), tokenizer)
    assert voices["base"].prompt(messages) == voices["tuned"].prompt(messages)
    assert tokenizer.decode(voices["base"].prompt(messages, template="shout")) == "!x"
    with pytest.raises(ModelError, match="neither the base model nor the adapter"):
        make_voices(ModelParts(bare, None, SETTINGS, PLAN), TextTokenizer.from_folder(tmp_path))


def test_rows_with_a_wording_of_their_own(base: ModelLocation, adapter: Path) -> None:
    tokenizer = TextTokenizer.from_folder(adapter)
    tokens = TokenSettings(None, None, "Be brief.", train_on_inputs=False, sequence_len=64, excess_length_strategy="drop")
    voices = make_voices(ModelParts(base, adapter, SETTINGS, PLAN, {"shout": "!{{ messages[-1].content }}"}, tokens), tokenizer)
    messages = (Message("user", "sum"), Message(INPUT_ROLE, "1 2"))

    def text(name: str, template: str = "") -> str:
        return tokenizer.decode(voices[name].prompt(messages, template=template), skip_special=False)

    assert text("tuned", "shout") == "!1 2"
    assert text("tuned").startswith("<|im_start|>system\nBe brief.<|im_end|>\n")
    # The base is asked in its own words, which know neither the wording nor the role `input`.
    assert text("base", "shout") == text("base") == "<|im_start|>user\nsum\n\n1 2<|im_end|>\n<|im_start|>assistant\n"
    with pytest.raises(ModelError, match="wording that is not known"):
        voices["tuned"].prompt(messages, template="whisper")


def test_what_cannot_be_asked_is_an_event(base: ModelLocation, adapter: Path) -> None:
    ok, long, unknown, unworded = requests(4)
    long = replace(long, messages=(Message("user", "x" * 300),))
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        asked = [ok, long, replace(unknown, model="other"), replace(unworded, model="tuned", template="whisper")]
        events = list(generator.generate(asked))
    errors = {event.id: event.message for event in events if isinstance(event, ErrorEvent)}
    assert errors.keys() == {"1", "2", "3"}
    assert "positions" in errors["1"]
    assert "base, tuned" in errors["2"]
    assert "whisper" in errors["3"]
    assert done(iter(events)).keys() == {"0"}


def test_closing_stops_and_frees_the_generator(base: ModelLocation, adapter: Path) -> None:
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        fresh = done(generator.generate(requests(2, model="tuned")))
        running = generator.generate(requests(2))
        next(running)
        with pytest.raises(RuntimeError, match="answering already"):
            next(generator.generate(requests(2)))
        running.close()
        assert done(generator.generate(requests(2, model="tuned"))) == fresh  # The adapter is on again.


def test_draws_depend_on_the_seed_alone(base: ModelLocation) -> None:
    with open_local(ModelParts(base, None, SETTINGS, PLAN), batch_size=8) as generator:
        first = done(generator.generate(requests(5, temperature=1.0, top_p=0.9, seed=3)))
        alone = {
            row_id: event
            for request in requests(5, temperature=1.0, top_p=0.9, seed=3)
            for row_id, event in done(generator.generate([request])).items()
        }
        other = done(generator.generate(requests(5, temperature=1.0, top_p=0.9, seed=4)))
    assert first == alone
    assert sum(first[row_id].text != other[row_id].text for row_id in first) > 2


def test_a_draw_follows_the_probabilities() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    counts = torch.bincount(torch.tensor([draw(logits, 1.0, 1.0, random) for _ in range(4000)]), minlength=4) / 4000
    assert torch.allclose(counts, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03)
    assert {draw(logits, 1.0, 0.6, random) for _ in range(200)} == {0, 1}
    assert {draw(logits, 1.0, 0.0, random) for _ in range(20)} == {0}
    assert {draw(logits, 0.01, 1.0, random) for _ in range(50)} == {0}


def test_scores_are_the_summed_log_probabilities(base: ModelLocation, adapter: Path) -> None:
    rows = [((Message("user", "x" * length),), answer) for length, answer in ((3, "ls"), (30, "find . -name x"), (1, ""), (9, "a" * 40))]
    tokenizer = TextTokenizer.from_folder(adapter)
    model = AutoModelForCausalLM.from_pretrained(base.path).eval()
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        found, tuned = generator.score(iter(rows), "base"), generator.score(rows, "tuned")
    for (messages, answer), scored in zip(rows, found, strict=True):
        prompt = tokenizer.encode(f"<|im_start|>user\n{messages[0].content}<|im_end|>\n<|im_start|>assistant\n")
        ids = tokenizer.encode(answer)
        with torch.no_grad():
            logs = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
        wanted = sum(float(logs[len(prompt) + index - 1, token]) for index, token in enumerate(ids))
        assert (scored.nats, scored.tokens, scored.cut_tokens) == (pytest.approx(wanted, abs=1e-3), len(ids), 0)
    assert tuned != found


def test_plain_text_is_scored_as_it_stands(base: ModelLocation, adapter: Path) -> None:
    """Each piece after what stands before it, the first after the token that begins a document: together the text's log-probability."""
    context, piece = "one two three", " four five"
    tokenizer = TextTokenizer.from_folder(adapter)
    model = AutoModelForCausalLM.from_pretrained(base.path).eval()
    rows = [((Message("text", ""),), context), ((Message("text", context),), piece)]
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        found = generator.score(rows, "base")
    begin = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
    first, second = tokenizer.encode(context), tokenizer.encode(piece)
    ids = [begin, *first, *second]
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    wanted = [float(logs[index - 1, ids[index]]) for index in range(1, len(ids))]
    assert [one.tokens for one in found] == [len(first), len(second)]
    assert found[0].nats == pytest.approx(sum(wanted[: len(first)]), abs=1e-3)
    assert found[1].nats == pytest.approx(sum(wanted[len(first) :]), abs=1e-3)


def test_a_context_that_leaves_no_room_loses_its_beginning(base: ModelLocation, adapter: Path) -> None:
    with open_local(ModelParts(base, adapter, SETTINGS, PLAN)) as generator:
        long, short = generator.score(
            [((Message("text", f"{'z' * 400}{'a' * 196}"),), "b" * 60), ((Message("text", "a" * 5),), "b")], "base"
        )
        assert (long.tokens, short.tokens, short.cut_tokens) == (60, 1, 0)
        assert long.cut_tokens == len(TextTokenizer.from_folder(adapter).encode(f"{'z' * 400}{'a' * 196}")) + 1 - (256 - 60 - 1)
        with pytest.raises(ModelError, match="longer than the model's positions"):
            generator.score([((Message("text", ""),), "b" * 300)], "base")
