"""What the server's log holds, and what it does not."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import pytest

from luthier.serve.door.logs import FILE, logging_to, trace_of, words_of

SECRET = "ghp_" + "x7Kq9mZ2Lw4Rt8Yb3Nc6Vd1Fg5Hj0Ps2Qa4E"
LOG = logging.getLogger("luthier.serve.tests")


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").splitlines()]


def test_a_line_for_each_thing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(tmp_path, 1 << 20, 2):
        LOG.info("request", extra={"told": {"route": "/jobs/{id}", "status": 200}})
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            LOG.error("GET /jobs went wrong", exc_info=error)
        LOG.warning("the engine said\nGITHUB_TOKEN=%s", SECRET)
        logging.getLogger("uvicorn.error").error("of the library")
        logging.getLogger("uvicorn.error").info("this is not kept")
    first, wrong, said, library = lines(tmp_path)
    assert (first["what"], first["level"], first["route"], first["status"]) == ("request", "info", "/jobs/{id}", 200)
    assert str(first["at"]).endswith("+00:00")
    assert "builtins.ValueError" in str(wrong["trace"])
    assert "test_logs.py" in str(wrong["trace"])
    assert "the engine said" in str(said["what"])
    assert library["what"] == "of the library"
    shown = capsys.readouterr().err
    assert "GET /jobs went wrong" in shown
    assert "request" not in shown
    assert SECRET not in shown + (tmp_path / FILE).read_text()


def test_an_error_s_own_words_are_told_where_no_client_wrote_them() -> None:
    assert SECRET not in trace_of(ValueError(SECRET))
    assert "database is locked" in trace_of(sqlite3.OperationalError("database is locked"))
    caused = RuntimeError("of a body")
    caused.__cause__ = OSError(28, "No space left on device")
    assert trace_of(caused).splitlines() == ["builtins.OSError: [Errno 28] No space left on device", "builtins.RuntimeError"]


def test_no_path_of_this_machine_is_told(tmp_path: Path) -> None:
    with logging_to(tmp_path / "logs", 1 << 20, 2):
        try:
            (tmp_path / "state" / "spec.json").read_text()
        except OSError as error:
            LOG.error("POST /ingest went wrong", exc_info=error)
    (line,) = lines(tmp_path / "logs")
    told = str(line["trace"]).splitlines()
    assert told[0] == "builtins.FileNotFoundError: [Errno 2] No such file or directory"
    assert [place.split(":")[0].strip() for place in told[1:3]] == ["unit/serve/door/test_logs.py", "pathlib.py"]
    assert "/" not in str(line).replace("unit/serve/door/", "").replace("POST /ingest", "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/serve/a"), "[Errno 28] No space left on device"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (ValueError("what a client sent"), "ValueError"),
        (OSError("/serve/a"), "OSError"),
    ],
)
def test_words_that_may_be_told(error: Exception, words: str) -> None:
    assert words_of(error) == words


def test_logs_are_put_aside(tmp_path: Path) -> None:
    with logging_to(tmp_path, 4_096, 3):
        for number in range(300):
            LOG.info("request", extra={"told": {"number": number}})
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, f"{FILE}.1", f"{FILE}.2"]
    assert all(path.stat().st_size <= 4_096 for path in tmp_path.iterdir())
    assert lines(tmp_path)[-1]["number"] == 299


def test_a_full_disk_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    with logging_to(tmp_path, 1 << 20, 2):
        for _ in range(5):
            LOG.info("request")
        LOG.error("and this is shown")
    shown = capsys.readouterr().err
    assert shown.count("cannot be written: No space left on device") == 1
    assert "and this is shown" in shown
    assert "Traceback" not in shown
