"""The pages as a browser asks for them, in one process and without a port."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from luthier.core.runs import RunFolder
from luthier.serve.door.asgi import App
from luthier.serve.door.entry import Entry
from luthier.serve.door.gate import Gate
from luthier.serve.door.hosts import hosts_of
from luthier.serve.door.policy import Guarded
from luthier.serve.door.rates import ClientRates
from luthier.serve.door.session import Sessions
from luthier.serve.pages.site import SiteParts, make_site

TOKEN = "a-token-of-some-length"
WRONG_TOKENS = 5


@cache
def run_writer() -> Callable[..., RunFolder]:
    """Writes a run folder as the stages leave it: `unit/report/run_folder.py`."""
    spec = importlib.util.spec_from_file_location("report_run_folder", Path(__file__).parent / "unit" / "report" / "run_folder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_run  # type: ignore[no-any-return]


def gate_of(*runs: Path) -> App:
    """The pages that show the run folders in `runs`, behind the door that they have in the server."""
    sessions = Sessions(60)
    site = make_site(SiteParts(TOKEN, sessions, runs))
    gate = Gate(Starlette(routes=[Mount("/ui", site)]), Entry(TOKEN, sessions), hosts_of("127.0.0.1", ["testserver"]), 1 << 20)
    return Guarded(ClientRates(gate, 1_000.0, WRONG_TOKENS))


def pages_of(*runs: Path) -> TestClient:
    """A browser at their door, without a port."""
    return TestClient(gate_of(*runs), follow_redirects=False, raise_server_exceptions=False)


def signed_in(*runs: Path) -> TestClient:
    """The same, once it has signed in."""
    browser = pages_of(*runs)
    assert browser.post("/ui/sign-in", data={"token": TOKEN}).status_code == 303
    return browser
