"""Jobs of a real server, with real trainings: begun, followed, stopped, and killed at each stage."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from luthier.core.files import sha256_file

RUN_FILE = """
base_model: starter
adapter: lora
lora_r: 4
lora_alpha: 8
datasets: [{path: rows.jsonl}]
split: {validation: 0, test: 0.3, seed: 42}
sequence_len: 64
micro_batch_size: 1
max_steps: 6
save_steps: 1
logging_steps: 1
learning_rate: 1e-3
evaluate: {suites: [commands], against: [base], max_new_tokens: 2}
export: [adapter]
"""
# A busy machine is slow, not wrong.
PATIENCE_SECONDS = 300


@dataclass
class Server:
    """A server in `folder`, and how it is asked."""

    folder: Path
    process: subprocess.Popen[str]
    url: str
    token: str

    @staticmethod
    def start(folder: Path, *sets: str) -> Server:
        words = [sys.executable, "-m", "luthier", "serve", "run.yaml", "--port", "0", "--json"]
        words += [word for one in sets for word in ("--set", one)]
        environment = {name: value for name, value in os.environ.items() if name != "LUTHIER_TOKEN"}
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        return Server(folder, process, told["url"], (folder / told["token"]).read_text().strip())

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body of an answer, whichever it is."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, {"Authorization": f"Bearer {self.token}"})
        for name, value in {"Content-Type": "application/json", **headers}.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                text = response.read().decode()
                return response.status, json.loads(text) if response.headers.get_content_type() == "application/json" else text
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def job(self, job_id: str) -> dict[str, Any]:
        while (answer := self.ask(f"/jobs/{job_id}"))[0] == 503:
            # Told to come again, as a busy disk may make it.
            time.sleep(1)
        assert answer[0] == 200, answer
        return dict(answer[1])

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (job := self.job(job_id))["status"] not in statuses:
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                assert self.process.wait(90) == 0
            finally:
                self.process.kill()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with a run file; whatever still works there at the end is ended."""
    write_run(tmp_path)
    yield tmp_path
    end_all_in(tmp_path)


def end_all_in(folder: Path) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").resolve() == folder:
                os.kill(int(process.name), signal.SIGKILL)


