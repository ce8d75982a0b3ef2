"""A run begun from the form and from the text of a run file."""

from __future__ import annotations

import errno
import html
import re
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from luthier.serve.door.errors import RequestError
from luthier.serve.jobs import submitted
from luthier.serve.jobs.submitted import Checked
from luthier.serve.pages.starting.previews import Preview, Previews
from serve_pages import csrf_token, signed_in

RIGHT = {"base_model": "starter", "learning_rate": "2e-4", "max_steps": "2", "key": "one-form", "do": "run"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "list files", "output": "ls"}\n' * 20)
    return tmp_path


def sent(browser: TestClient, **fields: str) -> tuple[int, str, str]:
    """Status, address and text of the answer to the form."""
    answer = browser.post("/ui/new", data={"csrf_token": csrf_token(browser), **fields})
    return answer.status_code, answer.headers.get("location", ""), answer.text


def test_the_form_begins_a_run_and_a_second_click_begins_no_other(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    fields = {**RIGHT, "rows": str(place / "rows.jsonl"), "rows_type": "alpaca"}
    status, job, text = sent(browser, **fields)
    assert status == 303, text
    assert sent(browser, **fields)[1] == job
    assert ">train<" in browser.get(job).text
    # What the form was changed to since is another run.
    assert sent(browser, **{**fields, "max_steps": "3"})[1] not in ("", job)
    (first, second) = sorted((place / "state" / "run-files").glob("*.yaml"), key=lambda path: path.stat().st_mtime)
    assert yaml.safe_load(first.read_text()) == {
        "base_model": "starter", "learning_rate": 2e-4, "max_steps": 2, "datasets": [{"path": str(place / "rows.jsonl"), "type": "alpaca"}]
    }  # fmt: skip
    assert yaml.safe_load(second.read_text())["max_steps"] == 3


def test_a_form_as_it_is_offered_holds_rows_out_for_the_evaluation(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    page = browser.get("/ui/new").text
    offered = re.search(r'<textarea id="f-split"[^>]*>\n(.*?)</textarea>', page)
    assert offered is not None
    assert page.index('id="f-split"') < page.index('id="all-keys"')
    sent(browser, **{**RIGHT, "rows": str(place / "rows.jsonl"), "split": offered[1]})
    (run_file,) = (place / "state" / "run-files").glob("*.yaml")
    assert yaml.safe_load(run_file.read_text())["split"] == {"test": 0.1}


def test_every_problem_stands_at_its_control_and_what_was_given_is_kept(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    wrong = {"learning_rate": "fast", "micro_batch_size": "0", "clean": "[a", "run_name": "<b>"}
    status, _, text = sent(browser, **{**RIGHT, **{key: value for key, value in wrong.items() if key != "clean"}})
    assert status == 422
    for key, words in (("learning_rate", "a number is meant"), ("micro_batch_size", "at least 1"), ("run_name", "wrong value")):
        assert words in text[text.index(f'id="e-{key}"') :][:200]
        assert f'<a href="#f-{key}">' in text
        assert re.search(rf'id="f-{key}"[^>]*aria-invalid="true" aria-describedby="e-{key}', text)
        assert f'value="{html.escape(wrong[key])}"' in text
    assert "<b>" not in text.replace("<b>e", "")
    assert "3 things are not right yet" in text
    assert not (place / "state" / "run-files").exists()
    # A folded group with a problem is open.
    status, _, text = sent(browser, **{**RIGHT, "clean": "[a"})
    assert re.search(r'<details id="g-\d+" open>(?:(?!</details>).)*id="e-clean"', text, re.DOTALL)


def test_files_that_may_not_be_read_are_told_at_the_rows(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    status, _, text = sent(browser, **{**RIGHT, "rows": "/etc/passwd"})
    assert status == 422
    assert "may not be read here" in text[text.index('id="e-rows"') :][:200]
    assert ">\n/etc/passwd</textarea>" in text


def test_the_form_is_shown_as_a_run_file_that_does_the_same(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    fields = {**RIGHT, "rows": str(place / "rows.jsonl")}
    status, _, text = sent(browser, **{**fields, "do": "text"})
    found = re.search(r'<textarea id="f-text"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    assert status == 200
    assert found is not None
    run_file = html.unescape(found[1])
    assert yaml.safe_load(run_file)["learning_rate"] == 2e-4
    status, job, text = sent(browser, way="text", text=run_file, key="other", do="run")
    assert status == 303, text
    assert browser.get(job).status_code == 200


@pytest.mark.parametrize("way", ["text", "form"])
def test_of_very_many_problems_the_first_are_told_and_all_are_counted(place: Path, way: str) -> None:
    browser = signed_in(place, root=place / "state")
    wrong = {"text": "\n".join(f"k{number}: 1" for number in range(100))} if way == "text" else {"rows": "/etc/passwd\n" * 100}
    status, _, text = sent(browser, **{**RIGHT, **wrong, "way": way, "key": "k", "do": "run"})
    assert status == 422
    found = re.search(r"<h2>(\d+) things are not right yet</h2>\s*<ul>(.*?)</ul>", text, re.DOTALL)
    assert found is not None
    assert found[2].count("<li>") == 21
    assert f"and {int(found[1]) - 20} more" in found[2]


def test_problems_of_a_run_file_are_told_with_their_lines(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    status, _, text = sent(browser, way="text", text="base_model: starter\nlearning_rate: 1\nnum_epochs: x\nfoo: 1\n", key="k", do="run")
    assert status == 422
    assert '<a href="#f-text">Line 3</a>' in text
    assert '<a href="#f-text">Line 4</a>' in text
    assert "unknown key <code>foo</code>" in text
    assert "num_epochs: x" in text


def test_data_alone_is_a_job_of_its_own_kind(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    _, job, text = sent(browser, **{**RIGHT, "rows": str(place / "rows.jsonl"), "do": "data"})
    assert job, text
    assert ">make data<" in browser.get(job).text


def test_a_plan_is_shown_beside_the_form_and_begins_nothing(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    fields = {**RIGHT, "rows": str(place / "rows.jsonl"), "rows_type": "alpaca", "run_name": "soon", "do": "plan"}
    status, _, text = sent(browser, **fields)
    assert status == 200, text
    plan = text[text.index('id="preview"') : text.index("</section>")]
    for words in (
        "It can be started",
        f"{place}/state/runs/soon-",
        "2 steps at most",
        "Memory while it trains",
        "gradients",
        "micro_batch_size: 1",
    ):
        assert words in plan, words
    assert 'value="soon"' in text
    assert not (place / "state" / "run-files").exists()
    assert "run soon" not in browser.get("/ui/jobs").text
    # What those commands refuse stands at its control.
    status, _, text = sent(browser, **{**fields, "clean": "{off: [no_such_rule]}"})
    assert status == 422
    assert "<code>clean.off</code> names no rule" in text[text.index('id="e-clean"') :][:200]


def test_a_plan_that_is_not_to_be_had_loses_nothing_of_the_form(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(self: Previews, checked: Checked) -> Preview:
        raise RequestError(503, "no plan today")

    monkeypatch.setattr(Previews, "of", none)
    browser = signed_in(place, root=place / "state")
    status, _, text = sent(browser, **{**RIGHT, "rows": str(place / "rows.jsonl"), "run_name": "soon", "do": "plan"})
    assert status == 503
    assert "no plan today" in text[text.index('id="problems"') :]
    assert 'value="soon"' in text


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
def test_a_disk_that_takes_nothing_is_told_and_the_form_is_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    browser = signed_in(place, root=place / "state")
    monkeypatch.setattr(submitted, "write_text", lambda *given: (_ for _ in ()).throw(OSError(number, "no")))
    fields = {**RIGHT, "rows": str(place / "rows.jsonl"), "rows_type": "alpaca"}
    told, _, text = sent(browser, **fields)
    assert told == status
    assert ("no room on the disk" if status == 507 else "cannot be read or kept now") in text
    assert str(place / "rows.jsonl") in text
