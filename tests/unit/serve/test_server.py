"""Where the server may listen, and how."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest
import uvicorn
from click.testing import CliRunner

from command_line import luthier
from luthier.cli.serve import serve
from luthier.config.serve_section import ServeJobs
from luthier.core.errors import UserError
from luthier.serve.door.errors import busy
from luthier.serve.server import Stopping, _listener, _Server


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "box.example"])
def test_a_run_file_alone_opens_the_server_to_nobody(host: str, tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    keys = {"base_model": "starter", "adapter": "lora", "learning_rate": 0.001, "datasets": [{"path": "rows.jsonl", "type": "alpaca"}]}
    run.write_text(json.dumps({**keys, "serve": {"host": host, "root": str(tmp_path / "serve")}}))
    done = luthier("serve", str(run), "--json")
    assert done.returncode == 2
    assert "others than this machine could reach" in done.stdout
    assert "--open-to-others" in done.stdout
    assert not (tmp_path / "serve").exists()


@pytest.mark.parametrize("words", [["--host", "192.0.2.1"], ["--open-to-others", "--set", "serve.host=192.0.2.1"]])
def test_the_command_line_does(words: list[str], tmp_path: Path) -> None:
    """It goes on to listen there, and no machine has that address."""
    done = luthier("serve", *words, "--set", f"serve.root={tmp_path}", "--json")
    assert done.returncode == 2
    assert "nothing can listen here" in done.stdout
    assert "serve.host" in done.stdout


@pytest.mark.parametrize("host", ["nosuch.invalid", "a..b"])
def test_a_name_of_no_machine_is_told_at_the_host_and_a_taken_port_at_the_port(host: str) -> None:
    with pytest.raises(UserError) as caught:
        _listener(host, 0)
    assert caught.value.problems[0].where == "serve.host"
    assert "--port" not in caught.value.problems[0].hint
    taken = _listener("127.0.0.1", 0)
    with taken, pytest.raises(UserError) as caught:
        _listener("127.0.0.1", taken.getsockname()[1])
    assert caught.value.problems[0].where == "serve.port"


def test_a_folder_that_may_be_named_and_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Server, "serve", AsyncMock())
    folders = json.dumps([str(tmp_path), str(tmp_path / "away")])
    words = ["--port", "0", "--set", f"serve.root={tmp_path / 'serve'}", "--set", f"serve.allow.folders={folders}"]
    told = CliRunner().invoke(serve, words)
    assert f"{tmp_path}/away of `serve.allow.folders` is not there" in told.output
    assert told.output.count("is not there") == 1
    told = CliRunner().invoke(serve, [*words, "--json"])
    assert json.loads(told.output)["missing_folders"] == [f"{tmp_path}/away"]


def test_a_source_of_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Server, "serve", AsyncMock())
    index = tmp_path / "serve" / "sources" / "old" / "index.sqlite"
    index.parent.mkdir(parents=True)
    index.write_bytes(b"of another version")
    words = ["--port", "0", "--set", f"serve.root={tmp_path / 'serve'}"]
    assert "the source `old` cannot be read" in CliRunner().invoke(serve, words).output
    assert json.loads(CliRunner().invoke(serve, [*words, "--json"]).output)["unreadable_sources"] == ["old"]


def test_a_run_folder_is_served_with_the_keys_of_serve_that_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/resolved.yaml").write_text("base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl}]\n")
    done = luthier("serve", "run", "--set", "serve.default_model=absent")
    assert (done.returncode, "serve.default_model: the default model is not there" in done.stderr) == (2, True)
    assert "there are starter" in done.stderr
    for words in (("serve", "run", "--set", "lora_r=4"), ("check", "run", "--set", "serve.guard=block")):
        done = luthier(*words)
        assert (done.returncode, "cannot be set in a run folder" in done.stderr) == (2, True), done.stderr


def test_small_answers_are_not_gathered() -> None:
    """Gathered (Nagle's algorithm), the end of an answer waits 40 ms for a client that acknowledges late."""

    async def accepted() -> int:
        told = asyncio.get_running_loop().create_future()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listener("127.0.0.1", 0)
        async with await asyncio.start_server(take, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            found = await told
            writer.close()
        return found

    assert asyncio.run(accepted()) != 0


@pytest.mark.parametrize(
    ("running", "outlives", "told"),
    [
        (0, False, "stopping: answers under way have 10 seconds"),
        (1, False, "stopping: answers under way have 10 seconds, 1 running job at most 60 to pause, and will go on with the next start"),
        (2, True, "stopping: answers under way have 10 seconds; 2 running jobs will go on without it"),
    ],
)
def test_whoever_stops_it_is_told_what_is_waited_for(running: int, outlives: bool, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Mock(end_streams=Mock(), counts=AsyncMock(return_value={("train", "running"): running, ("train", "done"): 3}))
    monkeypatch.setattr(uvicorn.Server, "shutdown", AsyncMock())

    def listen(served: object, settings: object, told: object, on_stopping: Callable[[Stopping], None], *more: object) -> None:
        server = _Server(uvicorn.Config(Mock()), jobs, ServeJobs(outlive_server=outlives), on_stopping)
        asyncio.run(server.shutdown())

    monkeypatch.setattr("luthier.serve.server.serve", listen)
    done = CliRunner().invoke(serve, [])
    assert done.stderr == f"{told}\n"
    assert jobs.end_streams.called


def test_a_database_that_is_held_keeps_nobody_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Mock(end_streams=Mock(), counts=AsyncMock(side_effect=busy("it is held")))
    shutdown, found = AsyncMock(), list[Stopping]()
    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    asyncio.run(_Server(uvicorn.Config(Mock()), jobs, ServeJobs(), found.append).shutdown())
    assert [one.running_jobs for one in found] == [0]
    assert shutdown.called
