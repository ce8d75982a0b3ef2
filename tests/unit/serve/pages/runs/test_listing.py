"""The list of runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from luthier.core.runs import RunFolder
from luthier.serve.door.errors import RequestError
from luthier.serve.pages.runs.library import RunLibrary
from serve_pages import run_writer, signed_in


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run, one that has begun, and one that cannot be read."""
    place = tmp_path_factory.mktemp("place") / "runs"
    whole = run_writer()(place / "whole-11111111")
    (place / "begun-22222222").mkdir()
    (place / "begun-22222222" / "resolved.yaml").write_text("base_model: starter\n")
    (place / "broken-33333333").mkdir()
    (place / "broken-33333333" / "resolved.yaml").write_text("base_model: starter\n")
    (place / "broken-33333333" / "manifest.json").write_text("<b>no json</b>")
    os.utime(whole.events_jsonl, (1, 1))
    return place


def test_every_run_is_told_with_what_it_has_come_to(runs: Path) -> None:
    text = signed_in(runs).get("/ui/runs").text
    assert text.count('type="checkbox"') == 3
    assert "unreadable" in text
    assert "not a manifest" in text
    assert ">partial<" in text
    # What has not trained yet is told with the base that it is to train.
    assert re.search(r">begun-22222222</a><small>starter · ", text)
    assert "exact match" in text


def test_the_list_is_narrowed_by_name_and_by_state(runs: Path) -> None:
    browser = signed_in(runs)
    assert [one in browser.get("/ui/runs?q=BEG").text for one in ("begun-2", "whole-1", "broken-3")] == [True, False, False]
    assert [one in browser.get("/ui/runs?state=unreadable").text for one in ("begun-2", "whole-1", "broken-3")] == [False, False, True]
    nothing = browser.get("/ui/runs?q=%3Cscript%3E").text
    assert "None of 3 runs" in nothing
    assert "<script>" not in nothing


def test_without_runs_the_page_says_where_it_looked(tmp_path: Path) -> None:
    assert str(tmp_path) in signed_in(tmp_path).get("/ui/runs").text


def test_a_run_at_work_is_seen_and_its_list_follows_it(runs: Path) -> None:
    browser = signed_in(runs)
    assert "data-live" not in browser.get("/ui/runs").text
    with RunFolder(runs / "begun-22222222").lock():
        text = browser.get("/ui/runs").text
        assert 'data-live="5" data-say="1 running, 3 in all"' in text
        assert ">running<" in text
    assert "data-live" not in browser.get("/ui/runs").text


def test_a_name_is_looked_up_and_never_joined_to_a_path(runs: Path, tmp_path: Path) -> None:
    library = RunLibrary([runs, tmp_path])
    assert library.get("whole-11111111").folder.path == runs / "whole-11111111"
    for key in ("..", "", "whole-11111111/", "../runs/whole-11111111", str(runs / "whole-11111111")):
        with pytest.raises(RequestError) as raised:
            library.get(key)
        assert raised.value.status == 404


def test_two_places_with_one_name_have_two_addresses(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "whole-11111111").mkdir()
    (tmp_path / "whole-11111111" / "resolved.yaml").write_text("base_model: starter\n")
    library = RunLibrary([runs, tmp_path, runs])
    assert {one.key for one in library.all()} == {"whole-11111111", "begun-22222222", "broken-33333333", "whole-11111111~2"}
    assert library.get("whole-11111111~2").folder.path == tmp_path / "whole-11111111"


def test_a_summary_is_read_again_once_it_changes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "resolved.yaml").write_text("base_model: starter\n")
    library = RunLibrary([tmp_path])
    assert library.get("run").brief is library.get("run").brief
    assert library.get("run").brief.final_loss == ""
    (tmp_path / "run" / "train").mkdir()
    (tmp_path / "run" / "train" / "summary.json").write_text('{"final_loss": 0.5}')
    assert library.get("run").brief.final_loss == "0.500"
