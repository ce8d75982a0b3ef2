"""The report's front door: reads the run folder and writes `report.html`, `report.md` and `report/`, with equal bytes for equal folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from luthier.core.events import EventLog
from luthier.core.files import remove, write_text
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.report import glance, rows, sections, watched
from luthier.report.book import FOLDER, Shelf, shelf, with_beside
from luthier.report.leaves import leaf_view
from luthier.report.reading import RunFacts, read_run
from luthier.report.results import comparison, side_by_side, verdict
from luthier.report.shown import shown
from luthier.report.wording import day

# Rows may hold anything; a control character would make the page a binary file, or speak to a terminal.
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "�")
# Of the run file so many characters are shown; it is a file of its own.
LONGEST_FILE = 40_000
_MARKDOWN_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def run(folder: RunFolder, events: EventLog) -> None:
    """Writes the report of `folder`: two files, and the pages of generations in `report/`. Stages that have not run are shown as such."""
    facts = read_run(folder)
    remove(folder.report_pages)
    for name, text in render(facts):
        write_text(folder.path / name, text)
    events.emit("report.written", files=[name for name in STAGES["report"].outputs if (folder.path / name).exists()])


def render(facts: RunFacts) -> Iterator[tuple[str, str]]:
    """Every file of the report, by its name in the run folder: the pages of generations, then `report.html` and `report.md`."""
    environment = page_environment()
    found = shelf(with_beside(facts))
    leaf_page = environment.get_template("generations.html")
    for book in found.books.values():
        for leaf in book.leaves:
            text = leaf_page.render(run=facts.name, anchor=glance.suite_anchor(book.suite.name), leaf=leaf_view(book, leaf, found))
            yield f"{FOLDER}/{leaf.file}", text.translate(_CONTROLS)
    view = _view(facts, found)
    for kind in ("html", "md"):
        yield f"report.{kind}", environment.get_template(f"report.{kind}").render(view).translate(_CONTROLS)


def _view(facts: RunFacts, found: Shelf) -> dict[str, Any]:
    """Everything that the templates name."""
    curves, training, exports = sections.curves(facts.curves), sections.training_facts(facts), sections.export_rows(facts)
    parts = (
        ("data", "data", bool(facts.data)),
        ("training", "train", bool(training or curves)),
        ("evaluation", "evaluate", facts.is_evaluated or bool(facts.suites)),
        ("export", "export", bool(exports)),
    )
    return {
        "facts": facts,
        "started": day(facts.started),
        "verdict": verdict(facts),
        "standpoints": glance.standpoints(facts, found),
        "safety": glance.safety(facts, found),
        "look_next": glance.look_next(facts, found),
        "gate": glance.gate_table(facts, found),
        "warnings": sections.warnings(facts),
        "numbers": sections.key_numbers(facts),
        "comparisons": [comparison(suite, found) for suite in facts.suites],
        "compared_later": glance.compared_later(facts, found),
        "review": glance.review_tables(facts),
        "comments": glance.review_comments(facts, found),
        "answers": side_by_side(facts.suites, found),
        "curves": curves,
        "training": training,
        "devices": watched.device_rows(facts),
        "samples": watched.sampled_rows(facts),
        "data": rows.data_facts(facts),
        "stages": sections.stage_rows(facts),
        "exports": exports,
        "not_run": [(name, stage) for name, stage, is_there in parts if not is_there],
        "machine": sections.machine(facts),
        "hashes": sections.hashes(facts),
        "resolved": shown(facts.resolved, LONGEST_FILE),
    }


@cache
def page_environment() -> Environment:
    """Templates of this package. HTML escapes by itself; Markdown through the filters `text` and `fenced`."""
    environment = Environment(
        loader=PackageLoader("luthier.report"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["text"] = markdown_text
    environment.filters["cell"] = markdown_link
    environment.filters["fenced"] = markdown_fenced
    return environment


def markdown_text(value: object) -> str:
    """`value` on one line with everything escaped that Markdown or HTML would take for markup."""
    return _MARKDOWN_MARKS.sub(r"\\\1", " ".join(str(value).split()))


def markdown_link(cell: Any) -> str:
    """A cell's value, or the way to what is behind it, with its interval and further ways behind it."""
    value = f"[{markdown_text(cell.value)}]({cell.href})" if cell.href else markdown_text(cell.value)
    return value + "".join(
        [
            f" ({markdown_text(cell.interval)})" if cell.interval else "",
            *(f", [{markdown_text(words)}]({href})" for words, href in cell.ways),
        ]
    )


def markdown_fenced(value: object) -> str:
    """`value` as a block of code whose fence is longer than any run of backticks in it."""
    text = str(value)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
