"""Judging by hand: the draw, the sitting, the judge's file, and the command line over a piped input."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from luthier.cli.main import group
from luthier.core.errors import IntegrityError, UserError
from luthier.core.files import read_json, write_jsonl, write_text
from luthier.core.visible import visible
from luthier.evaluate.review.draw import Item, Judgement, Notebook, Session, block, draw, read_items
from luthier.pipeline.review import open_review
from review_parts import generation, write_run


def items_of(folder: Path) -> dict[str, Item]:
    return read_items(folder / "evaluate")[0]


def test_of_a_drawn_row_every_candidate_is_judged_and_suites_take_turns(tmp_path: Path) -> None:
    items = items_of(write_run(tmp_path))
    drawn = draw(items.values(), 50, 0)
    assert len(drawn) == len({item.key for item in drawn}) == 50
    assert {item.candidate for item in drawn} == {"base", "tuned"}
    rows = Counter((item.suite, item.row_id) for item in drawn)
    assert set(rows.values()) == {2}
    assert Counter(suite for suite, _ in rows) == {"commands": 13, "safety": 12}


def test_a_small_suite_leaves_its_turns_to_the_others(tmp_path: Path) -> None:
    drawn = draw(items_of(write_run(tmp_path, {"commands": 40, "safety": 3})).values(), 50, 0)
    assert Counter(item.suite for item in drawn) == {"commands": 44, "safety": 6}
    assert len(draw(items_of(tmp_path).values(), 1000, 0)) == 86


def test_the_order_tells_nothing_and_is_the_seeds(tmp_path: Path) -> None:
    items = items_of(write_run(tmp_path))
    first, again, other = (draw(items.values(), 50, seed) for seed in (0, 0, 1))
    assert first == again != other
    turns = sum(one.candidate != next_one.candidate for one, next_one in itertools.pairwise(first))
    assert 12 < turns < 37  # Neither in blocks nor in turns.
    firsts = {draw(items.values(), 50, seed)[0].candidate for seed in range(12)}
    assert firsts == {"base", "tuned"}


def test_a_larger_number_adds_rows(tmp_path: Path) -> None:
    items = items_of(write_run(tmp_path))
    assert {item.key for item in draw(items.values(), 20, 3)} < {item.key for item in draw(items.values(), 30, 3)}


def test_a_key_tells_neither_candidate_nor_suite_and_no_number(tmp_path: Path) -> None:
    for key in items_of(write_run(tmp_path)):
        assert key.startswith("r")
        assert len(key) == 13
        assert "base" not in key


def test_what_is_no_answer_is_counted_and_not_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, {"commands": 2})
    ends = ("stop", "length", "error", "judged", "scored")
    rows = [generation("s", number, "tuned", finish_reason=end) for number, end in enumerate(ends)]
    write_jsonl(tmp_path / "evaluate" / "s" / "generations.jsonl", rows)
    items, left_out = read_items(tmp_path / "evaluate")
    assert ({item.row_id for item in items.values() if item.suite == "s"}, left_out) == ({"row0", "row1"}, 2)
    review = open_review(str(tmp_path), "anna", 0, 50, None)
    told = review.write_sheet(str(tmp_path / "sheet.csv"))
    assert (told.found["answers"], told.found["left_out"]) == (6, 2)
    assert "2 rows have no answer to judge" in told.lines[1]


def test_one_candidate_alone_is_judged_too(tmp_path: Path) -> None:
    drawn = draw(items_of(write_run(tmp_path, candidates=("tuned",))).values(), 10, 0)
    assert len(drawn) == 10
    assert {item.candidate for item in drawn} == {"tuned"}


def test_a_run_without_answers_and_a_suite_without_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no answers to judge"):
        items_of(tmp_path)
    items = items_of(write_run(tmp_path))
    with pytest.raises(UserError, match="known: commands, safety"):
        draw(items.values(), 10, 0, "comands")
    assert {item.suite for item in draw(items.values(), 10, 0, "safety")} == {"safety"}


def test_further_samples_and_scored_texts_are_nothing_to_judge(tmp_path: Path) -> None:
    rows = [
        generation("code", 0, "tuned"),
        generation("code", 0, "tuned", "again", sample=1),
        generation("code", 1, "tuned", finish_reason="scored"),
    ]
    write_run(tmp_path, {"commands": 1})
    write_jsonl(tmp_path / "evaluate" / "code" / "generations.jsonl", rows)
    assert [item.row_id for item in items_of(tmp_path).values() if item.suite == "code"] == ["row0"]


class Typist:
    """A judge whose lines are known beforehand."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[str] = []

    def ask(self, text: str) -> str | None:
        self.shown += text.split("\n")
        return self.lines.pop(0) if self.lines else None


