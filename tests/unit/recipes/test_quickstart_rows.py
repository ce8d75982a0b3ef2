"""The quickstart's rows keep what `examples/quickstart/README.md` promises; read from the files, apart from the recipe where possible."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples" / "quickstart"
TRAIN, COMBINATIONS, TEMPLATES = "train.jsonl", "held_out_new_combinations.jsonl", "held_out_new_templates.jsonl"
FILES = (TRAIN, COMBINATIONS, TEMPLATES)
CATEGORIES = {"files", "text", "archives", "processes", "network", "git", "packages", "permissions"}
SLOT = re.compile(r"\{[a-z]+(?:\.\d)?\}")

Row = dict  # one JSON object of a file


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return {name: [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()] for name in FILES}


@pytest.fixture(scope="module")
def make() -> ModuleType:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module("recipes.quickstart.make")


@pytest.fixture(scope="module")
def built(make: ModuleType) -> dict:
    return make.build()


def request(row: Row) -> str:
    return row["messages"][0]["content"]


def command(row: Row) -> str:
    return row["messages"][1]["content"]


def category(row: Row) -> str:
    return row["id"].split("-")[0]


def everything(rows: dict[str, list[Row]]) -> list[Row]:
    return [row for name in FILES for row in rows[name]]


def slot_values(row: Row) -> list[str]:
    """The values in the command, found by laying the row's template over it: a slot that stands twice has one value."""
    pattern, names = "", []
    for piece in re.split(r"(\{[a-z]+(?:\.\d)?\})", row["group"]):
        if not SLOT.fullmatch(piece):
            pattern += re.escape(piece)
        elif piece in names:
            pattern += f"(?P=s{names.index(piece)})"
        else:
            pattern += f"(?P<s{len(names)}>.+?)"
            names.append(piece)
    match = re.fullmatch(pattern, command(row))
    assert match, f"{row['id']}: {command(row)!r} is not {row['template']!r}"
    return list(match.groups())


def trigrams(text: str, word: str) -> set[tuple[str, ...]]:
    words = re.findall(word, text.lower())
    return set(zip(words, words[1:], words[2:], strict=False)) or {tuple(words)}


def test_the_recipe_writes_the_same_bytes_again(make: ModuleType, tmp_path: Path) -> None:
    make.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), f"{name}: run `python -m recipes.quickstart.make`"


