"""Writes `docs/reference/` from the program itself: python -m recipes.reference.make [FOLDER]

`keys.md` comes from the schema, `axolotl.md` from the three tables, `commands.md` from the command line,
`cleaning.md` from the rules of cleaning, `strategies.md` from the table of what goes with several processes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from luthier.cli import main as cli
from luthier.config import names
from luthier.config.keys.fields import Section, stages_of
from luthier.config.keys.processes import ShardSection
from luthier.config.names import json_schema
from luthier.config.row_sections import (
    AugmentSection,
    CleanSection,
    DatasetEntry,
    MessageFields,
    PromptFormat,
    ShellSection,
    SourceEntry,
    SplitSection,
    TeacherSection,
)
from luthier.config.schema import AgainstEntry, AxolotlSection, EndpointSection, EvaluateSection, GateRule, PriceSection, RunConfig
from luthier.config.serve_section import ServeSection
from luthier.config.strategy_table import FEATURES, WAYS
from luthier.data.clean.codes import RULES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
NOTE = "<!-- Written by `python -m recipes.reference.make`; change the program, not this page. -->\n"
SECTIONS = {
    "The top level": (RunConfig, ""),
    "`datasets` and `test_datasets`": (DatasetEntry, "datasets[]."),
    "`datasets[].type` as a mapping": (PromptFormat, "datasets[].type."),
    "`datasets[].message_property_mappings`": (MessageFields, "datasets[].message_property_mappings."),
    "`sources`": (SourceEntry, "sources[]."),
    "`sources[].teacher`": (TeacherSection, "sources[].teacher."),
    "`clean`": (CleanSection, "clean."),
    "`clean.shell`": (ShellSection, "clean.shell."),
    "`augment`": (AugmentSection, "augment."),
    "`split`": (SplitSection, "split."),
    "`evaluate`": (EvaluateSection, "evaluate."),
    "`evaluate.against[]` as a mapping": (AgainstEntry, "evaluate.against[]."),
    "`evaluate.gate`": (GateRule, "evaluate.gate.SUITE.METRIC."),
    "`fsdp_config`": (ShardSection, "fsdp_config."),
    "`axolotl`": (AxolotlSection, "axolotl."),
    "`endpoints`": (EndpointSection, "endpoints.NAME."),
    "`endpoints.NAME.price`": (PriceSection, "endpoints.NAME.price."),
    "`serve`": (ServeSection, "serve."),
    **{
        f"`serve.{name}`": (type(info.default), f"serve.{name}.")
        for name, info in ServeSection.model_fields.items()
        if isinstance(info.default, Section)
    },
}


def _type_of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type_of(option) for option in options if option.get("type") != "null"))
    if "$ref" in schema:
        return "keys below"
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "object": "keys and values"}
    return words.get(schema.get("type", ""), "any")


def _default_of(info: Any) -> str:
    if info.is_required():
        return "required"
    default = info.default
    if default is None:
        return "-"
    if isinstance(default, Section):
        return "see below"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def keys_page() -> str:
    """The page of all keys."""
    lines = [NOTE, "# Keys of a run file", "", "Stage: what a change of the key redoes. `none` changes no result.", ""]
    for title, (section, prefix) in SECTIONS.items():
        properties = section.model_json_schema()["properties"]
        lines += [f"## {title}", "", "| key | takes | default | stage | |", "|---|---|---|---|---|"]
        for name, info in section.model_fields.items():
            kind = _type_of(properties[name]).replace("|", "\\|")
            lines.append(f"| `{prefix}{name}` | {kind} | {_default_of(info)} | {', '.join(stages_of(info))} | {info.description} |")
        if section is RunConfig:
            told = json_schema()["properties"]["extends"]["description"]
            lines.append(f"| `extends` | a text or a list | - | what they hold | {told} |")
        lines.append("")
    return "\n".join(lines)


def axolotl_page() -> str:
    """The page of Axolotl's keys and other tools' spellings."""
    lines = [NOTE, "# Keys of Axolotl 0.19 and of other tools", "", "Each key stands in exactly one of three tables.", ""]
    lines += ["## Accepted", "", "| key | unset, Axolotl takes | what differs here |", "|---|---|---|"]
    lines += [f"| `{key}` | {entry['default']} | {entry['note']} |" for key, entry in sorted(names.table("accepted").items())]
    lines += ["", "## Read under another name", "", "| written | read as | known from | |", "|---|---|---|---|"]
    lines += [f"| `{key}` | `{entry['to']}` | {entry['from']} | {entry['note']} |" for key, entry in sorted(names.table("renamed").items())]
    lines += [
        "",
        "## Refused",
        "",
        "A value that asks for nothing (null, false, empty) passes with a note.",
        "",
        "| key | yet to come | why |",
        "|---|---|---|",
    ]
    for key, entry in sorted(names.table("refused").items()):
        lines.append(f"| `{key}` | {'yes' if entry['later'] else ''} | {entry['reason']} |")
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def _command_lines(group: click.Group, path: str) -> list[str]:
    lines: list[str] = []
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            lines += _command_lines(command, f"{path} {name}")
            continue
        # As the program itself shows it; click remembers the names of the help option of whoever asks first.
        context = click.Context(
            command,
            info_name=f"{path} {name}",
            max_content_width=110,
            terminal_width=110,
            help_option_names=cli.SETTINGS["help_option_names"],
        )
        lines += [f"## `{path} {name}`", "", "```", command.get_help(context), "```", ""]
    return lines


def commands_page() -> str:
    """The page of all commands."""
    head = [
        NOTE,
        "# Commands",
        "",
        "Exit codes: 0 done, 1 failed, 2 the input is wrong, 3 a gate was not met.",
        "",
    ]
    return "\n".join([*head, *_command_lines(cli.group, "luthier")])


def cleaning_page() -> str:
    """`cleaning.md`: every rule of cleaning with its reason code, in the order in which a row meets them."""
    lines = [NOTE, "# Rules of cleaning", "", "In the order in which a row meets them. `clean: {off: [CODE]}` switches one off.", ""]
    lines += ["| reason code | rule |", "|---|---|"]
    lines += [f"| `{rule.code}` | {rule.what} |" for rule in RULES]
    lines += ["", "Two more stand in keys of their own:", "", "| reason code | rule |", "|---|---|"]
    lines += ["| `duplicate` | Drops rows that equal an earlier one (`exact_duplicates`). |"]
    lines += ["| `near_duplicate` | Drops rows whose request and answer are nearly those of an earlier row (`near_duplicates`). |"]
    return "\n".join(lines) + "\n"


def strategies_page() -> str:
    """`strategies.md`: what goes with each way to hold the weights in several processes."""
    lines = [NOTE, "# Several processes: what goes with what", ""]
    lines += ["[How to start them](../how-to/many-processes.md). `check` refuses what does not go, with file and line.", ""]
    lines += [f"| | {' | '.join(heading for _, heading in WAYS.values())} |", f"|---|{'---|' * len(WAYS)}"]
    for feature in FEATURES:
        key = f" (`{feature.key}`)" if feature.key else ""
        cells = [f"no: {reason}" if (reason := feature.refusal(way)) else "yes" for way in WAYS]
        lines.append(f"| {feature.name}{key} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "cleaning.md": cleaning_page,
    "keys.md": keys_page,
    "axolotl.md": axolotl_page,
    "commands.md": commands_page,
    "strategies.md": strategies_page,
}


def main(folder: Path = FOLDER) -> None:
    """Writes the pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:2]))
