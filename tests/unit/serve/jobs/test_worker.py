"""A job's command as a child."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from luthier.serve.jobs.records import Ending
from luthier.serve.jobs.worker import Worker

SECRET = "ghp_" + "b7Kq9ZtR2mXw4LpV8sNc1YdF6hJg3aEu5TQo"


def run(code: str, tmp_path: Path, words: list[str] | None = None) -> Ending:
    worker = Worker(["-c", code], str(tmp_path), [], (words if words is not None else []).append, {})
    while not worker.has_ended:
        worker.pump(0.05)
    return worker.ending()


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("print('first'); print('{\"run\": \"ü\"}')", Ending(0, None, {"run": "ü"})),
        ("pass", Ending(0)),
        ("print('[1]')", Ending(0)),
        ('print(\'{"error": "no such file", "exit_code": 2}\'); raise SystemExit(2)', Ending(2, "no such file")),
        ("import sys; print('{\"gate\": 1}'); sys.stderr.write('missed'); sys.exit(3)", Ending(3, "missed", {"gate": 1})),
        (
            "import sys; sys.stderr.write('long ' * 900 + 'talk\\n'); print('{\"missed\": [\"a: 1\", \"b: 2\"]}'); sys.exit(3)",
            Ending(3, "the run is complete, but its gate was not met:\n  a: 1\n  b: 2", {"missed": ["a: 1", "b: 2"]}),
        ),
        ("import sys; sys.stderr.write('cut ' * 900 + '\\nthe end\\n'); sys.exit(1)", Ending(1, "the end")),
        ("import sys; sys.exit(1)", Ending(1, "it ended with 1, without a word")),
        ("import os; os.kill(os.getpid(), 9)", Ending(-9, "its process was ended by SIGKILL")),
        (f"import sys; sys.stderr.write('token={SECRET}\\n'); sys.exit(1)", Ending(1, "token=<GITHUB_TOKEN>")),
        (f'print(\'{{"a": ["token={SECRET}"]}}\')', Ending(0, None, {"a": ["token=<GITHUB_TOKEN>"]})),
        ("print('x' * 5_000_000); print('{\"run\": 1}')", Ending(0, None, {"run": 1})),
    ],
)
def test_how_it_ends_is_what_it_says_last(code: str, ending: Ending, tmp_path: Path) -> None:
    assert run(code, tmp_path) == ending


def test_of_a_long_gate_whole_bounds_are_told_and_the_others_counted(tmp_path: Path) -> None:
    error = run("import json, sys; print(json.dumps({'missed': ['x' * 90] * 100})); sys.exit(3)", tmp_path).error
    assert error is not None
    *lines, last = error.splitlines()[1:]
    assert {*lines} == {"  " + "x" * 90}
    assert last == f"  and {100 - len(lines)} more"
    assert len(error) < 2_100


def test_its_words_are_handed_on_whole(tmp_path: Path) -> None:
    words: list[str] = []
    run("import sys; sys.stderr.write('ü' * 300_000)", tmp_path, words)
    assert "".join(words) == "ü" * 300_000


def test_what_it_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    began = time.monotonic()
    child = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('{\"pid\": %d}' % p.pid)"
    )
    ending = run(child, tmp_path)
    assert ending.result is not None
    assert time.monotonic() - began < 30
    deadline = time.monotonic() + 30
    while is_alive(int(ending.result["pid"])):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    assert run("import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(0)", tmp_path) == Ending(0)


def test_asked_to_stop_it_can_end_as_it_likes(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\ntry:\n  sys.stderr.write('up' if os.getpgrp() == os.getpid() else 'not apart'); "
        "sys.stderr.flush(); time.sleep(600)\n"
        "except KeyboardInterrupt: print('{\"at\": 1}')"
    )
    words: list[str] = []
    worker = Worker(["-c", code], str(tmp_path), [], words.append, {})
    while not words:
        worker.pump(0.05)
    assert words == ["up"]
    worker.interrupt()
    while not worker.has_ended:
        worker.pump(0.05)
    assert worker.ending() == Ending(0, None, {"at": 1})
