"""Rows of tool calls: arguments that the schema allows and the request names, questions for what is missing, and names looked up."""

from __future__ import annotations

import re
from dataclasses import replace

import jsonschema
import pytest

from luthier.core.records import JsonObject, ToolCall
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.tools import make
from luthier.retrieval.chunks.cut import cut
from luthier.retrieval.records import Chunk, Layout, SourceFile, ToolDefinition
from maker_parts import NO_CHUNKS


def tool(name: str, title: str, properties: JsonObject, *required: str, examples: tuple[JsonObject, ...] = ()) -> ToolDefinition:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    definition = {"type": "function", "function": {"name": name, "description": title, "parameters": schema}}
    return ToolDefinition("api.yaml", name, title, "", definition, examples, (1, 9))


TOOLS = (
    tool("listPets", "List all pets", {"limit": {"type": "integer", "minimum": 1, "maximum": 10}, "status": {"enum": ["sold", "new"]}}),
    tool(
        "createPet",
        "Creates a pet",
        {"name": {"type": "string"}, "tag": {"type": "string"}},
        "name",
        examples=({"name": "Rex", "tag": "dog"},),
    ),
    tool("showPet", "Show one pet", {"petId": {"type": "string", "description": "Number on the collar"}}, "petId"),
    tool("deleteOrder", "Delete an order", {"orderId": {"type": "integer", "minimum": 1}}, "orderId"),
    tool(
        "invite",
        "Send an invitation",
        {"to": {"type": "string", "format": "email"}, "at": {"type": "string", "format": "date"}},
        "to",
        "at",
    ),
)


def made(*tools: ToolDefinition) -> list[Made]:
    return [row for row in make(Material("pets", (), (), NO_CHUNKS, tools=tools)) if isinstance(row, Made)]


def calls(rows: list[Made]) -> list[tuple[Made, ToolCall]]:
    return [(row, row.messages[1].tool_calls[0]) for row in rows if row.messages[1].tool_calls]


def test_golden() -> None:
    rows = calls(made(*TOOLS))
    (first, *_) = [(row.messages[0].content, call.arguments) for row, call in rows if call.name == "createPet"]
    assert first == ("I want to create a pet. The name is Rex and the tag is dog.", {"name": "Rex", "tag": "dog"})


def test_arguments_fit_the_schema_and_stand_in_the_request() -> None:
    found = calls(made(*TOOLS))
    assert {call.name for _, call in found} == {"listPets", "createPet", "deleteOrder", "invite"}
    schemas = {one.name: one.definition["function"]["parameters"] for one in TOOLS}
    for row, call in found:
        jsonschema.validate(call.arguments, schemas[call.name])
        assert all(str(value) in row.messages[0].content for value in call.arguments.values())


def test_the_called_tool_is_offered_among_others() -> None:
    for row, call in calls(made(*TOOLS)):
        names = [one["function"]["name"] for one in row.tools]
        assert call.name in names
        assert 3 <= len(names) == len(set(names)) <= 5


def test_no_text_is_made_up() -> None:
    rows = list(make(Material("pets", (), (), NO_CHUNKS, tools=TOOLS)))
    assert [row.reason for row in rows if isinstance(row, Unfit)] == ["argument_without_example"]
    assert not [call for _, call in calls([row for row in rows if isinstance(row, Made)]) if call.name == "showPet"]


def test_what_is_missing_is_asked_for() -> None:
    asked = [row for row in made(*TOOLS) if row.messages[0].content.lower().rstrip(".?").endswith("show one pet")]
    (row,) = [row for row in asked if not row.messages[1].tool_calls]
    assert "the pet ID" in row.messages[1].content
    assert row.messages[1].content.endswith("? (Number on the collar)")
    assert "showPet" in [one["function"]["name"] for one in row.tools]


def test_where_no_tool_fits_that_is_said() -> None:
    several = [replace(one, path=f"{number}.yaml") for number in range(6) for one in TOOLS]
    rows = [row for row in made(*several) if not row.messages[1].tool_calls and "need" not in row.messages[1].content]
    assert rows
    for row in rows:
        offered = {one["function"]["name"] for one in row.tools}
        wanted = next(one.name for one in TOOLS if one.title.replace("Creates", "Create").lower() in row.messages[0].content.lower())
        assert wanted not in offered
        assert len(offered) >= 2


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (tool("frobnicate", "", {}), "no_task"),
        (tool("pet", "The pet of the day", {}), "no_task"),
        (tool("listOwners", "List owners", {"filter": {"$ref": "#/x"}}, "filter"), "unresolved_reference"),
        (tool("findPet", "Find a pet", {"name": {"type": "string"}}, "name"), "argument_without_example"),
        (
            tool("findPet", "Find a pet", {"name": {"type": "string", "example": "x", "pattern": "^[0-9]+$"}}, "name"),
            "argument_without_example",
        ),
    ],
)
def test_what_is_turned_down(definition: ToolDefinition, reason: str) -> None:
    (unfit, *_) = list(make(Material("pets", (), (), NO_CHUNKS, tools=(definition,))))
    assert isinstance(unfit, Unfit)
    assert unfit.reason == reason


