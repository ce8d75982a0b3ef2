"""Suite files and their rows: what is read, and what a user is told of each mistake."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.config.rules import BUILT_IN_SUITES
from luthier.config.schema import EvaluateSection
from luthier.core.errors import ConfigError, DataError, Problem
from luthier.core.files import write_jsonl
from luthier.core.records import Example, JsonObject, Message, Origin
from luthier.core.runs import RunFolder
from luthier.evaluate.kinds.commands import Commands
from luthier.evaluate.kinds.registry import kind_of
from luthier.evaluate.rows.conversations import stored_rows
from luthier.evaluate.rows.suite import Drawing, Suite, SuiteRow, sample
from luthier.evaluate.suites import row_files
from luthier.evaluate.suites import suite_files as suites
from luthier.evaluate.suites.suite_files import load_suite, read_suite_file, read_suites, suite_files, suite_inputs
from luthier.retrieval.hub import Advice, HubDataset, HubSnapshot

ROW = {"request": "list files", "answer": "ls"}


def read_rows(path: Path) -> list[SuiteRow]:
    return row_files.read_rows(path, Commands())


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
        ("name: a\nkind: commands\nrow: rows.jsonl\n", [r"suite.yaml:3: unknown key `row`", "did you mean `rows`"]),
        ("kind: commands\nrows: rows.jsonl\n", ["`name` is missing"]),
        ("name: a\nkind: comands\nrows: rows.jsonl\n", [r"suite.yaml:2: `kind`", "found: comands", "known: commands"]),
        ("name: a\nkind: commands\nrows: row.jsonl\n", [r"suite.yaml:3: `rows` names a file", "did you mean `rows.jsonl`"]),
        ("name: a\nkind: commands\nrows: suite.yaml\n", [r"suite.yaml:3: `rows`", "a file of rows is meant: .jsonl"]),
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
        ('{"query": "q", "gold": 3}', "no accepted answer"),
        ('{"instruction": "q", "output": "ls"}', "{instruction: str, output: str}"),
        ('{"request": "q"}', "no row of a suite"),
        ('{"request": "", "answer": "ls"}', "no row of a suite"),
        ('{"request": "q", "answer": ""}', "no accepted answer"),
        ('{"request": "q", "answers": "ls"}', "no row of a suite"),
        ('{"request": "q", "answer": 3}', "no row of a suite"),
        ('{"request": "q", "answer": "a", "id": 3}', "`id` must be a text"),
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
        ('{"id": "same", "request": "q", "answer": "a"}', "the id stands twice"),
        ('{"request": "q", "anwser": "a"}', "unknown key `anwser` in a row\n  did you mean `answer`?"),
        ('{"request": "q", "answer": "a", "gorup": "g"}', "unknown key `gorup` in a row\n  did you mean `group`?"),
        ('{"request": "q", "answer": "a", "request": "r"}', "the key `request` stands twice in one object"),
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


def test_a_request_that_stands_twice_is_told_by_what_it_asks(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"request": "list files", "answer": "ls"}, {"request": "list files", "answer": "ls -l"}])
    with pytest.raises(DataError) as error:
        read_rows(path)
    (problem,) = error.value.problems
    assert (problem.what, problem.where, problem.found) == ("the same is asked twice", f"{path}:2", "list files")
    assert f"{path}:1" in problem.hint
    write_jsonl(path, [{"id": "a", "request": "list files", "answer": "ls"}, {"id": "b", "request": "list files", "answer": "ls -l"}])
    assert len(read_rows(path)) == 2


def test_a_line_that_is_no_utf_8_is_named_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b'\n{"request": "Caf\xe9", "answer": "ls"}\n')
    with pytest.raises(DataError) as error:
        read_rows(path)
    (problem,) = error.value.problems
    assert (problem.where, problem.found) == (f"{path}:2", 'byte 0xe9 in: {"request": "Caf\\xe9", "answer": "ls"}')
    assert "iconv" in problem.hint


def test_rows_of_every_kind_know_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for kind, row, known in (
        ("maths", {"question": "1+1?", "answer": "#### 2", "gruop": "g"}, "group"),
        ("safety", {"request": "q", "label": "harmless", "class": "none", "stlye": "s"}, "style"),
        (
            "code",
            {"prompt": "def f():\n", "entry_point": "f", "test": "def check(c): pass", "canonical_soluton": "x"},
            "canonical_solution",
        ),
        ("retention", {"text": "t", "clas": "prose"}, "class"),
    ):
        write_jsonl(path, [row])
        with pytest.raises(DataError, match=f"did you mean `{known}`"):
            row_files.read_rows(path, kind_of(kind))


def test_bad_files(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", b""), ("b.json", b"{}"), ("c.json", b"["), ("d.jsonl", b"\xff\xfe")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            read_rows(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "absent.jsonl")
    (tmp_path / "many.jsonl").write_text("{}\n" * 100)
    with pytest.raises(DataError, match="90 more mistakes"):
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


def test_rows_inside_the_suite_file_and_in_other_files(tmp_path: Path) -> None:
    inline = "name: mine\nkind: commands\nrows:\n  - {request: list files, answer: ls}\n  - {request: where am I, answer: pwd}\n"
    (tmp_path / "inline.yaml").write_text(inline)
    folder = RunFolder(tmp_path / "run")
    loaded = load_suite(read_suite_file(tmp_path / "inline.yaml"), folder)
    assert not isinstance(loaded, str)
    assert [row.expected for row in loaded.rows] == [("ls",), ("pwd",)]
    rows = [ROW, {"request": "where am I", "answer": "pwd"}]
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    (tmp_path / "rows.yaml").write_text("- {request: list files, answer: ls}\n- {request: where am I, answer: pwd}\n")
    assert read_rows(tmp_path / "rows.jsonl.gz") == read_rows(tmp_path / "rows.yaml") == list(loaded.rows)
    (tmp_path / "inline.yaml").write_text(inline + "  - {request: 3}\n")
    with pytest.raises(DataError, match=r"inline.yaml:6: this is no row of a suite"):
        suite_files(config(str(tmp_path / "inline.yaml")))[0].read()


def test_damaged_files(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"request": "a", "answer": "b"}\n' * 100)
    for name, content in (("cut", whole[:-20]), ("bent", whole[:20] + b"\0\0\0" + whole[23:]), ("none", b"no gzip")):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(content)
        with pytest.raises(DataError, match="the compressed file is damaged"):
            read_rows(tmp_path / f"{name}.jsonl.gz")
    (tmp_path / "bad.yaml").write_text("- {request: [\n")
    with pytest.raises(DataError, match=r"bad.yaml:\d: this is no valid YAML"):
        read_rows(tmp_path / "bad.yaml")
    (tmp_path / "bytes.jsonl").write_bytes(b'{"request": "\xff", "answer": "b"}\n')
    with pytest.raises(DataError, match=r"bytes.jsonl:1: the file is not UTF-8 text\n  found: byte 0xff in: "):
        read_rows(tmp_path / "bytes.jsonl")


def test_every_built_in_suite_is_read() -> None:
    for name in BUILT_IN_SUITES:
        suite = suite_files(config(name))[0]
        assert suite.name == name
        if isinstance(suite.rows, Path):
            assert suite.read()


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[HubDataset, str]]:
    """Stands in for the hub, for tests never ask the network: what was read of it, with its commit."""
    asked: list[tuple[HubDataset, str]] = []

    def stand_in(dataset: HubDataset, where: str, advice: Advice) -> HubSnapshot:
        if dataset.id == "no/one":
            raise DataError(Problem(f"`{dataset.id}` cannot be read", where=where, found="offline", hint=advice.unreadable))
        return HubSnapshot(COMMIT, "mit")

    def rows(dataset: HubDataset, commit: str, where: str, advice: Advice) -> Iterator[tuple[int, JsonObject]]:
        asked.append((dataset, commit))
        yield 1, {"request": "q", "answer": "a", "note": None}
        yield 2, {"request": 2} if dataset.split == "bad" else {"request": "r", "answer": "b", "template": None}

    monkeypatch.setattr(suites, "snapshot", stand_in)
    monkeypatch.setattr(row_files, "read_hub", rows)
    return asked


def test_rows_on_the_hub_are_read_at_the_commit_that_the_key_names(tmp_path: Path, fake_hub: list[tuple[HubDataset, str]]) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: mine\nkind: commands\nrows: owner/rows\nsubset: main\nsplit: validation\nrevision: v1\n")
    assert not read_suites([str(path)])[1]
    suite = suite_files(config(str(path)))[0]
    assert not fake_hub, "checking needs no network"
    assert suite.rows == HubDataset("owner/rows", "main", "validation", "v1")
    folder = RunFolder(tmp_path / "run")
    loaded = load_suite(suite, folder)
    assert not isinstance(loaded, str)
    assert [row.expected for row in loaded.rows] == [("a",), ("b",)]
    assert fake_hub == [(HubDataset("owner/rows", "main", "validation", COMMIT), COMMIT)]
    assert loaded.source == f"owner/rows main validation commit:{COMMIT}"
    assert loaded.sha256 == suite_inputs(config(str(path)), folder)["suite mine"]
    path.write_text(path.read_text().replace("validation", "bad"))
    with pytest.raises(DataError, match=r"owner/rows, row 2: this is no row of a suite"):
        suite_files(config(str(path)))[0].read()


def test_another_commit_is_another_suite(tmp_path: Path, fake_hub: object, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: mine\nkind: commands\nrows: owner/rows\n")
    before = suite_inputs(config(str(path)), RunFolder(tmp_path / "run"))
    monkeypatch.setattr(suites, "snapshot", lambda dataset, where, advice: HubSnapshot("f" * 40, None))
    assert suite_inputs(config(str(path)), RunFolder(tmp_path / "run")) != before


def test_a_hub_that_cannot_be_reached_names_the_key_and_the_remedy(tmp_path: Path, fake_hub: object) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: mine\nkind: commands\nrows: no/one\n")
    for ask in (suite_inputs, lambda section, folder: suite_files(section)[0].read()):
        with pytest.raises(DataError) as raised:
            ask(config(str(path)), RunFolder(tmp_path / "run"))
        (problem,) = raised.value.problems
        assert problem.where == f"{path}: rows"
        assert "download the data set and name its file" in problem.hint
        assert "`rows: FILE.jsonl`" in problem.hint


def test_parts_of_a_hub_data_set_act_on_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="acts only on rows from the hub"):
        read_suite_file(write_suite(tmp_path, "name: mine\nkind: commands\nrows: rows.jsonl\nsplit: test\n"))


def test_gsm8k_and_humaneval_are_named_and_need_no_network_to_be_checked(fake_hub: list[tuple[HubDataset, str]]) -> None:
    assert read_suites(["gsm8k", "humaneval"])[1] == []
    found = suite_files(config("gsm8k", "humaneval"))
    assert [suite.rows for suite in found] == [
        HubDataset("openai/gsm8k", "main", "test", None),
        HubDataset("openai/openai_humaneval", None, "test", None),
    ]
    assert [suite.kind for suite in found] == ["maths", "code"]
    assert not fake_hub


TASKS = """name: mine
kind: tasks
rows:
  - prompt: one
    checks:
      - contains: 4
      - pattern: "("
        nam: x
  - prompt: two
    checks: []
