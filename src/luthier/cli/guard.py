"""Commands of the guard: what should never have been committed, and what should not be run."""

from __future__ import annotations

import json
import sys

import click

from luthier.cli.parts import Group, json_option
from luthier.core.errors import EXIT_GATE
from luthier.guard.secrets.strength import STRENGTHS, Strength, default_strength


@click.group(cls=Group)
def guard() -> None:
    """Look for what may not pass: dangerous commands, secrets in files."""


@guard.command("secrets")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--strength",
    type=click.Choice(STRENGTHS),
    help="How many scanners look; thorough, or fast where credsweeper is not installed.",
)
@click.option("--redact", is_flag=True, help="Write a mark such as <PASSWORD> over each secret, in the files.")
@json_option
def guard_secrets(paths: tuple[str, ...], strength: Strength | None, redact: bool, as_json: bool) -> None:
    """What should never have been committed: files and folders, with byte offsets.

    Ends with 3 where anything was found, or with --redact, where anything is left.
    """
    from luthier.cli.console import LONGEST_PATH, visible
    from luthier.guard.secrets.files import redact_file, scan_files
    from luthier.guard.secrets.scan import scanner_failures

    if strength is None and default_strength() == "fast":
        click.echo("note: scanned with `--strength fast`; for more, pip install 'luthier[credsweeper]'", err=True)

    def skip(path: str, reason: str) -> None:
        click.echo(f"not scanned: {visible(path, LONGEST_PATH)} ({reason})", err=True)

    count = left = 0
    for found in scan_files(paths, strength, skip):
        for row in found.rows():
            place = f"{visible(row['path'], LONGEST_PATH)}:{row['start']}-{row['end']}"
            click.echo(json.dumps(row) if as_json else f"{place}: {row['kind']}")
        count += len(found.findings)
        left += len(redact_file(found, strength)) if redact else len(found.findings)
    for failure in scanner_failures():
        click.echo(f"error: {visible(failure, LONGEST_PATH)}", err=True)
    click.echo(f"{count} found" + (f", {left} left" if redact else ""), err=True)
    if left:
        sys.exit(EXIT_GATE)


@guard.command("command")
@click.argument("text", metavar="TEXT", required=False)
@click.option(
    "--file", "file", metavar="FILE", help="Judge the commands of a file (`-`: standard input), one a line or over several lines."
)
@click.option(
    "--guard", "guard_file", metavar="FILE", help="Rules, protected paths, hosts and policy: a run file, or the keys of its `guard`."
)
@json_option
def guard_command(text: str | None, file: str | None, guard_file: str | None, as_json: bool) -> None:
    """Say how dangerous a shell command is, which part of it, and why. Nothing is run.

    Levels: safe, caution, unknown, dangerous. Exit codes: 0 where the policy allows every command, 3 where it asks or rejects.
    """
    if (text is None) == (file is None):
        raise click.UsageError("give a command, or `--file FILE`")
    from luthier.cli.console import verdict_lines, verdict_summary
    from luthier.pipeline.guarding import judged, judged_file

    counts: dict[str, int] = {}
    stopped = 0
    for found in judged_file(file, guard_file) if file is not None else (judged(text or "", guard_file),):
        counts[found.verdict.level] = counts.get(found.verdict.level, 0) + 1
        stopped += found.action != "allow"
        if as_json:
            lines = {} if found.lines is None else {"lines": list(found.lines)}
            click.echo(json.dumps({**found.verdict.to_json(), **lines}))
        else:
            click.echo("\n".join(verdict_lines(found.verdict, found.action, found.lines)))
    if file is not None:
        click.echo(verdict_summary(counts, stopped), err=True)
    if stopped:
        sys.exit(EXIT_GATE)
