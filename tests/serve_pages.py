"""The pages as a browser asks for them, in one process and without a port."""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import AsyncGenerator, Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from luthier.config.serve_section import ServeAllow, ServeJobs, ServeLimits
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.runs import RunFolder
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.asking.query import Queries
from luthier.serve.asking.screen import ScreenedAnswers
from luthier.serve.door.asgi import App
from luthier.serve.door.entry import Entry
from luthier.serve.door.gate import Gate
from luthier.serve.door.hosts import hosts_of
from luthier.serve.door.policy import Guarded
from luthier.serve.door.rates import ClientRates
from luthier.serve.door.session import Sessions
from luthier.serve.engine.place import Opened, Opening
from luthier.serve.ingest.asked import Asking
from luthier.serve.ingest.library import Library
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Submissions
from luthier.serve.pages.site import SiteParts, make_site
from luthier.serve.state.root import ServeRoot

TOKEN = "a-token-of-some-length"
WRONG_TOKENS = 5
# Deleted when the tests end.
_STATES: list[tempfile.TemporaryDirectory[str]] = []


@cache
def run_writer() -> Callable[..., RunFolder]:
    """Writes a run folder as the stages leave it: `unit/report/run_folder.py`."""
    spec = importlib.util.spec_from_file_location("report_run_folder", Path(__file__).parent / "unit" / "report" / "run_folder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_run  # type: ignore[no-any-return]


class AnsweringEngine:
    """Answers every question with a command that destroys, in two pieces."""

    def __init__(self) -> None:
        self.models: dict[str, Opening] = {}

    async def open(self, name: str, opening: Opening) -> Opened:
        self.models[name] = opening
        return Opened("b", "i", "float32", "cpu", 4_096)

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield TokenEvent(request.id, "rm -rf ")
        yield TokenEvent(request.id, "/etc # <b>")
        yield DoneEvent(request.id, "rm -rf /etc # <b>", "stop", 70, 2)


def gate_of(*runs: Path, root: Path | None = None) -> App:
    """The pages that show the run folders in `runs`, behind the door that they have in the server.

    Its state is in `root`, an empty folder where none is named.
    """
    sessions = Sessions(60)
    if root is None:
        _STATES.append(tempfile.TemporaryDirectory(prefix="luthier-pages-"))
    state = ServeRoot(root if root is not None else Path(_STATES[-1].name))
    state.path.mkdir(parents=True, exist_ok=True)
    jobs = Jobs(state, ServeJobs())
    jobs.prepare()
    limits, sources, catalogue = ServeLimits(), Library(state), Catalogue(None, {}, runs)
    allow = ServeAllow(folders=[str(folder) for folder in runs])
    engine: Any = AnsweringEngine()
    queries = Queries(ScreenedAnswers(catalogue, engine, engine, limits, mode="warn"), sources)
    submissions, asking = Submissions(state, allow, None), Asking(state, allow, limits)
    site = make_site(SiteParts(TOKEN, sessions, runs, jobs, submissions, asking, sources, queries, catalogue))
    gate = Gate(Starlette(routes=[Mount("/ui", site)]), Entry(TOKEN, sessions), hosts_of("127.0.0.1", ["testserver"]), 1 << 20)
    return Guarded(ClientRates(gate, 1_000.0, WRONG_TOKENS))


def pages_of(*runs: Path, root: Path | None = None) -> TestClient:
    """A browser at their door, without a port."""
    return TestClient(gate_of(*runs, root=root), follow_redirects=False, raise_server_exceptions=False)


def signed_in(*runs: Path, root: Path | None = None) -> TestClient:
    """The same, once it has signed in."""
    browser = pages_of(*runs, root=root)
    assert browser.post("/ui/sign-in", data={"token": TOKEN}).status_code == 303
    return browser


def csrf_token(browser: TestClient) -> str:
    """What the session's forms carry."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/ui/runs").text)
    assert found is not None
    return found[1]
