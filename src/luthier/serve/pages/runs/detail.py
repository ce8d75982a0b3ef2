"""One run: how far it is, what it came to, its rows, its evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luthier.report import glance, sections, watched
from luthier.report.results import comparison, verdict
from luthier.report.rows import data_facts
from luthier.report.shown import shown
from luthier.serve.pages.frame.page import page
from luthier.serve.pages.runs.library import RUNNING, Listed, RunLibrary
from luthier.serve.pages.runs.progress import progress
from luthier.serve.pages.runs.reading import ReadRun, RunReader, readable
from luthier.serve.pages.runs.tail import Now

_LONGEST_FILE = 40_000


@dataclass(frozen=True, slots=True)
class DetailPages:
    """The pages of a run in `library`, read by `reader`."""

    library: RunLibrary
    reader: RunReader

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/runs/{key}", self.overview),
            Route("/runs/{key}/data", self.data),
            Route("/runs/{key}/evaluation", self.evaluation),
        ]

    def overview(self, request: Request) -> Response:
        """How far the run is, its curves, and what it came to; the page follows a run at work."""
        listed, read, now = self._read(request)
        with readable(listed):
            return page(request, "run.html", **_overview(listed, read, now))

    def data(self, request: Request) -> Response:
        """The data report."""
        listed, read, _ = self._read(request)
        with readable(listed):
            return page(request, "run_data.html", one=listed, tab="data", data=data_facts(read.facts))

    def evaluation(self, request: Request) -> Response:
        """Every suite with its chart and tables, what was judged by hand, what was compared later."""
        listed, read, _ = self._read(request)
        facts, found = read.facts, read.shelf
        with readable(listed):
            return page(
                request,
                "run_evaluation.html",
                one=listed,
                tab="evaluation",
                is_evaluated=facts.is_evaluated,
                gate=glance.gate_table(facts, found),
                left_out=sections.left_out(facts.left_out),
                comparisons=[comparison(suite, found) for suite in facts.suites],
                review=glance.review_tables(facts),
                comments=glance.review_comments(facts, found),
                compared_later=glance.compared_later(facts, found),
            )

    def _read(self, request: Request) -> tuple[Listed, ReadRun, Now]:
        listed = self.library.get(request.path_params["key"])
        return listed, *self.reader.read(listed)


def _overview(listed: Listed, read: ReadRun, now: Now) -> dict[str, Any]:
    facts, found = read.facts, read.shelf
    is_running = listed.state == RUNNING
    return {
        "one": listed,
        "tab": "overview",
        "is_running": is_running,
        "progress": progress(listed.folder.manifest().stages, now, is_running),
        "curves": sections.curves(facts.curves),
        "verdict": verdict(facts) if facts.is_evaluated or not is_running else None,
        "is_evaluated": facts.is_evaluated,
        "standpoints": glance.standpoints(facts, found),
        "safety": glance.safety(facts, found),
        "look_next": glance.look_next(facts, found),
        "gate": glance.gate_table(facts, found),
        "numbers": sections.key_numbers(facts),
        "warnings": sections.warnings(facts),
        "training": sections.training_facts(facts),
        "devices": watched.device_rows(facts),
        "samples": watched.sampled_rows(facts),
        "machine": sections.machine(facts),
        "exports": sections.export_rows(facts),
        "hashes": sections.hashes(facts),
        "resolved": shown(facts.resolved, _LONGEST_FILE),
        "versions": facts.versions,
    }
