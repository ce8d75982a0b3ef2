"""Signing in and out, in the pages' own form."""

from __future__ import annotations

import re

import pytest

from serve_pages import TOKEN, WRONG_TOKENS, pages_of


def test_the_token_opens_a_session_and_leads_where_one_wanted_to_go() -> None:
    browser = pages_of()
    asked = browser.get("/ui/runs?q=a&page=2")
    assert asked.headers["location"] == "/ui/sign-in?next=/ui/runs%3Fq%3Da%26page%3D2"
    form = browser.get(asked.headers["location"])
    assert 'name="next" value="/ui/runs?q=a&amp;page=2"' in form.text
    done = browser.post("/ui/sign-in", data={"token": f" {TOKEN} ", "next": "/ui/runs?q=a&page=2"})
    assert (done.status_code, done.headers["location"]) == (303, "/ui/runs?q=a&page=2")
    assert "HttpOnly; SameSite=Strict" in done.headers["set-cookie"]
    assert browser.get("/ui/runs").status_code == 200
    assert browser.get("/ui/sign-in").headers["location"] == "/ui/"


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example/",
        "//evil.example",
        "/v1/models",
        "/ui/\\evil",
        "/ui/../x",
        "/ui/sign-in?next=/ui/",
        "/ui/\r\nx: y",
        "/ui/é",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(onward: str) -> None:
    assert pages_of().post("/ui/sign-in", data={"token": TOKEN, "next": onward}).headers["location"] == "/ui/"


def test_by_https_the_cookie_is_for_https_alone() -> None:
    browser = pages_of()
    for origin, is_secure in (("https://testserver", True), ("http://testserver", False)):
        done = browser.post("/ui/sign-in", data={"token": TOKEN}, headers={"origin": origin})
        assert done.status_code == 303
        assert done.headers["set-cookie"].endswith("; Secure") == is_secure


def test_wrong_tokens_are_told_and_after_some_not_looked_at() -> None:
    browser = pages_of()
    for _ in range(WRONG_TOKENS):
        refused = browser.post("/ui/sign-in", data={"token": "wrong"})
        assert refused.status_code == 401
        assert 'role="alert"' in refused.text
        assert "set-cookie" not in refused.headers
    late = browser.post("/ui/sign-in", data={"token": TOKEN})
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert "<h1>" in late.text


def test_who_signed_in_is_not_shut_out_by_others_tries() -> None:
    browser = pages_of()
    assert browser.post("/ui/sign-in", data={"token": TOKEN}).status_code == 303
    assert [browser.post("/ui/sign-in", data={"token": "wrong"}).status_code for _ in range(WRONG_TOKENS + 1)][-1] == 429
    assert browser.post("/ui/sign-in", data={"token": TOKEN}).status_code == 303


def test_a_form_from_an_origin_that_is_no_address_is_refused() -> None:
    assert pages_of().post("/ui/sign-in", data={"token": TOKEN}, headers={"origin": "http://["}).status_code == 403


def test_signing_out_ends_the_session_and_needs_its_form() -> None:
    browser = pages_of()
    browser.post("/ui/sign-in", data={"token": TOKEN})
    assert browser.post("/ui/sign-out").status_code == 403
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/ui/runs").text)
    assert found is not None
    cookie = browser.cookies["luthier_session"]
    left = browser.post("/ui/sign-out", data={"csrf_token": found[1]})
    assert left.status_code == 303
    assert "Max-Age=0" in left.headers["set-cookie"]
    browser.cookies.set("luthier_session", cookie)
    assert browser.get("/ui/runs").status_code == 303