"""


def test_every_mistake_of_a_task_has_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(TASKS)
    expected = [f"{path}:6 (checks[0].contains)", f"{path}:8 (checks[1].nam)", f"{path}:7 (checks[1].pattern)", f"{path}:10 (checks)"]
    assert sorted(problem.where for problem in read_suites([str(path)])[1]) == sorted(expected)
    rows = "".join(line[2:] + "\n" for line in TASKS.splitlines()[3:])
    (tmp_path / "rows.yaml").write_text(rows)
    path.write_text("name: mine\nkind: tasks\nrows: rows.yaml\n")
    inside = [
        where.replace("suite.yaml", "rows.yaml").replace(f":{line} ", f":{line - 3} ")
        for where, line in zip(expected, (6, 8, 7, 10), strict=True)
    ]
    assert sorted(problem.where for problem in read_suites([str(path)])[1]) == sorted(inside)
    # A row of JSON is one line: all its mistakes stand there.
    (tmp_path / "rows.jsonl").write_text('{"prompt": "one", "checks": [{"contains": 4}, {"pattern": "("}]}\n')
    path.write_text("name: mine\nkind: tasks\nrows: rows.jsonl\n")
    line = f"{tmp_path / 'rows.jsonl'}:1"
    wheres = [problem.where for problem in read_suites([str(path)])[1]]
    assert wheres == [f"{line} (checks[0].contains)", f"{line} (checks[1].pattern)"]


@pytest.mark.parametrize(
    ("kind", "wrong", "expected"),
    [
        ("code", "seconds: -1", "a number above 0, at most 600"),
        ("code", "seconds: 601", "a number above 0, at most 600"),
        ("code", "seconds: fast", "a number above 0, at most 600"),
        ("code", "seconds: .nan", "a number above 0, at most 600"),
        ("commands", "seconds: true", "a number above 0, at most 600"),
        ("commands", "mount: work", "an absolute path outside of the system's folders"),
        ("commands", "mount: /usr", "an absolute path outside of the system's folders"),
        ("commands", "mount: [/work]", "an absolute path outside of the system's folders"),
        ("commands", "directory: src", "an absolute path in the sandbox"),
        ("code", "samples: 0", "a whole number from 1 to 1000"),
    ],
)
def test_a_wrong_value_of_a_kinds_key_is_found_by_the_check(tmp_path: Path, kind: str, wrong: str, expected: str) -> None:
    path = write_suite(tmp_path, f"name: mine\nkind: {kind}\nrows: rows.jsonl\n{wrong}\n")
    (problem,) = read_suites([str(path)])[1]
    assert problem.where == f"{path}:4"
    assert problem.expected.startswith(expected)


def test_numbers_of_a_drawing(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    row = {"prompt": 'def f():\n    """Nothing."""\n', "entry_point": "f", "test": "def check(candidate):\n    pass\n"}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    head = "name: mine\nkind: code\nrows: rows.jsonl\nmax_new_tokens: 300\n"
    path.write_text(head)
    assert load(path).drawing(128, 7) == Drawing(300, 7)
    path.write_text(head + "samples: 5\n")
    assert load(path).drawing(128, 7) == Drawing(300, 7, 5, 0.8, 0.95)
    for wrong in ("samples: 0", "samples: 1001", "samples: true", "temperature: 3", "temperature: hot", "samples: 2\ntemperature: 0"):
        path.write_text(f"{head}{wrong}\n")
        with pytest.raises(ConfigError, match=wrong.split(":")[0] if "\n" not in wrong else "temperature"):
            read_suite_file(path)
    path.write_text("name: mine\nkind: commands\nrows: rows.jsonl\nsamples: 3\n")
    with pytest.raises(ConfigError, match="unknown key `samples`"):
        read_suite_file(path)


def load(path: Path) -> Suite:
    suite = load_suite(read_suite_file(path), RunFolder(path.parent / "run"))
    assert not isinstance(suite, str)
    return suite
