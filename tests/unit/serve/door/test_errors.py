"""Errors as clients are told them, and as routes declare them."""

from __future__ import annotations

import json

import pytest

from luthier.core.errors import Problem
from luthier.serve.door.errors import MOST_PROBLEMS, ErrorBody, RequestError, busy, responses, told_problems, unknown, wrong


def test_an_error_is_told_in_openai_s_form() -> None:
    assert json.loads(wrong("too long", "max_tokens").to_bytes()) == {
        "error": {"message": "too long", "type": "invalid_request_error", "param": "max_tokens", "code": None}
    }
    ErrorBody.model_validate_json(unknown("half \ud800 and \x00").to_bytes())


@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (wrong("x"), 422, "invalid_request_error", {}),
        (unknown("x"), 404, "not_found_error", {}),
        (busy("x", 7), 503, "overloaded_error", {"Retry-After": "7"}),
        (RequestError(401, "x"), 401, "authentication_error", {"WWW-Authenticate": "Bearer"}),
        (RequestError(429, "x", retry_after=2), 429, "rate_limit_error", {"Retry-After": "2"}),
        (RequestError(405, "x"), 405, "invalid_request_error", {}),
        (RequestError(502, "x", "other"), 502, "other", {}),
    ],
)
def test_the_type_and_the_headers_are_those_of_the_status(error: RequestError, status: int, kind: str, headers: dict[str, str]) -> None:
    assert (error.status, error.kind, error.headers) == (status, kind, headers)


def test_what_a_route_declares_has_a_meaning_and_the_body_s_form() -> None:
    told = responses(503, 404)
    assert list(told) == [404, 503]
    assert all(one["model"] is ErrorBody and one["description"].endswith(".") for one in told.values())
    with pytest.raises(KeyError):
        responses(418)


def test_a_token_that_a_client_sent_is_not_repeated() -> None:
    token = "ghp_" + "Zq3vN8xKc2LmR7tYb5WdHj9sPf4gUa1eT0Bo"
    told = unknown(f"there is no such model\n  found: {token}\n  there are starter", f"overrides.{token}").to_json()["error"]
    assert told["message"] == "there is no such model\n  found: <GITHUB_TOKEN>\n  there are starter"
    assert told["param"] == "overrides.<GITHUB_TOKEN>"


def test_of_a_long_text_so_much_is_looked_at_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def looked_at(text: str) -> str:
        seen.append(len(text))
        return text

    monkeypatch.setattr("luthier.serve.door.errors.redacted", looked_at)
    error = wrong("no such key " * 300_000, "key" * 300_000)
    assert error.param is not None
    assert max(seen) < 10_000
    assert max(len(error.message), len(error.param)) < 9_000
    assert error.message.endswith("…")


def test_a_token_at_the_place_of_the_cut_is_not_told_either() -> None:
    token = "ghp_" + "Zq3vN8xKc2LmR7tYb5WdHj9sPf4gUa1eT0Bo"
    for before in range(7_960, 8_000, 5):
        told = wrong("word " * (before // 5) + token + " word" * 100).message
        assert token[:8] not in told, before


def test_the_first_problems_are_told_and_how_many_more_there_are() -> None:
    problems = [Problem(f"unknown key `k{number}`") for number in range(40_000)]
    lines = told_problems(problems).splitlines()
    assert lines[0] == problems[0].text()
    assert len(lines) == MOST_PROBLEMS + 1
    assert lines[-1] == "and 39,980 more"
    assert told_problems(problems[:2]) == "\n".join(problem.text() for problem in problems[:2])
