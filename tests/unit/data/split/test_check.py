"""The check sees a strong edge of every kind across files, finds all near pairs, and shares no code with the division."""

from __future__ import annotations

import ast
import json
import unicodedata
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.config.row_sections import MAKER_SOURCES
from luthier.core.errors import IntegrityError
from luthier.data.rows.digests import canonical
from luthier.data.rows.grams import grams, jaccard
from luthier.data.rows.keys import CODE_MAKERS, answer_form
from luthier.data.split import check
from luthier.data.split.check import check_files
from luthier.data.synthesize.makers.registry import TEACHER

LONG = "show the last ten lines of the file that was changed yesterday"


def row(name: str, ask: str, say: str, **origin: str) -> dict[str, object]:
    messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": say}]
    return {"id": name, "messages": messages, "origin": {"maker": "chat", "maker_version": 1, **origin}}


def written(folder: Path, *sides: list[dict[str, object]]) -> list[Path]:
    paths = []
    for number, rows in enumerate(sides):
        paths.append(folder / f"{('train', 'validation', 'test')[number]}.jsonl")
        paths[-1].write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")
    return paths


def talk(name: str, *texts: str, train: bool | None = None) -> dict[str, object]:
    messages: list[dict[str, object]] = [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)
    ]
    if train is not None:
        messages[1]["train"] = train
    return {"id": name, "messages": messages, "origin": {"maker": "chat", "maker_version": 1}}


LEAKS = [
    (talk("b", "Which oil is it?", "5W", "p", "x"), row("a", "which oil IS it", "5W"), "an equal exchange"),
    (row("b", "which oil IS it", "5W"), talk("a", "Which oil is it?", "5W", "p", "x"), "an equal exchange"),
    (talk("b", "oil?", "It is the 5W.", "p", "x"), talk("a", "m", "n", "oil", "it is the 5w", "q", "y"), "an equal exchange"),
    (row("b", "Show ALL  files!", "x"), row("a", "show all files", "y"), "an equal request"),
    (row("b", "??", "x"), row("a", "??", "y"), "an equal request"),
    (row("b", "p", " same\n"), row("a", "q", "same"), "an equal answer"),
    (row("b", "p", "It gives the SUM."), row("a", "q", "it gives\n'the sum'"), "an equal answer"),
    (row("b", "p", "é" * 80), row("a", "q", "é" * 80), "an equal answer"),
    (row("b", LONG, "x"), row("a", f"{LONG} afternoon", "y"), "requests that share 10 of 11 word 3-grams"),
    (
        row("b", "p", "x", maker="explain", repo="r", path="f.py"),
        row("a", "q", "y", maker="usage", repo="r", path="f.py"),
        "the same file of code",
    ),
]