def test_figures_of_a_judge_who_is_not_done_stand_nowhere(tmp_path: Path) -> None:
    write_run(tmp_path, {"commands": 3}, ("base", "tuned"))
    path = tmp_path / "review" / "summary.json"

    def judged(judge: str, *lines: str) -> Any:
        open_review(str(tmp_path), judge, 0, 6, None).ask(Typist(*lines).ask)
        return read_json(path)

    judged("ben", *"rrwrww")
    first = judged("anna", *"rwrwr")
    assert {"candidates", "paired"} <= first["judges"]["ben"].keys()
    counts = {"verdicts": {"right": 3, "wrong": 2, "unsafe": 0, "skip": 0}, "outdated": 0, "suites": {"commands": 5}}
    assert first["judges"]["anna"] == {**counts, "unfinished": True}
    assert first["agreement"] == {}
    assert set(judged("cleo", *"rrrrrr")["judges"]["anna"]) == {*counts, "unfinished"}, "another who is done tells nothing of her"
    last = judged("anna", "w")
    assert {"candidates", "paired"} <= last["judges"]["anna"].keys()
    assert len(last["agreement"]) == 3


def sit(folder: Path, *lines: str, number: int = 6) -> tuple[bool, dict[str, Judgement], list[Item], Typist]:
    drawn = draw(items_of(folder).values(), number, 0)
    notebook, typist = Notebook(folder / "review", "anna"), Typist(*lines)
    is_whole = Session(drawn, notebook, typist.ask).run()
    return is_whole, notebook.read(), drawn, typist


def test_every_judgement_is_on_the_disk_and_a_new_sitting_goes_on(tmp_path: Path) -> None:
    write_run(tmp_path)
    is_whole, said, drawn, _ = sit(tmp_path, "r", "wrong", "U")
    assert not is_whole
    assert [said[item.key].verdict for item in drawn[:3]] == ["right", "wrong", "unsafe"]
    is_whole, said, drawn, typist = sit(tmp_path, "s", "r", "r")
    assert is_whole
    assert [said[item.key].verdict for item in drawn] == ["right", "wrong", "unsafe", "skip", "right", "right"]
    assert typist.shown[1] == "4 of 6, 3 judged"
    assert sit(tmp_path)[0], "all is judged: nothing is asked"


def test_comments_and_the_way_back(tmp_path: Path) -> None:
    write_run(tmp_path)
    lines = ("r", "c", "needs sudo", "w", "b", "u", "x", "", "q")
    _, said, drawn, typist = sit(tmp_path, *lines)
    assert said[drawn[0].key] == Judgement(drawn[0].key, "right")
    assert said[drawn[1].key] == Judgement(drawn[1].key, "unsafe", "needs sudo")
    assert "you said: wrong (needs sudo)" in typist.shown
    assert typist.shown.count("one of these letters or words is meant, and then Enter") == 2
    assert len((tmp_path / "review" / "anna.jsonl").read_text().splitlines()) == 3, "nothing that was said is overwritten"


def test_back_at_the_first_answer_stays_there(tmp_path: Path) -> None:
    write_run(tmp_path)
    _, said, drawn, _ = sit(tmp_path, "b", "b", "r", "q")
    assert list(said) == [drawn[0].key]


def test_nothing_tells_whose_answer_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_run(folder)
    for path in folder.glob("evaluate/*/generations.jsonl"):
        write_text(path, path.read_text().replace("base answers", "answer").replace("tuned answers", "answer  "))
    _, _, _, typist = sit(folder, *["r"] * 6)
    shown = "\n".join(typist.shown) + (folder / "review" / "anna.jsonl").read_text()
    assert "tuned" not in shown
    assert "base" not in shown


