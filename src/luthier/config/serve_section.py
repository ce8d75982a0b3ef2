"""The section `serve` of a run file."""

from __future__ import annotations

from luthier.config.keys.fields import MOST, Float, Int, Section, key


class ServeLimits(Section):
    """What one request and all of them together may take."""

    new_tokens: Int = key(1_024, "none", "Longest answer in tokens, and the length where a request names none.", ge=1, le=MOST)
    queue: Int = key(64, "none", "Requests under way at once; a further one is told to come again.", ge=1, le=100_000)
    seconds: Float = key(300.0, "none", "Longest time for one answer.", gt=0, le=86_400)
    opening_seconds: Float = key(600.0, "none", "Longest time for opening a model.", gt=0, le=86_400)
    loaded_models: Int = key(4, "none", "Models in memory at once; the one asked longest ago is closed for another.", ge=1, le=1_000)
    rows: Int = key(32, "none", "Answers that are made together.", ge=1, le=10_000)
    positions: Int = key(131_072, "none", "Tokens of prompts and answers that are held at once.", ge=16, le=MOST)
    body_bytes: Int = key(8 << 20, "none", "Largest body of a request.", ge=1_024, le=MOST)


class ServeSection(Section):
    """How `luthier serve` listens, and what it answers with."""

    root: str = key("serve", "none", "Folder of the server's token.", min_length=1, pattern=r"^[^\x00-\x1f]+$")
    host: str = key("127.0.0.1", "none", "Address to listen on; every other than this machine's own is open to others.", min_length=1)
    port: Int = key(8000, "none", "Port to listen on; 0 takes one that is free.", ge=0, le=65_535)
    default_model: str | None = key(None, "none", "Model that is asked where none is named.", min_length=1)
    models: dict[str, str] = key({}, "none", "Further models by name: a run folder, an adapter, a model folder or a hub id.")
    limits: ServeLimits = key(ServeLimits(), "none", "What requests may take.")
