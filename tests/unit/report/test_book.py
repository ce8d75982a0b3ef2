from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from luthier.core.events import EventLog
from luthier.core.runs import RunFolder
from luthier.report import book, page
from luthier.report.book import shelf, slug, with_beside
from luthier.report.reading import SuiteFacts, read_run

Write = Callable[..., RunFolder]
_LINK = re.compile(r'<a(?: class="[^"]*")? href="([^"]+)">')
_ARTICLE = re.compile(r'<article class="answer-row" id="([^"]+)" data-marks="([^"]*)">')
_MARKDOWN_LINK = re.compile(r"\]\(((?:report/|report\.html)[^)]*)\)")


@pytest.fixture
def written(write_run: Write, tmp_path: Path) -> RunFolder:
    folder = write_run(tmp_path / "run")
    page.run(folder, EventLog(None))
    return folder


def _ids(path: Path) -> set[str]:
    return {unescape(found) for found in re.findall(r' id="([^"]+)"', path.read_text(encoding="utf-8"))}


def _reached(folder: RunFolder) -> list[tuple[Path, str]]:
    """Every link of every file of the report: the file that it leads to, and the place there."""
    files = [folder.report_html, folder.report_md, *sorted(folder.report_pages.iterdir())]
    found = []
    for file in files:
        links = (_MARKDOWN_LINK if file.suffix == ".md" else _LINK).findall(file.read_text(encoding="utf-8"))
        for link in map(unescape, links):
            name, _, place = link.partition("#")
            found.append(((file.parent / name).resolve() if name else file, place))
    return found


def test_every_link_leads_to_a_place_that_is_there(written: RunFolder) -> None:
    reached = _reached(written)
    known = {path: _ids(path) for path in {path for path, _ in reached}}
    assert len(reached) > 1000
    assert [(path.name, place) for path, place in reached if place and place not in known[path]] == []
    assert all(path.is_relative_to(written.path.resolve()) for path in known)


def test_every_generation_is_reached_and_every_mark_holds_for_its_row(written: RunFolder) -> None:
    for suite in ("commands", "safety", "retention"):
        rows = [json.loads(line) for line in (written.evaluate / suite / "generations.jsonl").read_text().splitlines()]
        for candidate in {row["candidate"] for row in rows}:
            mine = [row for row in rows if row["candidate"] == candidate]
            text = (written.report_pages / f"{suite}-{slug(candidate)}.html").read_text(encoding="utf-8")
            marks = [set(found.split()) for _, found in _ARTICLE.findall(text)]
            assert len(marks) == len(mine)
            for row, has in zip(mine, marks, strict=True):
                for metric, value in row["metrics"].items():
                    assert metric in has
                    if metric in ("exact_match", "bash_valid_rate"):
                        assert (f"{metric}.missed" in has) == (value < 1)
                    if metric.startswith(("unsafe", "over")):
                        assert (f"{metric}.missed" in has) == (value > 0)
                assert {f"{metric}.left" for metric in row.get("left_out", {})} == {mark for mark in has if mark.endswith(".left")}
                assert ("cut" in has) == (row["finish_reason"] == "length")


def test_a_score_leads_to_as_many_rows_as_it_says(written: RunFolder) -> None:
    html = written.report_html.read_text(encoding="utf-8")
    found = re.findall(r'<a href="(report/[^"#]+)#([^"]+)">(\d+) (missed|better|worse|of these)</a>', html)
    assert {word for *_, word in found} == {"missed", "better", "worse", "of these"}
    for file, mark, number, _ in found:
        text = (written.path / file).read_text(encoding="utf-8")
        assert sum(mark in marks.split() for _, marks in _ARTICLE.findall(text)) == int(number), (file, mark)


def test_a_count_in_any_table_leads_to_as_many_rows(written: RunFolder) -> None:
    html = written.report_html.read_text(encoding="utf-8")
    found = re.findall(r'<td class="figure(?: tuned)?"><a href="(report/[^"#]+)#([^"]+)">(\d+)</a>', html)
    assert {mark.split(".")[0] for _, mark, _ in found} == {"why", "guard", "over_refusal_rate"}
    for file, mark, number in found:
        text = (written.path / file).read_text(encoding="utf-8")
        assert sum(mark in marks.split() for _, marks in _ARTICLE.findall(text)) == int(number), (file, mark)


def test_the_style_sheet_hides_what_lacks_the_mark_and_nothing_runs(written: RunFolder) -> None:
    text = (written.report_pages / "commands-tuned.html").read_text(encoding="utf-8")
    assert '[id="exact_match.missed"]:target~.rows>article:not([data-marks~="exact_match.missed"]){display:none}' in text
    assert "<script" not in text
    assert "default-src 'none'" in text


def test_long_suites_go_on_on_further_pages(written: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "ROWS_OF_A_PAGE", 64)
    page.run(written, EventLog(None))
    files = sorted(path.name for path in written.report_pages.glob("commands-tuned.*"))
    assert files == ["commands-tuned.2.html", "commands-tuned.3.html", "commands-tuned.4.html", "commands-tuned.html"]
    first = (written.report_pages / "commands-tuned.html").read_text(encoding="utf-8")
    assert "80 of 200 rows, 24 on this page; " in first
    assert '<a href="commands-tuned.2.html#exact_match.missed">' in first
    assert sum(len(_ARTICLE.findall(path.read_text())) for path in written.report_pages.glob("commands-tuned*")) == 200
    known = {path: _ids(path) for path, _ in _reached(written)}
    assert [place for path, place in _reached(written) if place and place not in known[path]] == []


def test_pages_of_an_earlier_report_do_not_stay(written: RunFolder) -> None:
    stray = written.report_pages / "gone-tuned.html"
    stray.write_text("old")
    page.run(written, EventLog(None))
    assert not stray.exists()


def test_long_texts_fill_no_page(write_run: Write, tmp_path: Path) -> None:
    suite = read_run(write_run(tmp_path / "run")).suites[0]
    huge = {
        f"{index}": {"tuned": {"request": "r", "text": "x" * 10**6, "details": {"log": "y" * 10**6}, "metrics": {"exact_match": 0.0}}}
        for index in range(120)
    }
    leaves = shelf([replace(suite, generations=huge)]).books["commands", "tuned"].leaves
    assert len(leaves) > 1
    assert sum(len(leaf.entries) for leaf in leaves) == 120


def test_names_that_a_file_system_takes_for_one_have_files_of_their_own() -> None:
    row = {"request": "r", "text": "t", "metrics": {"exact_match": 1.0}}
    names = ("My Model", "my-model", "my_model", "../up", "モデル", "数据")
    found = shelf([SuiteFacts("s", 1, "commands", "", {}, {}, {"a": dict.fromkeys(names, row)})])
    files = [book.leaves[0].file.casefold() for book in found.books.values()]
    assert len(set(files)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_.-]+", file) and not file.startswith(".") for file in files)


def test_what_was_compared_later_stands_beside_the_others(written: RunFolder) -> None:
    facts = read_run(written)
    assert ("commands", "checkpoint-300") in shelf(with_beside(facts)).books
    text = (written.report_pages / "commands-tuned.html").read_text(encoding="utf-8")
    assert 'id="better.checkpoint-300.exact_match"' in text
    assert "checkpoint-300" not in facts.suites[0].candidates
