"""The pages of jobs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from luthier.config.serve_section import ServeJobs
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, Kind, NewJob
from luthier.serve.state.root import ServeRoot
from serve_pages import csrf_token, signed_in

_SECONDS = 60


def queued(root: Path, title: str, kind: Kind = "data", folder: str = "") -> Job:
    """A job that nobody begins."""
    jobs = Jobs(ServeRoot(root), ServeJobs())
    jobs.prepare()
    return asyncio.run(jobs.start(NewJob(kind, title, ("-m", "luthier", "data", "a file.yaml", "--json"), folder or str(root / title))))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Job, Job]:
    """A state with a job that is done and one that failed, each after it had written something."""
    root = tmp_path_factory.mktemp("state")

    async def run() -> tuple[Job, Job]:
        jobs = Jobs(ServeRoot(root), ServeJobs())
        jobs.prepare()
        told = json.dumps({"rows": 12, "left_out": [{"suite": "<b>s", "reason": "no rows"}], "notes": ["2 <i>files"]})
        done = ("-c", f"import sys; sys.stderr.write('<b>begun</b>\\n'); print('{told}')")
        failed = ("-c", 'import sys; print(\'{"error": "the file <i>x</i> is not there"}\'); sys.exit(2)')
        async with jobs.at_work():
            started = [
                await jobs.start(NewJob("data", "a <b>title</b>", done, str(root / "one"))),
                await jobs.start(NewJob("train", "one that fails", failed, str(root / "two"))),
            ]
            async with asyncio.timeout(_SECONDS):
                while not all([(await jobs.get(job.id)).is_over for job in started]):
                    await asyncio.sleep(0.05)
            first, second = [await jobs.get(job.id) for job in started]
        return first, second

    done, failed = asyncio.run(run())
    assert (done.status, failed.status) == ("done", "failed")
    return root, done, failed


def test_without_jobs_the_page_says_how_one_begins(tmp_path: Path) -> None:
    text = signed_in(tmp_path, root=tmp_path).get("/ui/jobs").text
    assert "Nothing was asked for yet" in text
    assert "data-live" not in text


def test_jobs_are_listed_the_newest_first_and_narrowed(ended: tuple[Path, Job, Job]) -> None:
    root, done, failed = ended
    browser = signed_in(root, root=root)
    text = browser.get("/ui/jobs").text
    assert text.index(failed.id) < text.index(done.id)
    assert "a &lt;b&gt;title&lt;/b&gt;" in text
    assert "the file &lt;i&gt;x&lt;/i&gt; is not there" in text
    assert "data-live" not in text
    assert [job.id in browser.get("/ui/jobs?kind=train").text for job in (done, failed)] == [False, True]
    assert [job.id in browser.get("/ui/jobs?status=done").text for job in (done, failed)] == [True, False]
    assert "None of 2 jobs" in browser.get("/ui/jobs?kind=export").text
    assert [job.id in browser.get("/ui/jobs?kind=%3Cb%3E").text for job in (done, failed)] == [True, True]


def test_a_job_shows_its_log_result_error_and_command_as_text(ended: tuple[Path, Job, Job]) -> None:
    root, done, failed = ended
    browser = signed_in(root, root=root)
    text = browser.get(f"/ui/jobs/{done.id}").text
    assert "&lt;b&gt;begun&lt;/b&gt;" in text
    assert "&#34;rows&#34;: 12" in text
    assert "Not measured" in text
    assert "<li>2 &lt;i&gt;files" in text
    assert "<li>&lt;b&gt;s – no rows</li>" in text
    assert "python -c" in text
    assert 'id="retry"' not in text
    told = browser.get(f"/ui/jobs/{failed.id}").text
    assert "the file &lt;i&gt;x&lt;/i&gt; is not there" in told
    assert 'id="retry"' in told
    assert browser.get("/ui/jobs/no-such-job").status_code == 404


def test_a_waiting_job_is_followed_and_can_be_cancelled_and_tried_again(tmp_path: Path) -> None:
    job = queued(tmp_path, "waits")
    browser = signed_in(tmp_path, root=tmp_path)
    token = csrf_token(browser)
    assert 'data-live="2" data-say="0 running, 1 waiting"' in browser.get("/ui/jobs").text
    text = browser.get(f"/ui/jobs/{job.id}").text
    assert 'data-live="1"' in text
    assert "luthier data &#39;a file.yaml&#39; --json" in text
    answer = browser.post(f"/ui/jobs/{job.id}/cancel", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/jobs/{job.id}")
    assert ">cancelled<" in browser.get(f"/ui/jobs/{job.id}").text
    assert "data-live" not in browser.get(f"/ui/jobs/{job.id}").text
    assert browser.post(f"/ui/jobs/{job.id}/retry", data={"csrf_token": token}).status_code == 303
    assert ">queued<" in browser.get(f"/ui/jobs/{job.id}").text
    assert browser.post(f"/ui/jobs/{job.id}/retry", data={"csrf_token": token}).status_code in (303, 409)


def test_nothing_is_done_without_the_token_of_the_form(tmp_path: Path) -> None:
    job = queued(tmp_path, "stays")
    browser = signed_in(tmp_path, root=tmp_path)
    assert browser.post(f"/ui/jobs/{job.id}/cancel", data={}).status_code == 403
    assert ">queued<" in browser.get(f"/ui/jobs/{job.id}").text


def test_a_job_of_a_run_leads_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "begun-11111111"
    folder.mkdir(parents=True)
    (folder / "resolved.yaml").write_text("base_model: starter\n")
    job = queued(tmp_path, "train", "train", str(folder))
    assert 'href="/ui/runs/begun-11111111"' in signed_in(tmp_path / "runs", root=tmp_path).get(f"/ui/jobs/{job.id}").text


def test_a_long_list_goes_on_in_parts(tmp_path: Path) -> None:
    ids = [queued(tmp_path, f"number-{number}").id for number in range(52)]
    browser = signed_in(tmp_path, root=tmp_path)
    text = browser.get("/ui/jobs").text
    assert [job_id in text for job_id in (ids[51], ids[2], ids[1])] == [True, True, False]
    older = f"/ui/jobs?before={ids[2]}"
    assert f'href="{older}"' in text
    assert [job_id in browser.get(older).text for job_id in (ids[2], ids[1], ids[0])] == [False, True, True]


def test_progress_is_told_in_words_and_as_a_bar(tmp_path: Path) -> None:
    folder = tmp_path / "work"

    async def run() -> str:
        jobs = Jobs(ServeRoot(tmp_path), ServeJobs())
        jobs.prepare()
        event = {
            "time": "2026-01-01T00:00:00+00:00",
            "event": "train.step",
            "step": 1200,
            "steps": 2400,
            "loss": 0.5,
            "tokens_per_second": 99.6,
        }
        code = f"import time; open({str(folder / 'events.jsonl')!r}, 'a').write({json.dumps(event)!r} + '\\n'); time.sleep(60)"
        folder.mkdir()
        async with jobs.at_work():
            job = await jobs.start(NewJob("train", "a run", ("-c", code), str(folder)))
            async with asyncio.timeout(_SECONDS):
                while await jobs.progress(await jobs.get(job.id)) is None:
                    await asyncio.sleep(0.05)
            browser = signed_in(tmp_path, root=tmp_path)
            text = await asyncio.to_thread(lambda: browser.get(f"/ui/jobs/{job.id}").text)
            await jobs.cancel(job.id)
        return text

    text = asyncio.run(run())
    assert '<progress value="500" max="1000"' in text
    assert "training, 1\u202f200 of 2\u202f400, loss 0.500, 100 tokens a second" in text
    assert 'data-say="running, training' in text
