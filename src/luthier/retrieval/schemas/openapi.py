"""OpenAPI 3.0 and 3.1 as tool definitions: one for each operation, with the parameters of path, query and body as its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from luthier.core.records import JsonObject, JsonValue
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, SourceFile, ToolDefinition
from luthier.retrieval.schemas.schema_parts import NAME, Resolver, function_name, line_of, misfit, refuse_secrets, text_of, tool

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_BODY = "body"
_MAX_EXAMPLES = 8


@dataclass(slots=True)
class _Arguments:
    """The arguments of an operation so far, and what the file gives as examples of each, by its name."""

    properties: dict[str, JsonValue] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    examples: dict[str, list[JsonValue]] = field(default_factory=dict)
    # Whole bodies whose parts are arguments.
    bodies: list[JsonObject] = field(default_factory=list)


def definitions(file: SourceFile, value: JsonObject) -> Iterator[ToolDefinition | Excluded | str]:
    """The operations of `value`, the file's: tools, operations that cannot be used, notes. `Unreadable` for other versions."""
    version = str(value["openapi"])
    if not re.match(r"3\.[01](?:\.|\Z)", version):
        raise Unreadable("unsupported_version", f"OpenAPI {version[:20]}; 3.0 and 3.1 are read")
    paths = value.get("paths")
    if not isinstance(paths, dict):
        raise Unreadable("no_schema", "an OpenAPI file without `paths`")
    resolver = Resolver(value)
    for path, item in paths.items():
        line = line_of(file.text, r"(?m)^\s*[\"']?paths[\"']?\s*:|\"paths\"\s*:", rf"[\"']?{re.escape(path)}[\"']?\s*:")
        try:
            refuse_secrets(path)
            operations = resolver.followed(item)
        except Unreadable as error:
            shown = path if error.reason != "secret" else "a path"
            yield Excluded(file.path, error.reason, f"{shown} (line {line}): {error.detail}", line)
            continue
        if not isinstance(operations, dict):
            yield Excluded(file.path, "invalid_definition", f"{path} (line {line}): a path holds operations", line)
            continue
        for method in _METHODS:
            if method in operations:
                yield from _operation(file, resolver, (method, path), operations)


def _operation(
    file: SourceFile, resolver: Resolver, place: tuple[str, str], operations: JsonObject
) -> Iterator[ToolDefinition | Excluded | str]:
    method, path = place
    operation = operations[method]
    identity = text_of(operation.get("operationId")) if isinstance(operation, dict) else ""
    line = line_of(file.text, rf"[\"']?{re.escape(path)}[\"']?\s*:", rf"[\"']?\b{method}[\"']?\s*:")
    try:
        resolver.start()
        if not isinstance(operation, dict):
            raise Unreadable("invalid_definition", "an operation is a mapping")
        refuse_secrets(identity)
        name = function_name(identity or f"{method} {path}")
        if not NAME.match(name):
            raise Unreadable("invalid_name", f"`operationId: {identity[:80]}` gives no name of letters and digits")
        title, description = text_of(operation.get("summary")), text_of(operation.get("description"))
        arguments = _arguments(resolver, operations, operation)
        refuse_secrets(title, description, arguments.properties)
    except Unreadable as error:
        yield Excluded(file.path, error.reason, f"{method.upper()} {path} (line {line}): {error.detail}", line)
        return
    parameters: JsonObject = {"type": "object", "properties": arguments.properties}
    if arguments.required:
        parameters["required"] = arguments.required
    fitting: list[JsonObject] = []
    for example in _examples(arguments):
        said = misfit(example, parameters)
        if said:
            yield f"{file.path}:{line}: an example of `{name}` is left out: {said}"
        elif example not in fitting:
            fitting.append(example)
    shown = description if description.startswith(title) else " ".join(filter(None, [title.rstrip(".") + ".", description]))
    shown = shown if description else title
    yield ToolDefinition(
        file.path, name, title, description, tool(name, shown, parameters), tuple(fitting), (line, _last_line(file.text, line))
    )


def _last_line(text: str, line: int) -> int:
    """The last line of a block that begins on `line`: the lines below it that are set in further."""
    lines = text.split("\n")
    margin = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    last = line
    for number in range(line + 1, len(lines) + 1):
        shown = lines[number - 1]
        if shown.strip() and len(shown) - len(shown.lstrip()) <= margin:
            return number if shown.strip().startswith("}") else last
        last = number if shown.strip() else last
    return last


def _arguments(resolver: Resolver, operations: JsonObject, operation: JsonObject) -> _Arguments:
    found = _Arguments()
    own = _parameters(resolver, operation.get("parameters"))
    shared = _parameters(resolver, operations.get("parameters"))
    for parameter in {**shared, **own}.values():
        _add_parameter(resolver, found, parameter)
    if (body := resolver.followed(operation.get("requestBody"))) is not None:
        _add_body(resolver, found, body)
    return found


