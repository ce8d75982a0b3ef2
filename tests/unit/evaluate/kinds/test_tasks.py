"""Tasks: every mistake told with its key, every kind of check held against answers, and what a task's pass rests on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.config.yaml_file import KeyPath, read
from luthier.core.errors import Problem
from luthier.core.protocols import GenerationRequest
from luthier.core.records import JsonObject
from luthier.evaluate.kinds.checks.reading import OPTIONS
from luthier.evaluate.kinds.kind import Bench, Judged
from luthier.evaluate.kinds.tasks import Tasks
from luthier.evaluate.rows.suite import Suite, SuiteRow
from scoring_parts import NO_BENCH, sandbox_or_skip

KIND = Tasks()


def judge(checks: list[JsonObject], answers: Sequence[str], bench: Bench = NO_BENCH, with_parser: bool = False) -> list[Judged]:
    """Each answer to a task of its own with the same checks."""
    rows = [KIND.row({"id": str(index), "prompt": "Do it.", "checks": checks}, "here") for index in range(len(answers))]
    assert all(isinstance(row, SuiteRow) for row in rows), rows
    return KIND.judge(Suite("tasks", "tasks", tuple(rows), ""), [[answer] for answer in answers], with_parser, bench)  # type: ignore[arg-type]


def passes(checks: list[JsonObject], answer: str, bench: Bench = NO_BENCH, with_parser: bool = False) -> float:
    (judged,) = judge(checks, [answer], bench, with_parser)
    return judged.metrics["pass_rate"]


def test_a_task_is_a_prompt_or_messages_with_checks() -> None:
    row = KIND.row(
        {"prompt": "Say hi.", "system": "Be brief.", "group": "g", "checks": [{"equals": ["hi", "hello"]}, {"contains": "i"}]}, "here"
    )
    assert isinstance(row, SuiteRow)
    assert [(message.role, message.content) for message in row.messages] == [("system", "Be brief."), ("user", "Say hi.")]
    assert row.expected == ("hi", "hello")
    assert row.group == "g"
    assert json.loads(json.dumps(row.check)) == row.check
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    talk = KIND.row({"messages": messages, "tools": [{"type": "function"}], "checks": [{"contains": "x"}]}, "here")
    assert isinstance(talk, SuiteRow)
    assert (len(talk.messages), talk.tools, talk.request) == (3, ({"type": "function"},), "c")


CHECK = {"contains": "x"}
MISTAKES: list[tuple[JsonObject, str, str]] = [
    ({"prompt": "p"}, "checks", "at least one check"),
    ({"prompt": "p", "checks": []}, "checks", "at least one check"),
    ({"checks": [CHECK]}, "", "either `prompt` or `messages`"),
    ({"prompt": "p", "messages": [{"role": "user", "content": "x"}], "checks": [CHECK]}, "", "either `prompt` or `messages`"),
    ({"prompt": " ", "checks": [CHECK]}, "prompt", "must be a text"),
    ({"prompt": 4, "checks": [CHECK]}, "prompt", "must be a text"),
    ({"prompt": "p", "id": 4, "checks": [CHECK]}, "id", "must be a text"),
    ({"prompt": "p", "chekcs": [CHECK], "checks": [CHECK]}, "chekcs", "unknown key"),
    ({"prompt": "p", "tools": "x", "checks": [CHECK]}, "tools", "list of mappings"),
    ({"messages": [], "checks": [CHECK]}, "messages", "at least one message"),
    ({"messages": [{"role": "usr", "content": "x"}], "checks": [CHECK]}, "messages[0]", "a message has"),
    ({"messages": [{"role": "assistant", "content": "x"}], "checks": [CHECK]}, "messages", "must be one to answer"),
    ({"messages": [{"role": "user", "content": "x", "tool_calls": [1]}], "checks": [CHECK]}, "messages[0]", "tool call"),
    ({"messages": [{"role": "user", "content": "x"}], "system": "s", "checks": [CHECK]}, "system", "goes with `prompt`"),
    ({"prompt": "p", "checks": ["x"]}, "checks[0]", "must be a mapping"),
    ({"prompt": "p", "checks": [{}]}, "checks[0]", "names no kind"),
    ({"prompt": "p", "checks": [{"contians": "x"}]}, "checks[0].contians", "unknown key"),
    ({"prompt": "p", "checks": [{"contains": "x", "equals": "y"}]}, "checks[0]", "two kinds"),
    ({"prompt": "p", "checks": [CHECK, {"contains": 4}]}, "checks[1].contains", "takes a text"),
    ({"prompt": "p", "checks": [{"contains": []}]}, "checks[0].contains", "takes a text"),
    ({"prompt": "p", "checks": [{"equals": True}]}, "checks[0].equals", "takes a text"),
    ({"prompt": "p", "checks": [{"contains": "x", "not": "yes"}]}, "checks[0].not", "true or false"),
    ({"prompt": "p", "checks": [{"contains": "x", "name": 3}]}, "checks[0].name", "must be a text"),
    ({"prompt": "p", "checks": [{"contains": "x", "name": "a"}, {"equals": "x", "name": "a"}]}, "checks", "one name"),
    ({"prompt": "p", "checks": [{"contains": "x", "seconds": 3}]}, "checks[0].seconds", "unknown key"),
    ({"prompt": "p", "checks": [{"contains": "x", "ignore_case": 1}]}, "checks[0].ignore_case", "true or false"),
    ({"prompt": "p", "checks": [{"pattern": "("}]}, "checks[0].pattern", "regular expression"),
    ({"prompt": "p", "checks": [{"json_schema": "object"}]}, "checks[0].json_schema", "a mapping"),
    ({"prompt": "p", "checks": [{"json_schema": {"type": "objekt"}}]}, "checks[0].json_schema", "no JSON schema"),
    (
        {"prompt": "p", "checks": [{"json_schema": {"items": {"$ref": "http://a/b"}}}]},
        "checks[0].json_schema.items.$ref",
        "within the schema",
    ),
    ({"prompt": "p", "checks": [{"tool_call": "search"}]}, "checks[0].tool_call", "takes `name`"),
    ({"prompt": "p", "checks": [{"tool_call": []}]}, "checks[0].tool_call", "names no call"),
    ({"prompt": "p", "checks": [{"tool_call": [{"name": "a"}, {"name": "b", "args": {}}]}]}, "checks[0].tool_call[1].args", "unknown key"),
    ({"prompt": "p", "checks": [{"tool_call": {"name": "a", "arguments": []}}]}, "checks[0].tool_call.arguments", "a mapping"),
    ({"prompt": "p", "checks": [{"command": "ls ("}]}, "checks[0].command", "does not parse"),
    ({"prompt": "p", "checks": [{"unit_tests": "assert ("}]}, "checks[0].unit_tests", "no Python"),
    ({"prompt": "p", "checks": [{"unit_tests": "x = 1"}]}, "checks[0].unit_tests", "check nothing"),
    ({"prompt": "p", "checks": [{"unit_tests": "assert f()", "seconds": 0}]}, "checks[0].seconds", "above 0"),
    ({"prompt": "p", "checks": [{"unit_tests": "assert f()", "seconds": True}]}, "checks[0].seconds", "above 0"),
    ({"prompt": "p", "checks": [{"judge": ""}]}, "checks[0].judge", "takes a text"),
    ({"prompt": "p\ud800", "checks": [CHECK]}, "", "lone surrogate"),
]


@pytest.mark.parametrize(("value", "key", "what"), MISTAKES)
def test_a_mistake_is_told_with_its_key(value: JsonObject, key: str, what: str) -> None:
    problem = KIND.row(value, "suite.yaml:7")
    assert isinstance(problem, Problem)
    assert problem.where == ("suite.yaml:7" + (f", {key}" if key else ""))
    assert what in problem.what


def test_all_mistakes_of_a_task_are_told_at_once() -> None:
    problem = KIND.row({"prompt": 1, "checks": [{"pattern": "("}, {"judge": 2}]}, "suite.yaml:7")
    assert isinstance(problem, Problem)
    assert "checks[0].pattern" in problem.text()
    assert "checks[1].judge" in problem.text()


def test_mistakes_have_lines_where_the_reader_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: t\nkind: tasks\nrows:\n  - prompt: a\n    checks:\n      - contains: x\n      - pattern: '('\n        nto: true\n",
        encoding="utf-8",
    )
    document = read(path)

    def place(key: KeyPath) -> str:
        return document.place(("rows", 0, *key)).text()

    problems = KIND.problems(document.value["rows"][0], place)
    assert sorted(problem.where for problem in problems) == [f"{path}:7 (checks[1].pattern)", f"{path}:8 (checks[1].nto)"]


HOLDS: list[tuple[JsonObject, str, str]] = [
    ({"equals": "4"}, " 4\n", "5"),
    ({"equals": ["Yes", "Yes."]}, "Yes.", "yes"),
    ({"equals": "Yes", "ignore_case": True}, "YES", "no"),
    ({"contains": "cat"}, "a cat.", "a dog"),
    ({"contains": ["cat", "dog"]}, "dog and cat", "cat"),
    ({"contains": "CAT", "ignore_case": True}, "cat", "dog"),
    ({"pattern": r"^\d+$"}, "x\n12", "x12"),
    ({"json_schema": {"type": "object", "required": ["a"]}}, '```json\n{"a": 1}\n```', '{"b": 1}'),
    ({"json_schema": {"type": "array"}}, "[]", "not json"),
    ({"tool_call": {"name": "f", "arguments": {"a": 1}}}, '{"name": "f", "arguments": {"a": 1}}', "f(a=1)"),
    (
        {"tool_call": [{"name": "f"}, {"name": "g"}]},
        '[{"name": "g", "arguments": {}}, {"name": "f", "arguments": {}}]',
        '{"name": "f", "arguments": {}}',
    ),
    ({"command": "ls -l -a"}, "ls -la", "ls -l"),
    ({"command": ["du -sh", "du -s -h ."]}, "du -s -h", "du"),
]


@pytest.mark.parametrize(("check", "right", "wrong"), HOLDS)
def test_each_kind_of_check_holds_and_does_not(check: JsonObject, right: str, wrong: str) -> None:
    judged = judge([check], [right, wrong, "", "\ud800\0", "x" * (1 << 20)])
    assert [one.metrics["pass_rate"] for one in judged] == [1, 0, 0, 0, 0], judged[0]
    assert all(one.details["checks"][0]["reason"] for one in judged[1:])
    turned = judge([{**check, "not": True}], [right, wrong])
    assert [one.metrics["pass_rate"] for one in turned] == [0, 1]


def test_every_kind_of_check_is_tried_here() -> None:
    assert {name for check, _, _ in HOLDS for name in check} | {"unit_tests", "judge"} >= set(OPTIONS)


def test_a_task_passes_when_all_its_checks_hold_and_details_name_each() -> None:
    checks = [{"contains": "a", "name": "has a"}, {"contains": "b"}, {"contains": "c", "not": True}]
    judged = judge(checks, ["ab", "a", "abc"])
    assert [one.metrics["pass_rate"] for one in judged] == [1, 0, 0]
    assert [check["name"] for check in judged[0].details["checks"]] == ["has a", "contains", "not contains"]
    assert [check["holds"] for check in judged[2].details["checks"]] == [True, True, False]


def test_the_parser_reads_the_command_and_other_checks_see_the_answer() -> None:
    answer = "Use this:\n```bash\nls -la\n```"
    assert passes([{"command": "ls -al"}], answer, with_parser=True) == 1
    assert passes([{"command": "ls -al"}], answer) == 0
    assert passes([{"contains": "Use this"}], answer, with_parser=True) == 1


@pytest.mark.parametrize("negated", [False, True])
def test_an_endless_pattern_is_met_neither_plain_nor_negated(negated: bool) -> None:
    """Nobody knows whether it would be found: the row leaves the rate, with its reason, and the next is judged."""
    started = time.monotonic()
    judged = judge([{"pattern": "(a+)+$", "not": negated}], ["a" * 60 + "b", "a"])
    assert (judged[0].metrics, judged[0].left_out) == ({}, {"pass_rate": "it took longer than 5 seconds"})
    assert judged[1].metrics == {"pass_rate": float(not negated)}
    assert "longer than" in judged[0].details["checks"][0]["reason"]
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("negated", [False, True])
def test_a_schema_without_end_is_met_neither_plain_nor_negated(negated: bool) -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    checks: list[JsonObject] = [{"json_schema": schema, "not": negated}]
    (judged,) = judge(checks, ["{}"])
    assert judged.metrics == {}
    assert "RecursionError" in judged.left_out["pass_rate"]
    # Another check that fails decides all the same.
    (failed,) = judge([*checks, {"contains": "x"}], ["{}"])
    assert (failed.metrics, failed.left_out) == ({"pass_rate": 0.0}, {})


def test_unit_tests_are_run_against_the_answers_functions() -> None:
    sandbox = sandbox_or_skip()
    bench = replace(NO_BENCH, sandbox=lambda: sandbox)
    checks = [{"unit_tests": "for x in range(3):\n    assert twice(x) == 2 * x\nassert 'def' in answer\n", "seconds": 5}]
    right = "Here:\n```python\ndef twice(x):\n    return x + x\n```"
    wrong = [
        "def twice(x): return x",
        "import os\ndef twice(x): os._exit(0)",
        "def double(x): return 2 * x",
        "",
        "no code",
        "import sys\nsys.exit()",
        "raise SystemExit",
    ]
    wrong += [
        "class Y:\n    def __eq__(s, o): return True\ndef twice(x): return Y()",
        "def twice(x):\n    while True: pass",
        "answer = 1\ndef twice(x): return answer",
    ]
    judged = judge(checks, [right, *wrong], bench)
    assert [one.metrics["pass_rate"] for one in judged] == [1.0] + [0.0] * len(wrong)


class Replies:
    """A judge that says what it was told to, by the answer that it sees."""

    def __init__(self, replies: Mapping[str, str | None]) -> None:
        self.replies, self.asked = replies, 0

    def __call__(self, requests: Sequence[GenerationRequest]) -> dict[str, str]:
        self.asked += 1
        said = {}
        for request in requests:
            text = request.messages[-1].content
            reply = next(reply for answer, reply in self.replies.items() if f"\n{answer}\n</answer-" in text)
            if reply is not None:
                said[request.id] = reply
        return said


def test_the_judges_word_counts_and_what_it_does_not_say_is_left_out_visibly() -> None:
    replies = Replies({"good": "yes", "bad": "No.", "odd": "It is fairly good.", "mute": None})
    judged = judge(
        [{"judge": "Is it good?"}, {"contains": "o", "not": True, "name": "n"}, {"contains": "zzz", "not": True}],
        list(replies.replies),
        replace(NO_BENCH, ask_judge=replies),
    )
    assert replies.asked == 1, "all rows are asked at once"
    # What fails another check leaves too where the judge is silent: else a judge that is down would make a rate of nought.
    assert [dict(one.metrics) for one in judged] == [{"pass_rate": 0.0}, {"pass_rate": 0.0}, {}, {}]
    assert judged[2].details["checks"][1]["holds"] is False
    assert judged[3].left_out["pass_rate"] == "not judged: the judge gave no reply"
    alone = judge([{"judge": "Is it good?"}], list(replies.replies), replace(NO_BENCH, ask_judge=replies))
    assert [dict(one.metrics) for one in alone] == [{"pass_rate": 1.0}, {"pass_rate": 0.0}, {}, {}]
    assert "neither yes nor no" in alone[2].left_out["pass_rate"]


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=4),
            st.sampled_from(["(", "ls", "assert x", "user", "\ud800"]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    [
                        *(name for name in OPTIONS if name != "json_schema"),
                        "prompt",
                        "messages",
                        "checks",
                        "not",
                        "name",
                        "role",
                        "content",
                        "arguments",
                        "id",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=15,
    )
)
def test_no_row_raises(value: object) -> None:
    row = KIND.row(value, "here")  # type: ignore[arg-type]
    assert isinstance(row, SuiteRow | Problem)
    if isinstance(row, Problem):
        row.text()