def test_other_hash_seeds_do_not_change_a_byte(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "recipes.quickstart.make", str(tmp_path)],
        cwd=ROOT, env={"PYTHONHASHSEED": "7", "PATH": "/usr/local/bin:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert all((tmp_path / name).read_bytes() == (FOLDER / name).read_bytes() for name in FILES)


def test_rows_have_one_shape_and_distinct_ids(rows: dict[str, list[Row]]) -> None:
    for row in everything(rows):
        assert set(row) == {"id", "group", "messages"}
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        for text in (request(row), command(row)):
            assert text
            assert text == " ".join(text.split()), f"{row['id']}: one line, single spaces"
            assert len(text.split()) <= 25
    assert len({row["id"] for row in everything(rows)}) == len(everything(rows))


def test_counts(rows: dict[str, list[Row]]) -> None:
    assert 1800 <= len(rows[TRAIN]) <= 2200
    assert 180 <= len(rows[COMBINATIONS]) <= 220
    assert 180 <= len(rows[TEMPLATES]) <= 220
    trained = Counter(row["group"] for row in rows[TRAIN] if SLOT.search(row["group"]))
    assert len(trained) >= 110
    assert min(trained.values()) >= 10
    assert 25 <= len({row["group"] for row in rows[TEMPLATES]}) <= 40
    assert len([row for row in rows[TRAIN] if not SLOT.search(row["group"])]) >= 140


@pytest.mark.parametrize(("name", "most_over_least"), [(TRAIN, 1.2), (COMBINATIONS, 1.0), (TEMPLATES, 1.0)])
def test_the_eight_categories_are_even(rows: dict[str, list[Row]], name: str, most_over_least: float) -> None:
    counts = Counter(category(row) for row in rows[name])
    assert set(counts) == CATEGORIES
    assert max(counts.values()) <= most_over_least * min(counts.values())


def test_every_command_passes_bash_n(rows: dict[str, list[Row]], make: ModuleType) -> None:
    assert make.checks.invalid_bash(command(row) for row in everything(rows)) == []
    for row in rows[TRAIN][::97]:  # the check's own bash loop against plain `bash -n`
        assert subprocess.run(["bash", "-n"], input=command(row), text=True, check=False).returncode == 0


def test_the_bash_check_finds_what_is_wrong_and_runs_nothing(make: ModuleType, tmp_path: Path) -> None:
    wrong = ["echo (", "echo 'a", "ls |", "if true", "ls; fi"]
    right = [f"touch {tmp_path}/made", "sleep 1 &", "awk '{print $1}' a.txt", "ls -d */"]
    assert make.checks.invalid_bash([*right, *wrong]) == wrong
    assert list(tmp_path.iterdir()) == []


def test_no_request_twice(rows: dict[str, list[Row]]) -> None:
    counts = Counter(re.sub(r"[?!. ]+$", "", request(row).lower()) for row in everything(rows))
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_held_out_command_is_trained(rows: dict[str, list[Row]]) -> None:
    trained = {command(row) for row in rows[TRAIN]}
    assert [command(row) for row in rows[COMBINATIONS] + rows[TEMPLATES] if command(row) in trained] == []


@pytest.mark.parametrize("word", [r"\S+", r"\w+"])
def test_held_out_requests_keep_their_distance(rows: dict[str, list[Row]], word: str) -> None:
    trained = [trigrams(request(row), word) for row in rows[TRAIN]]
    for row in rows[COMBINATIONS] + rows[TEMPLATES]:
        asked = trigrams(request(row), word)
        nearest = max(len(asked & other) / len(asked | other) for other in trained)
        assert nearest < 0.7, request(row)


def test_new_combinations_have_trained_templates_and_phrases(rows: dict[str, list[Row]], built: dict) -> None:
    assert {row["group"] for row in rows[COMBINATIONS]} <= {row["group"] for row in rows[TRAIN]}
    assert all(SLOT.search(row["group"]) for row in rows[COMBINATIONS])
    seen = {(row.template.command, row.asked) for row in built[TRAIN]}
    assert [row.request for row in built[COMBINATIONS] if (row.template.command, row.asked) not in seen] == []


def test_new_templates_are_new_under_both_masks(rows: dict[str, list[Row]], make: ModuleType) -> None:
    def by_slots(row: Row) -> str:
        return SLOT.sub("_", row["group"])

    def by_text(row: Row) -> str:
        return make.checks.text_mask(request(row), command(row))

    for mask in (by_slots, by_text):
        trained = {mask(row) for row in rows[TRAIN]}
        assert [command(row) for row in rows[TEMPLATES] if mask(row) in trained] == []
        assert len(trained) < len(rows[TRAIN]) / 2, "the mask hides the names, or it proves nothing"


def test_the_text_mask_hides_names_and_keeps_the_command(make: ModuleType) -> None:
    mask = make.checks.text_mask
    assert mask("Copy a-1.txt to /srv on web1.lan as bob", "scp a-1.txt bob@web1.lan:/srv/") == "scp _ _@_:/_/"
    assert mask("print column 3 of a.csv", "cut -d, -f3 a.csv") == "cut -d, -f3 _"
    assert mask("reload nginx", "sudo systemctl reload nginx") == "sudo systemctl reload _"


def test_every_slot_value_can_be_copied_from_the_request(rows: dict[str, list[Row]], built: dict) -> None:
    for row in everything(rows):
        for value in slot_values(row):
            assert re.search(rf"(?<![\w]){re.escape(value)}(?!\w)", request(row)), f"{row['id']}: {value!r} is not in {request(row)!r}"
    for name in FILES:
        assert all(value in row.request for row in built[name] for value in row.values)


@pytest.mark.parametrize("name", [COMBINATIONS, TEMPLATES])
def test_at_least_half_of_the_held_out_rows_ask_for_words_that_training_never_shows(built: dict, name: str) -> None:
    def words(text: str) -> set[str]:
        return set(re.findall(r"[a-z]+|\d+", text.lower()))

    shown = {word for row in built[TRAIN] for word in words(row.request)}
    fresh = [row for row in built[name] if any(words(value) - shown for value in row.values)]
    assert len(fresh) >= len(built[name]) / 2
    assert len(fresh) <= len(built[name]) * 0.9, "some rows have names that training shows, in another combination"


def test_no_template_shares_its_phrase_with_another(make: ModuleType) -> None:
    owners: dict[str, set[str]] = {}
    for template in make.grammar.read():
        for phrase in template.phrases:
            owners.setdefault(SLOT.sub("_", phrase.text).rstrip("?").lower(), set()).add(template.command)
    assert {phrase: commands for phrase, commands in owners.items() if len(commands) > 1} == {}


def test_commands_are_safe_by_default(rows: dict[str, list[Row]]) -> None:
    dangerous = re.compile(r"\brm -|\bsudo rm\b|\bdd\b|\bmkfs|\|\s*(sudo )?(ba|z|da)?sh\b|> ?/dev/|--force|\bchmod (-R )?[0-7]?777\b|:\(\)")
    assert [command(row) for row in everything(rows) if dangerous.search(command(row))] == []


def test_the_readme_has_the_figures_of_the_files(rows: dict[str, list[Row]]) -> None:
    table = re.findall(r"^\| ([a-z ]+?) \| (\d+) \| (\d+) \| (\d+) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    expected = {name: tuple(str(sum(category(row) == name for row in rows[file])) for file in FILES) for name in CATEGORIES}
    expected["all"] = tuple(str(len(rows[file])) for file in FILES)
    assert {name: tuple(figures) for name, *figures in table} == expected


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("$ cp {file} {file.2}\ncopy {file}\n", "has slots"),
        ("$ cp {file}\ncopy {file} to {file.2}\n", "has slots"),
        ("$ cp {nonsense}\ncopy {nonsense}\n", "unknown kinds"),
        ("cp {file}\ncopy {file}\n", "a block is"),
        ("$ pwd\n", "at least one request"),
    ],
)
def test_a_wrong_block_of_the_grammar_is_named(make: ModuleType, tmp_path: Path, block: str, message: str) -> None:
    for name in CATEGORIES:
        (tmp_path / f"{name}.txt").write_text(block if name == "git" else "", encoding="utf-8")
    with pytest.raises(make.grammar.GrammarError, match=f"git: .*{message}"):
        make.grammar.read(tmp_path)


