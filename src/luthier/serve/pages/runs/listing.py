"""The list of runs."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luthier.core.stages import STAGES
from luthier.serve.pages.frame.moments import moment
from luthier.serve.pages.frame.page import page
from luthier.serve.pages.frame.paging import cut_page
from luthier.serve.pages.runs.library import RUNNING, STATES, Listed, RunLibrary

_ROWS_OF_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class RunPages:
    """The pages of runs in `library`."""

    library: RunLibrary

    def routes(self) -> list[Route]:
        """Their routes."""
        return [Route("/runs", self.show_all)]

    def show_all(self, request: Request) -> Response:
        """Every run, the latest change first, narrowed by a part of its name and by how it stands."""
        text, state = request.query_params.get("q", "").strip(), request.query_params.get("state", "")
        everything = self.library.all()
        found = [one for one in everything if _has(one, text) and state in ("", one.state)]
        part = cut_page(found, request.query_params, _ROWS_OF_A_PAGE)
        return page(
            request,
            "runs.html",
            part=part,
            runs=[(one, moment(one.changed)) for one in part.items],
            total=len(everything),
            text=text,
            state=state,
            states=[("", "all"), *((name, name) for name in STATES)],
            is_live=any(one.state == RUNNING for one in everything),
            said=f"{len([one for one in everything if one.state == RUNNING])} running, {len(everything)} in all",
            stages=tuple(STAGES),
            folders=[str(place) for place in self.library.places],
        )


def _has(one: Listed, text: str) -> bool:
    wanted = text.casefold()
    return all(any(word in place.casefold() for place in (one.key, one.brief.base)) for word in wanted.split())
