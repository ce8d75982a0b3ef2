"""Maths suites: rows in GSM8K's format, and which answers count as right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.errors import Problem
from luthier.evaluate.kinds.maths import Maths
from luthier.evaluate.rows.suite import Suite, SuiteRow
from scoring_parts import NO_BENCH

KIND = Maths()


def suite(*answers: str) -> Suite:
    rows = [KIND.row({"question": f"question {index}", "answer": answer}, "here") for index, answer in enumerate(answers)]
    assert all(isinstance(row, SuiteRow) for row in rows)
    return Suite("maths", "maths", tuple(rows), "")  # type: ignore[arg-type]


def test_a_row_asks_its_question_and_holds_its_number() -> None:
    row = KIND.row({"question": "How many?", "answer": "3+4=<<3+4=7>>7\n#### 7", "id": "a", "group": "g"}, "here")
    assert isinstance(row, SuiteRow)
    assert (row.id, row.group, row.request, row.check) == ("a", "g", "How many?", {"number": "7"})
    named = KIND.row({"question": "How many?", "answer": "#### 7"}, "here")
    assert isinstance(named, SuiteRow)
    assert len(named.id) == 16


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"answer": "#### 1"}, "`question` is missing"),
        ({"question": "q"}, "`answer` is missing"),
        ({"question": " ", "answer": "#### 1"}, "`question` must be a text"),
        ({"question": "q", "answer": 4}, "`answer` must be a text"),
        ({"question": "q", "answer": "no idea"}, "holds no number"),
        ({"question": "q", "answer": "#### 1", "id": 3}, "`id` must be a text"),
        ({"question": "q\ud800", "answer": "#### 1"}, "lone surrogate"),
        ([], "must be an object"),
    ],
)
def test_a_wrong_row_says_what_and_where(row: object, what: str) -> None:
    problem = KIND.row(row, "file.jsonl:3")  # type: ignore[arg-type]
    assert isinstance(problem, Problem)
    assert what in problem.what
    assert problem.where == "file.jsonl:3"


def test_right_numbers_are_right_in_any_form_and_others_are_wrong() -> None:
    asked = suite("#### 1,234", "#### 0.5", "#### -3", "#### 18")
    right = [["1234.00"], [r"\boxed{\frac{1}{2}}"], ["The answer is \u22123."], ["$18"]]
    wrong = [["12345"], ["50%"], ["3"], ["I do not know"]]
    assert [one.metrics["accuracy"] for one in KIND.judge(asked, right, False, NO_BENCH)] == [1, 1, 1, 1]
    judged = KIND.judge(asked, wrong, True, NO_BENCH)
    assert [one.metrics["accuracy"] for one in judged] == [0, 0, 0, 0]
    assert judged[3].details == {"expected": "18", "found": "no number"}


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["question", "answer", "id", "group"]), inner, max_size=4)
        ),
    )
)
def test_no_row_raises(value: object) -> None:
    assert isinstance(KIND.row(value, "here"), SuiteRow | Problem)  # type: ignore[arg-type]
