"""Templates of the pages: no name twice, nothing written into a page that the content policy would refuse, no escape switched off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from luthier.serve.pages.frame.page import environment, templates_folder

TEMPLATES = sorted(templates_folder().glob("*.html"))
OF_THE_REPORT = Path(__file__).parents[5] / "src" / "luthier" / "report" / "templates"
# Of the report's templates those that pages are made of, too.
SHARED = [OF_THE_REPORT / name for name in ("charts.html", "parts.html", "data.html")]


def test_no_template_hides_one_of_the_report() -> None:
    assert {path.name for path in TEMPLATES}.isdisjoint(path.name for path in OF_THE_REPORT.iterdir())


@pytest.mark.parametrize("path", [*TEMPLATES, *SHARED], ids=lambda path: path.name)
def test_a_template_has_nothing_inline_and_escapes_everything(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=)|https?://", text)
    assert not re.findall(r"\|\s*safe\b|autoescape|Markup", text)
    environment().get_template(path.name)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_form_that_changes_something_has_the_csrf_token_first(path: Path) -> None:
    for form in re.findall(r'<form method="post"[^>]*>\s*(.{0,80})', path.read_text(encoding="utf-8"), flags=re.DOTALL):
        if path.name != "sign_in.html":
            assert re.match(r'<input type="hidden" name="csrf_token"|\{\{ controls\.csrf\(', form), form