def test_an_example_that_its_schema_refuses_is_not_used() -> None:
    wrong = tool("setAge", "Set an age", {"age": {"type": "integer", "maximum": 5}}, "age", examples=({"age": 99},))
    assert all(call.arguments["age"] <= 5 for _, call in calls(made(wrong)))


GO = SourceFile("command.go", "go", "package cobra\n\nfunc (c *Command) Execute() error {\n")
DOC = "Execute uses the args and runs through the command tree finding appropriate matches."


def chunk(**fields: object) -> Chunk:
    given = {"scope": "Command", "signature": "func (c *Command) Execute() error {", "doc": DOC, **fields}
    return Chunk("command.go", "go", "method", "Execute", "", (3, 4), **given)  # type: ignore[arg-type]


def lookups(*chunks: Chunk, files: tuple[SourceFile, ...] = (GO,)) -> list[Made | Unfit]:
    return list(make(Material("cobra", files, chunks, NO_CHUNKS)))


def test_a_name_is_looked_up_and_answered_from_the_result() -> None:
    (row,) = lookups(chunk())
    assert isinstance(row, Made)
    user, call, result, answer = row.messages
    assert "cobra.Command.Execute" in user.content
    assert call.tool_calls == (ToolCall("lookup_docs", {"name": "cobra.Command.Execute"}),)
    assert (result.role, result.name) == ("tool", "lookup_docs")
    assert result.content == f"func (c *Command) Execute() error\n\n{DOC}"
    # The name that was asked for stands in place of the bare one.
    assert DOC.removeprefix("Execute ") in answer.content
    assert "`cobra.Command.Execute` " in answer.content
    assert answer.content not in result.content
    assert [one["function"]["name"] for one in row.tools] == ["lookup_docs"]


@pytest.mark.parametrize(("language", "name"), [("ruby", "Command#Execute"), ("rust", "Command::Execute")])
def test_a_name_is_looked_up_as_its_language_writes_it(language: str, name: str) -> None:
    one = Chunk("src/command", language, "method", "Execute", "", (3, 4), scope="Command", signature="def Execute()", doc=DOC)
    (row,) = [row for row in make(Material("cobra", (), (one,), NO_CHUNKS)) if isinstance(row, Made)]
    assert row.messages[1].tool_calls == (ToolCall("lookup_docs", {"name": name}),)
    assert name in row.messages[0].content


PYTHON_DOC = """Lifts a heavy load from the quay up to the attic of the harbour master.

:param crate: What shall be carried there.
:param porter: Who carries it, or nobody at all.
:returns: The fee in whole cents, tips left out.
:raises Heavy: Where no porter can lift it.

>>> carry(Crate(3), porter)
30
"""


def test_what_is_asked_for_is_answered_and_no_more() -> None:
    answers = {}
    for name in (f"{first}{last}" for first in "abcdefgh" for last in "abcdefgh"):
        one = Chunk(
            f"{name}.py", "python", "function", "carry", "", (1, 9), signature="def carry(crate, porter, *, tip=0):", doc=PYTHON_DOC
        )
        (row,) = lookups(one, files=())
        assert isinstance(row, Made)
        answers[row.messages[0].content.replace("`", "").replace(f"{name}.carry", "it")] = row.messages[-1].content
    of = {
        word: [answer for asked, answer in answers.items() if word in asked] for word in ("return", "example", "raise", "arguments", "for?")
    }
    assert all(of.values())
    assert all("The fee in whole cents" in answer and "Who carries" not in answer for answer in of["return"])
    assert all(">>> carry(Crate(3), porter)" in answer and "fee" not in answer for answer in of["example"])
    assert all("`Heavy`: Where no porter can lift it." in answer and "attic" not in answer for answer in of["raise"])
    assert all("`porter`: Who carries it" in answer and "fee" not in answer for answer in of["arguments"])


def test_a_python_name_begins_at_the_topmost_package() -> None:
    files = tuple(SourceFile(path, "python", "x = 1\n") for path in ("lib/quay/__init__.py", "lib/quay/deep/__init__.py"))
    text = "Carries a crate from the quay to the attic of the harbour master."
    names = []
    for path in ("lib/quay/deep/cranes.py", "lib/alone.py", "lib/quay/__init__.py"):
        (row,) = lookups(Chunk(path, "python", "function", "carry", "", (1, 2), signature="def carry(x):", doc=text), files=files)
        assert isinstance(row, Made)
        names.append(row.messages[1].tool_calls[0].arguments["name"])
    assert names == ["quay.deep.cranes.carry", "alone.carry", "quay.carry"]


