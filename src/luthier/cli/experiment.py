"""Commands on a run file: validate it, run its stages, ask its model, write a new one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from luthier.cli.launch import launch, launch_options, refuse_arguments
from luthier.cli.parts import json_option, run_argument, set_option
from luthier.core.errors import EXIT_GATE, Interrupted

if TYPE_CHECKING:
    from luthier.config.load import LoadedRun


def _load(run_file: str, overrides: tuple[str, ...], for_data: bool = False) -> LoadedRun:
    from luthier.pipeline.check import load_run

    return load_run(run_file, overrides, for_data)


def run_until(stage: str, run_file: str, overrides: tuple[str, ...], as_json: bool, junit: str | None = None, **beside: Any) -> None:
    """Runs every stage up to `stage` that is not done, tells the outcome, and ends with 3 where the gate was missed."""
    from pathlib import Path

    from luthier.cli.console import Progress, beside_lines, outcome_lines
    from luthier.core.ranks import own_rank
    from luthier.core.runs import RunFolder
    from luthier.pipeline import gate
    from luthier.pipeline.beside import compare_beside, refuse_unusable
    from luthier.pipeline.history import show_run
    from luthier.pipeline.run import run_stages

    if junit is not None:
        gate.refuse_unwritable(Path(junit))
    loaded = _load(run_file, overrides, for_data=stage == "data")
    if predictions := beside.get("predictions"):
        refuse_unusable(loaded, predictions)
    if not own_rank().is_first:
        # One of several processes: the first one tells what there is to tell.
        run_stages(loaded, stage)
        return
    try:
        with Progress() as progress:
            progress.notes(loaded.notes, loaded.warnings)
            compares = any(beside.values())
            outcomes = run_stages(loaded, stage, (progress,), retries_failed=not compares)
            compared = compare_beside(loaded, (progress,), **beside) if compares else {}
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; what was finished is kept: the same command goes on from there") from error
    folder = RunFolder(loaded.folder)
    if junit is not None:
        gate.write_junit(folder, Path(junit))
    missed = gate.missed(folder, stage)
    if not as_json:
        click.echo("\n".join(outcome_lines(loaded.folder, outcomes) + beside_lines(loaded.folder, compared)))
        gate.require_gate(folder, stage)
        return
    stages = [{"stage": item.stage, "outcome": item.outcome, "seconds": round(item.seconds, 3)} for item in outcomes]
    found = show_run(str(loaded.folder))
    result = {"run": str(loaded.folder), "stages": stages, "scores": found["scores"], "report": found["files"].get("report")}
    told = {"gate": found["gate"], "left_out": found["left_out"], "missed": [bound.text() for bound in missed]}
    click.echo(json.dumps({**result, **told, **({"against": compared} if compared else {})}))
    if missed:
        click.echo(gate.gate_text(missed), err=True)
        sys.exit(EXIT_GATE)


def _stage_command(name: str, stage: str, text: str, measures: bool = False, compares: bool = False, trains: bool = False) -> click.Command:
    def command(
        run_file: str,
        overrides: tuple[str, ...],
        as_json: bool,
        launcher: str | None = None,
        launcher_arguments: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        if launcher is not None:
            launch(launcher_arguments)
        refuse_arguments(launcher_arguments)
        run_until(stage, run_file, overrides, as_json, **options)

    if trains:
        command = launch_options(command)

    if compares:
        command = click.option("--predictions", multiple=True, metavar="[NAME=]FILE", help="Compare with answers made elsewhere too.")(
            command
        )
        command = click.option("--checkpoint", "checkpoints", multiple=True, metavar="NAME", help="Compare with a checkpoint too.")(command)
    if measures:
        command = click.option("--junit", metavar="FILE", help="Write scores and gate as JUnit's XML, for continuous integration.")(command)
    return click.command(name, help=text)(run_argument(set_option(json_option(command))))


run = _stage_command("run", "report", "Data, training, evaluation, export and report, skipping what is done.", measures=True, trains=True)


@click.command()
@click.argument("run_file", metavar="RUN.yaml", required=False)
@set_option
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON schema of a run file, for editors.")
@click.option("--for", "tool", type=click.Choice(["axolotl"]), help="List what this tool would read otherwise, valid here or not.")
def check(run_file: str | None, overrides: tuple[str, ...], as_json: bool, schema: bool, tool: str | None) -> None:
    """Validate a run file without starting anything."""
    if schema:
        from luthier.config.names import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    if run_file is None:
        raise click.UsageError("name a run file, or ask for `--schema`")
    if tool is not None:
        from luthier.config.axolotl_reading import AXOLOTL, differences, text_of

        found = differences(run_file, overrides)
        told = {"tool": AXOLOTL, "run_file": run_file, "differences": [item.to_json() for item in found]}
        click.echo(json.dumps(told) if as_json else text_of(found, run_file))
        return
    from luthier.pipeline.check import check as check_files

    loaded = _load(run_file, overrides)
    warnings = [*loaded.warnings, *check_files(loaded)]
    if as_json:
        result = {
            "run": str(loaded.folder),
            "notes": loaded.notes,
            "warnings": warnings,
            "resolved": loaded.config.model_dump(mode="json"),
        }
        click.echo(json.dumps(result))
        return
    for note in loaded.notes:
        click.echo(f"note: {note}")
    for warning in warnings:
        click.secho("warning: ", fg="yellow", nl=False)
        click.echo(warning)
    click.echo(f"{run_file} is valid; it would run in {loaded.folder}")


@click.command()
@run_argument
@set_option
@json_option
@click.option("--show", type=click.IntRange(1), metavar="N", help="Then print N rows with the trained tokens marked.")
@click.option("--ids", is_flag=True, help="With --show: every token with its id and label.")
@click.option("--why", metavar="ID", help="Tell the life of a row: from its source to its side, or to its rejection.")
def data(run_file: str, overrides: tuple[str, ...], as_json: bool, show: int | None, ids: bool, why: str | None) -> None:
    """Read, make, clean, divide and store the rows."""
    if show is not None and as_json:
        raise click.UsageError("`--show` prints for people; leave `--json` out, or read data/train.jsonl of the run folder")
    if ids and show is None:
        raise click.UsageError("`--ids` belongs to `--show N`")
    if why is not None:
        _tell_life(run_file, overrides, as_json, why)
        return
    run_until("data", run_file, overrides, as_json)
    if show is not None:
        from luthier.core.runs import RunFolder
        from luthier.data.show import show as show_rows

        loaded = _load(run_file, overrides, for_data=True)
        show_rows(loaded.config, RunFolder(loaded.folder), show, ids=ids)


def _tell_life(run_file: str, overrides: tuple[str, ...], as_json: bool, why: str) -> None:
    from luthier.core.runs import RunFolder
    from luthier.data.life import lives, text_of

    folder = RunFolder(_load(run_file, overrides, for_data=True).folder)
    if not folder.split("train").is_file():
        run_until("data", run_file, overrides, as_json=False)
    found = lives(folder, why)
    click.echo(json.dumps([life.to_json() for life in found]) if as_json else "\n\n".join(text_of(life) for life in found))


train = _stage_command("train", "train", "Train, after data where that is not done.", trains=True)
evaluate = _stage_command("evaluate", "evaluate", "Measure the tuned model beside its base, after training.", True, compares=True)
export = _stage_command("export", "card", "Write the merged model and the model card, after evaluation where that is not done.")


@click.command()
@click.argument("target", metavar="RUN_DIR|RUN.yaml|MODEL")
@click.argument("text")
@set_option
@click.option("--base", is_flag=True, help="Ask the untuned base of a run.")
@click.option("--system", metavar="TEXT", help="System text before the question.")
@click.option("--max-new-tokens", type=click.IntRange(1), default=128, show_default=True, help="Longest answer in tokens.")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, show_default=True, help="0 always gives the likeliest answer.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draw at a temperature above 0.")
@json_option
def ask(target: str, text: str, overrides: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Ask a run, an adapter or a model for one answer. The guard's verdict on its worst command follows."""
    from luthier.cli.console import answer_verdict_line
    from luthier.pipeline.ask import Question, answer

    question = Question(text, **options)
    if as_json:
        found = answer(target, question, overrides)
        told = {"text": found.text, "model": found.model, "finish_reason": found.finish_reason, "tokens": found.completion_tokens}
        click.echo(json.dumps({**told, "guard": found.guard and found.guard.to_json()}))
        return
    found = answer(target, question, overrides, lambda piece: click.echo(piece, nl=False))
    click.echo()
    if found.guard is not None:
        click.echo(answer_verdict_line(found.guard.verdict, found.guard.action, found.text), err=True)
    if found.finish_reason == "length":
        click.echo(f"note: the answer was cut at {question.max_new_tokens} tokens (--max-new-tokens)", err=True)


@click.command()
@click.option("--template", metavar="NAME", help="What to start from: commands, where nothing is said.")
@click.option("--from", "source", metavar="FILE", help="Translate a run file of Axolotl.")
@click.option("--output", default="run.yaml", show_default=True, metavar="FILE", help="Where to write the run file.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@set_option
@json_option
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
