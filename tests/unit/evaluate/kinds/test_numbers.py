"""The final number of an answer, as people and models write it."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluate.kinds.numbers import final_number

CASES = [
    ("#### 18", 18),
    ("She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\n#### 18", 18),
    ("####18", 18),
    ("#### 1,234", 1234),
    ("#### -5", -5),
    ("#### $70,000", 70000),
    ("#### 12\nBut wait, let me check: 7 + 8 = 15.", 12),
    ("#### 3\n#### 4", 4),
    ("#### see below\nThe answer is 9.", 9),
    ("##### 7", 7),
    ("The answer is 18.", 18),
    ("The answer is: 18 eggs per day", 18),
    ("The final answer is **42**.", 42),
    ("**Answer:** 42", 42),
    ("Answer: $1,250.50", Fraction(125050, 100)),
    ("So the answer is $x = 18$.", 18),
    ("The answer is 3 + 4 = 7.", 7),
    ("Answer = 12 because 13 - 1", 12),
    ("The answer is wrong at first; the answer is 5.", 5),
    ("The answer is 10. Note that 3 of them are red.", 10),
    ("the answers are 4", 4),
    ("The answer would be -3.", -3),
    (r"Thus \boxed{42}.", 42),
    (r"\boxed{\frac{3}{4}}", Fraction(3, 4)),
    (r"$$\boxed{1{,}000}$$ dollars", 1000),
    (r"\boxed{\$18}", 18),
    (r"\boxed{ 20\% }", 20),
    (r"\boxed{x = 5}", 5),
    (r"\boxed{5} and then \boxed{6}", 6),
    (r"\boxed{12 \text{ apples}} of 15", 12),
    (r"\fbox{8}", 8),
    (r"\boxed{\dfrac{1}{2}}", Fraction(1, 2)),
    ("It takes 2/2=1 bolt, so 2+1=3 bolts", 3),
    ("a total of 3 bolts.", 3),
    ("He pays $5.", 5),
    ("He pays 5$.", 5),
    ("€ 3.50", Fraction(7, 2)),
    ("£12", 12),
    ("He loses $-4", -4),
    ("He loses -$4", -4),
    ("temperature of \u22127 degrees", -7),
    ("temperature of \u20137", -7),
    ("+6", 6),
    # A bullet or a dash is no sign.
    ("Answer:\n- 18", 18),
    ("So she makes:\n- 18 dollars", 18),
    ("So she makes:\n  \u2013 $18", 18),
    ("Total: 10 - 18", 18),
    ("Answer: - 18", 18),
    ("a range of 3 \u2013 4", 4),
    ("- 18", 18),
    ("#### - 18", 18),
    ("-18", -18),
    ("So:\n-18", -18),
    ("between (- 5) and 3: (- 5)", -5),
    ("x = - 5", -5),
    ("so x =- 5 holds", -5),
    ("Answer: -18", -18),
    ("10-5", 5),
    ("(10)-5", 5),
    ("from 3-4 people", 4),
    ("50%", 50),
    ("50 percent", 50),
    ("0.5", Fraction(1, 2)),
    (".5", Fraction(1, 2)),
    ("5.", 5),
    ("5.0", 5),
    ("007", 7),
    ("3/4", Fraction(3, 4)),
    ("3 / 4 of a cake", Fraction(3, 4)),
    ("1 1/2 cups", Fraction(3, 2)),
    ("-1/2", Fraction(-1, 2)),
    ("12 of 3/0", 12),
    ("1,2,3", 3),
    ("1, 2 and 3", 3),
    ("in 2,000, he had", 2000),
    ("12,34", 34),
    ("1,234,567.89", Fraction(123456789, 100)),
    ("1\u202f234", 1234),
    ("1\u00a0234 km", 1234),
    (r"1\,234", 1234),
    ("1e3", 1000),
    ("2.5e-1", Fraction(1, 4)),
    ("12:30", 30),
    ("x2", 2),
    ("3.5kg", Fraction(7, 2)),
    ("", None),
    ("none at all", None),
    ("twelve", None),
    ("####", None),
    (r"\boxed{", None),
    (r"\boxed{}", None),
    ("#" * 50, None),
    ("\ud800 7 \0", 7),
    ("\u0663", 3),
]


@pytest.mark.parametrize(("text", "number"), CASES)
def test_numbers_as_they_are_written(text: str, number: int | Fraction | None) -> None:
    assert final_number(text) == number


def test_a_number_beyond_all_bounds_is_none() -> None:
    assert final_number("9" * 5000) is None
    assert final_number("1e999") == 10**999
    assert final_number("7 and " + "9" * 5000) == 7
    assert final_number("1/" + "9" * 5000) is None


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    "####",
                    "\\boxed{",
                    "}",
                    "{",
                    "answer is ",
                    "=",
                    "1",
                    "23",
                    ",",
                    ".",
                    "/",
                    "-",
                    "\u2212",
                    "$",
                    "%",
                    " ",
                    "\n",
                    "e",
                    "\\frac{1}{0}",
                    "\ud800",
                    "\0",
                ]
            ),
            max_size=30,
        ).map("".join),
    )
)
def test_no_text_raises(text: str) -> None:
    assert final_number(text) is None or isinstance(final_number(text), Fraction)


@given(
    st.integers(-(10**12), 10**12), st.sampled_from(["#### {:,}", "The answer is {}.", "\\boxed{{{}}}", "so {} eggs", "Answer: ${:,}.00"])
)
def test_what_is_written_is_read(number: int, form: str) -> None:
    assert final_number(form.format(number)) == number


@pytest.mark.parametrize(
    "piece", ["1", "1,", "111,", "-", "####", "\\boxed{", "answer is ", "1/", "1 1/", "{", "$-", ".", "1.", "\\frac{1", "e1"]
)
def test_a_megabyte_is_read_in_linear_time(piece: str) -> None:
    text = piece * ((1 << 20) // len(piece))
    started = time.process_time()
    final_number(text)
    assert time.process_time() - started < 8