def test_a_cut_line_is_passed_over_and_a_bad_one_told(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, "anna")
    notebook.append([Judgement("r1", "right"), Judgement("r2", "wrong", "why")])
    content = notebook.path.read_bytes()
    notebook.path.write_bytes(content + b'{"time": "now", "item": "r3", "ver')
    assert list(notebook.read()) == ["r1", "r2"]
    notebook.append([Judgement("r4", "skip")])
    assert list(notebook.read()) == ["r1", "r2", "r4"]
    notebook.path.write_bytes(content.rstrip(b"\n"))
    notebook.append([Judgement("r5", "skip")])
    assert list(notebook.read()) == ["r1", "r2", "r5"], "a whole line that lacks its end is kept"
    notebook.path.write_bytes(b'{"item": "r1", "verdict": "great"}\n' + content)
    with pytest.raises(IntegrityError, match=r"anna\.jsonl:1"):
        notebook.read()


@pytest.mark.parametrize("judge", ["", "../anna", "a/b", ".x", "a" * 65, "a\n"])
def test_a_judges_name_names_a_file(tmp_path: Path, judge: str) -> None:
    with pytest.raises(UserError, match="names a file"):
        Notebook(tmp_path, judge)


@given(st.text())
def test_what_is_shown_cannot_act_on_a_terminal(text: str) -> None:
    shown = visible(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert all(line.startswith("  ") for line in block(text).split("\n"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\rb", "a\\x0db"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202erm\u2066", "\\u202erm\\u2066"),
        ("l\u200bs", "l\\u200bs"),
        ("a\ud800", "a\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("ls -l\n\techo größe 漢", "ls -l\n\techo größe 漢"),
    ],
)
def test_hidden_characters_are_named(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_answer_is_cut_and_says_so() -> None:
    shown = block("x" * 1_000_000)
    assert len(shown) < 6_200
    assert "994,000 more characters" in shown


def test_the_command_over_a_pipe(tmp_path: Path) -> None:
    write_run(tmp_path)
    run = str(tmp_path)
    first = CliRunner().invoke(group, ["review", run, "--number", "4", "--judge", "anna"], input="r\nw\n")
    assert first.exit_code == 0, first.output
    assert "2 of 4 judged" in first.output
    assert "anna: 1 right, 1 wrong, 0 unsafe, 0 skip" in first.output
    second = CliRunner().invoke(group, ["review", run, "--number", "4", "--judge", "anna", "--json"], input="u\nr\n")
    assert second.exit_code == 0, second.output
    found = json.loads(second.stdout)
    assert found["judges"]["anna"]["verdicts"] == {"right": 2, "wrong": 1, "unsafe": 1, "skip": 0}
    assert found == json.loads((tmp_path / "review" / "summary.json").read_text())
    third = CliRunner().invoke(group, ["review", run, "--number", "4", "--judge", "ben"], input="r\nw\nu\nr\n")
    assert "anna - ben: the same verdict on 100.0%" in third.output


def test_nobody_is_told_how_the_candidates_stand_before_all_is_judged(tmp_path: Path) -> None:
    write_run(tmp_path)
    words = ["review", str(tmp_path), "--number", "4", "--judge"]
    CliRunner().invoke(group, [*words, "anna"], input="r\nw\nu\nr\n")
    for lines, more in (("q\n", []), ("r\nq\n", ["--json"])):
        # What stands behind the last prompt; an answer above it may hold any word.
        told = CliRunner().invoke(group, [*words, "ben", *more], input=lines).output.rpartition("then Enter: ")[2]
        assert " judged, in " in told or '"judged": 1' in told
        assert not [word for word in ("anna", "tuned", "base", "%", "right_rate", "summary.json") if word in told]
    assert "1 of 4 judged" in CliRunner().invoke(group, [*words, "ben"], input="q\n").output
    done = CliRunner().invoke(group, [*words, "ben"], input="w\nu\nr\n").output
    assert "anna - ben" in done
    assert "tuned - base" in done


def test_the_prompt_says_that_enter_ends_a_line(tmp_path: Path) -> None:
    write_run(tmp_path)
    told = CliRunner().invoke(group, ["review", str(tmp_path), "--number", "2"], input="c\nhm\nx\nq\n").output
    assert told.count("[q]uit, then Enter: ") == 3
    assert "comment, kept with the verdict that follows, then Enter: " in told
    assert "one of these letters or words is meant, and then Enter" in told
