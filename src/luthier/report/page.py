"""The report's front door: reads the run folder and writes `report.html` and `report.md`, with equal bytes for equal folders."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from luthier.core.events import EventLog
from luthier.core.files import write_text
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.report import sections
from luthier.report.reading import RunFacts, read_run
from luthier.report.results import comparison, side_by_side, verdict
from luthier.report.wording import day

# Rows may hold anything; a control character would make the page a binary file, or speak to a terminal.
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "�")
_MARKDOWN_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def run(folder: RunFolder, events: EventLog) -> None:
    """Writes the report of `folder`. Stages that have not run are shown as such."""
    html, markdown = render(read_run(folder))
    write_text(folder.report_html, html)
    write_text(folder.report_md, markdown)
    events.emit("report.written", files=list(STAGES["report"].outputs))


def render(facts: RunFacts) -> tuple[str, str]:
    """The report as one HTML page and as Markdown."""
    view = _view(facts)
    environment = _environment()
    pages = [environment.get_template(f"report.{kind}").render(view).translate(_CONTROLS) for kind in ("html", "md")]
    return pages[0], pages[1]


def _view(facts: RunFacts) -> dict[str, Any]:
    """Everything that the templates name."""
    return {
        "facts": facts,
        "started": day(facts.started),
        "verdict": verdict(facts),
        "warnings": sections.warnings(facts),
        "numbers": sections.key_numbers(facts),
        "comparisons": [comparison(suite) for suite in facts.suites],
        "answers": side_by_side(facts.suites),
        "curves": sections.curves(facts),
        "training": sections.training_facts(facts),
        "data": sections.data_facts(facts),
        "stages": sections.stage_rows(facts),
        "exports": sections.export_rows(facts),
        "machine": sections.machine(facts),
        "hashes": sections.hashes(facts),
    }


@cache
def _environment() -> Environment:
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
    environment.filters["fenced"] = markdown_fenced
    return environment


def markdown_text(value: object) -> str:
    """`value` on one line with everything escaped that Markdown or HTML would take for markup."""
    return _MARKDOWN_MARKS.sub(r"\\\1", " ".join(str(value).split()))


def markdown_fenced(value: object) -> str:
    """`value` as a block of code whose fence is longer than any run of backticks in it."""
    text = str(value)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
