"""Teachers that are given up: where the work stops, what is paid for, and what is told."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from fake_endpoint import Endpoint, serve
from fake_teacher import default, task_of, teaching
from luthier.config.row_sections import TeacherSection
from luthier.config.schema import EndpointSection
from luthier.core.errors import ModelError
from luthier.data.clean import secrets
from luthier.data.rows.fields import BadRow
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.teacher.ledger import TeacherReport
from luthier.data.teacher.patience import Patience, Verdict, verdict_of
from luthier.data.teacher.teach import teach
from luthier.guard.secrets import scan
from luthier.retrieval.records import Chunk
from maker_parts import NO_CHUNKS

FILLER = "# It reads the table row by row, sums what is there, and gives the sum back to the one who asked for it.\n"
CHUNKS = tuple(
    Chunk(f"src/part_{number}.py", "python", "function", f"sum_{number}", f"def sum_{number}(rows):\n    {FILLER}    return 0\n", (1, 3))
    for number in range(60)
)
BAD = Verdict("teacher_bad_json", "Sure!")


@pytest.fixture(autouse=True)
def _no_scanners(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds to start; the one test that is about secrets has them."""
    monkeypatch.setattr(secrets, "scan", lambda texts, strength: [() for _ in texts])


def taught(server: Endpoint, journal: Path, concurrency: int = 3, **fields: Any) -> list[Made | Unfit]:
    settings = TeacherSection(endpoint="big", **{"rows": 60, **fields})
    opened = EndpointSection(base_url=server.url, model="m", concurrency=concurrency)
    return list(teach(Material("abacus", (), CHUNKS, NO_CHUNKS), settings, opened, opened, journal, lambda *_: None, 7, TeacherReport()))


def test_a_teacher_that_writes_nothing_of_use_is_left_after_twenty_replies_and_not_paid_again(tmp_path: Path) -> None:
    junk = "Sure! Here are your questions, \x1b[31mred\x1b[0m:\n1. What is it?\n" + "and so on " * 99
    with serve(teaching(lambda task, text: junk)) as server:
        with pytest.raises(ModelError) as caught:
            taught(server, tmp_path / "j")
        paid = len(server.bodies)
        assert 20 <= paid < 20 + 3
        with pytest.raises(ModelError) as again:
            taught(server, tmp_path / "j")
        assert (len(server.bodies), str(again.value)) == (paid, str(caught.value))
        # Who says so pays on, and so does who changes how the teacher is asked.
        with pytest.raises(ModelError, match="40 replies in a row"):
            taught(server, tmp_path / "j", max_unusable=40)
        assert 40 <= len(server.bodies) < 40 + 3
        with pytest.raises(ModelError, match="20 replies in a row"):
            taught(server, tmp_path / "j", temperature=0.1)
        assert len(server.bodies) >= 60
    assert caught.value.exit_code == 2
    told = str(caught.value)
    for part in ("teacher.max_unusable", "`questions`", "`big`", "model `m`", "teacher_bad_json 20", "`max_unusable: 40`", "journal"):
        assert part in told
    assert "“Sure! Here are your questions, [31mred [0m: 1. What is it? and so on" in told
    assert "\x1b" not in told
    assert len(told) < 900


def test_where_the_work_stops_does_not_depend_on_how_fast_replies_come(tmp_path: Path) -> None:
    """The first reply is the slowest, and good: what came before it does not count against the teacher."""
    sound = teaching()
    broken = teaching(lambda task, text: "no")
    # Asked together, the first four come in any order: which two are asked first is seen where one is asked after another.
    with serve(broken) as server:
        with pytest.raises(ModelError, match="2 replies in a row to `questions`"):
            taught(server, tmp_path / "order", concurrency=1, max_unusable=2)
        first, second = map(definition_of, server.bodies)

    def answer(handler: Any, body: dict[str, Any], number: int) -> None:
        asked = definition_of(body)
        if asked == first:
            time.sleep(0.3)
        (sound if asked in (first, second) or task_of(body) != "questions" else broken)(handler, body, number)

    with serve(answer) as server:
        with pytest.raises(ModelError, match="8 replies in a row to `questions`"):
            taught(server, tmp_path / "j", concurrency=4, max_unusable=8)
        # Two of use, then the eight, and those that were under way.
        assert 10 <= len(server.bodies) < 10 + 4


