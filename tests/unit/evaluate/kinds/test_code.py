"""Code suites: rows in HumanEval's format, and answers that must not pass, however they try."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.errors import Problem
from luthier.core.protocols import Sandbox
from luthier.core.records import JsonObject
from luthier.evaluate.kinds.code import Code, pass_at_k
from luthier.evaluate.kinds.kind import Judged
from luthier.evaluate.rows.suite import Suite, SuiteRow
from scoring_parts import NO_BENCH, sandbox_or_skip

KIND = Code()
ADD: JsonObject = {
    "task_id": "own/0",
    "prompt": 'def add(a: int, b: int) -> int:\n    """ The sum. """\n',
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate(-1, 1) == 0\n    assert candidate(0, 0) == 0\n",
}


def own(**fields: str) -> JsonObject:
    return {**ADD, **fields}


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return sandbox_or_skip()


def judge(sandbox: Sandbox, answers: list[str], row: JsonObject | None = None, seconds: float = 10) -> list[Judged]:
    """Each answer as the only sample of a row of its own."""
    read = KIND.row(row or ADD, "here")
    assert isinstance(read, SuiteRow), read
    suite = Suite("code", "code", tuple(read for _ in answers), "", fields={"seconds": seconds})
    return KIND.judge(suite, [[answer] for answer in answers], False, replace(NO_BENCH, sandbox=lambda: sandbox))


def test_a_row_asks_for_the_function_and_holds_its_tests() -> None:
    row = KIND.row(ADD, "here")
    assert isinstance(row, SuiteRow)
    assert row.id == "own/0"
    assert "def add(a: int" in row.request
    assert row.expected == (ADD["prompt"] + ADD["canonical_solution"],)
    assert row.check == {name: ADD[name] for name in ("prompt", "entry_point", "test")}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({name: text for name, text in ADD.items() if name != "test"}, "`test` is missing"),
        (own(entry_point="sub"), "`entry_point` must name"),
        (own(entry_point="a b"), "`entry_point` must name"),
        (own(prompt="def add(:"), "`prompt` is no Python"),
        (own(test="def check(candidate)\n"), "`test` is no Python"),
        (own(test="assert add(1, 1) == 2"), "defines no `check"),
        ({**ADD, "canonical_solution": 3}, "must be texts"),
        ({**ADD, "test": "\0"}, "`test` is no Python"),
    ],
)
def test_a_wrong_row_says_what_and_where(row: JsonObject, what: str) -> None:
    problem = KIND.row(row, "file.jsonl:3")
    assert isinstance(problem, Problem)
    assert what in problem.what
    assert problem.where == "file.jsonl:3"


RIGHT = {
    "canonical": "    return a + b\n",
    "fenced": "Sure:\n```python\ndef add(a, b):\n    return a + b\n```",
    "lost indentation": "return a + b",
    "prints on the way": "    print('x' * 100000)\n    return a + b",
    "leaves when run as a program": "def add(a, b):\n    return a + b\n\nif __name__ == '__main__':\n    raise SystemExit",
    "catches its own exit": "    try:\n        raise SystemExit\n    except BaseException:\n        return a + b",
    "a subclass of int": "def add(a, b):\n    class I(int): pass\n    return I(a + b)",
    "reads its empty input": "def add(a, b):\n    import sys\n    return a + b + len(sys.stdin.read())",
}


def test_right_answers_pass(sandbox: Sandbox) -> None:
    judged = judge(sandbox, list(RIGHT.values()))
    assert {name: one.metrics["pass_at_1"] for name, one in zip(RIGHT, judged, strict=True)} == dict.fromkeys(RIGHT, 1.0), judged


EQUALS_ALL = (
    "class Yes:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    def __bool__(self): return True\n"
)
PARENT = "import os\nparent = os.getppid()\n"
WRONG = {
    "wrong operator": "    return a - b",
    "empty body": "    pass",
    "only a docstring": "    '''adds'''",
    "nothing": "",
    "prose": "I am sorry, I cannot write this function.",
    "syntax error": "    return a +* b",
    "not closed": "    return (a + b",
    "another name": "def plus(a, b):\n    return a + b",
    "no function": "add = 5",
    "raises": "    raise ValueError",
    "SystemExit in the call": "    raise SystemExit(0)",
    "SystemExit at the top": "def add(a, b): return a + b\nraise SystemExit",
    "sys.exit": "import sys\ndef add(a, b): return a + b\nsys.exit(0)",
    "exit in the call": "    exit(0)",
    "os._exit in the call": "    import os\n    os._exit(0)",
    "os._exit at the top": "import os\ndef add(a, b): return a + b\nos._exit(0)",
    "only prints": "    print(a + b)",
    "prints what passing prints": '    print(\'{"word": ""}\', flush=True)',
    "defines check": "def add(a, b): return 0\ndef check(candidate): pass\n",
    "defines assert's exception": "import builtins\nbuiltins.AssertionError = ValueError\nclass E(Exception): pass\ndef add(a, b): return 0",  # noqa: E501
    "equals everything": EQUALS_ALL + "def add(a, b): return Yes()",
    "an int that equals everything": EQUALS_ALL.replace("class Yes:", "class Yes(int):") + "def add(a, b): return Yes(7)",
    "patches print and json": "import json, builtins\njson.dumps = lambda *_: '{}'\nbuiltins.print = lambda *_: None\ndef add(a, b): return 0",  # noqa: E501
    "reads the frames": "import sys\ndef add(a, b):\n    f = sys._getframe()\n    while f.f_back: f = f.f_back\n    return f.f_globals.get('word', f.f_locals)",  # noqa: E501
    "kills the referee": PARENT + "def add(a, b): os.kill(parent, 9)",
    "stops the referee": PARENT + "import signal\ndef add(a, b): os.kill(parent, signal.SIGTERM)",
    "kills all": "import os\ndef add(a, b): os.kill(-1, 9)",
    "exits by fork": "import os\ndef add(a, b):\n    os.fork()\n    return 0",
    "at exit": "import atexit\natexit.register(lambda: print('{\"word\": 1}'))\ndef add(a, b): return 0",
    "writes on all descriptors": "import os\ndef add(a, b):\n    for d in range(3, 20):\n        try: os.write(d, b'\\0' * 7 + b'\\x0c' + b'{\"value\": 5}')\n        except OSError: pass\n    return 0",  # noqa: E501
    "closes all descriptors": "import os\ndef add(a, b):\n    os.closerange(0, 100)\n    return 5",
    "sends garbage": "import os\ndef add(a, b):\n    for d in range(3, 20):\n        try: os.write(d, b'\\xff' * 64)\n        except OSError: pass\n    return 5",  # noqa: E501
    "a gigabyte": "    return 'x' * (1 << 28)",
    "nested without end": "    r = []\n    for _ in range(100000): r = [r]\n    return r",
    "holds itself": "    r = []\n    r.append(r)\n    return r",
    "recursion": "    return add(a, b)",
    "a generator": "    yield a + b",
    "a coroutine": "async def add(a, b): return a + b",
    "zero bytes": "    return a + b\0",
    "half a character": "    return '\ud800'",
    "deep expression": "    return " + "-" * 60000 + "1",
    "deep parentheses": "    return " + "(" * 30000 + "1" + ")" * 30000,
    "too long": "    return a + b  # " + "x" * (1 << 20),
    "swaps the program": "open('/work/program.py', 'w').write('print(1)')\ndef add(a, b): return 0",
}


def test_wrong_answers_fail_however_they_try(sandbox: Sandbox) -> None:
    judged = judge(sandbox, list(WRONG.values()))
    assert {name: one.metrics["pass_at_1"] for name, one in zip(WRONG, judged, strict=True)} == dict.fromkeys(WRONG, 0.0)
    reasons = {name: one.details["reason"] for name, one in zip(WRONG, judged, strict=True)}
    assert all(reasons.values()), reasons
    assert "SyntaxError" in reasons["syntax error"]
    assert reasons["nothing"] == "no code in the answer"


# Each would answer rightly if it could read what it must not; so an answer that passes has found a hole.
SPIES = {
    "memory": "open(f'/proc/{parent}/mem', 'rb')",
    "maps": "open(f'/proc/{parent}/maps').read(10)",
    "environment": "open(f'/proc/{parent}/environ', 'rb').read(1)",
    "standard input": "os.open(f'/proc/{parent}/fd/0', os.O_RDONLY | os.O_NONBLOCK)",
    "standard output": "os.open(f'/proc/{parent}/fd/1', os.O_WRONLY | os.O_NONBLOCK)",
    "list of descriptors": "os.listdir(f'/proc/{parent}/fd')",
    "ptrace": "ctypes.CDLL(None).ptrace(16, parent, 0, 0) == 0 or 1 / 0",
    "process_vm_readv": "ctypes.CDLL(None).process_vm_readv(parent, 0, 0, 0, 0, 0) == 0 or 1 / 0",
}


@pytest.mark.parametrize("name", SPIES)
def test_an_answer_cannot_look_at_the_referee(sandbox: Sandbox, name: str) -> None:
    spy = f"import ctypes\n{PARENT}try:\n    {SPIES[name]}\n    seen = True\nexcept Exception:\n    seen = False\ndef add(a, b):\n    return a + b if seen else None\n"  # noqa: E501
    control = spy.replace(SPIES[name], "pass")
    judged = judge(sandbox, [spy, control])
    assert [one.metrics["pass_at_1"] for one in judged] == [0.0, 1.0]


def test_an_endless_loop_ends_in_time_and_fails(sandbox: Sandbox) -> None:
    judged = judge(
        sandbox,
        ["    while True: pass", "    import time\n    time.sleep(1000)", "while True: pass\ndef add(a, b): return a + b"],
        seconds=2,
    )
    assert [one.metrics["pass_at_1"] for one in judged] == [0, 0, 0]
    assert judged[1].details["reason"] == "timeout"


def test_data_of_all_plain_kinds_crosses_unchanged(sandbox: Sandbox) -> None:
    values = [
        "None",
        "True",
        "0",
        "-1",
        "2**200",
        "1.5",
        "float('inf')",
        "'a\\ud800\\0'",
        "b'x\\xff'",
        "[1, [2]]",
        "(1, (2,))",
        "{1: 'a', (2,): None}",
        "{1, 2}",
        "frozenset({3})",
        "1j",
        "range(3)",
    ]
    values += ["__import__('fractions').Fraction(1, 3)", "__import__('decimal').Decimal('0.1')", "bytearray(b'q')"]
    lines = [f"    assert candidate({value}) == {value}\n    assert type(candidate({value})) is type({value})\n" for value in values]
    row = own(
        canonical_solution="", prompt="def same(x):\n    '''x'''\n", entry_point="same", test="def check(candidate):\n" + "".join(lines)
    )
    right, wrong = judge(sandbox, ["    return x", "    return [x]"], row)
    assert right.metrics["pass_at_1"] == 1.0, right
    assert wrong.metrics["pass_at_1"] == 0.0


def test_tests_see_changed_arguments_named_ones_and_exceptions(sandbox: Sandbox) -> None:
    tests = (
        "def check(candidate):\n    xs, d = [3, 1], {}\n    assert candidate(xs, into=d) is None\n    assert xs == [1, 3]\n    candidate(xs, d)\n    assert d == {1: 1, 3: 3}\n"  # noqa: E501
        "    try:\n        candidate(None)\n        assert False\n    except TypeError:\n        pass\n"
    )
    row = own(canonical_solution="", prompt="def sort(xs, into=None):\n    '''sorts'''\n", entry_point="sort", test=tests)
    answers = ["    xs.sort()\n    if into is not None:\n        into.update({x: x for x in xs})", "    return sorted(xs)"]
    answers[0] = "def sort(xs, into=None):\n    if xs is None:\n        raise TypeError('no list')\n" + answers[0]
    assert [one.metrics["pass_at_1"] for one in judge(sandbox, answers, row)] == [1.0, 0.0]


def test_the_canonical_solution_and_no_answer_says_which_rows_leave_the_denominator(sandbox: Sandbox) -> None:
    tests = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(lambda: 1, 2) == 5\n"
    # The wrong answer fails before the tests hand over what cannot be handed over, and leaves as the right one does.
    for judged in judge(sandbox, ["    return 5 if callable(a) else a + b", "    return 9"], own(test=tests)):
        assert judged.metrics == {}
        assert judged.left_out["pass_at_1"].startswith("the canonical solution does not pass its tests: ")
        assert "function" in judged.left_out["pass_at_1"]
    # Without a canonical solution nothing says that the tests are at fault, and no answer takes itself out.
    without = judge(sandbox, ["    return 5 if callable(a) else a + b", "    return 9"], own(test=tests, canonical_solution=""))
    assert [dict(one.metrics) for one in without] == [{"pass_at_1": 0.0}] * 2
    # An answer that hands the tests what they hand over again is wrong where the canonical solution shows that they can be passed.
    tests = "def check(candidate):\n    assert candidate(candidate(2, 3), 1) == 6\n"
    (odd,) = judge(sandbox, ["    return lambda: 5"], own(test=tests))
    assert odd.metrics == {"pass_at_1": 0.0}
    (broken,) = judge(sandbox, ["    return a + b"], own(canonical_solution="    return a - b\n"))
    assert broken.left_out["pass_at_1"].startswith("the canonical solution does not pass its tests")


def test_a_canonical_solution_is_run_once_for_all_candidates_of_an_evaluation(sandbox: Sandbox) -> None:
    runs = []

    class Counted:
        def run_python(self, *words: object, **more: object) -> object:
            runs.append(1)
            return sandbox.run_python(*words, **more)  # type: ignore[arg-type]

    read = KIND.row(own(task_id="own/once"), "here")
    assert isinstance(read, SuiteRow)
    for runs_so_far in (3, 6):
        # One evaluation has one bench; the next knows nothing of it, for a solution may have run out of time under load.
        bench = replace(NO_BENCH, sandbox=Counted)  # type: ignore[arg-type]
        for _ in range(2):
            KIND.judge(Suite("code", "code", (read,), ""), [["    return a"]], False, bench)
        assert len(runs) == runs_so_far


def test_names_of_the_prompt_and_the_function_itself_are_there_for_the_tests(sandbox: Sandbox) -> None:
    prompt = "import math\n\ndef helper(x):\n    return x * 2\n\ndef double(x):\n    '''twice x'''\n"
    tests = "def check(candidate):\n    assert candidate(4) == helper(4) == double(4) == math.floor(8.5)\n"
    row = own(prompt=prompt, entry_point="double", test=tests, canonical_solution="    return helper(x)")
    assert [
        one.metrics["pass_at_1"]
        for one in judge(sandbox, ["    return helper(x)", "    return x", "def helper(x): return 1\ndef double(x): return 1"], row)
    ] == [1, 0, 0]


def test_several_samples_give_pass_at_k(sandbox: Sandbox) -> None:
    row = KIND.row(ADD, "here")
    assert isinstance(row, SuiteRow)
    right, wrong = "    return a + b", "    return a"
    samples = [[right, wrong, wrong, right], [wrong] * 4]
    judged = KIND.judge(Suite("code", "code", (row, row), ""), samples, False, replace(NO_BENCH, sandbox=lambda: sandbox))
    assert judged[0].metrics == {"pass_at_1": 0.5, "pass_at_4": 1.0}
    assert judged[1].metrics == {"pass_at_1": 0.0, "pass_at_4": 0.0}
    assert judged[0].details["passed"] == 2


def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass() -> None:
    for samples in range(1, 7):
        for passed in range(samples + 1):
            for k in range(1, samples + 1):
                draws = list(combinations([True] * passed + [False] * (samples - passed), k))
                assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    for wrong in ((1, 0, 2), (2, 3, 1), (2, 1, 0)):
        with pytest.raises(ValueError):
            pass_at_k(*wrong)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["task_id", "prompt", "entry_point", "test", "canonical_solution"]),
        st.one_of(st.sampled_from([*ADD.values(), "x", "\ud800", "\0", ""]), st.integers(), st.none()),
    )
)
def test_no_row_raises(value: JsonObject) -> None:
    assert isinstance(KIND.row(value, "here"), SuiteRow | Problem)


def test_no_code_is_run_for_a_suite_without_rows() -> None:
    assert KIND.judge(Suite("code", "code", (), ""), [], False, replace(NO_BENCH, sandbox=lambda: None)) == []  # type: ignore[arg-type, return-value]
