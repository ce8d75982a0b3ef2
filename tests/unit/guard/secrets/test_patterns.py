"""Our own patterns: they know every credential that a run file is refused for, and cost linear time."""

from __future__ import annotations

import random
import re
import string
import time
from itertools import islice
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from clean_texts import clean_cases
from luthier.config import rules
from luthier.config.yaml_file import Document
from luthier.core.issued import Shape, shapes
from luthier.guard.secrets.finders.assigned import assigned, looks_drawn
from luthier.guard.secrets.patterns import PatternScanner, _issued
from secret_texts import MARKED, half, secret_cases

CATEGORIES = {codes.CATEGORY_WORD: r"\w", codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_SPACE: r"\s"}
PRINTABLE = [character for character in string.printable if not character.isspace()]


def drawn(items: Any, rng: random.Random) -> str:
    """A random text that an expression of literals, classes, groups and repeats matches."""
    text = ""
    for code, value in items:
        if code is codes.LITERAL:
            text += chr(value)
        elif code is codes.IN:
            expression = [character for character in (*PRINTABLE, " ") if any(_in(part, character) for part in value)]
            text += rng.choice(expression)
        elif code is codes.BRANCH:
            text += drawn(rng.choice(value[1]), rng)
        elif code is codes.SUBPATTERN:
            text += drawn(value[3], rng)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            low, high, inner = value
            text += "".join(drawn(inner, rng) for _ in range(rng.randint(low, min(int(high), low + 12))))
        elif code is codes.NOT_LITERAL:
            text += rng.choice([character for character in PRINTABLE if ord(character) != value])
        else:  # What must stand, or must not, beside it.
            assert code in (codes.AT, codes.ASSERT_NOT), code
    return text


def _in(part: Any, character: str) -> bool:
    code, value = part
    if code is codes.LITERAL:
        return ord(character) == value
    if code is codes.RANGE:
        return value[0] <= ord(character) <= value[1]
    assert code is codes.CATEGORY, code
    return bool(re.fullmatch(CATEGORIES[value], character))


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.kind)
def test_every_shape_is_refused_in_a_run_file_and_found_in_a_text(shape: Shape) -> None:
    rng = random.Random(shape.kind)
    samples: list[str] = []
    for expression in shape.expressions:
        tries = (drawn(parser.parse(expression), rng) for _ in range(200))
        samples += islice((sample for sample in tries if re.search(expression, sample)), 5)
    assert len(samples) == 5 * len(shape.expressions)
    document = Document({"notes": list(samples)})
    problems = rules.take_secrets(document)
    assert len(problems) == len(samples)
    assert document.value == {"notes": [None] * len(samples)}
    missed = [sample[:8] for sample, found in zip(samples, PatternScanner().scan(samples), strict=True) if not found]
    # A random tail spells a placeholder such as `xxxx` once in a while.
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("name", [name for name in MARKED if half(name) == "tuning"])
def test_an_issued_token_is_found_wherever_it_stands(name: str) -> None:
    rng = random.Random(name)
    for _ in range(20):
        value = MARKED[name](rng)
        for text in (value, f"({value})", f"ü:{value}\n", f'"{value}",', f"x={value}&y=1"):
            assert any(text[start:end] in value or value in text[start:end] for start, end, _ in _issued(text)), text[:6]


def test_every_expression_has_an_anchor_in_what_it_matches() -> None:
    rng = random.Random(1)
    for case in [*secret_cases("tuning", 1), *secret_cases("tuning", 2)]:
        for shape in shapes():
            for expression in shape.expressions:
                for match in re.finditer(expression, case.text):
                    assert any(anchor in match[0] for anchor in shape.anchors), shape.kind
    assert rng.random() < 1


@pytest.mark.parametrize(
    "value",
    [
        "your-api-key-here",
        "<YOUR_TOKEN>",
        "${TOKEN}",
        "$TOKEN",
        "changeme",
        "xxxxxxxxxxxx",
        "config.api_key",
        "os.environ",
        "/etc/ssl/key.pem",
        "2024-01-01",
        "1.2.3.4",
        "getToken",
    ],
)
def test_placeholders_and_references_are_no_secrets(value: str) -> None:
    assert not looks_drawn(value, is_quoted=True, is_password=True)
    assert not list(assigned(f'password = "{value}"'))


def test_the_next_name_is_not_swallowed() -> None:
    found = list(assigned("token: str, password = 'Zx81q0PLw9', max_tokens=4096, api_key=Jk3mNq8vTz5wRb2y"))
    assert [kind for _, _, kind in found] == ["password", "api-key"]


@pytest.mark.parametrize(
    "piece",
    [
        "password=",
        "the password for the x ",
        "password is now set to ",
        "pwd=a1" + "/a=" * 20,
        "token: ",
        "a" * 50,
        "sk-",
        "eyJ" + "a" * 40 + ".",
        "://a:",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "Bearer ",
        "AKIA",
        "mysql -p",
        "mysql a ",
        "docker login a ",
        "curl a -u b",
        "machine a login b ",
        "net use x: \\\\a /user:",
        "echo aaaa ",
        "echo 'aaaa' | sudo -a ",
        "sudo -S a ",
        "--password ",
        "pass = 'abc def ",
        "x" * 15 + "--token ",
        "_auth = ",
        ":1:a:b:",
        "A.b.",
        "login x password ",
        "M" * 24 + ".",
        "secret" * 3,
    ],
)
def test_cost_is_linear_on_hostile_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        PatternScanner().scan([text])
        return time.process_time() - started

    bound = 30 * max(min(seconds(10_000), seconds(10_000)), 0.001)
    # The better of two; the second one where the first is not good enough.
    assert seconds(100_000) < bound or seconds(100_000) < bound


def test_clean_families_pass() -> None:
    clean = list(clean_cases("tuning", 3))
    flagged = [case.family for case, found in zip(clean, PatternScanner().scan([case.text for case in clean]), strict=True) if found]
    assert len(flagged) <= 0.05 * len(clean), set(flagged)
