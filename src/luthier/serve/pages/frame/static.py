"""Style, script and icon of the pages: part of the package, each under an address that changes with its content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from luthier.core.files import sha256_bytes
from luthier.serve.door.policy import PAGES

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
# The look of the report's parts is the report's.
_OF_THE_REPORT = {"report.css": ("style.css", "generations.css")}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its content, its type, and a word that changes with it."""

    content: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Every file by its name."""
    own = {path.name: path.read_bytes() for path in files("luthier.serve.pages").joinpath("static").iterdir() if path.is_file()}
    look = files("luthier.report").joinpath("templates")
    taken = {name: b"\n".join(look.joinpath(part).read_bytes() for part in parts) for name, parts in _OF_THE_REPORT.items()}
    return {
        name: Asset(content, _TYPES[name.rpartition(".")[2]], sha256_bytes(content)[:10])
        for name, content in sorted({**taken, **own}.items())
    }


def address(name: str) -> str:
    """Where a page finds the file `name`."""
    return f"{PAGES}/static/{name}?v={assets()[name].version}"


async def serve_static(request: Request) -> Response:
    """One file; kept by the browser for good under the address that a page names."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    is_named = request.query_params.get("v") == asset.version
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": _FOR_GOOD if is_named else "no-cache"})
