"""The command line: parse, load, call one function. Everything that takes time to import is imported in the command that needs it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import click

from luthier.cli import experiment
from luthier.cli.doctor import doctor
from luthier.cli.find_lr import find_lr
from luthier.cli.guard import guard
from luthier.cli.parts import SETTINGS, Group
from luthier.cli.plan import plan
from luthier.cli.runs import review, runs
from luthier.cli.serve import serve
from luthier.core.errors import EXIT_FAILED, ConfigError, LuthierError
from luthier.core.visible import visible


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
        fail_as_one(error)
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
        # A folder without rights, a path that is too long: the system's own word and the place say it all.
        _fail(_no_room(error) or (f"{error.filename}: {error.strerror}" if error.filename else str(error)), EXIT_FAILED)


def fail_as_one(error: LuthierError) -> None:
    """Ends with the error; of several processes the first one tells what all have, and each what it has alone.

    One that has nothing of its own to tell ends with 0, for `torchrun` ends the others at once where one fails, and the first one is
    to come to its word.
    """
    from luthier.core.ranks import Rank, own_rank

    try:
        rank = own_rank()
    except LuthierError:  # What the environment says of processes is itself what is wrong.
        rank = Rank()
    if rank.is_first:
        _fail(str(error), error.exit_code)
    # On each machine one process tells what is wrong with the run file.
    if error.is_shared or (isinstance(error, ConfigError) and rank.local):
        sys.exit(0)
    _fail(f"{rank.text()}: {error}", error.exit_code)


def _no_room(error: OSError) -> str:
    """What a person can do where the system has no room for a file; empty for any other error."""
    reasons = {
        errno.ENOSPC: "free some space there, or name a place with more (`output_dir` in the run file; TMPDIR for temporary files)",
        errno.EDQUOT: "your share of this file system is used up: free some of it, or name another place (`output_dir` in the run file)",
        errno.EFBIG: "it is larger than a file of this process may be: raise the limit (`ulimit -f`), or name another file system",
    }
    if error.errno not in reasons:
        return ""
    path = Path(error.filename2 or error.filename or ".").absolute()
    folder = next(folder for folder in (path, *path.parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free / (1 << 20)
    return (
        f"{path if error.filename else 'a file'} cannot be written: {error.strerror}; {free:,.1f} MiB are free at {folder}\n"
        f"  {reasons[error.errno]}\n"
        "  what was finished is kept: the same command goes on from there"
    )


def _say_json(message: str, exit_code: int) -> None:
    """An error for programs, where the command line asks for JSON."""
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": message, "exit_code": exit_code}))


def _fail(message: str, exit_code: int) -> None:
    _say_json(message, exit_code)
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    # A file's name, or a value in it, must not act on the terminal.
    click.echo(visible(message), err=True)
    sys.exit(exit_code)


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"luthier {version('luthier')}")
        context.exit()


@click.group(cls=Group, context_settings=SETTINGS)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version and end.")
def group() -> None:
    """One YAML file turns rows into a small, specialised language model that is measured, reproducible and exported.

    Exit codes: 0 done, 1 failed, 2 the input is wrong, 3 a gate was not met.
    """


for _command in (
    experiment.run,
    experiment.check,
    plan,
    find_lr,
    experiment.data,
    experiment.train,
    experiment.evaluate,
    experiment.export,
    experiment.ask,
    serve,
    review,
    experiment.init,
    runs,
    doctor,
    guard,
):
    group.add_command(_command)
