"""Scanners in a child process: what hangs, dies or answers nonsense is a finding, and its neighbours are not spoilt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from luthier.core.errors import MissingExtraError
from luthier.guard.secrets import child
from luthier.guard.secrets.child import ChildScanner
from luthier.guard.secrets.findings import Finding

WORKER = """
import json, os, sys, time
from multiprocessing.connection import Connection

pipe = Connection(int(sys.argv[2]))
pipe.send_bytes(b'"ready"')
while True:
    texts = json.loads(pipe.recv_bytes())
    answer = []
    for text in texts:
        print("to nowhere", text)
        if "hang" in text:
            time.sleep(600)
        if "die" in text:
            os._exit(9)
        if "outside" in text:
            answer.append([[0, len(text) + 5, "key"]])
        elif "environment" in text:
            answer.append([[0, 1, name] for name in sorted(os.environ)])
        else:
            start = text.find("SECRET")
            answer.append([[start, start + 6, "GitHub Token"]] if start >= 0 else [])
    pipe.send_bytes(b"nonsense" if any("nonsense" in text for text in texts) else json.dumps(answer).encode())
"""


@pytest.fixture
def scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChildScanner:
    (tmp_path / "odd_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(child, "BATCH_SECONDS", 2.0)
    monkeypatch.setattr(child, "ALONE_SECONDS", 1.0)
    made = ChildScanner("odd", "json", "odd_worker")
    yield made
    made.close()


def test_offsets_are_bytes_of_the_text(scanner: ChildScanner) -> None:
    assert scanner.scan(["a\nüü SECRET", "nothing"]) == [[Finding(7, 13, 2, "github-token")], []]


@pytest.mark.parametrize("bad", ["hang", "die", "nonsense", "outside"])
def test_a_text_that_breaks_the_child_is_a_finding_alone(scanner: ChildScanner, bad: str) -> None:
    started = time.monotonic()
    found = scanner.scan(["a SECRET", bad, "clean", "SECRET"])
    assert [[finding.kind for finding in some] for some in found] == [["github-token"], ["scanner-error"], [], ["github-token"]]
    assert found[1] == [Finding(0, len(bad), 1, "scanner-error")]
    assert time.monotonic() - started < 30


def test_many_texts_go_in_batches(scanner: ChildScanner) -> None:
    texts = ["SECRET" if number % 7 == 0 else "x" * 1000 for number in range(700)]
    assert [bool(some) for some in scanner.scan(texts)] == [number % 7 == 0 for number in range(700)]


def test_a_module_that_does_not_start_is_a_finding(tmp_path: Path) -> None:
    broken = ChildScanner("odd", "json", "luthier.no_such_module")
    assert [finding.kind for finding in broken.scan(["clean"])[0]] == ["scanner-error"]


def test_a_child_that_cannot_start_is_started_twice_and_its_words_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = tmp_path / "starts"
    (tmp_path / "dead_worker.py").write_text(f"open({str(starts)!r}, 'a').write('x')\nraise RuntimeError('no model for this machine')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    broken = ChildScanner("odd", "json", "dead_worker")
    texts = ["a", "bc", "d", "e", "f", "g"]
    for _ in range(2):
        assert broken.scan(texts) == [[Finding(0, len(text), 1, "scanner-error")] for text in texts]
    assert starts.read_text() == "xx"
    assert "`odd` cannot be started" in broken.failure
    assert "no model for this machine" in broken.failure


def test_a_start_that_succeeds_makes_up_for_one_that_failed(scanner: ChildScanner, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(child, "MAX_FAILED_STARTS", 1)
        patch.setattr(child, "START_SECONDS", 0.0)
        assert scanner.scan(["SECRET"])[0][0].kind == "scanner-error"
        assert "not ready after 0 seconds" in scanner.failure
    assert scanner.scan(["SECRET"])[0][0].kind == "github-token"
    assert scanner.failure == ""


def test_a_package_that_is_not_there_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"luthier\[guard\]"):
        ChildScanner("odd", "no_such_package_at_all").scan(["x"])


def test_the_child_sees_nothing_of_our_environment(scanner: ChildScanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_TOKEN", "x")
    # The rule's name is mapped to a kind, so only the number of variables is seen here: those that `child.py` sets, and what Python adds.
    assert 8 <= len(scanner.scan(["environment"])[0]) <= 10