def definition_of(body: dict[str, Any]) -> str:
    found = re.search(r"def (sum_\d+)", body["messages"][-1]["content"])
    assert found is not None
    return found[1]


@pytest.mark.parametrize(("task", "said"), [("answers", {"answer": " "}), ("judge", {"mark": 85, "reason": "on a scale of its own"})])
def test_each_task_is_counted_for_itself_over_all_waves(tmp_path: Path, task: str, said: Any) -> None:
    """Five rows are wanted, so a wave has five chunks: no wave has eight replies to one task."""
    with serve(teaching(lambda asked, text: said if asked == task else default(asked, text))) as server:
        with pytest.raises(ModelError) as caught:
            taught(server, tmp_path / "j", rows=5, max_unusable=8)
        assert sum(task_of(body) == task for body in server.bodies) in range(8, 11)
    assert ("`judge_answer`" if task == "judge" else "`answers`") in str(caught.value)
    assert ("name another `judge`" in str(caught.value)) == (task == "judge")


def test_what_is_turned_down_for_what_it_says_stops_nothing(tmp_path: Path) -> None:
    low = teaching(lambda task, text: {"mark": 0.1, "reason": "trivial"} if task == "judge" else default(task, text))
    with serve(low) as server:
        assert [type(one) for one in taught(server, tmp_path / "a", max_unusable=3)] == [Unfit] * 60
    pointing = teaching(lambda task, text: {"questions": ["What does the code above do?"]})
    with serve(pointing) as server:
        assert [type(one) for one in taught(server, tmp_path / "b", max_unusable=3)] == [Unfit] * 60


def test_a_secret_in_the_shown_reply_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "scan", lambda texts, strength: scan.scan(texts, "fast"))
    token = "ghp_" + "a8Xk2LmQ9zR4tYv7WbN1cD5eF6gH3jK0pS2u"
    with serve(teaching(lambda task, text: f"Take {token} for it")) as server, pytest.raises(ModelError) as caught:
        taught(server, tmp_path / "j", max_unusable=1)
    assert "“Take <GITHUB_TOKEN> for it”" in str(caught.value)


def noted(most: int, verdicts: str, late: int | None = None) -> bool:
    """Whether it is over after `verdicts`, a letter each: bad, fine, off the subject, none; the one at `late` comes last."""
    meaning = {"b": BAD, "f": Verdict(), "o": Verdict("teacher_needs_context", "x"), "-": None}
    following = Patience("teacher", most).follow("big", "m", {str(number): "answers" for number in range(len(verdicts))})
    order = sorted(range(len(verdicts)), key=lambda number: number == late)
    for number in order:
        following.ask(str(number), True)
    for number in order:
        following.note(str(number), meaning[verdicts[number]])
    return following.is_over


@pytest.mark.parametrize(
    ("verdicts", "is_over"),
    [("bbb", True), ("bb", False), ("bbfb", False), ("bobob", True), ("b-bb", True), ("bbfbb", False), ("fbbbf", True)],
)
def test_a_row_of_replies_is_ended_by_one_of_use_alone(verdicts: str, is_over: bool) -> None:
    assert noted(3, verdicts) is is_over
    assert [noted(3, verdicts, late) for late in range(len(verdicts))] == [is_over] * len(verdicts)


def test_nothing_is_sent_while_a_reply_under_way_decides() -> None:
    following = Patience("teacher", 2).follow("big", "m", dict.fromkeys("abcd", "answers"))
    for key in "abc":
        following.ask(key, True)
    following.note("b", BAD)
    assert following.may_ask
    following.note("c", BAD)
    assert not following.may_ask
    following.note("a", Verdict())
    assert following.is_over


def test_a_request_that_the_ceiling_leaves_undone_counts_for_nothing() -> None:
    following = Patience("teacher", 2).follow("big", "m", dict.fromkeys("abc", "answers"))
    following.ask("a", False)
    for key in "bc":
        following.ask(key, True)
        following.note(key, BAD)
    assert following.is_over


def bad(reason: str) -> BadRow:
    return BadRow(reason, "told")


def test_of_several_in_one_reply_one_is_enough() -> None:
    assert not verdict_of("x", lambda: ["a text", bad("teacher_empty")]).reason
    assert verdict_of("x", lambda: [bad("teacher_empty")]).is_unreadable
    assert not verdict_of("x", lambda: [bad("teacher_empty"), bad("teacher_lost_value")]).is_unreadable
