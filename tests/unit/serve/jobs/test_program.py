"""What the process of a job hands to its command, and what it holds it to."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from job_parts import PATIENCE_SECONDS, at_work, there, until
from luthier.config.serve_section import ServeAllow
from luthier.retrieval.git.reaching import VARIABLE
from luthier.serve.jobs.program import Charge
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, NewJob
from luthier.serve.jobs.rule_file import JobRule
from luthier.serve.jobs.store import Store
from luthier.serve.jobs.submitted import Asked, Submissions
from luthier.serve.state.root import ServeRoot

ROWS = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"echo {n}"}]}) + "\n"
    for n in range(3)
)
SECRET = "ghp_b7Kq9ZtR2mXw4LpV8sNc1YdF6hJg3aEu5TQo"
# A package of the same name that tells what it was handed.
TELLING = "import json, os, sys; print(json.dumps({'words': sys.argv[1:], 'rule': os.environ.get('LUTHIER_FETCH_RULE')}))"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("rows.jsonl").write_text(ROWS)
    (tmp_path / "secret.jsonl").write_text(ROWS)
    return folder


def ended(submissions: Submissions, asked: Asked, before: Callable[[], object] = lambda: None) -> tuple[Job, str]:
    """The job of a data stage, and its log; `before` happens between its request and its beginning."""
    submissions.keep_rule()
    new = submissions.data(asked)
    before()

    async def use(jobs: Jobs) -> tuple[Job, str]:
        job = await jobs.start(new)
        ended = await until(jobs, job.id, "done", "failed")
        return ended, (await jobs.log_tail(job.id, 100_000)).decode()

    return at_work(Path("serve"), use)


def submissions(**allow: list[str]) -> Submissions:
    return Submissions(ServeRoot(Path("serve")), ServeAllow.model_validate(allow), None)


def text(line: str = "datasets: [{path: rows.jsonl}]") -> str:
    return f"base_model: starter\n{line}\n"


def test_a_job_fetches_nothing_from_an_address_that_is_not_public(home: Path) -> None:
    """The name of an allowed host leads to this machine, as one could that was public when the run was asked for."""
    asked = Asked(text=text("sources: [{repo: 'https://localhost/a/b', make: [explain]}]"))
    job, log = ended(submissions(hosts=["localhost"]), asked)
    assert (job.status, job.exit_code) == ("failed", 2)
    assert "leads to an address that is not public" in (job.error or "")
    assert "sources[0].repo" in (job.error or "")
    assert "Traceback" not in log


def test_a_path_that_became_a_link_since_it_was_looked_at_is_not_read(home: Path) -> None:
    def swap() -> None:
        Path("rows.jsonl").unlink()
        Path("rows.jsonl").symlink_to("../secret.jsonl")

    job, _ = ended(submissions(), Asked(text=text()), swap)
    assert (job.status, job.exit_code) == ("failed", 2)
    assert "`datasets[0].path` names a file or folder that may not be read here" in (job.error or "")
    assert not any(Path("serve/runs").rglob("train.jsonl"))


def test_a_job_is_held_to_what_the_server_allows_when_it_begins(home: Path) -> None:
    (home / "data").mkdir()
    job, _ = ended(submissions(), Asked(text=text()), lambda: submissions(folders=["data"]).keep_rule())
    assert (job.status, job.exit_code) == ("failed", 2)
    assert "may not be read here" in (job.error or "")


def test_a_job_without_a_rule_reads_nothing(home: Path) -> None:
    job, _ = ended(submissions(), Asked(text=text()), lambda: Path("serve/rule.json").unlink())
    assert (job.status, job.exit_code) == ("failed", 2)


def test_values_of_keys_reach_the_run(home: Path) -> None:
    asked = Asked(text=text(), overrides={"default_system_message": "a 'word'\nü", "split": {"validation": 0.0, "test": 0.0}})
    ours = submissions()
    job, _ = ended(ours, asked)
    assert (job.status, job.error) == ("done", None)
    (resolved,) = Path("serve/runs").glob("*/resolved.yaml")
    assert resolved.parent == Path(job.folder).relative_to(home)


def handed(root: Path, command: tuple[str, ...], package: Path) -> tuple[Job, dict[str, object]]:
    """A job whose `luthier` tells what it was handed."""
    (package / "luthier").mkdir(parents=True)
    (package / "luthier" / "__init__.py").touch()
    (package / "luthier" / "__main__.py").write_text(TELLING)

    async def use(jobs: Jobs) -> Job:
        job = await jobs.start(NewJob("evaluate", "t", ("-m", "luthier", *command), str(package / "run"), str(package)))
        return await until(jobs, job.id, "done", "failed")

    job = at_work(root, use)
    assert job.result is not None, job.error
    return job, job.result


def test_values_stand_in_a_file_of_their_owner_and_not_among_the_words_that_everybody_sees(tmp_path: Path) -> None:
    values = ("--set", f"wandb_key={SECRET}", "--set", "lora_r=8")
    job, told = handed(tmp_path / "root", ("evaluate", "a.yaml", *values, "--json"), tmp_path / "package")
    file = tmp_path / "root" / "jobs" / job.id / "values.json"
    assert told["words"] == ["evaluate", "a.yaml", "--set", f"@{file}", "--json"]
    assert json.loads(file.read_text()) == [f"wandb_key={SECRET}", "lora_r=8"]
    assert file.stat().st_mode & 0o777 == 0o600
    # Who asks for the job is told its words, without the secret in them.
    shown = job.to_json()["command"]
    assert shown[:6] == ["-m", "luthier", "evaluate", "a.yaml", "--set", shown[5]]
    assert SECRET not in json.dumps(job.to_json())
    assert shown[6:] == ["--set", "lora_r=8", "--json"]


def test_a_command_knows_from_where_it_may_fetch(tmp_path: Path) -> None:
    root = ServeRoot(tmp_path / "root")
    root.path.mkdir()
    JobRule(hosts=("github.com",), own=("git@10.0.0.1:a/b",)).write(root)
    assert root.rule.stat().st_mode & 0o777 == 0o600
    _, told = handed(root.path, ("export", "a"), tmp_path / "package")
    assert json.loads(str(told["rule"])) == {"hosts": ["github.com"], "own": ["git@10.0.0.1:a/b"]}
    assert VARIABLE == "LUTHIER_FETCH_RULE"


@pytest.mark.parametrize("is_moved", [False, True])
def test_the_process_of_a_job_ends_when_its_folder_is_gone(tmp_path: Path, is_moved: bool) -> None:
    root, work = ServeRoot(tmp_path / "root"), tmp_path / "work"
    root.path.mkdir()
    work.mkdir()
    store = Store(root.database, 1.0)
    store.prepare()
    code = "import os, time; open('begun', 'w').write(str(os.getpid())); time.sleep(600)"
    job = store.add(NewJob("data", "t", ("-c", code), str(work), str(work)))
    root.job(job.id).mkdir(parents=True)
    charge = Charge(server=0, at_once=1, attempts=3, stop_seconds=5, log_bytes=100_000, log_files=2)
    process = subprocess.Popen(charge.words(root, job.id), stderr=subprocess.DEVNULL)
    try:
        command = int(asyncio.run(there(work / "begun")))
        if is_moved:
            root.path.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(root.path)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    assert not Path(f"/proc/{command}").exists()
    # Nothing of what was deleted is made again.
    assert not root.path.exists()


def test_a_job_whose_words_cannot_be_written_waits(tmp_path: Path) -> None:
    """Its folder has a folder where the file is to be, which no write replaces."""

    async def use(jobs: Jobs) -> Job:
        job = await jobs.start(NewJob("data", "t", ("-m", "luthier", "data", "a.yaml", "--set", "a=1"), str(tmp_path), str(tmp_path)))
        (tmp_path / "root" / "jobs" / job.id / "values.json").mkdir(parents=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := await jobs.get(job.id)).waiting_for and not found.is_over:
                await asyncio.sleep(0.02)
        return found

    job = at_work(tmp_path / "root", use)
    assert (job.status, job.attempts) == ("queued", 0)
    assert "cannot be handed on" in (job.waiting_for or "")
