"""The command line: parse, load, call one function. Everything that takes time to import is imported in the command that needs it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from luthier.core.errors import EXIT_FAILED, LuthierError, NotYetError

if TYPE_CHECKING:
    from luthier.config.load import LoadedRun

Command = TypeVar("Command", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
LATER_COMMANDS = ("plan", "serve", "review", "guard", "find-lr", "doctor")
LATER_RUNS_COMMANDS = ("compare", "reproduce")


def main() -> None:
    """Runs the command line and ends the process: 0 done, 1 failed, 2 the input is wrong, 3 a gate was not met."""
    try:
        group.main(prog_name="luthier", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _say_json(error.format_message(), error.exit_code)
        error.show()
        sys.exit(error.exit_code)
    except LuthierError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        from luthier.core.optional import missing_extra

        if (missing := missing_extra(error)) is None:
            raise
        _fail(str(missing), missing.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        # A full disk, a folder without rights, a path that is too long: the system's own word and the place say it all.
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), EXIT_FAILED)


def _say_json(message: str, exit_code: int) -> None:
    """An error for programs, where the command line asks for JSON."""
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": message, "exit_code": exit_code}))


def _fail(message: str, exit_code: int) -> None:
    _say_json(message, exit_code)
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    sys.exit(exit_code)


class _Group(click.Group):
    """A group that answers commands of later versions with a plain word, and misspelt ones with the nearest name."""

    later: tuple[str, ...] = ()

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` name."""
        if args[0] in self.later:
            raise NotYetError(f"`{context.command_path} {args[0]}`")
        if args[0] not in self.commands:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.commands, n=1)
            known = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(self.commands)}."
            raise click.UsageError(f"There is no command `{args[0]}`. {known}", context)
        return super().resolve_command(context, args)


class _Main(_Group):
    later = LATER_COMMANDS


class _Runs(_Group):
    later = LATER_RUNS_COMMANDS


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"luthier {version('luthier')}")
        context.exit()


@click.group(cls=_Main, context_settings=SETTINGS)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version and end.")
def group() -> None:
    """One YAML file turns rows into a small, specialised language model that is measured, reproducible and exported.

    Exit codes: 0 done, 1 failed, 2 the input is wrong, 3 a gate was not met.
    """


_set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of the run file (dotted; again for more)."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
_run_argument = click.argument("run_file", metavar="RUN.yaml|RUN_DIR")


def _load(run_file: str, overrides: tuple[str, ...]) -> LoadedRun:
    from luthier.config.load import load

    return load(run_file, overrides)


def _run_until(stage: str, run_file: str, overrides: tuple[str, ...], as_json: bool) -> None:
    from luthier.console import Progress, outcome_lines
    from luthier.pipeline.history import show_run
    from luthier.pipeline.run import run_stages

    loaded = _load(run_file, overrides)
    with Progress() as progress:
        progress.notes(loaded.notes, loaded.warnings)
        outcomes = run_stages(loaded, stage, (progress,))
    if as_json:
        stages = [{"stage": item.stage, "outcome": item.outcome, "seconds": round(item.seconds, 3)} for item in outcomes]
        found = show_run(str(loaded.folder))
        report = found["files"].get("report")
        click.echo(json.dumps({"run": str(loaded.folder), "stages": stages, "scores": found["scores"], "report": report}))
    else:
        click.echo("\n".join(outcome_lines(loaded.folder, outcomes)))


def _stage_command(name: str, stage: str, text: str) -> None:
    @group.command(name, help=text)
    @_run_argument
    @_set_option
    @_json_option
    def command(run_file: str, overrides: tuple[str, ...], as_json: bool) -> None:
        _run_until(stage, run_file, overrides, as_json)


_stage_command("run", "report", "Data, training, evaluation, export and report, skipping what is done.")


@group.command()
@click.argument("run_file", metavar="RUN.yaml", required=False)
@_set_option
@_json_option
@click.option("--schema", is_flag=True, help="Print the JSON schema of a run file, for editors.")
@click.option("--for", "tool", metavar="TOOL", hidden=True)
def check(run_file: str | None, overrides: tuple[str, ...], as_json: bool, schema: bool, tool: str | None) -> None:
    """Validate a run file without starting anything."""
    if tool is not None:
        raise NotYetError(f"`luthier check --for {tool}`", hint="`docs/reference/axolotl.md` lists every key of Axolotl")
    if schema:
        from luthier.config.names import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    if run_file is None:
        raise click.UsageError("name a run file, or ask for `--schema`")
    from luthier.pipeline.check import check as check_files

    loaded = _load(run_file, overrides)
    check_files(loaded)
    if as_json:
        result = {
            "run": str(loaded.folder),
            "notes": loaded.notes,
            "warnings": loaded.warnings,
            "resolved": loaded.config.model_dump(mode="json"),
        }
        click.echo(json.dumps(result))
        return
    for note in loaded.notes:
        click.echo(f"note: {note}")
    for warning in loaded.warnings:
        click.secho("warning: ", fg="yellow", nl=False)
        click.echo(warning)
    click.echo(f"{run_file} is valid; it would run in {loaded.folder}")


