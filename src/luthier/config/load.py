"""From a run file to a resolved, checked configuration. Loading is pure: no network, no device, no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from luthier.config import explain, gate_rules, names, rules, yaml_file
from luthier.config.adapter_folder import fill_keys
from luthier.config.deepspeed import read_deepspeed
from luthier.config.overrides import Overrides, named_values, set_values
from luthier.config.paths import file_problems, idle_revision
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document, KeyPath, Place
from luthier.core.errors import ConfigError, Problem
from luthier.core.files import sha256_json
from luthier.core.nearness import nearest

MAX_EXTENDS = 32
# What can be set for a model that belongs to no run.
ASKING_KEYS = ("revision_of_model", "load_in_4bit", "load_in_8bit", "attn_implementation", "bf16", "fp16", "tf32", "deterministic")

# What training alone reads, with values that stand in for it where nothing is trained.
_FOR_TRAINING = {"learning_rate": 1.0}


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run file, resolved: the configuration, what loading noted, the file's own text, and where each value was written.

    `stand_ins` are keys that training needs and the file does not have; what stands in the configuration for them is read by nothing.
    """

    config: RunConfig
    path: Path
    text: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    document: Document
    existing_folder: Path | None = None
    stand_ins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the run folder: run name and the first eight digits of the hash of every field that can change a result."""
        if self.existing_folder is not None:
            return self.existing_folder.name
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.config.run_name or self.path.stem)
        fields = {name: value for name, value in self.config.result_fields().items() if name not in self.stand_ins}
        return f"{stem}-{sha256_json(fields)[:8]}"

    @property
    def folder(self) -> Path:
        """The path of the run folder."""
        return self.existing_folder or Path(self.config.output_dir) / self.name

    def resolved_text(self) -> str:
        """The resolved run file as YAML; without the adapter's keys where there is none, for they would do nothing."""
        resolved = self.config.model_dump(mode="json", exclude_none=True, exclude=set(self.stand_ins))
        idle = () if self.config.adapter else _ADAPTER_PREFIXES
        return yaml_file.dump({name: value for name, value in resolved.items() if not name.startswith(idle)})


_ADAPTER_PREFIXES = ("lora_", "peft_")
Inspector = Callable[[Document], list[Problem]]


def load(
    path: Path | str,
    overrides: Overrides = (),
    inspect: Inspector | None = None,
    for_data: bool = False,
    idle_sections: Sequence[str] = (),
) -> LoadedRun:
    """The resolved run file `path` with `overrides` applied; every problem at once as one `ConfigError`.

    Where there are problems, `inspect` finds more in the files that the document names, so that they are told together.

    With `for_data` the file may lack what training alone needs, `adapter` and `learning_rate`.

    A run folder stands for the resolved run file in it; overrides would make it another run, but those of `idle_sections`.
    """
    path = Path(path)
    folder = path if (path / "resolved.yaml").is_file() else None
    if folder is not None:
        if kept := [name for name, _ in named_values(overrides) if re.split(r"[.\[]", name)[0] not in idle_sections]:
            hint = "a run is what its file made it: set it in a run file, for another run; `luthier serve` alone takes keys of `serve` here"
            raise ConfigError([Problem(f"`{name}` cannot be set in a run folder", where=str(folder), hint=hint) for name in kept])
        path = folder / "resolved.yaml"
    elif path.is_dir():
        hint = "a run folder holds `resolved.yaml`; `luthier runs list` names them"
        raise ConfigError(Problem("this folder is no run folder", where=str(path), hint=hint))
    text = yaml_file.read_text(path)
    return _resolved(_read_merged(path, text, ()), path, text, overrides, folder, inspect=inspect or _nothing, for_data=for_data)


def load_text(text: str, path: Path, overrides: Overrides = (), for_data: bool = False) -> LoadedRun:
    """The same for a run file that is to be written to `path` and is not there yet."""
    return _resolved(_read_merged(path, text, ()), path, text, overrides, None, is_written=False, for_data=for_data)


def read_named(path: Path, text: str, overrides: Overrides = ()) -> Document:
    """What `text`, the run file `path`, says on top of what it extends, in Luthier's names; no other file that it names is read."""
    document = _read_merged(path, text, ())
    set_values(document, overrides)
    _apply_names(document)
    return document


def load_model(model: str, overrides: Overrides = (), more_keys: Sequence[str] = ()) -> LoadedRun:
    """A configuration to ask `model` with, outside any run; `overrides` may set the keys of `ASKING_KEYS` and `more_keys`."""
    document = Document({"base_model": model})
    set_values(document, overrides)
    idle = [name for name in document.value if name not in ("base_model", *ASKING_KEYS, *more_keys)]
    if idle:
        known = ", ".join((*ASKING_KEYS, *more_keys))
        raise ConfigError([Problem(f"`{name}` changes nothing in how a model is asked", "--set", hint=f"known: {known}") for name in idle])
    if problems := list(idle_revision(document)):
        raise ConfigError(problems)
    # Wanted by the schema, and read by nothing that asks.
    # An adapter, for a base may be quantised beside one alone.
    document.value |= {"adapter": "lora", **_FOR_TRAINING}
    return _resolved(document, Path(model), "", (), None)


