"""The page of the rooms tells those that are there, each once, and in an order in which imports go down."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "luthier"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_ROOM = re.compile(r"^\| (?:\d \| )?`(\w+)` \|", re.MULTILINE)
_IMPORT = re.compile(r"^(?:from|import) luthier\.(\w+)\.(\w+)", re.MULTILINE)


def rooms_told(heading: str | None) -> list[str]:
    """The rooms of the table below a heading; None for the table at the top of the page."""
    start, *parts = PAGE.split("\n## ")
    text = start if heading is None else next(part for part in parts if part.startswith(f"`{heading}`"))
    return _ROOM.findall(text)


def rooms_there(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


@pytest.mark.parametrize("room", [None, "data", "retrieval", "serve", "train"])
def test_the_rooms_that_are_told_are_those_that_are_there(room: str | None) -> None:
    assert sorted(rooms_told(room)) == rooms_there(SOURCE / room if room is not None else SOURCE)


@pytest.mark.parametrize("floor", ["data", "serve", "train"])
def test_a_room_imports_those_below_it(floor: str) -> None:
    order = rooms_told(floor)
    upwards = [
        f"{path.relative_to(SOURCE).as_posix()} imports {other}"
        for number, room in enumerate(order)
        for path in (SOURCE / floor / room).rglob("*.py")
        for top, other in _IMPORT.findall(path.read_text(encoding="utf-8"))
        if top == floor and other in order[:number]
    ]
    assert upwards == []


def test_the_floors_are_those_of_the_contract() -> None:
    floors = ast.parse((ROOT / "tests" / "contract" / "test_floors.py").read_text(encoding="utf-8"))
    (held,) = [
        ast.literal_eval(node.value) for node in floors.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS"
    ]
    told = {room: int(floor) for floor, room in re.findall(r"^\| (\d) \| `(\w+)` \|", PAGE, re.MULTILINE)}
    assert told == {room: held[room] for room in rooms_there(SOURCE)}
