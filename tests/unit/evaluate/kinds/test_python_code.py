"""Code cut from answers, and the programs that it may mean."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluate.kinds.python_code import cut_code, programs, whole_programs

PROMPT = 'from typing import List\n\ndef helper(x):\n    return x\n\ndef total(xs: List[int]) -> int:\n    """ Sum of xs. """\n'
RIGHT = [
    "    return sum(xs)\n",
    "    return sum(xs)",
    "return sum(xs)",
    "\n    return sum(xs)\n\n",
    "result = 0\n    for x in xs:\n        result += x\n    return result",
    "result = 0\nfor x in xs:\n    result += x\nreturn result",
    "  return sum(xs)",
    "\treturn sum(xs)",
    "def total(xs):\n    return sum(xs)",
    "def total(xs: List[int]) -> int:\n    return helper(sum(xs))",
    "import math\n\ndef total(xs):\n    return int(math.fsum(xs))",
    PROMPT + "    return sum(xs)\n",
    "```python\ndef total(xs):\n    return sum(xs)\n```",
    "Sure!\n```python\ndef total(xs):\n    return sum(xs)\n```\nThis works because it works.",
    "```\ndef total(xs):\n    return sum(xs)\n```",
    "```py\n    return sum(xs)\n```",
    "```python\nreturn sum(xs)\n```",
    "```python\ndef total(xs):\n    return sum(xs)",
    "~~~python\ndef total(xs):\n    return sum(xs)\n~~~",
    "````python\ndef total(xs):\n    return sum(xs)\n````",
    "First install it:\n```bash\npip install x\n```\nthen\n```python\ndef total(xs):\n    return sum(xs)\n```",
    "Example:\n```python\nprint(total([1]))\n```\nSolution:\n```python\ndef total(xs):\n    return sum(xs)\n```",
    "Here is the function:\n\ndef total(xs):\n    return sum(xs)\n\nIt adds them up.",
    "def total(xs):\n    return sum(xs)\n\nThis function adds the numbers up and returns them.",
    "    return sum(xs)\n\nThat is all there is to it.",
    "    return sum(xs)\n\nprint(total([1, 2]))\nassert total([]) == 1",
    "    return sum(xs)\n\ndef total_test():\n    pass\n",
    "    def inner(y):\n        return y\n    return sum(map(inner, xs))",
    "    class total:\n        pass\n    return sum(xs)",
    "async def other(): pass\ndef total(xs):\n    return sum(xs)",
    "  def total(xs):\n      return sum(xs)",
]


def first_that_works(texts: list[str]) -> bool:
    """Whether the first text that compiles and defines `total` adds numbers up; these answers are the test's own."""
    for text in texts:
        try:
            code = compile(text, "answer", "exec")
        except (SyntaxError, ValueError):
            continue
        if "total" not in code.co_names:
            continue
        names: dict[str, object] = {"__name__": "answer", "print": lambda *_: None}
        try:
            exec(code, names)
        except AssertionError:
            continue
        return names["total"]([1, 2, 3]) == 6  # type: ignore[operator]
    return False


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers_in_many_shapes(answer: str) -> None:
    assert first_that_works(programs(answer, PROMPT, "total"))


@pytest.mark.parametrize(
    "answer", ["", " \n", "I cannot do that.", "pass", "    pass", "return 1", "def totals(xs):\n    return sum(xs)", "```python\n```"]
)
def test_what_is_no_right_answer_stays_wrong(answer: str) -> None:
    assert not first_that_works(programs(answer, PROMPT, "total"))


def test_the_prompts_imports_and_helpers_are_kept_and_its_function_is_not() -> None:
    first = programs("def total(xs: List[int]):\n    return helper(sum(xs))", PROMPT, "total")[0]
    assert first.startswith("from typing import List\n\ndef helper(x):")
    assert first.count("def total") == 1


def test_decorators_of_the_function_belong_to_the_answer() -> None:
    prompt = "import functools\n\n@functools.cache\ndef f(x):\n    '''f'''\n"
    assert programs("def f(x):\n    return x", prompt, "f")[0] == "import functools\n\ndef f(x):\n    return x"


def test_a_program_by_itself() -> None:
    assert whole_programs("```python\nx = 1\n```") == ["x = 1"]
    assert whole_programs("") == []
    assert "def f():\n    pass" in whole_programs("Look:\n\ndef f():\n    pass\n\nNice, is it not?")


def test_cut_code_prefers_the_block_that_defines_the_function() -> None:
    text = "```python\nimport x\n```\n```python\ndef f(): pass\n```"
    assert cut_code(text, "f") == "def f(): pass"
    assert cut_code(text) == "import x"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["```", "python", "\n", "    ", "def total(xs):", "return 1", "~~~", " ", "@", "x = 1", "\ud800", "\0", "\t", "\r"]
        ),
        max_size=25,
    ).map("".join)
)
def test_no_text_raises(text: str) -> None:
    assert all(isinstance(program, str) for program in (*programs(text, PROMPT, "total"), *whole_programs(text)))


@pytest.mark.parametrize("piece", ["`", "```\n", "~~~\n```", " ", "\n", "x", "def total(", "@", "a.", "x = ", "def total(xs):\n"])
def test_a_megabyte_is_read_in_linear_time(piece: str) -> None:
    text = piece * ((1 << 20) // len(piece))
    started = time.process_time()
    programs(text, PROMPT, "total")
    assert time.process_time() - started < 8