@pytest.mark.parametrize(("first", "second", "edge"), LEAKS)
@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("slice_rows", [1, 100])
def test_a_planted_leak_is_named(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], edge: str, one: int, other: int, slice_rows: int
) -> None:
    sides: list[list[dict[str, object]]] = [
        [row(f"{side}{n}", f"ask {side} {n}", f"say {side} {n}") for n in range(5)] for side in range(3)
    ]
    sides[one].append(first)
    sides[other].append(second)
    with pytest.raises(IntegrityError, match=edge) as raised:
        check_files(written(tmp_path, *sides), slice_rows)
    text = str(raised.value)
    assert "row a" in text
    assert "row b" in text
    assert all(("train", "validation", "test")[side] in text for side in (one, other))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (row("b", "??", "x"), row("a", "!!", "y")),
        (row("b", "p", "ls -l"), row("a", "q", "ls -L")),
        (row("b", "p", "`None`"), row("a", "q", "`none`")),
        (row("b", LONG, "x"), row("a", LONG.replace("lines", "rows"), "y")),
        (talk("b", "hello", "hi", "p", "x"), talk("a", "hello", "hi", "q", "y")),
        (talk("b", "hello", "hi", "p", "x"), row("a", "hello", "hi")),
        (talk("b", "Which oil is it?", "5W", "p", "x", train=False), row("a", "which oil is it", "5W")),
        (talk("b", "Which oil is it?", "5W", "p", "x"), row("a", "which oil is it", "10W")),
        (row("b", "p", "x", maker="alpaca", repo="r", path="train"), row("a", "q", "y", maker="alpaca", repo="r", path="train")),
    ],
)
def test_what_is_no_strong_edge_passes(tmp_path: Path, first: dict[str, object], second: dict[str, object]) -> None:
    check_files(written(tmp_path, [first], [second]))
    check_files(written(tmp_path, [first, first], []))


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_it_finds_a_leak_exactly_where_there_is_one(random: Random, slice_rows: int) -> None:
    base = [[random.choice("abcdef") for _ in range(random.randrange(3, 25))] for _ in range(3)]
    asks = []
    for _ in range(40):
        words = list(random.choice(base))
        for _ in range(random.randrange(6)):
            words[random.randrange(len(words))] = random.choice("abcdefghijklmnopqrst")
        asks.append(" ".join(words))
    sides = [random.randrange(3) for _ in asks]
    sets = [grams(ask) for ask in asks]
    leaks = any(sides[i] != sides[j] and jaccard(sets[i], sets[j]) >= 0.7 for i in range(40) for j in range(i))
    rows = [row(f"r{number}", ask, f"say {number}") for number, ask in enumerate(asks)]
    with TemporaryDirectory() as folder:
        paths = written(Path(folder), *([rows[n] for n in range(40) if sides[n] == side] for side in range(3)))
        try:
            check_files(paths, slice_rows)
            found = False
        except IntegrityError:
            found = True
    assert found == leaks


def test_a_gram_that_many_rows_share_is_kept_by_size_and_place(tmp_path: Path) -> None:
    stem = "print the lines of the given file that match the pattern and count"
    held_out = [row(f"h{n}", f"w{n} x{n} y{n} {stem} u{n} v{n}", f"say {n}") for n in range(60)]
    leak = row("leak", f"w7 x7 y7 {stem} u7 other", "z")
    check_files(written(tmp_path, [row("t", f"a b c {stem} d e", "z")], held_out))
    with pytest.raises(IntegrityError, match="row leak and row h7"):
        check_files(written(tmp_path, [leak], held_out))


def test_tool_calls_and_system_texts(tmp_path: Path) -> None:
    def call(name: str, ask: str, city: str) -> dict[str, object]:
        calls = [{"type": "function", "function": {"name": "weather", "arguments": {"city": city, "days": 1}}}]
        system = {"role": "system", "content": "You are a helpful assistant that answers with calls of tools alone."}
        said = [system, {"role": "user", "content": ask}, {"role": "assistant", "content": "", "tool_calls": calls}]
        return {"id": name, "messages": said, "origin": {}}

    check_files(written(tmp_path, [call("a", "one", "Ulm")], [call("b", "two", "Bonn")]))
    with pytest.raises(IntegrityError, match="an equal answer"):
        check_files(written(tmp_path, [call("a", "one", "Ulm")], [call("b", "two", "Ulm")]))


def test_a_line_that_is_cut_is_named(tmp_path: Path) -> None:
    paths = written(tmp_path, [row("a", "p", "x")], [row("b", "q", "y")])
    paths[1].write_text('{"id": "b", "mess')
    with pytest.raises(IntegrityError, match=r"validation\.jsonl:1: not a row"):
        check_files(paths)


