"""OpenAPI files and files of tools as definitions, and what is left out of them with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError
from luthier.retrieval.records import Reading
from luthier.retrieval.schemas.reading import read_schemas
from luthier.retrieval.schemas.schema_parts import function_name

OPENAPI = """openapi: 3.0.3
info: {title: Pets, version: '1'}
paths:
  /pets/{petId}:
    parameters:
      - $ref: '#/components/parameters/PetId'
    get:
      operationId: getPetById
      summary: Find a pet.
      description: One pet, by its number.
      parameters:
        - {name: fields, in: query, schema: {type: array, items: {type: string, enum: [name, age]}}, example: [name]}
        - {name: X-Trace, in: header, required: true, schema: {type: string}}
    post:
      summary: Change a pet
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Pet'}
            examples:
              dog: {value: {name: Rex, tag: dog}}
              bad: {value: {name: 7}}
  /far:
    get: {operationId: far, parameters: [{$ref: 'https://a.example/x.yaml#/p'}]}
  /nowhere:
    get: {operationId: nowhere, parameters: [{$ref: '#/components/parameters/None'}]}
  /circle:
    get: {operationId: circle, parameters: [{$ref: '#/components/parameters/A'}]}
  /tree:
    put: {operationId: putTree, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Tree'}}}}}
  /laughs:
    put: {operationId: laughs, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/L0'}}}}}
  /bad:
    get: {operationId: bad, parameters: [{name: a, in: query, schema: {type: text}}]}
  /again:
    get: {operationId: getPetById}
components:
  parameters:
    PetId: {name: petId, in: path, required: true, description: Its number., schema: {type: integer, minimum: 1}, example: 3}
    A: {$ref: '#/components/parameters/B'}
    B: {$ref: '#/components/parameters/A'}
  schemas:
    Base: {type: object, required: [name], properties: {name: {type: string}, id: {type: integer, readOnly: true}}}
    Pet:
      allOf:
        - $ref: '#/components/schemas/Base'
        - {type: object, properties: {tag: {type: string, nullable: true, default: cat}}}
    Tree: {type: object, properties: {children: {type: array, items: {$ref: '#/components/schemas/Tree'}}}}
"""
LAUGHS = "".join(
    f"    L{n}: {{type: object, properties: {{a: &r{n} {{$ref: '#/components/schemas/L{n + 1}'}}, b: *r{n}}}}}\n" for n in range(40)
)


def read(*names: Path, **keys: object) -> Reading:
    return read_schemas(SourceEntry.model_validate({"schemas": [str(name) for name in names], **keys}), lambda *told: None)


def test_openapi(tmp_path: Path) -> None:
    file = tmp_path / "pets.yaml"
    file.write_text(OPENAPI + LAUGHS + "    L40: {type: string}\n", encoding="utf-8")
    reading = read(file)
    get, post, tree = reading.tools
    assert get.definition == {
        "type": "function",
        "function": {
            "name": "getPetById",
            "description": "Find a pet. One pet, by its number.",
            "parameters": {
                "type": "object",
                "properties": {
                    "petId": {"type": "integer", "minimum": 1, "description": "Its number."},
                    "fields": {"type": "array", "items": {"type": "string", "enum": ["name", "age"]}},
                },
                "required": ["petId"],
            },
        },
    }
    assert (get.title, get.description, get.lines, get.path) == ("Find a pet.", "One pet, by its number.", (7, 13), "pets.yaml")
    assert get.examples == ({"petId": 3, "fields": ["name"]},)
    assert post.name == "post_pets_petId"
    assert post.definition["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "petId": {"type": "integer", "minimum": 1, "description": "Its number."},
            "name": {"type": "string"},
            "tag": {"type": ["string", "null"], "default": "cat"},
        },
        "required": ["petId", "name"],
    }
    assert post.examples == ({"petId": 3, "name": "Rex", "tag": "dog"},)
    assert tree.definition["function"]["parameters"]["properties"]["children"]["items"] == {"type": "object"}
    assert reading.notes == ("pets.yaml:14: an example of `post_pets_petId` is left out: name is not of type string",)
    assert [(entry.reason, entry.detail.split(":")[0]) for entry in reading.excluded] == [
        ("remote_reference", "GET /far (line 25)"),
        ("missing_reference", "GET /nowhere (line 27)"),
        ("circular_reference", "GET /circle (line 29)"),
        ("too_large", "PUT /laughs (line 33)"),
        ("invalid_schema", "GET /bad (line 35)"),
        ("duplicate_name", "`getPetById` (line 37) is defined in pets.yaml already"),
    ]


def test_examples_need_every_required_argument(tmp_path: Path) -> None:
    parameters = [
        {"name": "a", "in": "query", "required": True, "schema": {"type": "string"}},
        {"name": "b", "in": "query", "schema": {"type": "string", "example": "x"}},
    ]
    file = tmp_path / "api.json"
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": parameters}}}}), encoding="utf-8")
    assert [(tool.name, tool.examples) for tool in read(file).tools] == [("get_a", ())]


def test_lists_of_tools(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    nested = {"type": "function", "function": {"name": "one", "description": "One.", "parameters": schema}}
    flat = {"name": "two", "parameters": schema, "examples": [{"a": "x"}, {"b": 1}]}
    other = {"name": "three", "input_schema": {**schema, "$defs": {}}}
    bad = [{"name": "no good", "parameters": schema}, {"name": "four", "parameters": {"type": "object", "required": ["z"]}}, 7]
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([nested, flat, other, *bad], indent=1), encoding="utf-8")
    reading = read(file)
    assert [(tool.name, tool.definition["function"].get("description"), tool.examples) for tool in reading.tools] == [
        ("one", "One.", ()),
        ("two", None, ({"a": "x"},)),
        ("three", None, ()),
    ]
    assert all(tool.definition["function"]["parameters"] == schema for tool in reading.tools)
    assert [entry.reason for entry in reading.excluded] == ["invalid_name", "invalid_schema", "invalid_definition"]
    assert "entry 5" in reading.excluded[1].detail
    assert reading.notes[0].endswith("an example of `two` is left out: it lacks `a`")


def test_a_json_schema(tmp_path: Path) -> None:
    file = tmp_path / "send.yaml"
    file.write_text(
        "title: Send Mail\ndescription: Sends one.\ntype: object\nproperties:\n  to: {$ref: '#/$defs/address'}\n"
        "$defs:\n  address: {type: string, format: email}\nexamples:\n  - {to: a@b.example}\n",
        encoding="utf-8",
    )
    (tool,) = read(file).tools
    assert (tool.name, tool.description, tool.examples) == ("Send_Mail", "Sends one.", ({"to": "a@b.example"},))
    assert tool.definition["function"]["parameters"] == {"type": "object", "properties": {"to": {"type": "string", "format": "email"}}}


def test_hostile_files_harm_no_other(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    files = {
        "bomb.yaml": (bomb, "broken"),
        "deep.json": ("[" * 100_000, "broken"),
        "deeper.json": ("[" * 300 + "]" * 300, "nested_too_deeply"),
        "nan.json": ('{"title": "a", "properties": {"x": {"default": NaN}}}', "broken"),
        "half.json": ('{"title": "\\ud800", "properties": {}}', "broken"),
        "tag.yaml": ("a: !run [ls]\n", "broken"),
        "call.yaml": ("a: !!python/object/apply:os.system [ls]\n", "no_schema"),
        "old.yaml": ("swagger: '2.0'\n", "unsupported_version"),
        "other.json": ('{"a": 1}', "no_schema"),
    }
    for name, (text, _) in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "good.json").write_text('{"title": "Go", "properties": {}}', encoding="utf-8")
    reading = read(tmp_path)
    assert [tool.name for tool in reading.tools] == ["Go"]
    assert {entry.path: entry.reason for entry in reading.excluded} == {name: reason for name, (_, reason) in files.items()}


def test_no_tool_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="no tool is defined"):
        read(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"did you mean `.*a\.json`"):
        read(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("getPetById", "getPetById"),
        ("_list-Things_", "_list-Things_"),
        ("HTTPServer list", "HTTPServer_list"),
        ("get /pets/{petId}", "get_pets_petId"),
        ("2fa", "2fa"),
        ("ä", ""),
        ("a" * 70, "a" * 64),
    ],
)
def test_a_name_stays_as_it_stands_where_a_function_may_have_it(name: str, valid: str) -> None:
    assert function_name(name) == valid


TOKEN = "ghp_" + "k9Xw2LmQ7vRt4YbN8cZs5HjD3fGp6Aq1Ee0U"


def test_definitions_that_hold_a_secret_are_left_out(tmp_path: Path) -> None:
    of_token = {"in": "query", "name": TOKEN, "schema": {"type": "string"}}
    paths = {
        "/a": {"get": {"operationId": TOKEN, "summary": "List things"}},
        f"/{TOKEN}/b": {"get": {"operationId": "b"}},
        "/c": {"get": {"operationId": "c", "description": f"Send {TOKEN} with it"}},
        "/d": {"get": {"operationId": "d", "parameters": [of_token]}},
        "/e": {
            "get": {
                "operationId": "listThings",
                "description": "Such as AKIAIOSFODNN7EXAMPLE.",
                "parameters": [{**of_token, "name": "token"}],
            }
        },
    }
    tools = [
        {"name": TOKEN},
        {"name": "one", "description": TOKEN},
        {"name": "two", "parameters": {"type": "object", "properties": {TOKEN: {}}}},
    ]
    (tmp_path / "api.json").write_text(json.dumps({"openapi": "3.1.0", "paths": paths}), encoding="utf-8")
    (tmp_path / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
    (tmp_path / "title.json").write_text(json.dumps({"title": f"Call {TOKEN}", "properties": {}}), encoding="utf-8")
    reading = read(tmp_path)
    assert [tool.name for tool in reading.tools] == ["listThings"]
    assert [(entry.path, entry.reason) for entry in reading.excluded] == [
        *[("api.json", "secret")] * 4,
        ("title.json", "secret"),
        *[("tools.json", "secret")] * 3,
    ]
    assert not any(TOKEN[4:].lower() in entry.detail.lower() for entry in reading.excluded)
