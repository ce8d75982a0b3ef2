"""`luthier serve` asked by OpenAI's own client over TCP."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai import OpenAI

from serving import Server

TURNS = [{"role": "user", "content": "list files by size"}]


@pytest.fixture
def client(shop_server: Server) -> OpenAI:
    return OpenAI(base_url=f"{shop_server.url}/v1", api_key=shop_server.token, max_retries=0)


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["starter"]
    assert client.models.retrieve("starter").owned_by == "base"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.models.retrieve("none")


def test_whole_and_streamed_answers_are_the_same(client: OpenAI) -> None:
    for more in ({"temperature": 0.0}, {"temperature": 1.0, "seed": 7, "top_p": 0.9}):
        whole = client.chat.completions.create(model="starter", messages=TURNS, max_tokens=20, **more)
        pieces = list(
            client.chat.completions.create(
                model="starter", messages=TURNS, max_tokens=20, stream=True, stream_options={"include_usage": True}, **more
            )
        )
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert text == whole.choices[0].message.content
        assert pieces[-1].usage == whole.usage
        assert whole.usage is not None
        assert whole.usage.completion_tokens <= 20
        ends = [piece.choices[0].finish_reason for piece in pieces if piece.choices and piece.choices[0].finish_reason]
        assert ends == [whole.choices[0].finish_reason]


def test_stops_choices_and_log_probabilities(client: OpenAI) -> None:
    free = client.chat.completions.create(model="starter", messages=TURNS, max_tokens=20, temperature=0)
    text = free.choices[0].message.content
    assert text is not None
    assert len(text) > 4
    stopped = client.chat.completions.create(model="starter", messages=TURNS, max_tokens=20, temperature=0, stop=text[3])
    assert stopped.choices[0].message.content == text[: text.index(text[3])]
    assert stopped.choices[0].finish_reason == "stop"
    told = client.chat.completions.create(
        model="starter", messages=TURNS, max_tokens=6, n=2, seed=1, temperature=1.5, logprobs=True, top_logprobs=3
    )
    assert len(told.choices) == 2
    assert told.choices[0].message.content != told.choices[1].message.content
    for choice in told.choices:
        assert choice.logprobs is not None
        tokens = choice.logprobs.content
        assert tokens
        assert "".join(token.token for token in tokens) == choice.message.content
        assert all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in tokens)


def test_plain_completions(client: OpenAI) -> None:
    done = client.completions.create(model="starter", prompt=["ls -", "git "], max_tokens=8, temperature=0, logprobs=2)
    assert [choice.index for choice in done.choices] == [0, 1]
    for choice in done.choices:
        assert choice.logprobs is not None
        assert "".join(choice.logprobs.tokens or []) == choice.text
    pieces = client.completions.create(model="starter", prompt="ls -", max_tokens=8, temperature=0, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == done.choices[0].text
    # The base begins another document behind this one: what would follow is no part of the answer.
    ended = client.completions.create(model="starter", prompt="ls", max_tokens=60, temperature=0)
    assert (ended.choices[0].finish_reason, ended.choices[0].text) == ("stop", "")


def test_who_names_no_model_asks_the_default_one(shop_server: Server) -> None:
    for path, body in (("/v1/chat/completions", {"messages": TURNS}), ("/v1/completions", {"prompt": "ls -", "model": None})):
        told = shop_server.ask(path, {**body, "max_tokens": 2})
        assert told.status == 200, told.body
        assert json.loads(told.body)["model"] == "starter"


def test_what_is_wrong_is_told_with_its_field(client: OpenAI, shop_server: Server) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        client.chat.completions.create(model="starter", messages=TURNS, temperature=3)
    assert raised.value.param == "temperature"
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        client.chat.completions.create(model="starter", messages=TURNS, extra_body={"colour": "red"})
    assert raised.value.param == "colour"
    with pytest.raises(openai.UnprocessableEntityError, match="at most 1,024 tokens"):
        client.chat.completions.create(model="starter", messages=TURNS, max_tokens=5_000)
    with pytest.raises(openai.UnprocessableEntityError, match="positions"):
        client.chat.completions.create(model="starter", messages=[{"role": "user", "content": "x " * 5_000}], stream=True)
    told = shop_server.ask("/v1/completions", b"{broken")
    assert (told.status, told.error["message"], told.error["param"]) == (422, "the body is no JSON, from character 1 on", None)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="none", messages=TURNS)
    with pytest.raises(openai.AuthenticationError):
        OpenAI(base_url=f"{shop_server.url}/v1", api_key="wrong", max_retries=0).models.list()


def test_many_at_once_get_their_own_answers_and_a_client_that_leaves_frees_its_place(client: OpenAI) -> None:
    def ask(number: int) -> str | None:
        turns = [{"role": "user", "content": f"show the last {number} lines"}]
        return client.chat.completions.create(model="starter", messages=turns, max_tokens=12, temperature=0).choices[0].message.content

    alone = [ask(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == alone
    # More than may be under way at once, each left after its first piece.
    for _ in range(45):
        stream = client.chat.completions.create(model="starter", messages=TURNS, max_tokens=900, temperature=1.5, stream=True)
        next(iter(stream))
        stream.close()
    assert ask(1) == alone[1]


def test_the_server_itself_never_imports_torch() -> None:
    code = "import sys; import luthier.serve.server, luthier.cli.serve; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
