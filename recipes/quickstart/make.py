"""Makes the quickstart's rows: `python -m recipes.quickstart.make [FOLDER]`.

Three files from one grammar and two seeds, the same bytes every time: `train.jsonl`, `held_out_new_combinations.jsonl` (phrases and
command shapes of training, other names in them) and `held_out_new_templates.jsonl` (command shapes that training does not hold).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from luthier.data.rows.grams import NEAR
from recipes.quickstart import checks, grammar
from recipes.quickstart.grammar import CATEGORIES, Row, Template

SEED = 20240917
# Drawn anew whenever answers to the held-out rows were read while something was being mended.
HELD_OUT_SEED = 20261121
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
TRAIN, NEW_COMBINATIONS, NEW_TEMPLATES = "train.jsonl", "held_out_new_combinations.jsonl", "held_out_new_templates.jsonl"
ROWS_PER_TEMPLATE = 14
COMBINATIONS_PER_CATEGORY = 26
ROWS_PER_NEW_TEMPLATE = 5
HELD_OUT_VALUES_SHARE = 0.6  # of the held-out rows; the rest have names that training shows too
_ATTEMPTS = 400


class RowsError(ValueError):
    """The rows break a promise: which one, and the rows."""


@dataclass(slots=True)
class Taken:
    """Requests that no further row may have, and commands that no held-out row may have."""

    requests: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)

    def take(self, row: Row) -> Row:
        self.requests.add(checks.normal(row.request))
        self.commands.add(row.command)
        return row


def _fits(row: Row, taken: Taken) -> bool:
    short = max(len(row.request.split()), len(row.command.split())) <= checks.WORDS_MAX
    return short and checks.normal(row.request) not in taken.requests


def _training_rows(template: Template, taken: Taken) -> Iterator[Row]:
    if not template.slots:
        yield from (taken.take(row) for row in grammar.fixed_rows(template))
        return
    random = Random(f"{SEED} train {template.category} {template.command}")
    phrases = list(template.phrases)
    random.shuffle(phrases)
    for number in range(ROWS_PER_TEMPLATE):
        phrase = phrases[number % len(phrases)]
        for attempt in range(_ATTEMPTS):
            row = grammar.draw_row(random, template, grammar.draw_opening(random, phrase), phrase, held_out=False)
            another = row.command not in taken.commands or attempt >= _ATTEMPTS // 2  # small pools may repeat a command
            if _fits(row, taken) and another:
                yield taken.take(row)
                break
        else:
            raise RowsError(f"{template.command!r}: no further row for {phrase.text!r}; its slots have too few values")


def _held_out_row(random: Random, template: Template, asked: list[tuple[str, str]], taken: Taken, near: checks.Nearness) -> Row:
    """A row whose request and command are new and far enough from every request of training."""
    phrases = {phrase.text: phrase for phrase in template.phrases}
    fresh = random.random() < HELD_OUT_VALUES_SHARE
    for attempt in range(_ATTEMPTS):
        if attempt == _ATTEMPTS // 2:
            fresh = True  # small pools run out of values that training shows
        opening, text = random.choice(asked)
        row = grammar.draw_row(random, template, opening, phrases[text], held_out=fresh)
        if _fits(row, taken) and row.command not in taken.commands and near.highest(row.request) < NEAR:
            return taken.take(row)
    raise RowsError(f"{template.command!r}: no held-out row is far enough from training")


def _combination_rows(trained: list[Row], taken: Taken, near: checks.Nearness) -> Iterator[Row]:
    for category in CATEGORIES:
        random = Random(f"{HELD_OUT_SEED} combinations {category}")
        templates = list(dict.fromkeys(row.template for row in trained if row.template.category == category and row.template.slots))
        extra = COMBINATIONS_PER_CATEGORY - len(templates)
        for template in sorted(templates + random.sample(templates, extra), key=templates.index):
            asked = list(dict.fromkeys(row.asked for row in trained if row.template == template))
            yield _held_out_row(random, template, asked, taken, near)


def _template_rows(templates: list[Template], taken: Taken, near: checks.Nearness) -> Iterator[Row]:
    for template in templates:
        random = Random(f"{HELD_OUT_SEED} templates {template.category} {template.command}")
        for number in range(ROWS_PER_NEW_TEMPLATE):
            phrase = template.phrases[number % len(template.phrases)]
            asked = [(grammar.draw_opening(random, phrase), phrase.text)]
            yield _held_out_row(random, template, asked, taken, near)


def build() -> dict[str, list[Row]]:
    """The rows of the three files, by file name, training rows shuffled."""
    templates = grammar.read()
    taken = Taken()
    trained = [row for template in templates if not template.held_out for row in _training_rows(template, taken)]
    near = checks.Nearness([row.request for row in trained])
    combinations = list(_combination_rows(trained, taken, near))
    unseen = list(_template_rows([template for template in templates if template.held_out], taken, near))
    Random(SEED).shuffle(trained)
    return {TRAIN: trained, NEW_COMBINATIONS: combinations, NEW_TEMPLATES: unseen}


def check(rows: dict[str, list[Row]]) -> None:
    """Nothing where every promise holds.

    Raises:
        RowsError: naming the promise and the first rows that break it.
    """
    everything = [row for part in rows.values() for row in part]
    trained, combinations, unseen = rows[TRAIN], rows[NEW_COMBINATIONS], rows[NEW_TEMPLATES]
    near = checks.Nearness([row.request for row in trained])
    masks = {row.template.mask for row in trained}
    text_masks = {checks.text_mask(row.request, row.command) for row in trained}
    commands = {row.command for row in trained}
    broken = {
        "empty": [row.request for row in everything if not row.request.strip() or not row.command.strip()],
        "refused by bash -n": checks.invalid_bash(row.command for row in everything),
        "asked twice": checks.repeated(checks.normal(row.request) for row in everything),
        "two templates, one phrase": _shared_phrases(),
        "slot not in the request": [row.request for row in everything if any(value not in row.request for value in row.values)],
        "longer than the limit": [row.request for row in everything if not _fits(row, Taken())],
        "held-out command is trained": [row.command for row in combinations + unseen if row.command in commands],
        "too near to training": [row.request for row in combinations + unseen if near.highest(row.request) >= NEAR],
        "combination of an untrained template": [row.command for row in combinations if row.template.mask not in masks],
        "new template is trained": [row.command for row in unseen if row.template.mask in masks],
        "new template by its text is trained": [r.command for r in unseen if checks.text_mask(r.request, r.command) in text_masks],
    }
    failed = {promise: found[:5] for promise, found in broken.items() if found}
    if failed:
        raise RowsError("; ".join(f"{promise}: {found}" for promise, found in failed.items()))


def _shared_phrases() -> list[str]:
    """Phrases that, their slots masked, stand under two commands: a request with two right answers."""
    return checks.repeated(
        checks.normal(text) for template in grammar.read() for text in {grammar.SLOT.sub("_", phrase.text) for phrase in template.phrases}
    )


def lines(name: str, rows: list[Row]) -> str:
    """The file's text: one JSON object a line, `id`, `group` (the command with its slots' kinds) and `messages`."""
    kind = {TRAIN: "train", NEW_COMBINATIONS: "combination", NEW_TEMPLATES: "template"}[name]
    records = (
        {
            "id": f"{row.template.category}-{kind}-{number:04d}",
            "group": row.template.command,
            "messages": [{"role": "user", "content": row.request}, {"role": "assistant", "content": row.command}],
        }
        for number, row in enumerate(rows, start=1)
    )
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write(folder: Path) -> dict[str, list[Row]]:
    """The checked rows, written to the three files of the folder, each under a temporary name first."""
    rows = build()
    check(rows)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in rows.items():
        temporary = folder / f".{name}.part"
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(lines(name, part))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / name)
    return rows


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else DEFAULT_FOLDER
    for name, rows in write(folder).items():
        print(f"{len(rows):5d} rows  {len({row.template for row in rows}):3d} commands  {folder / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
