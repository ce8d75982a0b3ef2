"""Every route, asked what its description allows and what it does not: nothing is answered that is not described, and nothing breaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from serving import UNHURRIED, Server, run_folder, serving

# Checks of schemathesis; what it says of valid requests that are refused is left out, for a schema cannot say which models there are.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
CHECKS += ",unsupported_method,allow_header_conformance,use_after_free,ignored_auth,missing_required_header"
SECONDS = 25
DEEP, LONG = 100_000, 200_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Its job ends at once: the routes of jobs have something to tell of.
    folder = run_folder(tmp_path_factory.mktemp("schema"))
    limits = ("--set", "serve.limits.new_tokens=4", "--set", "serve.limits.body_bytes=1000000", "--set", "serve.jobs.stop_seconds=5")
    with serving(folder, "run.yaml", *UNHURRIED, *limits) as found:
        yield found


def operations(server: Server) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every route."""
    paths = json.loads(server.ask("/openapi.json").body)["paths"]
    return [(method.upper(), path, told) for path, methods in paths.items() for method, told in methods.items()]


def fuzzed(server: Server, folder: Path, seconds: int, *more: str) -> subprocess.CompletedProcess[str]:
    """Schemathesis over the whole description, for so long."""
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", f"{server.url}/openapi.json"]
    command += ["-H", f"Authorization: Bearer {server.token}", "--checks", CHECKS, "--max-time", str(seconds), "--workers", "2"]
    command += [
        "--request-timeout",
        "60",
        "--no-color",
        "--generation-database",
        "none",
        "--warnings",
        "off",
        "--continue-on-failure",
        *more,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_nothing_is_answered_that_is_not_described(server: Server, tmp_path: Path) -> None:
    done = fuzzed(server, tmp_path, SECONDS, "--phases", "coverage,fuzzing,stateful", "--max-examples", "8", "--seed", "1")
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    # On a busy machine there is time for few.
    assert_it_asked(server, done.stdout, 2)


@pytest.mark.slow
def test_nothing_is_answered_that_is_not_described_for_minutes(server: Server, tmp_path: Path) -> None:
    done = fuzzed(server, tmp_path, 420, "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "200")
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    assert_it_asked(server, done.stdout, 50)


def assert_it_asked(server: Server, told: str, least: int) -> None:
    """That it was no empty run: every operation, and so many requests for each."""
    count = len(operations(server))
    assert re.search(rf"Tested: {count}\b", told), told[-3_000:]
    found = re.search(r"([\d,]+) generated", told)
    assert found is not None
    assert int(found[1].replace(",", "")) > least * count
    assert server.process.poll() is None
    server.until_ready()
    assert [line for line in server.log() if "went wrong" in str(line["what"])] == []


def test_an_event_of_each_stream_is_as_described(server: Server) -> None:
    """A stream is drawn rarely: it is asked for here."""
    described = json.loads(server.ask("/openapi.json").body)["paths"]
    turns = [{"role": "user", "content": "list files"}]
    asked: dict[str, dict[str, object]] = {
        "/v1/chat/completions": {"messages": turns, "max_tokens": 2, "stream": True},
        "/v1/completions": {"prompt": "ls", "max_tokens": 2, "stream": True},
        "/query": {"q": "list files", "max_tokens": 2, "stream": True},
    }
    for path, body in asked.items():
        told = server.ask(path, body)
        assert told.headers["content-type"].startswith("text/event-stream"), told.body
        schema = described[path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
        events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in told.body.decode().strip().split("\n\n")]
        assert len(events) > 1
        for event in events:
            jsonschema.validate(event, schema)


HOSTILE = {
    "empty": b"",
    "no JSON": b"{",
    "NUL": b'{"model": "a\\u0000b", "q": "\\u0000", "prompt": "\\u0000", "run": "\\u0000", "run_file": "\\u0000"}',
    "NUL in a turn": b'{"messages": [{"role": "user", "content": "\\u0000"}], "max_tokens": 2}',
    "half a character": b'{"model": "\\ud800", "q": "\\ud800", "prompt": "\\udfff", "run": "\\ud800", "text": "\\ud800"}',
    "half a character in a turn": b'{"messages": [{"role": "user", "content": "a \\ud800 b"}], "max_tokens": 2}',
    "half a character as a run file": b'{"text": "\\ud800"}',
    "half a character as a path": b'{"run_file": "\\ud800"}',
    "NUL as a path": b'{"run_file": "a\\u0000b"}',
    "a key of half a character": b'{"\\ud800": 1}',
    "no UTF-8": b'{"model": "\xff\xfe"}',
    "a huge number": b'{"max_tokens": ' + b"9" * 5_000 + b', "seed": 1e999, "temperature": -1e999}',
    "no number": b'{"max_tokens": NaN, "temperature": Infinity, "seed": -Infinity, "prompt": "x"}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"overrides": ' + b'{"a":' * (DEEP // 10) + b"1" + b"}" * (DEEP // 10) + b"}",
    "a long text": b'{"model": "' + b"x" * LONG + b'", "q": "' + b"x" * LONG + b'", "run": "' + b"y" * LONG + b'"}',
    "a list": b"[1, 2, 3]",
    "null": b"null",
    "twice the same key": b'{"model": "starter", "model": {}, "run": "a", "run": 1}',
    "a bomb of aliases": json.dumps(
        {"text": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n" + "".join(f"d{n}: [*c,*c]\n" for n in range(50))}
    ).encode(),
}
KINDS = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b", "\xff", ""]
PARTS = ["%00", "%ff%fe", "%ed%a0%80", "..%2f..%2fetc%2fpasswd", "x" * 4_000, "%2e%2e", "%0d%0aX:1", "a%20b", "*", "-1"]


def told_as_described(server: Server, method: str, path: str, told: dict[str, Any], **given: Any) -> int:
    """The status of the answer, which the description has and which is no fault of the server's."""
    answer = server.ask(re.sub(r"\{[^}]+\}", "none", path), method=method, **given)
    where = f"{method} {path} {str(given)[:200]}: {answer.status} {answer.body[:300]!r}"
    assert str(answer.status) in told["responses"], where
    assert answer.status < 500 or answer.status == 503, where
    if answer.status >= 400 and "health" not in path:
        assert answer.error["message"], where
    return answer.status


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies(server: Server, name: str) -> None:
    statuses = {
        told_as_described(server, method, path, told, body=HOSTILE[name])
        for method, path, told in operations(server)
        if method == "POST" and not (name in ("empty", "null") and path.startswith("/fine-tune"))
    }
    assert statuses & {200, 422, 404}


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_of_other_kinds(server: Server, kind: str) -> None:
    for method, path, told in operations(server):
        if method == "POST" and "job_id" not in path:
            status = told_as_described(server, method, path, told, body=b'{"temperature": "hot"}', headers={"Content-Type": kind})
            assert status in (415, 422)


def test_without_the_token_nothing_is_told(server: Server) -> None:
    for method, path, told in operations(server):
        for token in (None, "wrong-token-of-some-length"):
            answer = server.ask(re.sub(r"\{[^}]+\}", "none", path), method=method, token=token)
            if told.get("security") == []:
                assert answer.status in (200, 503)
            else:
                assert answer.status in (401, 429), path
                assert server.token not in answer.body.decode()


@pytest.mark.parametrize("part", PARTS)
def test_hostile_paths_and_queries(server: Server, part: str) -> None:
    for method, path, told in operations(server):
        answer = server.ask(re.sub(r"\{[^}]+\}", part, path) + f"?limit={part}&before={part}&kind={part}&bytes={part}", method=method)
        assert answer.status < 500 or answer.status == 503, (method, path, answer.body[:300])
        assert str(answer.status) in {*told["responses"], "404", "405"}, (method, path, answer.status)
        assert b"root:" not in answer.body
