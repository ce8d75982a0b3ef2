"""What commands share: groups that know misspelt names, and the options that many take."""

from __future__ import annotations

import click

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _from_files(context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    if not any(word.startswith("@") for word in words):
        return words
    from luthier.config.overrides import from_files

    return from_files(words)


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE|@FILE",
    callback=_from_files,
    help="Set a key of the run file (dotted; again for more); of a file, all that its JSON list holds.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")
run_argument = click.argument("run_file", metavar="RUN.yaml|RUN_DIR")


class Group(click.Group):
    """A group that answers misspelt commands with the nearest name."""

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` name."""
        if args[0] not in self.commands:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.commands, n=1)
            known = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(self.commands)}."
            raise click.UsageError(f"There is no command `{args[0]}`. {known}", context)
        return super().resolve_command(context, args)
