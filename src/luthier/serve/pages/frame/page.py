"""A page made of a template: what every template can name, and how errors are shown.

Everything that comes from a run, a model or a request is text: templates escape by themselves, and none switches that off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from luthier.core.errors import LuthierError
from luthier.report.shown import shown
from luthier.report.wording import count
from luthier.serve.door.entry import session_of
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import PAGES
from luthier.serve.door.words import coded, sentence
from luthier.serve.pages.frame.moments import moment
from luthier.serve.pages.frame.static import address

# Control characters of a text would make the page a binary file.
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "�")
_LONGEST_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the main navigation."""

    words: str
    path: str


PLACES = (
    Place("Runs", f"{PAGES}/runs"),
    Place("Compare", f"{PAGES}/compare"),
    Place("New run", f"{PAGES}/new"),
    Place("Playground", f"{PAGES}/playground"),
    Place("Sources", f"{PAGES}/sources"),
    Place("Search", f"{PAGES}/search"),
    Place("Jobs", f"{PAGES}/jobs"),
)


@cache
def environment() -> Environment:
    """The templates of the pages, and the report's parts that they are made of."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("luthier.serve.pages"), PackageLoader("luthier.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=address, places=PLACES, ui=PAGES)
    made.filters.update(moment=moment, count=count, coded=coded, sentence=sentence)
    return made


def page(request: Request, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any) -> HTMLResponse:
    """The page that `template` makes of `values`, with the session's CSRF token for its forms as `csrf_token`."""
    session = session_of(request.scope)
    path = request.scope["path"]
    text = (
        environment()
        .get_template(template)
        .render(
            values,
            csrf_token=session.csrf if session is not None else "",
            is_signed_in=session is not None,
            path=path,
            here=next((place.path for place in PLACES if path == place.path or path.startswith(f"{place.path}/")), ""),
        )
    )
    return HTMLResponse(text.translate(_CONTROLS), status, headers)


def part(template: str, **values: Any) -> str:
    """What `template` makes of `values` by itself: a part of a page that is there already."""
    return environment().get_template(template).render(values).translate(_CONTROLS)


def link(path: str, **query: str | int | None) -> str:
    """`path` with a query; what is None or empty is left away."""
    told = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(told)}" if told else path


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a form without files, each with its first value."""
    return {name: values[0] for name, values in parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True).items()}


def find_error(request: Request, error: Exception) -> Response:
    """The page that tells of an error: what went wrong, and what can be done."""
    if isinstance(error, RequestError):
        return _error_page(request, error.status, error.message, error.headers)
    if isinstance(error, HTTPException):
        words = {404: "There is no such page.", 405: "This page does not understand that."}
        return _error_page(request, error.status_code, words.get(error.status_code, str(error.detail)), error.headers)
    if isinstance(error, LuthierError):
        return _error_page(request, 503, str(error))
    return _error_page(request, 500, "Something went wrong in the server; its log tells more.")


def _error_page(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    titles = {403: "Not allowed", 404: "Not found", 422: "This cannot be answered", 503: "Not now"}
    title = titles.get(status, "Something went wrong" if status >= 500 else "This cannot be done")
    # A message may repeat what was asked, or tell what a file holds.
    return page(request, "error.html", status, headers, title=title, message=shown(message, _LONGEST_MESSAGE), code=status)


def templates_folder() -> Path:
    """Where the pages' own templates lie."""
    return Path(__file__).parents[1] / "templates"