def test_a_remark_above_a_value_and_an_aside_are_no_docs() -> None:
    text = "No shape that a task asks for is nested more deeply than two."
    (value,) = lookups(Chunk("a.py", "python", "constant", "DEEPEST", "", (1, 2), signature="DEEPEST = 16", doc=text), files=())
    assert isinstance(value, Unfit)
    assert value.reason == "remark"
    (aside,) = lookups(chunk(doc="Sigh, this does not work on the older quays; actually nobody knows why."))
    assert isinstance(aside, Unfit)
    assert aside.reason == "aside"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"doc": "Execute executes."}, "too_short"),
        ({"doc": "word " * 400}, "too_long"),
        ({"doc": f"{DOC} TODO: say more."}, "unfinished"),
        ({"signature": ""}, "no_signature"),
    ],
)
def test_docs_that_are_turned_down(fields: dict[str, object], reason: str) -> None:
    (unfit,) = list(make(Material("cobra", (GO,), (chunk(**fields),), NO_CHUNKS)))
    assert isinstance(unfit, Unfit)
    assert unfit.reason == reason


def test_private_names_and_tests_are_not_looked_up() -> None:
    hidden = (chunk(is_public=False), chunk(is_test=True), chunk(doc=""))
    assert list(make(Material("cobra", (GO,), hidden, NO_CHUNKS))) == []


def test_prepositions_stand_in_the_sentence_and_bounds_are_in_order() -> None:
    date = {"type": "string", "format": "date"}
    report = tool("report", "Resizes a report", {"from": date, "to": date, "format": {"enum": ["pdf"]}}, "from", "to")
    for row, call in calls(made(report)):
        first, last = call.arguments["from"], call.arguments["to"]
        assert str(first) < str(last)
        assert f"esize a report from {first} to {last}" in row.messages[0].content


def test_what_is_no_word_is_asked_for_by_its_description() -> None:
    find = tool("find", "Search for titles", {"q": {"type": "string", "description": "Words to look for"}}, "q")
    (row,) = made(find)
    assert "the words to look for" in row.messages[1].content
    assert "What are they?" in row.messages[1].content
    assert " q" not in row.messages[1].content


def test_a_year_is_one() -> None:
    year = tool("add", "Add a book", {"year": {"type": "integer"}}, "year")
    assert all(int(str(call.arguments["year"])) > 1990 for _, call in calls(made(year)))


def test_a_number_is_said_with_what_it_is_counted_in() -> None:
    timer = tool("start", "Start a timer that rings after some minutes", {"minutes": {"type": "integer", "minimum": 1}}, "minutes")
    heat = tool(
        "heat", "Set how hot the kettle gets", {"celsius": {"type": "number", "minimum": 40, "description": "Degrees Celsius"}}, "celsius"
    )
    found = made(timer, heat)
    asked_for = {row.messages[1].tool_calls[0].name: row.messages[0].content for row in found if row.messages[1].tool_calls}
    assert re.search(r"rings after \d+ minutes", asked_for["start"])
    assert re.search(r"\d+ degrees Celsius", asked_for["heat"])
    questions = [row.messages[1].content for row in found if not row.messages[1].tool_calls]
    assert any("the number of degrees Celsius" in one and "What is it?" in one for one in questions)
    assert all("What are they" not in one for one in questions)


def test_a_value_is_not_said_of_the_clause_that_ends_a_task() -> None:
    order = tool("drop", "Delete an order that was not shipped", {"orderId": {"type": "integer", "minimum": 1}}, "orderId")
    for number in range(12):
        for row, _ in calls(made(replace(order, path=f"api{number}.yaml"))):
            assert "shipped with" not in row.messages[0].content


def test_the_answer_to_a_look_up_says_what_a_call_takes_and_gives() -> None:
    one = replace(
        chunk(),
        name="Mark",
        signature="func Mark(name string, depth int) error",
        doc="Mark puts a mark on the crate that the crane lifts next.",
    )
    for number in range(8):
        (row,) = lookups(replace(one, path=f"a{number}.go"))
        assert isinstance(row, Made)
        result, answer = row.messages[2].content, row.messages[3].content
        assert answer not in result
        assert "`name` (`string`)" in answer or "```go" in answer


def test_a_package_whose_init_file_is_empty_and_so_not_read_is_part_of_the_name() -> None:
    doc = "Write a thing as the app's own JSON, in which dates are days since 1970 and never a text."
    one = SourceFile("app/json.py", "python", f'def dumps(thing):\n    """{doc}"""\n    return thing\n', "MIT")
    layout = Layout(unread=frozenset(("app/__init__.py",)))
    (row,) = [row for row in make(Material("app", (one,), cut(one), NO_CHUNKS, layout=layout)) if isinstance(row, Made)]
    assert row.messages[1].tool_calls[0].arguments == {"name": "app.json.dumps"}
