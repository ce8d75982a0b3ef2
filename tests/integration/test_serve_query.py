"""Questions over TCP to the small base model: answers, verdicts, models, and what is refused."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from serving import PATIENCE_SECONDS, UNHURRIED, Server, serving


@pytest.fixture
def server(shop_server: Server) -> Server:
    return shop_server


def query(server: Server, path: str = "/query", **body: Any) -> Any:
    told = server.ask(path, {**Q, "sources": [], **body})
    assert told.status == 200, told.body
    return told.json()


def running(server: Server) -> int:
    return int(server.ask("/models/info").json()["engine"]["running"])


Q = {"q": "list files by size", "max_tokens": 24}


def test_an_answer_has_all_that_is_promised(server: Server) -> None:
    told = query(server)
    assert set(told) == {"q", "model", "answer", "finish_reason", "usage", "sources", "guard", "timing"}
    assert (told["q"], told["model"], told["sources"]) == (Q["q"], "starter", [])
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"]
    assert 0 < told["timing"]["first_token_ms"] <= told["timing"]["total_ms"]
    assert query(server, "/query?model=base")["answer"] == told["answer"]
    assert query(server, "/query?model=base", model="starter")["answer"] == told["answer"]


def test_two_answers_of_one_call(server: Server) -> None:
    told = query(server, model="starter", compare_with="base", temperature=1, seed=3)
    assert told["compared"]["answer"] == told["answer"]
    assert set(told["compared"]) == {"model", "answer", "finish_reason", "usage", "guard", "timing"}


def test_what_is_found_is_shown_and_cited(server: Server) -> None:
    told = query(server, q="Where is the cart emptied?", sources=None)
    first = told["sources"][0]
    assert (first["id"], first["source"], first["path"]) == ("1", "shop", "cart.py")
    first_line, last_line = first["lines"]
    lines = (server.folder / "shop" / "cart.py").read_text().splitlines()
    assert first["text"] == "\n".join(lines[first_line - 1 : last_line])
    alone = query(server, q="Where is the cart emptied?")
    assert told["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"] + 20
    assert len(query(server, q="Where is the cart emptied?", sources=["shop"], top_k=1)["sources"]) == 1
    paid = query(server, q="How is the cart paid?", sources=["shop"])
    assert "till.py" in [source["path"] for source in paid["sources"]]
    assert "ghp_" not in str(paid)


@pytest.mark.parametrize(
    ("path", "more", "status", "field"),
    [
        ("/query", {"model": "fine-tuned"}, 404, "model"),
        ("/query", {"compare_with": "nobody"}, 404, "compare_with"),
        ("/query", {"sources": ["nothing"]}, 404, "sources"),
        ("/query?model=base", {"model": "fine-tuned"}, 404, "model"),
        ("/query", {"stream": True, "compare_with": "base"}, 422, "stream"),
        ("/query", {"max_tokens": 1_000_000}, 422, "max_tokens"),
        ("/query", {"top_k": -1}, 422, "top_k"),
        ("/query", {"q": ""}, 422, "q"),
        ("/query", {"question": "x"}, 422, "question"),
        ("/query", {"q": "\ud83d"}, 422, "q"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(server: Server, path: str, more: dict[str, Any], status: int, field: str) -> None:
    told = server.ask(path, {**Q, **more})
    assert (told.status, told.error["param"]) == (status, field)


def test_a_question_that_is_too_long_is_told(server: Server) -> None:
    told = server.ask("/query", {"q": "what is this? " * 3_000})
    assert told.status == 422
    assert "positions" in str(told.error["message"])


def test_a_stream_of_events(server: Server) -> None:
    whole = query(server)
    told = server.ask("/query", {**Q, "sources": [], "stream": True})
    assert told.status == 200
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in told.body.decode().strip().split("\n\n")]
    assert events[0]["event"] == "sources"
    assert events[-1]["event"] == "done"
    done = json.loads(events[-1]["data"])
    assert done["answer"] == whole["answer"] == "".join(json.loads(event["data"])["text"] for event in events if event["event"] == "token")


def test_models_are_told(server: Server) -> None:
    query(server)
    told = server.ask("/models/info").json()
    assert (told["default"], told["base"], told["fine_tuned"], told["guard"]) == ("starter", "starter", None, "warn")
    (model,) = told["models"]
    assert model["state"]["loaded"] is True
    assert (model["state"]["dtype"], model["state"]["positions"]) == ("float32", 2_048)
    assert told["engine"]["alive"] is True


def test_who_leaves_cancels(server: Server) -> None:
    query(server)
    # The small model goes on with this for a thousand tokens, which takes seconds.
    long = {"q": "print" + " 0" * 26, "max_tokens": 1_000, "sources": []}
    began = time.monotonic()
    query(server, **long)
    whole = time.monotonic() - began
    asked = []
    for more in ({}, {"compare_with": "base"}, {"stream": True}):
        connection = server.connection(0.3)
        connection.request(
            "POST", "/query", json.dumps({**long, **more}), {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        )
        with suppress(TimeoutError):
            assert connection.getresponse().readline() == b"event: sources\n", "an answer that takes so long is none yet"
        asked.append(connection)
    # The engine tells once a second what it is at.
    while running(server) < 4:
        time.sleep(0.1)
        assert time.monotonic() - began < PATIENCE_SECONDS
    for connection in asked:
        connection.close()
    began = time.monotonic()
    while running(server):
        time.sleep(0.1)
        assert time.monotonic() - began < 0.8 * whole


def test_a_verdict_stands_in_choices_and_the_official_client_reads_it(server: Server) -> None:
    client = OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0)
    turns: Any = [{"role": "user", "content": "list files by size"}]
    whole = client.chat.completions.create(model="starter", messages=turns, max_tokens=24, temperature=0)
    extra = whole.choices[0].model_extra
    assert extra is not None
    assert "guard" in extra
    pieces = list(client.chat.completions.create(model="starter", messages=turns, max_tokens=24, temperature=0, stream=True))
    assert (pieces[-1].choices[0].model_extra or {})["guard"] == extra["guard"]
    assert all("guard" not in (piece.choices[0].model_extra or {}) for piece in pieces[:-1])
    done = client.completions.create(model="starter", prompt="ls -", max_tokens=8, temperature=0)
    assert "guard" in (done.choices[0].model_extra or {})


def test_under_block_what_the_policy_rejects_is_held_back(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    # Every command is rejected, whatever the small model says.
    policy = "{safe: reject, caution: reject, unknown: reject}"
    rows = "base_model: starter\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl}]\n"
    run.write_text(f"{rows}guard: {{policy: {policy}}}\nserve: {{guard: block}}\n")
    (tmp_path / "rows.jsonl").write_text("")
    with serving(tmp_path, str(run), *UNHURRIED) as server:
        answer = query(server, q="list all files")
        assert answer["finish_reason"] == "content_filter"
        assert answer["answer"].startswith("This answer is held back")
        assert answer["guard"]["action"] == "reject"
        client = OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0)
        turns: Any = [{"role": "user", "content": "list all files"}]
        pieces = list(client.chat.completions.create(model="starter", messages=turns, max_tokens=24, temperature=0, stream=True))
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == answer["answer"]
        assert pieces[-1].choices[0].finish_reason == "content_filter"
