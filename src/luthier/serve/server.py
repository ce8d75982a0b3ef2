"""`luthier serve`: settings become parts, and the application listens until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from luthier.config.load import LoadedRun
from luthier.config.serve_section import ServeSection
from luthier.core.errors import Problem, UserError
from luthier.serve.app import Parts, make_app
from luthier.serve.asking.catalogue import Catalogue, UnknownModelError
from luthier.serve.door.token import read_token
from luthier.serve.root import ServeRoot

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Requests that run when the server is told to stop have so long to end.
_GRACE_SECONDS = 10
_BACKLOG = 2_048


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens, and where its token lies."""

    url: str
    token_place: str
    default_model: str


def serve(
    served: LoadedRun | None, settings: ServeSection, on_listening: Callable[[Listening], None], overrides: Sequence[str] = ()
) -> None:
    """Listens until SIGINT or SIGTERM; `overrides` say how the base is asked where no run is served.

    `UserError` where the place, the token or the default model are not to be had.
    """
    root = ServeRoot(Path(settings.root))
    root.path.mkdir(parents=True, exist_ok=True)
    token, place = read_token(root.path)
    places = [Path(served.config.output_dir if served is not None else "runs"), root.runs]
    catalogue = Catalogue(served, settings.models, places, settings.default_model, overrides)
    try:
        default = catalogue.default.name
    except UnknownModelError as error:
        raise UserError(
            Problem("the default model is not there", where="serve.default_model", found=str(settings.default_model))
        ) from error
    hosts = LOOPBACK if settings.host in LOOPBACK else frozenset()
    parts = Parts(catalogue, token, settings, root, tuple(places), hosts)
    listener = _listener(settings.host, settings.port)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    on_listening(Listening(f"http://{host}:{port}", place, default))
    config = uvicorn.Config(
        make_app(parts), log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, server_header=False, lifespan="on"
    )
    # uvicorn raises the signal once more when all has ended; to stop is what a server is asked for.
    with suppress(KeyboardInterrupt):
        asyncio.run(uvicorn.Server(config).serve([listener]))


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Who is told the address may connect at once, and waits until the application is up.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        hint = "choose another with --port, 0 for any that is free"
        raise UserError(
            Problem("nothing can listen here", where="serve.port", found=f"{host}:{port}: {error.strerror}", hint=hint)
        ) from error
    return listener
