"""A run file to start from: a template with example rows, or an Axolotl file in Luthier's names."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config import names, rules, yaml_file
from luthier.config.load import adapter_of_other_tools, load, load_text
from luthier.config.overrides import set_values
from luthier.config.yaml_file import Document
from luthier.core.errors import ConfigError, Problem, UserError
from luthier.core.files import write_text

ASSETS = Path(__file__).parent.parent / "assets" / "init"


@dataclass(frozen=True, slots=True)
class Started:
    """The files that were written, and what the user should know about them."""

    written: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def from_template(template: str, target: Path, force: bool, overrides: Sequence[str] = ()) -> Started:
    """A run file, with `overrides` (`key=value`, dotted) written into it, and example rows beside it where it reads rows."""
    source = ASSETS / f"{template}.yaml"
    if not source.is_file():
        known = sorted(path.stem for path in ASSETS.glob("*.yaml"))
        raise UserError(Problem(f"there is no template `{template}`", hint=f"known: {', '.join(known)}"))
    examples = ASSETS / f"{template}.jsonl"
    rows = target.with_name(examples.name)
    written = (target, rows) if examples.is_file() else (target,)
    _refuse_existing(written, force)
    text = source.read_text(encoding="utf-8").replace("@ROWS@", rows.as_posix()).replace("@RUN_FILE@", target.as_posix())
    load_text(text, target, overrides)
    if not examples.is_file():
        write_text(target, _with_settings(text, overrides))
        return Started(written, ("name your own repository or folder under `sources`",))
    write_text(rows, examples.read_text(encoding="utf-8"))
    write_text(target, _with_settings(text, overrides))
    return Started(written, ("the rows are twenty examples; put your own in their place",))


def _with_settings(text: str, overrides: Sequence[str]) -> str:
    """`text` with the top-level keys that `overrides` change written anew; all other lines, comments too, stay as they are."""
    if not overrides:
        return text
    document = yaml_file.parse(text, "")
    before = copy.deepcopy(document)
    set_values(document, overrides)
    lines = text.splitlines()
    for name in reversed(list(before.value)):
        if document.value.get(name) != before.value[name]:
            first = before.place((name,)).line - 1
            last = first + 1
            while last < len(lines) and lines[last].startswith((" ", "-")):
                last += 1
            lines[first:last] = _written(document, name)
    for name in document.value:
        if name not in before.value:
            lines += _written(document, name)
    return "\n".join(lines) + "\n"


def _written(document: Document, name: str) -> list[str]:
    return yaml_file.dump({name: document.value[name]}).splitlines() if name in document.value else []


def from_axolotl(source: Path, target: Path, force: bool, overrides: Sequence[str] = ()) -> Started:
    """The run file that says in Luthier's names what Axolotl's file `source` says; what Luthier cannot do is left out and listed.

    `overrides` (`key=value`, dotted) are written into it.
    """
    _refuse_existing((target,), force)
    document = yaml_file.read(source)
    set_values(document, overrides)
    secrets = rules.take_secrets(document)
    naming = names.apply_tables(document)
    unknown = _take_unknown(document)
    lines = [f"# From {source.name}, in Luthier's names."]
    refused = [*secrets, *naming.problems, *unknown]
    if refused:
        lines.append("# Left out:")
        lines += [f"#   {_comment(problem)}" for problem in refused]
    if not document.value.get("adapter") and (adapter := adapter_of_other_tools(document)):
        naming.notes.append(f"`{adapter}` without `adapter` means `adapter: lora`")
        document.value["adapter"] = "lora"
    write_text(target, "\n".join(lines) + "\n" + yaml_file.dump(document.value))
    notes = [*naming.notes, *(f"left out: {_comment(problem)}" for problem in refused)]
    try:
        load(target)
    except ConfigError as error:
        notes.append(f"the result still needs a hand:\n{error}")
    return Started((target,), tuple(notes))


def _take_unknown(document: Document) -> list[Problem]:
    known = {path.split(".")[0] for path in names.schema_paths()}
    unknown = [name for name in document.value if name not in known]
    problems = [names.unknown_key((name,), document) for name in unknown]
    for name in unknown:
        del document.value[name]
    return problems


def _comment(problem: Problem) -> str:
    return " ".join(problem.text().split())


def _refuse_existing(paths: tuple[Path, ...], force: bool) -> None:
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise UserError(
            [
                Problem("the file is there already", where=str(path), hint="choose another `--output`, or overwrite it with `--force`")
                for path in there
            ]
        )
