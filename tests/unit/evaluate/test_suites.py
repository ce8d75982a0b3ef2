"""Suite files and their rows: what is read, and what a user is told of each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.config.schema import EvaluateSection
from luthier.core.errors import ConfigError, DataError, NotYetError
from luthier.core.files import write_jsonl
from luthier.core.records import Example, Message, Origin
from luthier.core.runs import RunFolder
from luthier.evaluate.rows import SuiteRow, read_rows, sample, stored_rows
from luthier.evaluate.suites import load_suite, read_suite_file, suite_files, suite_inputs

ROW = {"request": "list files", "answer": "ls"}


def config(*suites: str, **evaluate: object) -> EvaluateSection:
    return EvaluateSection(suites=suites, **evaluate)


def write_suite(folder: Path, text: str = "name: mine\nkind: commands\nrows: rows.jsonl\n", rows: object = (ROW,)) -> Path:
    folder.mkdir(exist_ok=True)
    write_jsonl(folder / "rows.jsonl", rows)  # type: ignore[arg-type]
    (folder / "suite.yaml").write_text(text)
    return folder / "suite.yaml"


def example(row_id: str, *texts: str, **fields: object) -> Example:
    roles = ("user", "assistant") * len(texts)
    messages = tuple(Message(role, text) for role, text in zip(roles, texts, strict=False))
    return Example(row_id, messages, Origin("test", 1, file="x"), **fields)  # type: ignore[arg-type]


def test_a_suite_file(tmp_path: Path) -> None:
    path = write_suite(tmp_path, "name: my-suite\nkind: commands\nrows: rows.jsonl\nlimit: 5\nseed: 3\n")
    suite = read_suite_file(path)
    assert (suite.name, suite.kind, suite.rows, suite.limit, suite.seed) == ("my-suite", "commands", tmp_path / "rows.jsonl", 5, 3)
    loaded = load_suite(suite, RunFolder(tmp_path / "run"))
    assert not isinstance(loaded, str)
    assert [(row.request, row.expected) for row in loaded.rows] == [("list files", ("ls",))]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("name: a\nkind: commands\nrow: rows.jsonl\n", [r"suite.yaml:3: unknown key `row`", "did you mean `rows`", "`rows` is missing"]),
        ("kind: commands\nrows: rows.jsonl\n", ["`name` is missing"]),
        ("name: a\nkind: comands\nrows: rows.jsonl\n", [r"suite.yaml:2: `kind`", "found: comands", "known: commands"]),
        ("name: a\nkind: commands\nrows: row.jsonl\n", [r"suite.yaml:3: `rows` names a file", "did you mean `rows.jsonl`"]),
        ("name: a\nkind: commands\nrows: suite.yaml\n", [r"suite.yaml:3: `rows`", ".jsonl or .json"]),
        ("name: ../a\nkind: commands\nrows: rows.jsonl\n", [r"suite.yaml:1: `name`", "it names a folder"]),
        ("name: a\nkind: commands\nrows: rows.jsonl\nlimit: 0\n", [r"suite.yaml:4: `limit`", "at least 1"]),
        ("name: a\nkind: commands\nrows: rows.jsonl\nlimit: true\n", [r"suite.yaml:4: `limit`"]),
        ("name: a\nkind: commands\nrows: rows.jsonl\nseed: -1\nlimit: x\n", [r"suite.yaml:4: `seed`", r"suite.yaml:5: `limit`"]),
        ("name: a\nname: b\nkind: commands\nrows: rows.jsonl\n", ["stands twice"]),
        ("name: [a\n", ["no valid YAML"]),
        ("- a\n", ["must hold keys and values"]),
        ("name: 3\nkind: commands\nrows: rows.jsonl\n", [r"suite.yaml:1: `name`", "a text is meant"]),
    ],
)
def test_mistakes_in_a_suite_file(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        read_suite_file(write_suite(tmp_path, text))
    for message in messages:
        assert message in str(error.value)


def test_entries_of_the_run_file(tmp_path: Path) -> None:
    one, two = write_suite(tmp_path / "one"), write_suite(tmp_path / "two")
    with pytest.raises(ConfigError, match=r"evaluate.suites\[1\]: two suites have one name"):
        suite_files(config(str(one), str(two)))
    with pytest.raises(ConfigError, match="did you mean `commands`"):
        suite_files(config("comands"))
    with pytest.raises(NotYetError, match="`gsm8k` is not in this version yet"):
        suite_files(config("gsm8k"))
    with pytest.raises(NotYetError, match="kind of suite `safety`"):
        suite_files(config(str(write_suite(tmp_path / "three", "name: a\nkind: safety\nrows: rows.jsonl\n"))))
    with pytest.raises(ConfigError) as error:
        suite_files(config("comands", str(tmp_path / "absent.yaml")))
    assert len(error.value.problems) == 2
    clash = write_suite(tmp_path / "four", "name: commands\nkind: commands\nrows: rows.jsonl\n")
    with pytest.raises(ConfigError, match="two suites have one name"):
        suite_files(config("commands", str(clash)))
    assert [suite.name for suite in suite_files(config(str(clash), str(one)))] == ["commands", "mine"]


def test_inputs_change_with_everything_that_is_asked(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    path = write_suite(tmp_path / "suite")
    settings = config("commands", str(path))
    found = [suite_inputs(settings, folder)]
    assert found[0]["suite commands"] == "absent"
    write_jsonl(folder.split("test"), [example("a", "q", "ls").to_json()])
    write_jsonl(folder.split("train"), [example("b", "q", "ls").to_json()])
    found.append(suite_inputs(settings, folder))
    write_suite(tmp_path / "suite", rows=[ROW, {**ROW, "request": "more"}])
    found.append(suite_inputs(settings, folder))
    write_suite(tmp_path / "suite", "name: mine\nkind: commands\nrows: rows.jsonl\nseed: 4\n", [ROW, {**ROW, "request": "more"}])
    found.append(suite_inputs(settings, folder))
    assert len({json.dumps(inputs) for inputs in found}) == 4
    assert set(found[0]) == {"suite commands", "suite mine", "shots"}
    assert "shots" not in suite_inputs(config("commands", against=("base",)), folder)


def test_shapes_of_rows(tmp_path: Path) -> None:
    rows = [
        example("own", "say", "ls", template="alpaca", group="g", answers=("ls .", "ls")).to_json(),
        {
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "template": "cp {x}",
        },
        {"id": "two", "request": "r", "answers": ["a", "b"], "group": "g", "difficulty": 3},
        ROW,
    ]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    own, chat, two, plain = read_rows(tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.json") == [own, chat, two, plain]
    assert own == SuiteRow("own", (Message("user", "say"),), ("ls", "ls ."), template="alpaca", group="g")
    assert [message.role for message in chat.messages] == ["system", "user"]
    assert (chat.request, chat.expected, chat.template) == ("q", ("a",), "")
    assert (two.id, two.expected, two.group) == ("two", ("a", "b"), "g")
    assert plain.id == read_rows(tmp_path / "rows.jsonl")[3].id
    assert len({row.id for row in (own, chat, two, plain)}) == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "q", "gold": "ls"}', "{query: str, gold: str}"),
        ('{"instruction": "q", "output": "ls"}', "{instruction: str, output: str}"),
        ('{"request": "q"}', "no row of a suite"),
        ('{"request": "", "answer": "ls"}', "no row of a suite"),
        ('{"request": "q", "answer": ""}', "no accepted answer"),
        ('{"request": "q", "answers": "ls"}', "no row of a suite"),
        ('{"request": "q", "answer": 3}', "no row of a suite"),
        ('{"request": "q", "answer": "a", "id": 3}', "no row of a suite"),
        ('{"messages": []}', "no row of a suite"),
        ('{"messages": [{"role": "user"}, {"content": "x"}]}', "no row of a suite"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "last message must be"),
        ('{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]}', "found: user"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "x", "tool_calls": [{}]}]}',
            "no row of a suite",
        ),
        ('{"request": "q", "answer": "\\ud800"}', "half a character"),
        ("[1]", "a row must be an object"),
        ("{", "no line of JSON"),
        ("[" * 100_000, "no line of JSON"),
        ('{"id": "same", "request": "q", "answer": "a"}', "stands twice"),
    ],
)
def test_bad_rows_are_named_with_their_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**ROW, "id": "same"}) + "\n\n" + line + "\n")
    with pytest.raises(DataError) as error:
        read_rows(path)
    assert message in str(error.value)
    assert f"{path}:3" in str(error.value)
    assert len(error.value.problems) == 1


def test_bad_files(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", b""), ("b.json", b"{}"), ("c.json", b"["), ("d.jsonl", b"\xff\xfe")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            read_rows(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "absent.jsonl")
    (tmp_path / "many.jsonl").write_text("{}\n" * 100)
    with pytest.raises(DataError, match="90 more bad rows"):
        read_rows(tmp_path / "many.jsonl")


def test_rows_of_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    suite = suite_files(config("commands"))[0]
    assert "no test rows" in str(load_suite(suite, folder))
    write_jsonl(
        folder.split("test"), [Example("t", (Message("text", "x"),), Origin("m", 1, file="f")).to_json(), example("e", "q", " ").to_json()]
    )
    assert "1 no_text_answer, 1 plain_text" in str(load_suite(suite, folder))
    write_jsonl(folder.split("test"), [example("a", "q", "ls", "r", "pwd").to_json(), example("b", "q").to_json()])
    rows, skipped = stored_rows(folder.split("test"))
    assert [(row.request, row.expected, len(row.messages)) for row in rows] == [("r", ("pwd",), 3)]
    assert skipped == {"no_question": 1}
    loaded = load_suite(suite, folder)
    assert not isinstance(loaded, str)
    assert loaded.skipped == {"no_question": 1}


def test_a_sample_is_drawn_by_id() -> None:
    rows = [SuiteRow(str(number), (Message("user", "q"),), ("a",)) for number in range(40)]
    drawn = sample(rows, 10, 1)
    assert len(drawn) == 10
    assert drawn == sorted(drawn, key=rows.index) == sample(rows, 10, 1) != sample(rows, 10, 2)
    assert sample(rows[::-1], 10, 1) == drawn[::-1]
    # Taking rows away that were not drawn changes nothing.
    assert sample([row for row in rows if row in drawn or int(row.id) % 2], 10, 1) == drawn
    assert sample(rows, None, 0) == sample(rows, 99, 0) == rows
