"""Maths problems in GSM8K's format: a question and an answer that ends in `#### N`; judged by the final number, as an exact rational."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.core.errors import Problem
from luthier.core.records import JsonObject, Message
from luthier.evaluate.kinds.fields import identity, texts
from luthier.evaluate.kinds.kind import Bench, Judged
from luthier.evaluate.kinds.numbers import final_number, number_text
from luthier.evaluate.rows.suite import Suite, SuiteRow

EXPECTED = '{"question": TEXT, "answer": TEXT that ends in "#### NUMBER"}; it may have "id" and "group"'


class Maths:
    """`accuracy`: the share of problems whose answer ends in the right number."""

    name = "maths"
    metrics = ("accuracy",)
    fields: tuple[str, ...] = ()
    row_keys = ("id", "question", "answer", "group")

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """A problem as something to ask; `expected` holds the worked answer, `check` its number."""
        if (problem := texts(value, where, ("question", "answer"), EXPECTED)) is not None:
            return problem
        number = final_number(value["answer"])
        if number is None:
            return Problem("the answer holds no number", where=where, found=value["answer"][-80:], expected=EXPECTED)
        row_id, group = identity(value, value["question"])
        return SuiteRow(
            row_id, (Message("user", value["question"]),), (value["answer"],), group=group, check={"number": number_text(number)}
        )

    def extract(self, text: str, with_parser: bool) -> str:
        """The final number, as digits or `above/below`; empty where there is none. A parser changes nothing: Markdown is always read."""
        return number_text(final_number(text))

    def judge(self, suite: Suite, answers: Sequence[Sequence[str]], with_parser: bool, bench: Bench) -> list[Judged]:
        """One mark for each row. An answer without a number is wrong."""
        judged = []
        for row, samples in zip(suite.rows, answers, strict=True):
            found = self.extract(samples[0], with_parser)
            details: JsonObject = {"expected": row.check["number"], "found": found or "no number"}
            judged.append(Judged(found, {"accuracy": float(found == row.check["number"])}, details=details))
        return judged