def read_written(path: Path) -> tuple[Document, list[Path]]:
    """The run file `path` on top of what it extends, its keys as they are written, and the files that it was read from, this one last."""
    files: list[Path] = []

    def note_file(document: Document) -> None:
        files.append(Path(document.place(()).file))

    document = _read_merged(path, yaml_file.read_text(path), (), note_file)
    if document.problems:
        raise ConfigError(document.problems)
    return document, list(reversed(files))


def _nothing(document: Document) -> list[Problem]:
    return []


def _resolved(
    document: Document,
    path: Path,
    text: str,
    overrides: Overrides,
    folder: Path | None,
    is_written: bool = True,
    inspect: Inspector = _nothing,
    for_data: bool = False,
) -> LoadedRun:
    set_values(document, overrides)
    _apply_names(document)
    notes = document.notes + fill_keys(document) + _imply(document)
    stand_ins = tuple(name for name in _FOR_TRAINING if for_data and document.value.get(name) is None)
    if stand_ins:
        document.value |= {name: _FOR_TRAINING[name] for name in stand_ins}
        notes.append(f"without {' and '.join(f'`{name}`' for name in stand_ins)} the file is good for data; training will want it too")
    problems = document.problems + _read_templates(document) + read_deepspeed(document)
    gate_rules.flatten_gate(document)
    if folder is None:
        _anchor_files(document)
    config, errors = _validate(document)
    problems += errors + rules.check_rules(document if config is None else _typed(document, config))
    if problems or config is None:
        # What is missing on the disk is told with the rest, and not after it.
        problems += [*file_problems(document), *inspect(document)] if is_written else []
        raise ConfigError(explain.in_order(problems))
    return LoadedRun(config, path, text, tuple(notes), tuple(_warnings(config)), document, folder, stand_ins)


def _read_merged(path: Path, text: str, seen: tuple[Path, ...], name_keys: Callable[[Document], None] | None = None) -> Document:
    """The document at `path` on top of what it extends; paths in `extends` start at the file that names them.

    `name_keys` is done with each file before they are joined: its keys get Luthier's names where nothing else is given.
    """
    name_keys = name_keys or _apply_names
    if path.resolve() in seen or len(seen) > MAX_EXTENDS:
        chain = " -> ".join(str(link) for link in (*seen, path.resolve()))
        raise ConfigError(
            Problem("`extends` leads back to a file that is being read", where=str(path), found=chain, hint="break the circle")
        )
    document = yaml_file.parse(text, str(path))
    # Before the files are joined: an upper file's key must win over another spelling of it below.
    name_keys(document)
    bases = document.value.pop("extends", None)
    merged = Document({})
    for index, base in enumerate(bases if isinstance(bases, list) else [] if bases is None else [bases]):
        place = document.place(("extends", index)).text()
        if not isinstance(base, str):
            document.problems.append(Problem("`extends` takes a file or a list of files", where=place, found=str(base)))
            continue
        base_path = path.parent / base
        if not base_path.is_file():
            what = f"the file `{base}` that `extends` names does not exist"
            document.problems.append(Problem(what, where=place, hint=_neighbours(base_path)))
            continue
        try:
            _merge(merged, _read_merged(base_path, yaml_file.read_text(base_path), (*seen, path.resolve()), name_keys))
        except ConfigError as error:
            document.problems += error.problems
    _merge(merged, document)
    merged.places[()] = Place(str(path))
    return merged


def _apply_names(document: Document) -> None:
    """Takes secrets out, moves renamed keys and takes refused ones out, with the problems and notes kept in the document."""
    document.problems.extend(rules.take_secrets(document))
    naming = names.apply_tables(document)
    document.problems.extend(naming.problems)
    document.notes.extend(naming.notes)


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    best = nearest(path.name, [file.name for file in folder.iterdir()])
    return f"did you mean `{best}`?" if best else f"it is looked for in {folder}"


def _merge(into: Document, upper: Document) -> None:
    """Puts `upper` on top of `into`: mappings are merged key by key, anything else replaces what was there."""
    _merge_values(into.value, upper.value, (), into.places)
    into.places.update(upper.places)
    into.problems.extend(upper.problems)
    into.notes.extend(upper.notes)


def _merge_values(into: dict[str, Any], upper: dict[str, Any], path: KeyPath, places: dict[KeyPath, Place]) -> None:
    for name, value in upper.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge_values(into[name], value, (*path, name), places)
        else:
            # The places of a replaced list must not stand for the items of the new one.
            for known in [known for known in places if known[: len(path) + 1] == (*path, name)]:
                del places[known]
            into[name] = value


