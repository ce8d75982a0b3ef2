"""The section `serve` of a run file."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from luthier.config.keys.fields import MOST, Float, Int, Section, key
from luthier.config.vllm_flags import check_flags


class ServeLimits(Section):
    """What one request and all of them together may take."""

    new_tokens: Int = key(1_024, "none", "Longest answer in tokens, and the length where a request names none.", ge=1, le=MOST)
    queue: Int = key(64, "none", "Requests under way at once; a further one is told to come again.", ge=1, le=100_000)
    queue_seconds: Float = key(60.0, "none", "Longest time that a request waits for its turn.", gt=0, le=86_400)
    seconds: Float = key(300.0, "none", "Longest time for one answer.", gt=0, le=86_400)
    opening_seconds: Float = key(600.0, "none", "Longest time for opening a model.", gt=0, le=86_400)
    loaded_models: Int = key(4, "none", "Models in memory at once; the one asked longest ago is closed for another.", ge=1, le=1_000)
    rows: Int = key(32, "none", "Answers that are made together.", ge=1, le=10_000)
    threads: Int | None = key(
        None, "none", "Threads of the own engine; where nothing is said, one core fewer than there are is used.", ge=1, le=1_024
    )
    positions: Int = key(131_072, "none", "Tokens of prompts and answers that are held at once.", ge=16, le=MOST)
    body_bytes: Int = key(2 << 20, "none", "Largest body of a request.", ge=1_024, le=MOST)
    upload_bytes: Int = key(256 << 20, "none", "Largest body of an upload that is to be taken in.", ge=1_024, le=MOST)
    source_bytes: Int = key(1 << 30, "none", "Size above which a source is refused, unpacked.", ge=1_024, le=MOST)
    source_files: Int = key(50_000, "none", "Files above which a source is refused.", ge=1, le=MOST)
    source_seconds: Float = key(900.0, "none", "Longest time for fetching and reading a source.", gt=0, le=86_400)
    requests_per_second: Float = key(1_000.0, "none", "Requests of all clients; twice as many may come at once.", ge=0.1, le=1_000_000)
    client_requests_per_second: Float = key(200.0, "none", "Requests of one address; twice as many may come at once.", ge=0.1, le=1_000_000)
    wrong_tokens_per_minute: Int = key(10, "none", "Wrong tokens that one address may try; then it has to wait.", ge=1, le=100_000)
    connections: Int = key(512, "none", "Connections that are open at once; a further one is told to come again.", ge=1, le=100_000)
    client_connections: Int = key(256, "none", "Connections of one address that are open at once.", ge=1, le=100_000)
    client_seconds: Float = key(
        20.0,
        "none",
        "How long is waited for a client: for its next request, for the head of one, and until it takes what it is sent.",
        ge=0.1,
        le=3_600,
    )


class ServeJobs(Section):
    """How work in the background is done."""

    outlive_server: bool = key(False, "none", "Whether a job goes on when the server is told to stop; else it stops, and goes on with it.")
    at_once: Int = key(2, "none", "Jobs that run at once; of those that train, evaluate or export one alone.", ge=1, le=64)
    attempts: Int = key(
        3,
        "none",
        "Times that a job is begun and killed before it got further: to a checkpoint, an answer or the end of a stage.",
        ge=1,
        le=100,
    )
    stop_seconds: Float = key(60.0, "none", "Time for a job to end by itself once it is told to stop.", gt=0, le=86_400)
    log_bytes: Int = key(4 << 20, "none", "Size at which a job's log is put aside and a new one begun.", ge=4_096, le=MOST)
    log_files: Int = key(3, "none", "Logs of one job that are kept.", ge=1, le=100)
    keep_days: Float = key(
        30.0,
        "none",
        "Days that a job is told of after its end; then its folder and its logs are deleted, never a run.",
        gt=0,
        le=36_500,
    )


class ServeLogs(Section):
    """The server's own log, in the folder `logs` of its state: a line of JSON for each request and each thing that went wrong."""

    bytes: Int = key(4 << 20, "none", "Size at which the log is put aside and a new one begun.", ge=4_096, le=MOST)
    files: Int = key(5, "none", "Logs that are kept.", ge=1, le=1_000)


class ServeAllow(Section):
    """What the server may read and fetch for those who ask it to."""

    folders: list[str] = key(["."], "none", "Folders below which sources, rows and run files may lie, beside `serve.root`.")
    hosts: list[str] = key(
        ["github.com", "gitlab.com", "codeberg.org", "bitbucket.org"], "none", "Hosts that repositories may be fetched from, by https."
    )
    names: list[str] = key([], "none", "Names of this server beside its own, such as those by which a proxy asks for it.")


class ServeVllm(Section):
    """How vLLM is held where it answers."""

    memory: Float = key(0.9, "none", "Share of the GPU's memory that it may take.", gt=0, le=1)
    arguments: list[str] = key(
        [],
        "none",
        "Further flags for its server, such as `--tensor-parallel-size=2`: those of the list alone.",
    )

    @field_validator("arguments")
    @classmethod
    def _are_allowed(cls, words: list[str]) -> list[str]:
        check_flags(words)
        return words


class ServeSection(Section):
    """How `luthier serve` listens, and what it answers with."""

    root: str = key("serve", "none", "Folder of the server's state: token, jobs, sources, runs.", min_length=1, pattern=r"^[^\x00-\x1f]+$")
    host: str = key("127.0.0.1", "none", "Address to listen on; one that others can reach needs --open-to-others beside it.", min_length=1)
    port: Int = key(8000, "none", "Port to listen on; 0 takes one that is free.", ge=0, le=65_535)
    default_model: str | None = key(None, "none", "Model that is asked where none is named.", min_length=1)
    engine: Literal["auto", "own", "vllm"] = key(
        "auto", "none", "What runs the models: vLLM where it and a GPU are there and it runs what is served; else the own engine."
    )
    vllm: ServeVllm = key(ServeVllm(), "none", "How vLLM is held.")
    models: dict[str, str] = key({}, "none", "Further models by name: a run folder, an adapter, a model folder or a hub id.")
    guard: Literal["off", "warn", "block"] = key(
        "warn", "none", "What is done about answers that are commands: nothing, told with a verdict, or held back where the policy rejects."
    )
    session_seconds: Float = key(43_200.0, "none", "How long a browser stays signed in to the pages.", ge=60, le=31_536_000)
    limits: ServeLimits = key(ServeLimits(), "none", "What requests may take.")
    jobs: ServeJobs = key(ServeJobs(), "none", "Work in the background.")
    logs: ServeLogs = key(ServeLogs(), "none", "The server's own log.")
    allow: ServeAllow = key(ServeAllow(), "none", "What may be read and fetched.")
