"""`luthier serve`: settings become parts, and the application listens until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import math
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from luthier.config.load import LoadedRun
from luthier.config.schema import EndpointSection
from luthier.config.serve_section import ServeJobs, ServeLimits, ServeSection
from luthier.core.errors import Problem, UserError
from luthier.serve.app import Parts, make_app
from luthier.serve.asking.catalogue import Catalogue, UnknownModelError
from luthier.serve.door.asgi import App
from luthier.serve.door.connections import HEAD_BYTES, Connections
from luthier.serve.door.errors import RequestError
from luthier.serve.door.hosts import hosts_of, is_loopback
from luthier.serve.door.logs import logging_to
from luthier.serve.door.token import read_token
from luthier.serve.engine.choice import engine_of
from luthier.serve.ingest.library import Library
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Submissions
from luthier.serve.state.permitted import at_home
from luthier.serve.state.root import ServeRoot

# Requests that run when the server is told to stop have so long to end.
_GRACE_SECONDS = 10
_BACKLOG = 2_048


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens, and where its token lies. Of `serve.allow.folders` some may be `missing_folders`, and of
    the sources some `unreadable_sources`, which another version of Luthier took in."""

    url: str
    token_place: str
    default_model: str
    is_open: bool
    missing_folders: tuple[str, ...] = ()
    unreadable_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopping:
    """What a server that was told to stop waits for: answers, and jobs unless these outlive it, each so many seconds at most."""

    answer_seconds: float
    running_jobs: int
    job_seconds: float
    outlive: bool


def serve(
    served: LoadedRun | None,
    settings: ServeSection,
    on_listening: Callable[[Listening], None],
    on_stopping: Callable[[Stopping], None],
    overrides: Sequence[str] = (),
    endpoints: Mapping[str, EndpointSection] | None = None,
    may_be_open: bool = False,
) -> None:
    """Listens until SIGINT or SIGTERM, then waits as `on_stopping` is told.

    `overrides` are those of the served run, or say how the base is asked where none is served; `endpoints` are the remote models where no
    run is served. `UserError` where the place, the token, the state or the default model are not to be had, where another server works
    there, or where others could reach the server and `may_be_open` does not say so: a run file alone opens no door.
    """
    if not is_loopback(settings.host) and not may_be_open:
        hint = "add --open-to-others where that is meant, or name the address with --host"
        raise UserError(Problem("others than this machine could reach the server", where="serve.host", found=settings.host, hint=hint))
    root = ServeRoot(Path(settings.root))
    with _stopped_by_terminate(), root.held():
        _serve(root, served, settings, on_listening, on_stopping, overrides, endpoints)


def _serve(
    root: ServeRoot,
    served: LoadedRun | None,
    settings: ServeSection,
    on_listening: Callable[[Listening], None],
    on_stopping: Callable[[Stopping], None],
    overrides: Sequence[str],
    endpoints: Mapping[str, EndpointSection] | None,
) -> None:
    engine = engine_of(settings, served)
    token, place = read_token(root.path)
    places = root.places_of_runs(None if served is None else served.folder.parent)
    asking = overrides if served is None else ()
    catalogue = Catalogue(served, settings.models, places, settings.default_model, asking, endpoints)
    try:
        default = catalogue.default.name
    except UnknownModelError as error:
        hint = error.problems[0].hint
        raise UserError(
            Problem("the default model is not there", where="serve.default_model", found=str(settings.default_model), hint=hint)
        ) from error
    jobs = Jobs(root, settings.jobs)
    jobs.prepare()
    submissions = Submissions(root, settings.allow, served, overrides, catalogue.taken)
    submissions.keep_rule()
    hosts = hosts_of(settings.host, settings.allow.names)
    parts = Parts(catalogue, token, settings, root, jobs, submissions, hosts, places, engine)
    listener = _listener(settings.host, settings.port)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    missing = tuple(folder for folder in settings.allow.folders if not _is_there(at_home(folder)))
    unreadable = tuple(Library(root).unreadable())
    on_listening(Listening(f"http://{host}:{port}", place, default, not is_loopback(settings.host), missing, unreadable))
    logs = settings.logs
    with logging_to(root.logs, logs.bytes, logs.files), suppress(KeyboardInterrupt):
        asyncio.run(_Server(_listening(make_app(parts), settings.limits), jobs, settings.jobs, on_stopping).serve([listener]))


@contextmanager
def _stopped_by_terminate() -> Iterator[None]:
    """Takes SIGTERM for Ctrl-C: uvicorn raises the signal once more when all has ended, and to stop is what a server is asked for."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """Says what is waited for when it is told to stop, and ends streams that would go on for ever before that."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs, settings: ServeJobs, on_stopping: Callable[[Stopping], None]) -> None:
        super().__init__(config)
        self._jobs, self._settings, self._on_stopping = jobs, settings, on_stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening, and ends."""
        self._jobs.end_streams()
        # A database that is held keeps nobody from stopping.
        counts: dict[tuple[str, str], int] = {}
        with suppress(RequestError):
            counts = await self._jobs.counts()
        running = sum(count for (_, status), count in counts.items() if status in ("running", "stopping"))
        self._on_stopping(Stopping(_GRACE_SECONDS, running, self._settings.stop_seconds, self._settings.outlive_server))
        await super().shutdown(sockets)


def _listening(app: App, limits: ServeLimits) -> uvicorn.Config:
    """How uvicorn listens: nothing is believed of what a proxy says of its clients, and no access log is written."""
    return uvicorn.Config(
        app,
        http=Connections(limits.connections, limits.client_connections, limits.client_seconds),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=math.ceil(limits.client_seconds),
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:
        return False


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio turns off the gathering of small writes (TCP_NODELAY), which would cost an answer 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Who is told the address may connect at once, and waits until the application is up.
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else "this is no name of a host"
        where, hint = "serve.port", "choose another with --port, 0 for any that is free"
        if not isinstance(error, OSError) or isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            where, hint = "serve.host", "name an address of this machine with --host; 127.0.0.1 is its own alone"
        raise UserError(Problem("nothing can listen here", where=where, found=f"{host}:{port}: {why}", hint=hint)) from error
    return listener