def write_run(folder: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"show the last {number} lines"},
                {"role": "assistant", "content": f"tail -n {number} x"},
            ]
        }
        for number in range(12)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "run.yaml").write_text(RUN_FILE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("jobs")
    write_run(folder)
    started = Server.start(folder)
    yield started
    started.stop()
    end_all_in(folder)


def events_of(server: Server, job_id: str, **headers: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The server-sent events of a job up to their end: id, name, data."""
    status, text = server.ask(f"/jobs/{job_id}/events", **headers)
    assert status in (200, 204)
    found = []
    for block in text.strip().split("\n\n") if text.strip() else ():
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def test_a_training_is_begun_once_followed_and_done(server: Server) -> None:
    status, job = server.ask("/fine-tune/start", {"overrides": {"max_steps": 2}, "run_name": "mine"}, Idempotency_Key="one")
    assert status == 202
    assert server.ask("/fine-tune/start", {"overrides": {"max_steps": 2}, "run_name": "mine"}, Idempotency_Key="one")[1]["id"] == job["id"]
    status, told = server.ask("/fine-tune/start", {"overrides": {"max_steps": 3}}, Idempotency_Key="one")
    assert (status, told["error"]["param"]) == (422, "Idempotency-Key")
    status, told = server.ask("/fine-tune/generate-data", {"overrides": {"max_steps": 2}, "run_name": "mine"})
    assert (status, told["error"]["type"]) == (409, "conflict_error")
    assert job["id"] in told["error"]["message"]
    found = events_of(server, job["id"])
    assert [data["status"] for _, name, data in found if name == "status"][-1] == "done"
    stages = [data["stage"] for _, name, data in found if name == "event" and data["event"] == "stage.end"]
    assert stages == ["data", "train", "evaluate", "export", "card", "report"]
    assert [data["step"] for _, name, data in found if name == "event" and data["event"] == "train.step"] == [1, 2]
    middle = len(found) // 2
    rest = events_of(server, job["id"], Last_Event_ID=found[middle][0])
    assert [one for one in rest if one[1] == "event"] == [one for one in found[middle + 1 :] if one[1] == "event"]
    assert events_of(server, job["id"], Last_Event_ID=found[-1][0]) == []
    done = server.job(job["id"])
    assert (done["status"], done["exit_code"], done["attempts"], done["kind"]) == ("done", 0, 1, "train")
    assert Path(done["folder"]).parent == server.folder / "serve" / "runs"
    assert done["result"]["run"].startswith("serve/runs/mine-")
    assert Path(done["folder"], "adapter", "adapter_model.safetensors").is_file()
    log = server.ask(f"/jobs/{job['id']}/log")[1]
    assert "train     step 2/2" in log
    assert server.ask(f"/jobs/{job['id']}/log?bytes=30")[1] == log[-30:].partition("\n")[2]
    assert server.ask(f"/ingest/status/{job['id']}")[1] == done
    assert server.ask("/jobs?kind=train&status=done&limit=1")[1]["jobs"][0]["id"] == job["id"]
    # What was trained can be asked at once.
    assert "mine" in [model["id"] for model in server.ask("/v1/models")[1]["data"]]


def test_what_is_wrong_is_told_before_anything_is_queued(server: Server) -> None:
    cases: list[tuple[str, Any, int, str, str]] = [
        ("/fine-tune/start", {"overrides": {"lora_alfa": 1}}, 422, "overrides.lora_alfa", "lora_alpha"),
        ("/fine-tune/start", {"text": RUN_FILE + "lora_r: 5\n"}, 422, "text", "text:"),
        ("/fine-tune/start", {"text": RUN_FILE.replace("rows.jsonl", "/etc/passwd")}, 422, "text", "may not be read here"),
        ("/fine-tune/start", {"run_file": "/etc/passwd"}, 422, "run_file", "may not be read here"),
        ("/fine-tune/start", {"run_file": "nofile.yaml"}, 422, "run_file", "nofile.yaml"),
        ("/fine-tune/start", {"run_name": "starter"}, 422, "run_name", "called so already"),
        ("/fine-tune/start", {"colour": "red"}, 422, "colour", ""),
        ("/fine-tune/start", {"run_name": "../x"}, 422, "run_name", ""),
        ("/fine-tune/generate-data", {"overrides": {"output_dir": "/tmp"}}, 422, "overrides.output_dir", "not set here"),
        ("/evaluate", {"run": "none"}, 404, "run", "no such run"),
        ("/export", {}, 422, "run", ""),
        ("/jobs/none/cancel", {}, 404, "job_id", "no job"),
        ("/jobs/none/retry", {}, 404, "job_id", "no job"),
        ("/jobs/none/events", None, 404, "job_id", "no job"),
        ("/jobs/none/log", None, 404, "job_id", "no job"),
        ("/jobs?before=none", None, 404, "before", "no job"),
        ("/jobs?limit=0", None, 422, "limit", ""),
        ("/jobs?kind=dance", None, 422, "kind", ""),
    ]
    before = server.ask("/jobs")[1]
    for path, body, status, param, words in cases:
        found, told = server.ask(path, body)
        assert found == status, (path, body, told)
        assert str(told["error"]["param"]).startswith(param), (path, body, told)
        assert words in told["error"]["message"], (path, body, told)
    assert server.ask("/fine-tune/start", {}, Idempotency_Key="ü")[0] == 422
    assert server.ask("/jobs")[1] == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of what the unbroken run trains."""
    folder = tmp_path_factory.mktemp("whole")
    write_run(folder)
    subprocess.run([sys.executable, "-m", "luthier", "train", "run.yaml"], cwd=folder, check=True, capture_output=True)
    (adapter,) = folder.glob("runs/*/adapter/adapter_model.safetensors")
    return sha256_file(adapter)


def processes_of(home: Path, job_id: str) -> dict[str, int]:
    """The processes of a job: its own, and its command's."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode().split("\0")
            if (process / "cwd").resolve() != home:
                continue
            if job_id in words:
                found["supervisor"] = int(process.name)
            elif words[1:4] == ["-m", "luthier", "run"]:
                found["worker"] = int(process.name)
    return found


def reached(home: Path, job_id: str, event: str) -> Callable[[], bool]:
    """Whether the run's event stream tells of it; of a stage by `start:NAME`, of a step by `step:N`."""
    kind, _, name = event.partition(":")
    wanted = f'"event": "stage.start", "stage": "{name}"' if kind == "start" else f'"event": "train.step", "step": {name},'

    def look() -> bool:
        return any(wanted in path.read_text() for path in home.glob("runs/*/events.jsonl"))

    def status(wanted: str) -> bool:
        with sqlite3.connect(home / "serve" / "jobs.sqlite") as base:
            return base.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone() == (wanted,)

    return (lambda: status(name)) if kind == "status" else look


@pytest.mark.slow
@pytest.mark.parametrize("outlives", [False, True], ids=["with its jobs", "without its jobs"])
@pytest.mark.parametrize(
    ("whom", "when"),
    [
        ("server", "status:queued"),
        ("server", "status:running"),
        ("server", "start:data"),
        ("server", "step:2"),
        ("server", "start:report"),
        ("supervisor", "status:running"),
        ("supervisor", "step:2"),
        ("supervisor", "start:report"),
        ("worker", "start:data"),
        ("worker", "step:2"),
        ("worker", "start:card"),
        ("all", "step:3"),
        ("server, stopping", "step:2"),
    ],
)
def test_whoever_is_killed_whenever_the_run_ends_as_if_nobody_had_been(
    home: Path, whole: str, whom: str, when: str, outlives: bool
) -> None:
    sets = [f"serve.jobs.outlive_server={str(outlives).lower()}"]
    server = Server.start(home, *sets)
    try:
        job_id = server.ask("/fine-tune/start", {}, Idempotency_Key="k")[1]["id"]
        wait_for(reached(home, job_id, when))
        found = processes_of(home, job_id)
        if whom == "server, stopping":
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        for name in ("server", "supervisor", "worker") if whom == "all" else (whom.partition(",")[0],):
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.process.pid if name == "server" else found.get(name, server.process.pid), signal.SIGKILL)
        if "server" in whom or whom == "all":
            server.process.wait(30)
            server = Server.start(home, *sets)
        # The request that came twice, the second time after the kill, is one job.
        assert server.ask("/fine-tune/start", {}, Idempotency_Key="k")[1]["id"] == job_id
        job = server.until(job_id, "done", "failed", "cancelled")
        assert job["status"] == "done", (job, server.ask(f"/jobs/{job_id}/log")[1])
        assert len(server.ask("/jobs")[1]["jobs"]) == 1
        (run,) = [path for path in (home / "runs").iterdir() if not path.name.startswith(".")]
        assert sha256_file(run / "adapter" / "adapter_model.safetensors") == whole
        assert (run / "report.html").is_file()
        log = server.ask(f"/jobs/{job_id}/log?bytes=1000000")[1]
        assert "another process" not in log
        assert log.count("done, exit code 0") == 1
    finally:
        server.stop()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_a_training_is_stopped_goes_on_and_is_evaluated_and_exported(home: Path, whole: str) -> None:
    server = Server.start(home)
    try:
        job_id = server.ask("/fine-tune/start", {})[1]["id"]
        wait_for(reached(home, job_id, "step:2"))
        assert server.job(job_id)["progress"]["of"] == 6
        assert server.ask(f"/jobs/{job_id}/cancel", {})[1]["status"] == "stopping"
        assert server.until(job_id, "cancelled")["ended"] is not None
        assert server.ask(f"/jobs/{job_id}/retry", {})[1]["status"] == "queued"
        name = Path(server.until(job_id, "done", "failed")["folder"]).name
        (adapter,) = home.glob("runs/*/adapter/adapter_model.safetensors")
        assert sha256_file(adapter) == whole
        for path in ("/evaluate", "/export"):
            status, asked = server.ask(path, {"run": name})
            assert status == 202, asked
            assert server.until(asked["id"], "done", "failed")["status"] == "done"
        assert [job["kind"] for job in server.ask("/jobs")[1]["jobs"]] == ["export", "evaluate", "train"]
    finally:
        server.stop()
