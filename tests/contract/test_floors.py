"""The floors of the house: imports go downwards only, torch stays in its rooms, imports stand at the top."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "luthier"
FLOORS = {
    "core": 0,
    "config": 1,
    "guard": 2,
    "retrieval": 2,
    "model": 2,
    "data": 3,
    "train": 3,
    "evaluate": 3,
    "export": 3,
    "report": 3,
    "pipeline": 4,
    "serve": 5,
    "cli": 6,
}
TOP = 6
STAGES = {"data", "train", "evaluate", "export", "report"}
TORCH_PACKAGES = {"torch", "transformers", "peft", "bitsandbytes", "accelerate"}
TORCH_MODEL_MODULES = {"base", "adapters", "attention", "generate", "device"}
FLOOR_1_PACKAGES = {"pydantic", "yaml"}
ROOM_PACKAGES = {"config": FLOOR_1_PACKAGES, "core": set()}
# Rooms that choose their parts at run time, and the instant top of the package.
LATE_IMPORTS_ALLOWED = {"__init__.py"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}

MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else ""


def floor_of(room: str) -> int:
    return FLOORS.get(room, TOP)


def uses_torch_by_right(path: Path) -> bool:
    relative = path.relative_to(SOURCE)
    room, stem = room_of(path), path.stem
    if room == "model":
        return stem in TORCH_MODEL_MODULES or relative.parts[1] in TORCH_MODEL_MODULES
    return room == "train" or relative.as_posix().startswith("export/merge")


def imports_of(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "relative imports hide the floor"
            if node.module in ("luthier", *(f"luthier.{room}" for room in FLOORS)):
                for name in node.names:
                    yield f"{node.module}.{name.name}", node
            else:
                yield node.module, node


def type_checking_nodes(tree: ast.Module) -> set[ast.AST]:
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            inside |= set(ast.walk(node))
    return inside


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    for name, node in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        if not name.startswith("luthier."):
            continue
        other = name.split(".")[1]
        target = other if other in FLOORS else ""
        where = f"{path}:{node.lineno} imports {name}"
        if target == room:
            continue
        assert floor_of(target) <= floor_of(room), f"{where}: upwards"
        assert not (room in STAGES and target in STAGES), f"{where}: stages meet in the run folder"
        assert floor_of(target) < floor_of(room) or room == "", f"{where}: sideways"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_packages_stay_in_their_rooms(path: Path) -> None:
    room = room_of(path)
    for name, node in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        package = name.split(".")[0]
        where = f"{path}:{node.lineno} imports {package}"
        if package in TORCH_PACKAGES:
            assert uses_torch_by_right(path), where
        if room in ROOM_PACKAGES and package not in sys.stdlib_module_names and package != "luthier":
            assert package in ROOM_PACKAGES[room], where


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_stand_at_the_top(path: Path) -> None:
    if path.relative_to(SOURCE).as_posix() in LATE_IMPORTS_ALLOWED or room_of(path) in ("pipeline", "cli"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = {*tree.body, *type_checking_nodes(tree)}
    for name, node in imports_of(tree):
        assert node in allowed, f"{path}:{node.lineno} imports {name} below the top"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_patched_or_executed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = {alias.asname or alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    foreign |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("luthier")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("exec", "eval"), f"{path}:{node.lineno}"
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        for target in targets:
            base = target
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name) and base is not target and base.id in foreign:
                assert path.stem == "device", f"{path}:{node.lineno} assigns on {base.id}; torch's switches belong to model/device"


# The front doors: whatever lies behind one takes a frozen section.
FRONT_DOORS = {"data/stage.py", "data/show.py", "train/stage.py", "evaluate/stage.py", "export/stage.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_whole_configuration_stays_at_the_front_doors(path: Path) -> None:
    if room_of(path) in ("config", "pipeline") or path.relative_to(SOURCE).as_posix() in FRONT_DOORS:
        return
    named = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "RunConfig" not in named, f"{path} sees the whole run file; hand it a section"


def test_init_files_are_empty() -> None:
    for path in SOURCE.rglob("__init__.py"):
        if path.parent != SOURCE:
            assert path.read_text(encoding="utf-8") == "", path


def test_names_say_something() -> None:
    for path in SOURCE.rglob("*"):
        assert path.stem.lower() not in FORBIDDEN_NAMES, path


def import_graph(room: str) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for path in (SOURCE / room).rglob("*.py"):
        module = ".".join(("luthier", *path.relative_to(SOURCE).with_suffix("").parts))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_only = type_checking_nodes(tree)
        graph[module] = {name for name, node in imports_of(tree) if name.startswith(f"luthier.{room}") and node not in typing_only}
    return graph


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_no_circle_inside_a_room(room: str) -> None:
    graph = import_graph(room)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle: {' -> '.join((*trail, module))}"
        if module in done:
            return
        for other in graph.get(module, ()):
            visit(other, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_the_check_sees_a_breach(tmp_path: Path) -> None:
    found = list(imports_of(ast.parse("from luthier.train import loop\nimport torch.nn")))
    assert [name for name, _ in found] == ["luthier.train.loop", "torch.nn"]