def _imply(document: Document) -> list[str]:
    """Fills in what the written keys imply; the notes say so."""
    notes: list[str] = []
    value = document.value
    if not value.get("adapter") and (foreign := adapter_of_other_tools(document)):
        value["adapter"] = "lora"
        notes.append(f"`{foreign}` without `adapter` means `adapter: lora`")
    if not value.get("adapter") and "export" not in value:
        value["export"] = []  # Training's result is the model itself; `adapter`, the default, there is none.
    if value.get("adapter") and not value.get("lora_target_modules") and not value.get("lora_target_linear"):
        value["lora_target_linear"] = True
        notes.append("no target is named: every linear layer but the head is adapted (`lora_target_linear: true`)")
    for holder in (value, *_entries(value)):
        if holder.get("chat_template_jinja") and not holder.get("chat_template"):
            holder["chat_template"] = "jinja"
            notes.append("`chat_template_jinja` means `chat_template: jinja`")
    return notes


def adapter_of_other_tools(document: Document) -> str:
    """A setting of an adapter that was written in another tool's spelling, which has no key `adapter`; empty where there is none."""
    for path, place in document.places.items():
        target = names.table("renamed").get(names.dotted(path, generic=True), {}).get("to", "")
        if target.startswith(_ADAPTER_PREFIXES) and document.value.get(target) is not None and document.places.get((target,)) is place:
            return names.dotted(path)
    return ""


def _read_templates(document: Document) -> list[Problem]:
    """Puts the text of a file that `chat_template_jinja` names in its place, so that it is in the resolved file and in the stages' keys."""
    problems = []
    entries = [((name, index), entry) for name in ("datasets", "test_datasets") for index, entry in _mappings(document.value.get(name))]
    for path, holder in [((), document.value), *entries]:
        written = holder.get("chat_template_jinja")
        if not isinstance(written, str) or not written or "\n" in written or "{" in written:
            continue
        try:
            holder["chat_template_jinja"] = yaml_file.read_text(Path(written))
        except ConfigError as error:
            where = document.place((*path, "chat_template_jinja")).text()
            hint = "write the template's text, or the path of a file from the working directory"
            what = f"the chat template cannot be read: {error.problems[0].what}"
            problems.append(Problem(what, where=where, found=written[:120], hint=hint))
    return problems


def _entries(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for name in ("datasets", "test_datasets") for _, entry in _mappings(value.get(name))]


def _mappings(entries: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(index, entry) for index, entry in enumerate(entries if isinstance(entries, list) else []) if isinstance(entry, dict)]


def _anchor_files(document: Document) -> None:
    """Suite files and files of rules start at the file that names them; from here on at the working directory, as all other paths do."""
    _anchor(document, "evaluate", "suites", (".yaml", ".yml"))
    _anchor(document, "guard", "rules", (".yaml", ".yml", ".toml"))


def _anchor(document: Document, name: str, key: str, endings: tuple[str, ...]) -> None:
    section = document.value.get(name)
    if not isinstance(section, dict):
        return
    files = section.get(key)
    if isinstance(files, str):
        files = section[key] = [files]
    for index, file in enumerate(files if isinstance(files, list) else []):
        if isinstance(file, str) and file.endswith(endings):
            place = document.place((name, key, index))
            folder = Path() if place.file.startswith("--set") else Path(place.file).parent
            section[key][index] = Path(os.path.normpath(folder / file)).as_posix()


def _validate(document: Document) -> tuple[RunConfig | None, list[Problem]]:
    try:
        return RunConfig.model_validate(_without_nulls(document.value)), []
    except ValidationError as error:
        return None, [explain.problem_of(dict(item), document) for item in error.errors(include_url=False)]


def _without_nulls(value: Any, path: KeyPath = ()) -> Any:
    """`value` without known keys that are null, at any depth: a null leaves a key at its default, as in Axolotl."""
    if isinstance(value, dict):
        known = {name for name in value if names.dotted((*path, name), generic=True) in names.schema_paths()}
        return {name: _without_nulls(inner, (*path, name)) for name, inner in value.items() if inner is not None or name not in known}
    return [_without_nulls(inner, (*path, index)) for index, inner in enumerate(value)] if isinstance(value, list) else value


def _typed(document: Document, config: RunConfig) -> Document:
    """The written keys with the values that the schema made of them: `yes` is true here, and `"7"` is 7."""
    return Document(config.model_dump(mode="json", exclude_unset=True), document.places)


def _warnings(config: RunConfig) -> list[str]:
    warnings = []
    if not config.datasets and not config.sources:
        warnings.append("the file names no `datasets` and no `sources`: there is nothing to train on, and `luthier run` will end with 2")
    if config.clean is None and config.datasets:
        warnings.append(
            "`datasets` without `clean`: their rows are taken as they are, as in Axolotl; nobody looks for secrets, personal data and "
            "dangerous commands in them. `clean: {}` masks or leaves out what it finds"
        )
    elif config.clean is not None and config.clean.shell is False:
        warnings.append("commands in rows are not looked at, dangerous ones included: turned off by clean.shell")
    alpaca = any(entry.type == "alpaca" for entry in config.datasets)
    if alpaca and re.search(r"instruct|chat|-it\b", config.base_model, re.IGNORECASE):
        warnings.append(
            "`type: alpaca` trains an instruct base on Alpaca's wording, not on its own chat template; "
            "rows as `type: chat_template` usually do better"
        )
    return warnings