@pytest.fixture(scope="module")
def few(built: dict) -> dict:
    """A part of the rows that still keeps every promise."""
    trained = built[TRAIN][:300]
    templates = {row.template for row in trained}
    combinations = [row for row in built[COMBINATIONS] if row.template in templates]
    return {TRAIN: trained, COMBINATIONS: combinations[:40], TEMPLATES: built[TEMPLATES][:40]}


def test_the_recipe_accepts_rows_that_keep_every_promise(make: ModuleType, few: dict) -> None:
    make.check(few)


def _break(built: dict, how: str) -> dict:
    """The rows with one promise broken."""
    trained, combinations, unseen = built[TRAIN], built[COMBINATIONS], built[TEMPLATES]
    slotted = next(row for row in trained if row.template.slots and len(row.request.split()) > 5)
    extra = {
        "refused by bash -n": (TRAIN, replace(slotted, request="a request of its own", command="ls |", values=())),
        "empty": (TRAIN, replace(slotted, request="another of its own", command=" ", values=())),
        "asked twice": (TRAIN, replace(slotted, request=slotted.request.upper() + "?", values=())),
        "slot not in the request": (TRAIN, replace(slotted, request="do what i mean")),
        "longer than the limit": (TRAIN, replace(slotted, request="word " * 26, values=())),
        "held-out command is trained": (COMBINATIONS, replace(slotted, request="some new request", values=())),
        "too near to training": (COMBINATIONS, replace(combinations[0], request=f"{slotted.request} now", values=())),
        "combination of an untrained template": (COMBINATIONS, replace(unseen[0], request="never asked", values=())),
        "new template is trained": (TEMPLATES, replace(combinations[0], request="never asked", values=())),
    }
    name, row = extra[how]
    return {**built, name: [*built[name], row]}


@pytest.mark.parametrize(
    "how",
    ["refused by bash -n", "empty", "asked twice", "slot not in the request", "longer than the limit", "held-out command is trained",
     "too near to training", "combination of an untrained template", "new template is trained"],
)  # fmt: skip
def test_the_recipe_refuses_rows_that_break_a_promise(make: ModuleType, few: dict, how: str) -> None:
    with pytest.raises(make.RowsError, match=how):
        make.check(_break(few, how))
