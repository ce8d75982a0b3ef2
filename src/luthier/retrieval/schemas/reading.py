"""OpenAPI files and JSON schemas of tools as tool definitions. Nothing is fetched: a reference that leaves its file is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from luthier.config import yaml_file
from luthier.config.row_sections import SourceEntry
from luthier.core.errors import ConfigError, DataError, Problem
from luthier.core.events import monotonic_seconds
from luthier.core.records import JsonValue
from luthier.core.text import is_unicode
from luthier.retrieval.named_files import Progress, content_of, decoded, find, source_name
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, Reading, SourceFile, ToolDefinition
from luthier.retrieval.repository.license_files import licenses_around
from luthier.retrieval.repository.licenses import license_at
from luthier.retrieval.schemas import openapi, tool_schemas
from luthier.retrieval.unread import Unread, hand_on_files

ENDINGS = (".json", ".yaml", ".yml")
# A description of a large service has some hundred thousand values; YAML's aliases may not make more of them.
MAX_VALUES = 300_000
MAX_DEPTH = 200


def read_schemas(entry: SourceEntry, progress: Progress, unread: Unread | None = None) -> Reading:
    """The tools that the files in `schemas` define: operations of OpenAPI 3.0 and 3.1, lists of tools, JSON schemas with a title.

    A definition that cannot be used is in `excluded` with its reason and its place in the file; so is a file that is none of these. Names
    are unique over the source: a later definition of the same name is left out. `progress` is told each file, `unread` gets every other
    file of the folders. `DataError` where a name leads nowhere, there are too many files, or no tool is defined at all.
    """
    names = entry.schemas or ()
    found = find(entry, "schemas", names, lambda path: path.lower().endswith(ENDINGS))
    until = monotonic_seconds() + entry.timeout_seconds
    excluded = list(found.excluded)
    files: list[SourceFile] = []
    tools: dict[str, ToolDefinition] = {}
    notes: list[str] = []
    licenses = licenses_around(found, entry.max_file_bytes)
    for number, (shown, path) in enumerate(found.files.items(), 1):
        progress("schemas", number, len(found.files))
        try:
            license = license_at(path.as_posix(), licenses) or entry.license
            file = replace(_read(entry, shown, path), license=license, written=found.written[shown])
            for definition in _definitions(file, excluded, notes):
                if definition.name in tools:
                    detail = f"`{definition.name}` (line {definition.lines[0]}) is defined in {tools[definition.name].path} already"
                    excluded.append(Excluded(shown, "duplicate_name", detail, definition.lines[0]))
                else:
                    tools[definition.name] = definition
            files.append(file)
        except Unreadable as error:
            excluded.append(Excluded(shown, error.reason, error.detail))
        if monotonic_seconds() > until:
            what = f"reading the schemas takes longer than {entry.timeout_seconds:g} seconds"
            raise DataError(Problem(what, where="sources: schemas", hint="name fewer of them, or raise `timeout_seconds`"))
    if not tools:
        raise DataError(_nothing(names, excluded))
    if unread is not None:
        hand_on_files(found, [file.path for file in files], unread)
        notes += unread.notes()
    name, repo = source_name(entry, names), ", ".join(names)
    return Reading(name, repo, None, entry.license, tuple(files), (), (), tuple(tools.values()), tuple(excluded), tuple(notes))


def _nothing(names: tuple[str, ...], excluded: list[Excluded]) -> Problem:
    first = "; ".join(f"{left_out.path}: {left_out.reason} ({left_out.detail})" for left_out in excluded[:3])
    expected = "OpenAPI 3.0 or 3.1, a list of tools, or a JSON schema with `title` and `properties`"
    what, hint = "no tool is defined in these files", "name other files, or mend `include`, `exclude` and `languages`"
    return Problem(what, where="sources: schemas", found=first or ", ".join(names), expected=expected, hint=hint)


def _read(entry: SourceEntry, shown: str, path: Path) -> SourceFile:
    language = "json" if shown.lower().endswith(".json") else "yaml"
    if entry.languages and language not in entry.languages:
        raise Unreadable("excluded", f"`{language}` is not among `languages`")
    content = content_of(path, entry.max_file_bytes)
    return SourceFile(shown, language, decoded(content), sha256=sha256(content).hexdigest())


def _definitions(file: SourceFile, excluded: list[Excluded], notes: list[str]) -> Iterator[ToolDefinition]:
    """The definitions in one file; what could not be used goes to `excluded`, what was left out of one to `notes`."""
    value = _value(file)
    _check_size(value)
    if not is_unicode(value):
        raise Unreadable("broken", "text with half a character, which UTF-8 cannot hold")
    if isinstance(value, dict) and "openapi" in value:
        found = openapi.definitions(file, value)
    elif isinstance(value, dict) and "swagger" in value:
        raise Unreadable("unsupported_version", f"Swagger {str(value['swagger'])[:20]}; turn it into OpenAPI 3 first")
    else:
        found = tool_schemas.definitions(file, value)
    for outcome in found:
        if isinstance(outcome, Excluded):
            excluded.append(outcome)
        elif isinstance(outcome, str):
            notes.append(outcome)
        else:
            yield outcome


def _value(file: SourceFile) -> JsonValue:
    """The JSON value of a file; `Unreadable` where it cannot be parsed, or only into something endless."""
    if file.language == "json":
        try:
            value: JsonValue = json.loads(file.text, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            raise Unreadable("broken", f"no valid JSON: {str(error)[:200]}") from error
        return value
    try:
        text = file.text
        first = next((line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#") and line != "---"), "")
        if first.startswith("- "):
            document = yaml_file.parse_list(text, file.path, "tools", MAX_VALUES)
            value = document.value["tools"]
        else:
            document = yaml_file.parse(text, file.path, MAX_VALUES)
            value = document.value
    except ConfigError as error:
        raise Unreadable("broken", _said(error.problems)) from error
    if document.problems:
        raise Unreadable("broken", _said(document.problems))
    return value


def _said(problems: tuple[Problem, ...] | list[Problem]) -> str:
    return "; ".join(f"{problem.where}: {problem.what}" for problem in problems[:3])[:400]


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _check_size(value: JsonValue) -> None:
    """`Unreadable` for a value too deep to be walked."""
    waiting: list[tuple[JsonValue, int]] = [(value, 0)]
    while waiting:
        here, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Unreadable("nested_too_deeply", f"values nested more than {MAX_DEPTH} deep")
        inner = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        waiting += [(child, depth + 1) for child in inner]
