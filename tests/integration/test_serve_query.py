"""Questions over TCP to the small base model: answers, verdicts, models, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

Asked = tuple[int, Any]


class Server:
    """A server of the base model alone, as a client sees it."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def call(self, path: str, body: Any = None, timeout: float = 120) -> Asked:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                told = response.read()
                return response.status, json.loads(told) if response.headers["Content-Type"] == "application/json" else told.decode()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def running(self) -> int:
        _, told = self.call("/models/info")
        return int(told["engine"]["running"])


def started(folder: Path, *settings: str) -> Iterator[Server]:
    environment = {name: value for name, value in os.environ.items() if name != "LUTHIER_TOKEN"}
    command = [sys.executable, "-m", "luthier", "serve", "--port", "0", "--json"]
    # In 16 bits a token may change with those beside it where two are nearly as likely.
    for setting in ("bf16=false", *settings):
        command += ["--set", setting]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Server(told["url"], (folder / told["token"]).read_text().strip())
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from started(tmp_path_factory.mktemp("serve"))


Q = {"q": "list files by size", "max_tokens": 24}


def test_an_answer_has_all_that_is_promised(server: Server) -> None:
    status, told = server.call("/query", Q)
    assert status == 200
    assert set(told) == {"q", "model", "answer", "finish_reason", "usage", "sources", "guard", "timing"}
    assert (told["q"], told["model"], told["sources"]) == (Q["q"], "starter", [])
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"]
    assert 0 < told["timing"]["first_token_ms"] <= told["timing"]["total_ms"]
    assert server.call("/query?model=base", Q)[1]["answer"] == told["answer"]


def test_two_answers_of_one_call(server: Server) -> None:
    status, told = server.call("/query", {**Q, "model": "starter", "compare_with": "base", "temperature": 1, "seed": 3})
    assert status == 200
    assert told["compared"]["answer"] == told["answer"]
    assert set(told["compared"]) == {"model", "answer", "finish_reason", "usage", "guard", "timing"}


@pytest.mark.parametrize(
    ("path", "more", "status", "field"),
    [
        ("/query", {"model": "fine-tuned"}, 404, "model"),
        ("/query", {"compare_with": "nobody"}, 404, "compare_with"),
        ("/query?model=base", {"model": "starter"}, 422, "model"),
        ("/query", {"stream": True, "compare_with": "base"}, 422, "stream"),
        ("/query", {"max_tokens": 1_000_000}, 422, "max_tokens"),
        ("/query", {"top_k": -1}, 422, "top_k"),
        ("/query", {"q": ""}, 422, "q"),
        ("/query", {"question": "x"}, 422, "question"),
        ("/query", {"q": "\ud83d"}, 422, "q"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(server: Server, path: str, more: dict[str, Any], status: int, field: str) -> None:
    found, told = server.call(path, {**Q, **more})
    assert (found, told["error"]["param"]) == (status, field)


def test_a_question_that_is_too_long_is_told(server: Server) -> None:
    status, told = server.call("/query", {"q": "what is this? " * 3_000})
    assert status == 422
    assert "positions" in told["error"]["message"]


def test_a_stream_of_events(server: Server) -> None:
    whole = server.call("/query", Q)[1]
    status, told = server.call("/query", {**Q, "stream": True})
    assert status == 200
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in told.strip().split("\n\n")]
    assert [event["event"] for event in events][:1] == ["sources"]
    assert events[-1]["event"] == "done"
    done = json.loads(events[-1]["data"])
    assert done["answer"] == whole["answer"] == "".join(json.loads(event["data"])["text"] for event in events if event["event"] == "token")


def test_models_are_told(server: Server) -> None:
    server.call("/query", Q)
    status, told = server.call("/models/info")
    assert status == 200
    assert (told["default"], told["base"], told["fine_tuned"], told["guard"]) == ("starter", "starter", None, "warn")
    (model,) = told["models"]
    assert model["state"]["loaded"] is True
    assert (model["state"]["dtype"], model["state"]["positions"]) == ("float32", 2_048)
    assert told["engine"]["alive"] is True


def test_who_leaves_cancels(server: Server) -> None:
    server.call("/query", Q)
    # The small model goes on with this for a thousand tokens, which takes seconds.
    long = {"q": "print" + " 0" * 26, "max_tokens": 1_000}
    began = time.monotonic()
    server.call("/query", long)
    whole = time.monotonic() - began
    for more in ({}, {"compare_with": "base"}, {"stream": True}):
        body = json.dumps({**long, **more}).encode()
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        with (
            suppress(TimeoutError),
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/query", body, headers), timeout=0.3) as told,
        ):
            assert told.readline() == b"event: sources\n", "an answer that takes so long is none yet"
        began = time.monotonic()
        # The engine tells once a second what it is at.
        while time.monotonic() - began < 1.5 or server.running():
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
    environment = {name: value for name, value in os.environ.items() if name != "LUTHIER_TOKEN"}
    command = [sys.executable, "-m", "luthier", "serve", str(run), "--port", "0", "--json", "--set", "bf16=false"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        server = Server(told["url"], (tmp_path / told["token"]).read_text().strip())
        _, answer = server.call("/query", {"q": "list all files", "max_tokens": 24})
        assert answer["finish_reason"] == "content_filter"
        assert answer["answer"].startswith("This answer is held back")
        assert answer["guard"]["action"] == "reject"
        client = OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0)
        turns: Any = [{"role": "user", "content": "list all files"}]
        pieces = list(client.chat.completions.create(model="starter", messages=turns, max_tokens=24, temperature=0, stream=True))
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == answer["answer"]
        assert pieces[-1].choices[0].finish_reason == "content_filter"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
