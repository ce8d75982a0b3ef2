"""The page of the rooms tells those that are there, each once, and in an order in which imports go down."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.contract.test_floors import import_graph, planted

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "luthier"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_ROOM = re.compile(r"^\| (?:\d \| )?`(\w+)` \|", re.MULTILINE)
FLOORS = ("data", "retrieval", "serve", "train")
# Modules beside the rooms of a floor put them together, and stand above all of them; but for these, which stand below.
BELOW = {"retrieval": {"named_files", "outline", "patterns", "records", "unread"}}


def rooms_told(heading: str | None) -> list[str]:
    """The rooms of the table below a heading; None for the table at the top of the page."""
    start, *parts = PAGE.split("\n## ")
    text = start if heading is None else next(part for part in parts if part.startswith(f"`{heading}`"))
    return _ROOM.findall(text)


def rooms_there(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


@pytest.mark.parametrize("room", [None, *FLOORS])
def test_the_rooms_that_are_told_are_those_that_are_there(room: str | None) -> None:
    assert sorted(rooms_told(room)) == rooms_there(SOURCE / room if room is not None else SOURCE)


def upwards(floor: str, order: list[str], source: Path = SOURCE) -> list[str]:
    """The imports of the rooms of a floor that do not go down their table, wherever they stand in a module."""
    return sorted(
        f"{module} imports {other}"
        for module, others in import_graph(floor, source).items()
        for other in others
        if (room := module.split(".")[2]) in order and (name := other.split(".")[2]) not in BELOW.get(floor, ())
        if name not in order or order.index(name) < order.index(room)
    )


@pytest.mark.parametrize("floor", FLOORS)
def test_a_room_imports_those_below_it(floor: str) -> None:
    assert upwards(floor, rooms_told(floor)) == []


def test_the_check_sees_every_way_to_import_what_is_above(tmp_path: Path) -> None:
    house = planted(
        tmp_path,
        {
            "serve/app.py": "from luthier.serve.pages import site\n",
            "serve/pages/__init__.py": "",
            "serve/pages/site.py": "from luthier.serve.door import entry\n",
            "serve/door/entry.py": "from luthier.serve import pages\n",
            "serve/door/gate.py": "def gate():\n    import luthier.serve.pages.site\n",
            "serve/door/hosts.py": "from luthier.serve.app import make_app\n",
            "serve/door/rates.py": "from luthier.serve import app\nfrom luthier.core import files\n",
        },
    )
    assert upwards("serve", ["pages", "door"], house) == [
        "luthier.serve.door.entry imports luthier.serve.pages",
        "luthier.serve.door.gate imports luthier.serve.pages.site",
        "luthier.serve.door.hosts imports luthier.serve.app",
        "luthier.serve.door.rates imports luthier.serve.app",
    ]


def test_the_floors_are_those_of_the_contract() -> None:
    floors = ast.parse((ROOT / "tests" / "contract" / "test_floors.py").read_text(encoding="utf-8"))
    (held,) = [
        ast.literal_eval(node.value) for node in floors.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS"
    ]
    told = {room: int(floor) for floor, room in re.findall(r"^\| (\d) \| `(\w+)` \|", PAGE, re.MULTILINE)}
    assert told == {room: held[room] for room in rooms_there(SOURCE)}
