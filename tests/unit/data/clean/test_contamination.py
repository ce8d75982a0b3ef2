from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning_parts import ORIGIN, calling, raw, row, turns
from luthier.config.schema import GuardSection
from luthier.core.errors import DataError
from luthier.core.records import Example, Message
from luthier.data.clean.cleaner import Cleaner
from luthier.data.clean.contamination import RUN_WORDS, Decontaminator
from luthier.data.clean.records import Row

SHARED = Path(__file__).parents[5] / "shared" / "data"
LONG = "a train leaves the station at nine and arrives at noon how far is it from here"


def item(request: str, answer: str = "", name: str = "1", suite: str = "maths", answers: tuple[str, ...] = ()) -> Example:
    said = (Message("user", request), *((Message("assistant", answer),) if answer else ()))
    return Example(name, said, ORIGIN, group=suite, answers=answers)


def against(*items: Example) -> Decontaminator:
    return Decontaminator.of(items)


@pytest.mark.parametrize(
    ("known", "made"),
    [
        (item(LONG), row(LONG.upper() + "?", "60 miles")),
        (item(LONG), row(f"Well: {LONG}! Think.", "60 miles")),
        (item(LONG), row("Make up a puzzle.", f"Here: {LONG}?")),
        (item(LONG), raw(f"x\n{LONG}\ny")),
        (item(LONG), turns(("system", LONG), ("user", "a"), ("assistant", "b"))),
        (item(LONG), turns(("user", "a"), Message("assistant", "b", reasoning=LONG))),
        (item(LONG), calling({"text": LONG})),
        (item(LONG), turns(("user", LONG), ("assistant", "b"), ("user", "c"), ("assistant", "d"))),
        (item("short", LONG), row("Other words.", LONG)),
        (item("short", answers=("x y", LONG)), row("Other words.", LONG)),
        (item("List all files."), row("list ALL files", "ls")),
        (item("List all the files by their size"), row("Please list all the files by their size", "ls")),
        (item("Print the user", "whoami --long"), row("Who is it?", "whoami  --long")),
        (item("List all files."), turns(("user", "Hello"), ("assistant", "Hi"), ("user", "List all files"), ("assistant", "ls"))),
        (
            item("Print the working directory now", "pwd"),
            row("How to print the working directory in a nice way so that others read it", "pwd"),
        ),
    ],
)
def test_what_repeats_an_item(known: Example, made: Row) -> None:
    assert against(known).repeats(made) == ("maths", "1")


@pytest.mark.parametrize(
    ("known", "made"),
    [
        (item(LONG), row("A train leaves the station.", "It does.")),
        (item(LONG), row(" ".join(LONG.split()[: RUN_WORDS - 1]), "60")),
        (item("List all files."), row("List all folders.", "ls -d */")),
        (item("What is 6 times 7?", "42"), row("How old is he?", "42")),
        (item("Print the folder", "pwd"), row("Where am I?", "pwd")),
        (item(LONG, "60 miles"), row("How far?", "60 miles")),
        (item("List all files."), turns(("system", "List all files."), ("user", "a"), ("assistant", "b"))),
        (item(""), row("", "")),
    ],
)
def test_what_does_not(known: Example, made: Row) -> None:
    assert against(known).repeats(made) is None


