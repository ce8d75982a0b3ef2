"""`/metrics`: figures of the server in Prometheus' format."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from luthier.serve.asking.answers import Answers
from luthier.serve.door.errors import RequestError
from luthier.serve.engine.client import EngineClient

# (kind, status) -> how many jobs; `RequestError` where they cannot be counted now.
CountJobs = Callable[[], Awaitable[Mapping[tuple[str, str], int]]]


@dataclass(slots=True, eq=False)
class ServerFigures:
    """What is read when it is asked for: the engine, answers, jobs, memory and disk."""

    engine: EngineClient
    answers: Answers
    root: Path
    count_jobs: CountJobs
    _jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)

    async def look(self) -> None:
        """Looks at what is read elsewhere: `collect` follows."""
        self._jobs = {}
        # Of what cannot be read, there is no figure; the others are all the more wanted.
        with suppress(RequestError):
            self._jobs = await self.count_jobs()

    def collect(self) -> Iterator[Metric]:
        """Prometheus' collector."""
        yield from self._of_the_engine()
        yield from self._of_answers()
        jobs = GaugeMetricFamily("luthier_jobs", "Jobs.", labels=("kind", "status"))
        for labels, count in sorted(self._jobs.items()):
            jobs.add_metric(labels, count)
        yield jobs
        yield GaugeMetricFamily("luthier_free_disk_bytes", "Free on the disk of the server's folder.", shutil.disk_usage(self.root).free)
        memory = GaugeMetricFamily("luthier_resident_memory_bytes", "Memory of the server's processes.", labels=("process",))
        for process, pid in (("server", os.getpid()), ("engine", self.engine.pid)):
            if pid is not None and (held := resident_bytes(pid)) is not None:
                memory.add_metric((process,), held)
        yield memory

    def _of_the_engine(self) -> Iterator[Metric]:
        beat, state = self.engine.beat, self.engine.beat.state
        yield GaugeMetricFamily("luthier_engine_up", "Whether the engine lives.", float(self.engine.pid is not None and beat.is_fresh))
        if beat.at:
            yield GaugeMetricFamily("luthier_engine_silent_seconds", "Since the engine last spoke.", time.monotonic() - beat.at)
        yield CounterMetricFamily("luthier_engine_restarts", "Times that the engine ended of itself.", self.engine.restarts)
        yield GaugeMetricFamily("luthier_engine_running", "Answers that the engine makes now.", float(state.get("running", 0)))
        yield GaugeMetricFamily("luthier_engine_waiting", "Requests that wait in the engine.", float(state.get("waiting", 0)))
        yield GaugeMetricFamily("luthier_models_loaded", "Models in the engine's memory.", len(state.get("models", ())))

    def _of_answers(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("luthier_answers_under_way", "Answers that are awaited.", self.answers.under_way)
        yield GaugeMetricFamily("luthier_answers_most", "Answers that may be awaited at once.", self.answers.limits.queue)
        answers = CounterMetricFamily("luthier_answers", "Answers by how they ended.", labels=("end",))
        for end, count in sorted(self.answers.ends.items()):
            answers.add_metric((end,), count)
        yield answers
        tokens = CounterMetricFamily("luthier_tokens", "Tokens of prompts that were read and of answers that were made.", labels=("of",))
        for of, count in sorted(self.answers.tokens.items()):
            tokens.add_metric((of,), count)
        yield tokens


def make_router(registry: CollectorRegistry, figures: ServerFigures) -> APIRouter:
    """The route, which needs the token as every other does."""
    router = APIRouter(tags=["Health"])
    registry.register(figures)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
    async def metrics() -> Response:
        """Figures of requests, answers, the engine, jobs, memory and disk."""
        await figures.look()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


def resident_bytes(pid: int) -> int | None:
    """What a process holds in memory; None where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
