"""What was read is kept, by run: one that takes long stops nobody who asks for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luthier.serve.door.errors import RequestError
from luthier.serve.pages.runs import reading
from luthier.serve.pages.runs.kept import Kept
from luthier.serve.pages.runs.library import Listed
from serve_pages import run_writer, signed_in

SECONDS = 60


def test_a_run_whose_reading_does_not_end_stops_no_page_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("slow", "quick"):
        run_writer()(tmp_path / name)
    begun, go_on, read = threading.Event(), threading.Event(), reading._read

    def reading_slowly(listed: Listed, stream: reading.Stream) -> reading.ReadRun:
        if listed.key == "slow":
            begun.set()
            assert go_on.wait(SECONDS)
        return read(listed, stream)

    monkeypatch.setattr(reading, "_read", reading_slowly)
    browser = signed_in(tmp_path)
    with ThreadPoolExecutor() as pool:
        try:
            slow = pool.submit(browser.get, "/ui/runs/slow")
            assert begun.wait(SECONDS)
            for path in ("/ui/runs/quick", "/ui/runs/quick/answers", "/ui/runs", "/ui/compare?run=quick&run=quick"):
                assert pool.submit(browser.get, path).result(SECONDS).status_code == 200, path
            assert not slow.done()
        finally:
            go_on.set()
        assert slow.result(SECONDS).status_code == 200


def test_what_two_ask_for_is_made_once() -> None:
    kept, asked, go_on, made = Kept(2), threading.Barrier(3), threading.Event(), list[int]()

    def make() -> str:
        made.append(1)
        assert go_on.wait(SECONDS)
        return "value"

    def ask() -> str:
        asked.wait(SECONDS)
        return kept.get("key", 1, make)

    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(ask) for _ in range(2)]
        asked.wait(SECONDS)
        go_on.set()
        assert [answer.result(SECONDS) for answer in answers] == ["value", "value"]
    assert made == [1]
    assert kept.get("key", 2, lambda: "another") == "another"


def test_who_waits_too_long_is_told_and_the_value_is_there_later() -> None:
    kept, begun, go_on = Kept(2, wait_seconds=0.05), threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go_on.wait(SECONDS)
        return "value"

    with ThreadPoolExecutor() as pool:
        first = pool.submit(kept.get, "key", 1, make)
        assert begun.wait(SECONDS)
        with pytest.raises(RequestError, match="takes long to read") as told:
            kept.get("key", 1, make)
        assert (told.value.status, told.value.retry_after) == (503, 5)
        go_on.set()
        assert first.result(SECONDS) == "value"
    assert kept.get("key", 1, lambda: "another") == "value"


def test_no_more_is_kept_than_was_asked_for_and_what_is_in_use_stays() -> None:
    kept = Kept(2)

    def value(of: str) -> Callable[[], str]:
        return lambda: of

    for key in "abcd":
        kept.get(key, 1, value(key))
    assert len(kept) == 2
    assert kept.get("c", 1, value("new")) == "c"
    assert kept.get("a", 1, value("new")) == "new"
    with kept.held("a", 1, value("x")):
        for key in "efg":
            kept.get(key, 1, value(key))
        assert len(kept) == 2
    assert kept.get("a", 1, value("newest")) == "new"


def test_what_could_not_be_made_is_tried_again() -> None:
    kept = Kept(2)

    def broken() -> str:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        kept.get("key", 1, broken)
    assert kept.get("key", 1, lambda: "value") == "value"
