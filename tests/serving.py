"""`luthier serve` as a process of its own, and requests to it by the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

# A busy machine is slow, not wrong.
PATIENCE_SECONDS = 120.0
# Rates that no test reaches by asking often.
UNHURRIED = tuple(
    word
    for name in ("client_requests_per_second", "requests_per_second", "wrong_tokens_per_minute")
    for word in ("--set", f"serve.limits.{name}=100000")
)
# One step of the smallest training.
RUN = {
    "base_model": "starter",
    "adapter": "lora",
    "lora_r": 2,
    "lora_target_modules": ["q_proj"],
    "datasets": [{"path": "rows.jsonl", "type": "alpaca"}],
    "sequence_len": 64,
    "max_steps": 1,
    "micro_batch_size": 1,
    "learning_rate": 0.001,
    "output_dir": "runs",
}


def run_folder(folder: Path) -> Path:
    """`folder` with a run file `run.yaml` and its rows in it."""
    (folder / "rows.jsonl").write_text("".join(f'{{"instruction": "say {n}", "output": "{n}"}}\n' for n in range(8)))
    (folder / "run.yaml").write_text(yaml.safe_dump(RUN))
    return folder


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, object]:
        """Of an error in the form that all have."""
        told = json.loads(self.body)["error"]
        assert set(told) == {"message", "type", "param", "code"}, told
        assert isinstance(told, dict)
        return told


@dataclass(slots=True)
class Server:
    """A server that runs in `folder`; `model` is its default."""

    process: subprocess.Popen[str]
    url: str
    token: str
    folder: Path
    root: Path
    model: str
    address: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.address = (str(parts.hostname), int(parts.port or 0))

    def connection(self, seconds: float = PATIENCE_SECONDS) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=seconds)

    def ask(
        self, path: str, body: object = None, method: str = "", token: str | None = "", headers: Mapping[str, str] | None = None
    ) -> Told:
        """The answer to one request, with a body of JSON or of bytes; without a token where it is None."""
        given = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if sent is not None:
            given["Content-Type"] = "application/json"
        connection = self.connection()
        try:
            connection.request(method or ("GET" if sent is None else "POST"), path, sent, {**given, **(headers or {})})
            response = connection.getresponse()
            return Told(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def chat(self, words: str = "list files", **more: object) -> Told:
        """The answer of the default model."""
        body = {"model": self.model, "messages": [{"role": "user", "content": words}], "max_tokens": 8, "temperature": 0, **more}
        return self.ask("/v1/chat/completions", body)

    def until_ready(self) -> None:
        """Waits for all parts to be well."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (told := self.ask("/health/ready", token=None)).status != 200:
            assert time.monotonic() < deadline, told.body
            assert self.process.poll() is None
            time.sleep(0.1)

    def children(self) -> dict[int, str]:
        """The processes that it started itself, with their command lines."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = {int(word) for task in found.parent.parent.glob("*/children") for word in task.read_text().split()}
        return {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids}

    def engine_pid(self) -> int:
        """The process of the engine."""
        (pid,) = [pid for pid, command in self.children().items() if "engine.program" in command]
        return pid

    def log(self) -> list[dict[str, object]]:
        """The lines of its log."""
        return [json.loads(line) for line in (self.root / "logs" / "server.jsonl").read_text().splitlines()]


@contextmanager
def serving(folder: Path, *words: str, wait: bool = True, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server in `folder`, asked to stop at the end, where it has to end well unless a test ended it before."""
    base = {name: value for name, value in os.environ.items() if name != "LUTHIER_TOKEN"}
    command = [sys.executable, "-m", "luthier", "serve", *words, "--port", "0", "--json", "--set", "bf16=false"]
    process = subprocess.Popen(command, cwd=folder, env={**base, **(environment or {})}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        token = folder / told["token"]
        server = Server(process, told["url"], token.read_text().strip(), folder, token.parent, told["default_model"])
        if wait:
            server.until_ready()
        yield server
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
