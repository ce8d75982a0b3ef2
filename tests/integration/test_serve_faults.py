"""What docs/serve-faults.md promises: processes killed, clients that are slow or gone, a database that is locked, a disk that is full."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving import PATIENCE_SECONDS, Server, run_folder, serving

# A client has so long.
CLIENT_SECONDS = 1.0
UNENDING = ("--set", "serve.limits.new_tokens=100000")
QUICK = ("--set", f"serve.limits.client_seconds={CLIENT_SECONDS}")
# Drawn so wildly that one of them goes on for long.
LONG = {"max_tokens": 1_000, "temperature": 2.0, "n": 8, "stream": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = run_folder(tmp_path_factory.mktemp("faults"))
    with serving(folder, "run.yaml", *QUICK) as found:
        yield found


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """How long it took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, what
        time.sleep(0.05)
    return time.monotonic() - start


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked how is one that has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def figure(server: Server, name: str) -> float:
    lines = server.ask("/metrics").body.decode().splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name]
    return float(value)


def begun(server: Server, more: dict[str, object] = LONG) -> tuple[socket.socket, bytes]:
    """A connection on which an answer streams, and its first bytes."""
    body = json.dumps({"model": server.model, "messages": [{"role": "user", "content": "list files"}], **more}).encode()
    client = socket.create_connection(server.address, timeout=PATIENCE_SECONDS)
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    client.sendall("\r\n".join(lines).encode() + body)
    first = client.recv(1 << 12)
    assert first.startswith(b"HTTP/1.1 200"), first
    return client, first


def rest_of(client: socket.socket) -> bytes:
    told = b""
    while piece := client.recv(1 << 16):
        told += piece
        if b"\r\n0\r\n\r\n" in told:
            break
    return told


# The engine


def test_an_engine_that_is_killed_while_it_answers(server: Server) -> None:
    restarts, pid = figure(server, "luthier_engine_restarts_total"), server.engine_pid()
    client, _ = begun(server)
    os.kill(pid, signal.SIGKILL)
    told = rest_of(client)
    client.close()
    assert b'"error"' in told
    assert b"the engine" in told
    assert b"Traceback" not in told
    # Who asks meanwhile is told to come again, or waits.
    assert server.chat().status in (200, 503)
    server.until_ready()
    assert server.chat().status == 200
    assert server.engine_pid() != pid
    assert figure(server, "luthier_engine_restarts_total") == restarts + 1
    assert any("engine's process has ended" in str(line["what"]) for line in server.log())


def test_an_engine_that_is_killed_before_its_first_word(server: Server) -> None:
    """An answer that is not streamed is told by its status, which says that asking again may help."""
    server.until_ready()
    connection = server.connection()
    body = json.dumps({"model": server.model, "messages": [{"role": "user", "content": "list files"}], **LONG, "stream": False})
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    until(lambda: figure(server, "luthier_answers_under_way") > 0, "it is asked")
    os.kill(server.engine_pid(), signal.SIGKILL)
    response = connection.getresponse()
    assert (response.status, json.load(response)["error"]["type"]) == (503, "overloaded_error")
    connection.close()
    server.until_ready()


@pytest.mark.slow
def test_an_engine_that_hangs(server: Server) -> None:
    server.until_ready()
    pid = server.engine_pid()
    os.kill(pid, signal.SIGSTOP)
    told = until(lambda: server.ask("/health/ready", token=None).status == 503, "readiness tells it", 30)
    assert told < 20
    assert server.ask("/health/live", token=None).status == 200
    until(lambda: is_gone(pid), "it is killed", 30)
    server.until_ready()
    assert server.chat().status == 200


# The server


def test_a_server_follows_one_that_was_killed_and_stops_when_it_is_told_to(tmp_path: Path) -> None:
    run_folder(tmp_path)
    with serving(tmp_path, "run.yaml") as first:
        engine = first.engine_pid()
        client, _ = begun(first)
        first.process.kill()
        first.process.wait()
        until(lambda: is_gone(engine), "the engine ends with it", 30)
        client.close()
    with serving(tmp_path, "run.yaml", *UNENDING) as second:
        assert second.token == first.token
        assert second.chat().status == 200
        stopped_while_it_answers(second, signal.SIGTERM)


@pytest.mark.slow
def test_a_server_that_is_interrupted_while_it_answers(tmp_path: Path) -> None:
    """As SIGTERM above, which goes the same way; every test of a server ends it by SIGINT while it is idle."""
    with serving(run_folder(tmp_path), "run.yaml", *UNENDING) as one:
        stopped_while_it_answers(one, signal.SIGINT)