def test_the_wording_that_a_suite_shares_is_no_item() -> None:
    wording = "answer the question below in one word and say nothing else at all please now"
    items = [item(f"{wording} {number}{number} {number * 7} x{number}", name=str(number)) for number in range(6)]
    found = against(*items)
    assert found.repeats(row(f"{wording} what is the capital of France", "Paris")) is None
    assert found.repeats(row(f"{wording} 33 21 x3", "Paris")) == ("maths", "3")
    assert against(*items[:3]).repeats(row(f"{wording} what is the capital of France", "Paris")) is not None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", json.dumps({"question": LONG, "answer": "60"})),
        ("a.jsonl", json.dumps({"messages": [{"role": "user", "content": LONG}, {"role": "assistant", "content": "60"}]})),
        ("a.jsonl", json.dumps({"conversations": [{"from": "human", "value": LONG}, {"from": "gpt", "value": "60"}]})),
        ("a.json", json.dumps([{"text": LONG}])),
        ("a.csv", f"id,prompt\n1,{LONG}\n"),
        ("a.jsonl", json.dumps({"odd": LONG})),
        ("a.txt", f"Nothing\n\n{LONG.replace(' at ', chr(10) + 'at ', 1)}\n"),
        ("a.md", LONG),
    ],
)
def test_files_of_rows_and_of_text(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = Decontaminator.of((), [path]).repeats(row(LONG, "60"))
    assert found is not None
    assert found[0] == name


def test_packed_files_and_lines_of_text(tmp_path: Path) -> None:
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"prompt": "List all files."}).encode()))
    plain = tmp_path / "b.txt"
    plain.write_text("Delete all files.\nPrint all files.\n", encoding="utf-8")
    found = Decontaminator.of((), [packed, plain])
    assert found.repeats(row("list all files", "x")) == ("a.jsonl.gz", "1")
    assert found.repeats(row("print all files", "x")) == ("b.txt", "line 2")


@pytest.mark.parametrize(
    ("name", "data"), [("a.jsonl", b'{"prompt": 1}'), ("b.txt", b"\xff\xfe\x00"), ("c.jsonl", b"{"), ("d.txt", b" \n")]
)
def test_files_that_cannot_be_compared_are_told(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=name):
        Decontaminator.of((), [path])
    with pytest.raises(DataError, match="no file"):
        Decontaminator.of((), [tmp_path / "missing.jsonl"])


def test_it_can_be_handed_to_another_process() -> None:
    found = pickle.loads(pickle.dumps(against(item(LONG), item("List all files.", name="2"))))
    assert found.repeats(row("list all files", "ls")) == ("maths", "2")
    assert len(found) == 2


WORDS = st.lists(st.sampled_from(["list", "all", "the", "files", "of", "a", "folder", "by", "size", "now"]), min_size=1, max_size=20).map(
    " ".join
)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_every_item_repeats_itself(pairs: list[tuple[str, str]]) -> None:
    found = against(*(item(request, answer, name=str(number)) for number, (request, answer) in enumerate(pairs)))
    assert all(found.repeats(row(request, answer)) is not None for request, answer in pairs)


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of shared data is absent")
def test_a_sane_training_set_survives_its_test_set() -> None:
    found = Decontaminator.of((), [SHARED / "gsm8k_test.jsonl"])
    with (SHARED / "gsm8k_train.jsonl").open(encoding="utf-8") as stream:
        rows = [row(one["question"], one["answer"]) for one in map(json.loads, stream)][::4]
    assert sum(found.repeats(made) is not None for made in rows) < 0.01 * len(rows)
    with (SHARED / "gsm8k_test.jsonl").open(encoding="utf-8") as stream:
        rows = [row(one["question"], one["answer"]) for one in map(json.loads, stream)][:200]
    assert all(found.repeats(made) is not None for made in rows)


def test_an_answer_of_one_word_alone_is_passed_over_and_counted() -> None:
    known = against(item("What is the capital of France", "Paris"), item("Is it so", "yes", name="2"))
    for request, answer in (("Name a city on the Seine", "Paris"), ("Should they go home now", "Yes.")):
        made = row(request, answer)
        assert known.repeats(made) is None
        assert known.passes_over(made)
    assert not known.passes_over(row("Name a city", "Rome"))
    [kept, other] = Cleaner.of(None, GuardSection(), known).clean([row("Name a city on the Seine", "Paris"), row("Name a city", "Rome")])
    assert (kept.counts, other.counts) == ({"contaminated:one_word_answers_kept": 1}, {})


@pytest.mark.parametrize("request_", ["list all\nfiles by size in the folder", "List all of the files by the size"])
def test_requests_under_the_similarity_of_a_strong_edge_are_kept(request_: str) -> None:
    """They share 3 of 6, and none of 9, word 3-grams with the item: under 0.7."""
    assert against(item("List all files by size", "ls -S")).repeats(row(request_, "du -a | sort -n")) is None