def _parameters(resolver: Resolver, listed: JsonValue) -> dict[tuple[str, str], JsonObject]:
    """The parameters of a list by place and name; an operation's own take the place of its path's."""
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise Unreadable("invalid_definition", "`parameters` takes a list")
    found: dict[tuple[str, str], JsonObject] = {}
    for entry in listed:
        parameter = resolver.followed(entry)
        if not isinstance(parameter, dict) or not text_of(parameter.get("name")):
            raise Unreadable("invalid_definition", "a parameter is a mapping with `name` and `in`")
        found[text_of(parameter.get("in")), text_of(parameter["name"])] = parameter
    return found


def _add_parameter(resolver: Resolver, found: _Arguments, parameter: JsonObject) -> None:
    # Headers and cookies are set by the client that sends the call.
    if parameter.get("in") not in ("path", "query"):
        return
    name = text_of(parameter["name"])
    content = parameter.get("content")
    media: JsonValue = next(iter(content.values()), None) if isinstance(content, dict) else None
    raw = parameter.get("schema", media.get("schema") if isinstance(media, dict) else None)
    schema = resolver.schema(raw if raw is not None else {})
    if text_of(parameter.get("description")):
        schema["description"] = text_of(parameter["description"])
    _put(found, name, schema, parameter.get("in") == "path" or parameter.get("required") is True)
    examples = _given(resolver, parameter) or _given(resolver, media) or _given_by_schema(resolver, raw)
    if examples:
        found.examples[name] = examples


def _put(found: _Arguments, name: str, schema: JsonObject, is_required: bool) -> None:
    if name in found.properties:
        raise Unreadable("duplicate_name", f"two parameters are called `{name[:80]}`")
    found.properties[name] = schema
    if is_required:
        found.required.append(name)


def _add_body(resolver: Resolver, found: _Arguments, body: JsonValue) -> None:
    content = body.get("content") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(content, dict) or not content:
        raise Unreadable("invalid_definition", "`requestBody` takes a mapping with `content`")
    kind = next((kind for kind in content if "json" in kind.lower()), next(iter(content)))
    media = content[kind]
    if not isinstance(media, dict):
        raise Unreadable("invalid_definition", f"the content `{str(kind)[:60]}` is a mapping with `schema`")
    raw = media.get("schema", {})
    schema = resolver.schema(raw)
    is_required = body.get("required") is True
    examples = _given(resolver, media) or _given_by_schema(resolver, raw)
    properties = schema.get("properties") or {}
    # Parts of a body stand beside the other arguments, unless one has the name of a parameter, or there is more to it than parts.
    is_plain = bool(properties) and not any(key in schema for key in ("oneOf", "anyOf", "allOf"))
    if not is_plain or any(name in found.properties for name in properties):
        if text_of(body.get("description")) and "description" not in schema:
            schema["description"] = text_of(body["description"])
        _put(found, _BODY, schema, is_required)
        found.examples |= {_BODY: examples} if examples else {}
        return
    needed = schema.get("required") or []
    raw_properties = _raw_properties(resolver, raw)
    for name, part in properties.items():
        # A body may be left out as a whole; a call that gives some of it wants all that it asks for.
        _put(found, name, part, name in needed)
        if not examples and (of_part := _given_by_schema(resolver, raw_properties.get(name))):
            found.examples[name] = of_part
    found.bodies = [example for example in examples if isinstance(example, dict)]


def _raw_properties(resolver: Resolver, raw: JsonValue) -> JsonObject:
    followed = resolver.followed(raw)
    properties = followed.get("properties") if isinstance(followed, dict) else None
    return properties if isinstance(properties, dict) else {}


def _given(resolver: Resolver, holder: JsonValue) -> list[JsonValue]:
    """The examples of a parameter or of content: `example`, or the values under `examples`; those in other files are not fetched."""
    if not isinstance(holder, dict):
        return []
    if "example" in holder:
        return [holder["example"]]
    listed = holder.get("examples")
    followed = [resolver.followed(entry) for entry in listed.values()] if isinstance(listed, dict) else []
    return [entry["value"] for entry in followed if isinstance(entry, dict) and "value" in entry][:_MAX_EXAMPLES]


def _given_by_schema(resolver: Resolver, raw: JsonValue) -> list[JsonValue]:
    """The examples in a schema: `example` of OpenAPI, `examples` of JSON schema."""
    schema = resolver.followed(raw)
    if not isinstance(schema, dict):
        return []
    listed = schema.get("examples")
    return [schema["example"]] if "example" in schema else listed[:_MAX_EXAMPLES] if isinstance(listed, list) else []


def _examples(arguments: _Arguments) -> Iterator[JsonObject]:
    """Whole arguments out of what the file gives; nothing where a required argument has no example."""
    count = max([len(found) for found in arguments.examples.values()] + [len(arguments.bodies)], default=0)
    for index in range(count):
        example = {name: found[min(index, len(found) - 1)] for name, found in arguments.examples.items()}
        if arguments.bodies:
            example |= arguments.bodies[min(index, len(arguments.bodies) - 1)]
        if all(name in example for name in arguments.required):
            yield {name: example[name] for name in (*arguments.properties, *example) if name in example}