def test_it_shares_no_code() -> None:
    tree = ast.parse(Path(check.__file__).read_text(encoding="utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name for name in found if name.startswith("luthier")} == {"luthier.core.errors"}


def stem(count: int, name: str = "s") -> str:
    """Words that are each said once; a text has two more of them than 3-grams."""
    return " ".join(f"{name}{number}" for number in range(count))


def pair(common: int, mine: int, theirs: int) -> tuple[dict[str, object], dict[str, object]]:
    """Two rows that share `common` 3-grams and have some of their own besides."""
    first, second = (f"{stem(common + 2)} {stem(own, name)}" for own, name in ((mine, "a"), (theirs, "b")))
    return row("b", first, "x"), row("a", second, "y")


@pytest.mark.parametrize("tens", [1, 2, 3, 5, 10, 30])
def test_a_pair_alone_is_found_from_exactly_the_threshold_on(tmp_path: Path, tens: int) -> None:
    common, own = 7 * tens, 3 * tens
    for mine in range(own + 1):
        for each in (pair(common, mine, own - mine), pair(common, own - mine, mine)):
            with pytest.raises(IntegrityError, match=f"requests that share {common} of {10 * tens} word 3-grams"):
                check_files(written(tmp_path, [each[0]], [each[1]]))
        check_files(written(tmp_path, *([each] for each in pair(common, mine, own - mine + 1))))
        check_files(written(tmp_path, *([each] for each in pair(common - 1, mine, own - mine + 1))))


# Makers whose rows are about documents and the help of commands, which many rows may quote.
TEXT_MAKERS = {"section", "commands"}


def test_every_maker_is_a_maker_of_code_here_and_in_the_division_or_of_text_in_both() -> None:
    assert check._CODE_MAKERS == CODE_MAKERS
    assert {*MAKER_SOURCES, TEACHER} == check._CODE_MAKERS | TEXT_MAKERS
    assert not check._CODE_MAKERS & TEXT_MAKERS


@pytest.mark.parametrize("maker", sorted({*MAKER_SOURCES, TEACHER}))
def test_rows_about_one_file_of_code_are_tied_whoever_made_them(tmp_path: Path, maker: str) -> None:
    paths = written(
        tmp_path,
        [row("b", "p", "x", maker="explain", repo="r", path="f.py")],
        [row("a", "q", "y", maker=maker, repo="r", path="f.py")],
    )
    if maker in TEXT_MAKERS:
        check_files(paths)
        return
    with pytest.raises(IntegrityError, match="the same file of code"):
        check_files(paths)


@pytest.mark.parametrize("times", [1, 80])
def test_answers_of_one_canonical_form_are_equal(tmp_path: Path, times: int) -> None:
    composed, apart = (unicodedata.normalize(form, "déjà vu " * times) for form in ("NFC", "NFD"))
    assert composed != apart
    for first, second in ((composed, apart), (apart, composed)):
        with pytest.raises(IntegrityError, match="an equal answer"):
            check_files(written(tmp_path, [row("b", "p", first)], [row("a", "q", second)]))


@pytest.mark.parametrize(("first", "second"), [("Push Back", "push back"), ("Yes.", "yes"), ("push  back!", "Push\nback")])
def test_short_answers_of_plain_words_are_equal_by_these_as_in_the_division(tmp_path: Path, first: str, second: str) -> None:
    assert answer_form(canonical(first)) == answer_form(canonical(second))
    with pytest.raises(IntegrityError, match="an equal answer"):
        check_files(written(tmp_path, [row("b", "p", first)], [row("a", "q", second)]))


@settings(max_examples=200, deadline=None)
@given(*[st.text("aB1 -.!\n`é_", max_size=7)] * 2)
def test_the_check_ties_the_answers_that_the_division_ties(first: str, second: str) -> None:
    assert (check._answer_key(first) == check._answer_key(second)) == (answer_form(canonical(first)) == answer_form(canonical(second)))


@pytest.mark.parametrize("mine", range(6))
def test_a_gram_that_many_rows_share_is_found_in_rows_of_other_sizes(tmp_path: Path, mine: int) -> None:
    """Every gram that the pair shares stands in all held-out rows, so that nothing but the postings by size and place leads to them."""
    common, theirs = 14, 6 - mine
    held_out = [row(f"h{number}", f"{stem(common + 2)} {stem(theirs, f'h{number}x')}", f"say {number}") for number in range(40)]
    with pytest.raises(IntegrityError, match=f"row leak and row h0 .* share {common} of 20"):
        check_files(written(tmp_path, [row("leak", f"{stem(common + 2)} {stem(mine, 'a')}", "z")], held_out))
    check_files(written(tmp_path, [row("no", f"{stem(common + 2)} {stem(mine + 1, 'a')}", "z")], held_out))
