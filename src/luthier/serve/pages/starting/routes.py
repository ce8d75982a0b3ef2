"""A run begun from a form, or from the text of a run file; both make the same job."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.config import yaml_file
from luthier.core.errors import Problem, UserError
from luthier.core.files import sha256_json
from luthier.report.shown import shown
from luthier.serve.door.errors import MOST_PROBLEMS, RequestError
from luthier.serve.ingest.library import Library
from luthier.serve.ingest.records import Source
from luthier.serve.jobs.beginning import begin
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Asked, Submissions
from luthier.serve.pages.frame.page import page
from luthier.serve.pages.jobs.routes import job_address
from luthier.serve.pages.starting.controls import all_controls, groups
from luthier.serve.pages.starting.previews import Preview, Previews

_LONGEST_WORDS = 1_200
_TOP_KEY = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
_NAMED = re.compile(r"`([A-Za-z_]\w*)")
_EXAMPLE = "base_model: starter\nadapter: lora\nlearning_rate: 2e-4\ndatasets:\n- path: rows.jsonl\n"
# What every run needs, in a form that nobody has filled in yet. Without rows that are held out its evaluation would measure nothing.
_BEGUN = ImmutableMultiDict([("base_model", "starter"), ("adapter", "lora"), ("learning_rate", "2e-4"), ("split", "test: 0.1")])
_ROWS = ("rows", "rows_type")
Wrong = list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class StartPages:
    """The form; `library` has the sources that it offers."""

    jobs: Jobs
    submissions: Submissions
    library: Library
    previews: Previews = field(default_factory=Previews)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/new", self.show), Route("/new", self.start, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The form; `way=text` shows the run file itself."""
        return await self._page(request, request.query_params.get("way", "form"), _BEGUN)

    async def start(self, request: Request) -> Response:
        """Begins the run, or shows what is wrong with it.

        `do=plan` tells what `luthier check` and `luthier plan` say of it, `do=text` shows its run file: both begin nothing.
        """
        fields = await request.form()
        way, do = "text" if fields.get("way") == "text" else "form", fields.get("do")
        sources = await asyncio.to_thread(self.library.all)
        text, wrong = (str(fields.get("text", "")), []) if way == "text" else _written(fields, sources)
        if do == "text" and not wrong:
            return await self._page(request, "text", fields, text=text)
        if not wrong:
            asked = Asked(text=text or "{}")
            try:
                if do == "plan":
                    preview = await self.previews.of(await asyncio.to_thread(self.submissions.checked, asked))
                    return await self._page(request, way, fields, text=text, preview=preview)
                return await self._begun(asked, text, str(fields.get("key", "")), do == "data")
            except UserError as error:
                wrong = [_placed(problem, text, way) for problem in error.problems[:MOST_PROBLEMS]]
                return await self._page(request, way, fields, wrong, text, more=len(error.problems) - len(wrong))
            except RequestError as error:
                # What was filled in is not lost where a plan takes too long.
                return await self._page(request, way, fields, [("", "", error.message)], text, status=error.status)
        return await self._page(request, way, fields, wrong, text)

    async def _begun(self, asked: Asked, text: str, key: str, data_alone: bool) -> Response:
        """The way to the job, which is the same one where the same form is sent twice."""
        said = json.dumps(["page", data_alone, text])
        make = self.submissions.data if data_alone else self.submissions.run
        job = await begin(self.jobs, lambda: make(asked), said, f"{key[:64]}-{sha256_json(said)[:16]}")
        return RedirectResponse(job_address(job.id), 303)

    async def _page(
        self,
        request: Request,
        way: str,
        given: ImmutableMultiDict[str, Any] | FormData,
        wrong: Wrong | None = None,
        text: str = "",
        preview: Preview | None = None,
        status: int = 422,
        more: int = 0,
    ) -> Response:
        first, others = groups()
        sources = [source for source in await asyncio.to_thread(self.library.all) if source.kind != "upload"]
        said: dict[str, str] = {}
        for name, _, words in wrong or []:
            said[name] = f"{said[name]}\n{words}" if name in said else words
        opened = {group.title for group in others for one in group.controls if one.key in said or given.get(one.key)}
        return page(
            request,
            "new.html",
            status if wrong else 200,
            way="text" if way == "text" else "form",
            first=first,
            others=others,
            opened=opened,
            given={
                **{one.key: str(given.get(one.key, "")) for one in all_controls()},
                **{name: str(given.get(name, "")) for name in _ROWS},
            },
            sources=sources,
            chosen=given.getlist("sources"),
            wrong=said,
            problems=wrong or [],
            more=more,
            text=text or str(given.get("text", "")) or _EXAMPLE,
            key=secrets.token_hex(12),
            preview=preview,
        )


def _written(fields: FormData, sources: list[Source]) -> tuple[str, Wrong]:
    """The run file that the form makes, and what in it cannot be read."""
    value: dict[str, Any] = {}
    wrong: Wrong = []
    for control in all_controls():
        given = str(fields.get(control.key, "")).strip()
        if given:
            try:
                value[control.key] = control.value(given.replace("\r\n", "\n"))
            except UserError as error:
                wrong.append((control.key, control.key, error.problems[0].what))
    if rows := str(fields.get("rows", "")).split("\n"):
        kind = {"type": given} if (given := str(fields.get("rows_type", "")).strip()) else {}
        entries = [{"path": line.strip(), **kind} for line in rows if line.strip()]
        if entries:
            value["datasets"] = entries
    chosen = [source for source in sources if source.name in fields.getlist("sources") and source.kind != "upload"]
    if chosen:
        value["sources"] = [_entry(source) for source in chosen]
    return yaml_file.dump(value) if value else "", wrong


def _entry(source: Source) -> dict[str, Any]:
    """A source that was taken in, as a run file names it: at the commit that it was read at."""
    if source.kind == "folder" and not Path(source.place, ".git").exists():
        return {"docs": [source.place], "name": source.name}
    return {"repo": source.place, "name": source.name, **({"commit": source.commit} if source.commit else {})}


def _placed(problem: Problem, text: str, way: str) -> tuple[str, str, str]:
    """A problem with the control that it belongs to, that one's label, and the words."""
    words = shown(replace(problem, where="").text(), _LONGEST_WORDS)
    line = problem.where.rpartition(":")[2]
    if way == "text":
        return "text", f"Line {line}" if line.isdecimal() else "Run file", words
    starts = [(text.count("\n", 0, match.start()) + 1, match[1]) for match in _TOP_KEY.finditer(text)]
    key = next((name for start, name in reversed(starts) if line.isdecimal() and start <= int(line)), "")
    named = _NAMED.findall(problem.what)
    known: Mapping[str, str] = {**{one.key: one.key for one in all_controls()}, "datasets": "rows", "sources": "sources"}
    key = next((name for name in (key, problem.where, *named) if name in known), "")
    return (known[key], "Rows" if key == "datasets" else key, words) if key else ("", "", words)
