"""JSON files of tools: lists of definitions as OpenAI, Anthropic and the Model Context Protocol write them, and single JSON schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.core.records import JsonObject, JsonValue
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, SourceFile, ToolDefinition
from luthier.retrieval.schemas.schema_parts import NAME, Resolver, function_name, line_of, misfit, refuse_secrets, text_of, tool

_PARAMETERS = ("parameters", "input_schema", "inputSchema")
_EXAMPLES = ("examples", "input_examples", "inputExamples")


def definitions(file: SourceFile, value: JsonValue) -> Iterator[ToolDefinition | Excluded | str]:
    """What `value`, the file's, defines: tools, definitions that cannot be used, notes. `Unreadable` where it is no file of tools."""
    entries = _entries(value)
    if entries is None:
        yield from _of_schema(file, value)
        return
    for number, entry in enumerate(entries, 1):
        try:
            yield from _of_entry(file, entry, Resolver(entry), number)
        except Unreadable as error:
            name = _name_of(entry)
            is_told = name and error.reason != "secret"
            place = f"`{name}` (entry {number}, line {_line(file, name)})" if is_told else f"entry {number}"
            yield Excluded(file.path, error.reason, f"{place}: {error.detail}", _line(file, name) if is_told else None)


def _entries(value: JsonValue) -> list[JsonValue] | None:
    """The definitions of a list of tools, or of a single one; None for anything else."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in ("tools", "functions"):
            if isinstance(listed := value.get(name), list):
                return listed
        if isinstance(value.get("function"), dict) or (isinstance(value.get("name"), str) and any(key in value for key in _PARAMETERS)):
            return [value]
    return None


def _name_of(entry: JsonValue) -> str:
    inner = entry.get("function", entry) if isinstance(entry, dict) else None
    return text_of(inner.get("name"))[:80] if isinstance(inner, dict) else ""


def _line(file: SourceFile, name: str) -> int:
    return line_of(file.text, rf"""(?m)["']?name["']?\s*:\s*["']?{re.escape(name)}["']?\s*[,}}\n]""")


def _of_entry(file: SourceFile, entry: JsonValue, resolver: Resolver, number: int) -> Iterator[ToolDefinition | str]:
    inner = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(inner, dict):
        raise Unreadable("invalid_definition", "a definition is a mapping with `name` and `parameters`")
    name = inner.get("name")
    refuse_secrets(name)
    if not isinstance(name, str) or not NAME.match(name):
        raise Unreadable("invalid_name", f"`name: {str(name)[:80]}`; letters, digits, `_` and `-`, at most 64")
    parameters = next((inner[key] for key in _PARAMETERS if inner.get(key) is not None), {"type": "object", "properties": {}})
    examples = next((part[key] for part in (inner, entry, parameters) for key in _EXAMPLES if isinstance(part, dict) and key in part), [])
    yield from _definition(file, name, text_of(inner.get("description")), resolver.schema(parameters), examples, _line(file, name))


def _of_schema(file: SourceFile, value: JsonValue) -> Iterator[ToolDefinition | str]:
    if not isinstance(value, dict) or not isinstance(value.get("properties"), dict):
        raise Unreadable("no_schema", "neither OpenAPI, nor a list of tools, nor a JSON schema with `title` and `properties`")
    refuse_secrets(value.get("title"))
    name = function_name(text_of(value.get("title")))
    if not name:
        raise Unreadable("invalid_name", "a JSON schema of a tool needs a `title`")
    schema = {key: part for key, part in Resolver(value).schema(value).items() if key not in ("title", "description")}
    yield from _definition(file, name, text_of(value.get("description")), schema, value.get("examples", []), 1)


def _definition(
    file: SourceFile, name: str, description: str, parameters: JsonObject, examples: JsonValue, line: int
) -> Iterator[ToolDefinition | str]:
    refuse_secrets(description, parameters)
    if parameters.get("type", "object") != "object":
        raise Unreadable("invalid_schema", f"arguments are an object, not `type: {parameters['type']}`")
    parameters = {"type": "object", "properties": {}, **parameters}
    missing = [known for known in parameters.get("required") or [] if known not in parameters["properties"]]
    if missing:
        raise Unreadable("invalid_schema", f"`required` names `{str(missing[0])[:80]}`, which is no property")
    fitting: list[JsonObject] = []
    for example in examples if isinstance(examples, list) else []:
        said = misfit(example, parameters) if isinstance(example, dict) else "it is no object"
        if said:
            yield f"{file.path}:{line}: an example of `{name}` is left out: {said}"
        elif isinstance(example, dict):
            fitting.append(example)
    last = file.text.count("\n") + 1 if line == 1 else line
    yield ToolDefinition(file.path, name, "", description, tool(name, description, parameters), tuple(fitting), (line, last))
