"""Sessions of browsers: opened, found, ended."""

from __future__ import annotations

from luthier.serve.door.session import COOKIE, MOST_SESSIONS, Sessions, session_cookie, set_cookie


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_lasts_as_long_as_it_says() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    cookie, session = sessions.open()
    assert sessions.find(cookie) is session
    assert len(cookie) >= 40
    assert len(session.csrf) >= 40
    assert cookie not in repr(vars(sessions))
    clock.now += 59.9
    assert sessions.find(cookie) is session
    clock.now += 0.2
    assert sessions.find(cookie) is None


def test_one_that_was_closed_is_gone_and_another_stays() -> None:
    sessions = Sessions(60)
    first, second = sessions.open()[0], sessions.open()[0]
    sessions.close(first)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None
    assert sessions.find("") is None
    assert sessions.find("\udcff") is None


def test_there_are_never_more_than_stated() -> None:
    sessions = Sessions(60)
    cookies = [sessions.open()[0] for _ in range(MOST_SESSIONS + 2)]
    assert [sessions.find(cookie) is None for cookie in cookies[:3]] == [True, True, False]


def test_the_cookie_is_for_this_server_s_own_pages_alone() -> None:
    told = set_cookie("value", 60.0, is_https=False)
    assert told == f"{COOKIE}=value; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
    assert set_cookie("value", 60.0, is_https=True).endswith("; Secure")
    assert "Max-Age=0" in set_cookie("", 60.0, is_https=False)
    assert session_cookie(f"other=1; {COOKIE}=value; more=2") == "value"
    assert session_cookie("other=1") == session_cookie("") == session_cookie("=;;\x00") == ""