@group.command()
@_run_argument
@_set_option
@_json_option
@click.option("--show", type=click.IntRange(1), metavar="N", help="Then print N rows with the trained tokens marked.")
@click.option("--ids", is_flag=True, help="With --show: every token with its id and label.")
def data(run_file: str, overrides: tuple[str, ...], as_json: bool, show: int | None, ids: bool) -> None:
    """Read, check, divide and store the rows."""
    if show is not None and as_json:
        raise click.UsageError("`--show` prints for people; leave `--json` out, or read data/train.jsonl of the run folder")
    if ids and show is None:
        raise click.UsageError("`--ids` belongs to `--show N`")
    _run_until("data", run_file, overrides, as_json)
    if show is not None:
        from luthier.core.runs import RunFolder
        from luthier.data.show import show as show_rows

        loaded = _load(run_file, overrides)
        show_rows(loaded.config, RunFolder(loaded.folder), show, ids=ids)


_stage_command("train", "train", "Train the adapter, after data where that is not done.")
_stage_command("evaluate", "evaluate", "Measure the tuned model beside its base, after training where that is not done.")
_stage_command("export", "card", "Write the merged model and the model card, after evaluation where that is not done.")


@group.command()
@click.argument("target", metavar="RUN_DIR|RUN.yaml|MODEL")
@click.argument("text")
@_set_option
@click.option("--base", is_flag=True, help="Ask the untuned base of a run.")
@click.option("--system", metavar="TEXT", help="System text before the question.")
@click.option("--max-new-tokens", type=click.IntRange(1), default=128, show_default=True, help="Longest answer in tokens.")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, show_default=True, help="0 always gives the likeliest answer.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draw at a temperature above 0.")
@_json_option
def ask(target: str, text: str, overrides: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Ask a run, an adapter or a model for one answer."""
    from luthier.pipeline.ask import Question, answer

    question = Question(text, **options)
    if as_json:
        found = answer(target, question, overrides)
        click.echo(
            json.dumps({"text": found.text, "model": found.model, "finish_reason": found.finish_reason, "tokens": found.completion_tokens})
        )
        return
    found = answer(target, question, overrides, lambda piece: click.echo(piece, nl=False))
    click.echo()
    if found.finish_reason == "length":
        click.echo(f"note: the answer was cut at {question.max_new_tokens} tokens (--max-new-tokens)", err=True)


@group.command()
@click.option("--template", metavar="NAME", help="What to start from: commands, where nothing is said.")
@click.option("--from", "source", metavar="FILE", help="Translate a run file of Axolotl.")
@click.option("--output", default="run.yaml", show_default=True, metavar="FILE", help="Where to write the run file.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@_set_option
@_json_option
def init(template: str | None, source: str | None, output: str, force: bool, overrides: tuple[str, ...], as_json: bool) -> None:
    """Write a run file to start from."""
    from pathlib import Path

    from luthier.pipeline import start

    if source and template:
        raise click.UsageError("`--from` and `--template` exclude each other")
    target = Path(output)
    if source:
        started = start.from_axolotl(Path(source), target, force, overrides)
    else:
        started = start.from_template(template or "commands", target, force, overrides)
    if as_json:
        click.echo(json.dumps({"written": [str(path) for path in started.written], "notes": started.notes}))
        return
    for note in started.notes:
        click.echo(f"note: {note}")
    for path in started.written:
        click.echo(f"wrote {path}")
    click.echo(f"next: luthier check {target}")


@group.group(cls=_Runs)
def runs() -> None:
    """List, show and resume runs."""


@runs.command("list")
@click.option("--output-dir", default="runs", show_default=True, metavar="DIR", help="The folder that holds the run folders.")
@_json_option
def runs_list(output_dir: str, as_json: bool) -> None:
    """The runs in a folder, the latest last."""
    from luthier.pipeline.history import list_runs, list_text

    found = list_runs(output_dir)
    click.echo(json.dumps(found) if as_json else list_text(found, output_dir))


@runs.command("show")
@click.argument("run_dir", metavar="RUN_DIR")
@_json_option
def runs_show(run_dir: str, as_json: bool) -> None:
    """What is done in a run, its figures and its files."""
    from luthier.pipeline.history import show_run, show_text

    found = show_run(run_dir)
    click.echo(json.dumps(found) if as_json else show_text(found))


@runs.command("resume")
@click.argument("run_dir", metavar="RUN_DIR")
@_json_option
def runs_resume(run_dir: str, as_json: bool) -> None:
    """Go on with a run that was stopped or killed."""
    from luthier.pipeline.history import require_run

    require_run(run_dir)
    _run_until("report", run_dir, (), as_json)
