"""Commands of the guard: what should never have been committed, and what should not be run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from luthier.cli.parts import Group, json_option
from luthier.core.errors import EXIT_GATE

if TYPE_CHECKING:
    from luthier.guard.secrets.scan import Strength


@click.group(cls=Group)
def guard() -> None:
    """Look for what may not pass: dangerous commands, secrets in files."""


@guard.command("secrets")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--strength",
    type=click.Choice(["fast", "thorough", "strict"]),
    help="How many scanners look; thorough, or fast where credsweeper is not installed.",
)
@click.option("--redact", is_flag=True, help="Write a mark such as [REDACTED:password] over each secret, in the files.")
@json_option
def guard_secrets(paths: tuple[str, ...], strength: Strength | None, redact: bool, as_json: bool) -> None:
    """What should never have been committed: files and folders, with byte offsets.

    Ends with 3 where anything was found, or with --redact, where anything is left.
    """
    from luthier.guard.secrets.files import redact_file, scan_files
    from luthier.guard.secrets.scan import default_strength

    chosen = strength or default_strength()
    if strength is None and chosen == "fast":
        click.echo("note: scanned with `--strength fast`; for more, pip install 'luthier[credsweeper]'", err=True)

    def skip(path: str, reason: str) -> None:
        click.echo(f"not scanned: {path} ({reason})", err=True)

    count = left = 0
    for found in scan_files(paths, chosen, skip):
        for row in found.rows():
            click.echo(json.dumps(row) if as_json else f"{row['path']}:{row['start']}-{row['end']}: {row['kind']}")
        count += len(found.findings)
        left += len(redact_file(found, chosen)) if redact else len(found.findings)
    click.echo(f"{count} found" + (f", {left} left" if redact else ""), err=True)
    if left:
        sys.exit(EXIT_GATE)


@guard.command("command")
@click.argument("text", metavar="TEXT", required=False)
@click.option("--file", "file", metavar="FILE", help="Judge every line of a file (`-`: standard input) as a command.")
@click.option(
    "--guard", "guard_file", metavar="FILE", help="Rules, protected paths, hosts and policy: a run file, or the keys of its `guard`."
)
@json_option
def guard_command(text: str | None, file: str | None, guard_file: str | None, as_json: bool) -> None:
    """Say how dangerous a shell command is, which part of it, and why. Nothing is run.

    Levels: safe, caution, unknown, dangerous. Exit codes: 0 where the policy allows every command, 3 where it asks or rejects.
    """
    if (text is None) == (file is None):
        raise click.UsageError("give a command, or `--file FILE` with one a line")
    from luthier.cli.console import verdict_lines, verdict_summary
    from luthier.pipeline.guarding import commands_in, judged

    commands = commands_in(file) if file is not None else [text or ""]
    counts: dict[str, int] = {}
    stopped = 0
    for found in judged(commands, guard_file):
        counts[found.verdict.level] = counts.get(found.verdict.level, 0) + 1
        stopped += found.action != "allow"
        if as_json:
            click.echo(json.dumps(found.verdict.to_json()))
        else:
            click.echo("\n".join(verdict_lines(found.verdict, found.action, in_file=file is not None)))
    if file is not None:
        click.echo(verdict_summary(counts, stopped), err=True)
    if stopped:
        sys.exit(EXIT_GATE)
