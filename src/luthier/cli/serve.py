"""`luthier serve`: answers over HTTP."""

from __future__ import annotations

import json

import click

from luthier.cli.parts import json_option, set_option

# What can be set beside how the base is asked where no run is served.
_KEYS = ("serve", "endpoints")


@click.command()
@click.argument("target", metavar="[RUN.yaml|RUN_DIR]", required=False)
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes one that is free.")
@click.option("--host", help="Address to listen on; every other than this machine's own is open to others.")
@click.option("--open-to-others", is_flag=True, help="Let others reach the server where `serve.host` in the run file says so.")
@set_option
@json_option
def serve(target: str | None, port: int | None, host: str | None, open_to_others: bool, overrides: tuple[str, ...], as_json: bool) -> None:
    """Serve a run's models, and its base, over HTTP.

    Without a run the base model inside the package answers. Every request carries the token that is made at the first start.
    """
    from luthier.config.load import load, load_model
    from luthier.config.paths import STARTER
    from luthier.serve.server import Listening, Stopping
    from luthier.serve.server import serve as listen

    served = None if target is None else load(target, overrides, idle_sections=("serve",))
    config = load_model(STARTER, overrides, _KEYS).config if served is None else served.config
    settings = config.serve.model_copy(update={name: value for name, value in (("port", port), ("host", host)) if value is not None})

    def told(listening: Listening) -> None:
        pages = f"{listening.url}/ui/"
        if as_json:
            told_all = {"url": listening.url, "pages": pages, "token": listening.token_place, "default_model": listening.default_model}
            lacks = {"missing_folders": listening.missing_folders, "unreadable_sources": listening.unreadable_sources}
            click.echo(json.dumps({**told_all, **lacks}))
            return
        click.echo(f"listening on {listening.url}, default model `{listening.default_model}`")
        click.echo(f"its pages are at {pages}")
        click.echo(f"the token to sign in and ask with stands in {listening.token_place}")
        for folder in listening.missing_folders:
            click.echo(f"{folder} of `serve.allow.folders` is not there: nothing is read from it until it is")
        for source in listening.unreadable_sources:
            click.echo(f"the source `{source}` cannot be read, as another version of Luthier took it in: take it in again, or delete it")
        if listening.is_open:
            click.echo("others can reach it, and what is said between it and them is not encrypted: put a proxy with TLS before it")

    def told_to_stop(stopping: Stopping) -> None:
        jobs = f"{stopping.running_jobs} running job{'' if stopping.running_jobs == 1 else 's'}"
        if not stopping.running_jobs:
            jobs = ""
        elif stopping.outlive:
            jobs = f"; {jobs} will go on without it"
        else:
            jobs = f", {jobs} at most {stopping.job_seconds:g} to pause, and will go on with the next start"
        click.echo(f"stopping: answers under way have {stopping.answer_seconds:g} seconds{jobs}", err=True)

    unasked = _KEYS if served is None else ("serve",)
    asking = [one for one in overrides if not one.startswith(unasked)]
    listen(
        served, settings, told, told_to_stop, asking, None if served is not None else config.endpoints, open_to_others or host is not None
    )