def stopped_while_it_answers(server: Server, number: signal.Signals) -> None:
    engine = server.engine_pid()
    client, _ = begun(server)
    start = time.monotonic()
    server.process.send_signal(number)
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - start < 30
    assert is_gone(engine)
    client.close()


def test_a_second_server_on_one_folder(server: Server) -> None:
    command = [sys.executable, "-m", "luthier", "serve", "--port", "0", "--json"]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    for told in (done.stdout, done.stderr):
        assert f"process {server.process.pid}" in told
    assert server.ask("/health/live", token=None).status == 200
    assert server.ask("/jobs").status == 200


# Clients


def test_a_client_that_leaves_frees_its_place(server: Server) -> None:
    server.until_ready()
    for _ in range(3):
        client, _ = begun(server)
        client.close()
    until(lambda: figure(server, "luthier_answers_under_way") == 0, "nothing is under way", 20)
    until(lambda: figure(server, "luthier_engine_running") == 0, "the engine makes nothing more", 20)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /health/live HTTP/1.1\r\nHost: local",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 5000\r\n\r\n{",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
    ids=["nothing", "half a head", "no body without a token", "no body", "half a chunk"],
)
def test_a_client_that_sends_no_more(server: Server, sent: bytes) -> None:
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(sent.replace(b"TOKEN", server.token.encode()))
        start = time.monotonic()
        told = b""
        while piece := client.recv(1 << 16):
            told += piece
        assert time.monotonic() - start < 10 * CLIENT_SECONDS
    assert told.startswith((b"HTTP/1.1 408", b"HTTP/1.1 401"))
    assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]["type"]


def test_many_slow_clients_keep_nobody_out(server: Server) -> None:
    slow = [socket.create_connection(server.address, timeout=20) for _ in range(100)]
    for client in slow:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: ")
    assert server.ask("/health/live", token=None).status == 200
    for client in slow:
        assert client.recv(64).startswith(b"HTTP/1.1 408")
        client.close()


def test_a_client_that_reads_no_more(server: Server) -> None:
    """Its answer is made no further, and its connection is closed."""
    server.until_ready()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(server.address)
        head = f"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n\r\n"
        client.sendall(head.encode() * 1_000)
        until(lambda: is_closed(client), "it is closed", 30)
    assert server.chat().status == 200


def is_closed(client: socket.socket) -> bool:
    """Whether the other side has cut the connection, without reading from it."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or tcp_state(client) != 1


def tcp_state(client: socket.socket) -> int:
    """1 while it is established."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


# The disk


def test_a_database_that_is_locked(server: Server) -> None:
    server.until_ready()
    with sqlite3.connect(server.root / "jobs.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        told = server.ask("/fine-tune/start", {})
        assert time.monotonic() - start < 10
        assert (told.status, told.error["type"]) == (503, "overloaded_error")
        assert int(told.headers["retry-after"]) > 0
        ready = server.ask("/health/ready", token=None)
        parts = {"engine": "well", "disk": "well", "database": "does not answer", "queue": "well"}
        assert (ready.status, json.loads(ready.body)["parts"]) == (503, parts)
        # Reading goes on, and so do answers and figures.
        assert server.ask("/jobs").status == 200
        assert server.chat().status == 200
        assert server.ask("/metrics").status == 200
        other.execute("ROLLBACK")
    server.until_ready()


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """No file may grow: what cannot be written is refused, what needs no disk is answered, and all goes on when there is room again."""
    run_folder(tmp_path)
    with serving(tmp_path, "run.yaml") as one:
        pid = one.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for _ in range(3):
            told = one.ask("/fine-tune/start", {})
            assert (told.status, told.error["type"]) == (503, "overloaded_error"), told.body
            assert b"Traceback" not in told.body
        assert one.chat().status == 200
        assert one.ask("/v1/models").status == 200
        assert one.ask("/health/live", token=None).status == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        one.until_ready()
        told = one.ask("/fine-tune/start", {}, headers={"Idempotency-Key": "one"})
        assert told.status == 202, told.body
        job = json.loads(told.body)["id"]
        assert json.loads(one.ask("/jobs").body)["jobs"][0]["id"] == job
        assert one.ask(f"/jobs/{job}/cancel", b"").status == 200
        assert [line for line in one.log() if "went wrong" in str(line["what"])] == []
