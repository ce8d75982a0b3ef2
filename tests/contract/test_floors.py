"""The floors of the house: imports go downwards only, torch stays in its rooms, imports stand at the top."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from many_cases import each_of

SOURCE = Path(__file__).parents[2] / "src" / "luthier"
FLOORS = {
    "core": 0,
    "config": 1,
    "guard": 2,
    "retrieval": 2,
    "model": 2,
    "trackers": 2,
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
TORCH_MODEL_MODULES = {"base", "adapters", "weights", "attention", "answering", "device", "device_memory"}
FLOOR_1_PACKAGES = {"pydantic", "yaml"}
ROOM_PACKAGES = {"config": FLOOR_1_PACKAGES, "core": set()}
# Rooms that choose their parts at run time, and the instant top of the package.
LATE_IMPORTS_ALLOWED = {"__init__.py"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}

MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path, source: Path = SOURCE) -> str:
    parts = path.relative_to(source).parts
    return parts[0] if len(parts) > 1 else ""


def floor_of(room: str) -> int:
    return FLOORS.get(room, TOP)


def uses_torch_by_right(path: Path) -> bool:
    relative = path.relative_to(SOURCE)
    room, stem = room_of(path), path.stem
    if room == "model":
        return stem in TORCH_MODEL_MODULES or relative.parts[1] in TORCH_MODEL_MODULES
    return room == "train" or relative.as_posix().startswith("export/merge")


def is_module(name: str, source: Path) -> bool:
    """Whether a dotted name below `luthier` is a file or a folder of the package."""
    path = source.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


@dataclass(frozen=True, slots=True)
class Import:
    """A module that is imported, and how."""

    name: str
    line: int
    is_at_top: bool
    is_for_types: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the floors ask of a module. Its syntax tree is not kept: every later garbage collection would walk through it."""

    imports: tuple[Import, ...]
    named: frozenset[str]
    executes: tuple[int, ...]
    assigned: tuple[tuple[int, str], ...]


@cache
def facts_of(path: Path, source: Path = SOURCE) -> Facts:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    typing_only = type_checking_nodes(tree)
    at_top = {*tree.body, *typing_only}
    return Facts(
        imports=tuple(Import(name, node.lineno, node in at_top, node in typing_only) for name, node in imports_of(nodes, source)),
        named=frozenset(alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names),
        executes=tuple(
            node.lineno
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval")
        ),
        assigned=tuple(assigned_on_foreign(nodes)),
    )


def imports_of(nodes: list[ast.AST], source: Path) -> Iterator[tuple[str, ast.stmt]]:
    """The modules that are imported: of `from luthier.ROOM import NAME` the module `luthier.ROOM.NAME` where there is one."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "relative imports hide the floor"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield (full if node.module.split(".")[0] == "luthier" and is_module(full, source) else node.module), node


def type_checking_nodes(tree: ast.Module) -> set[ast.AST]:
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            inside |= set(ast.walk(node))
    return inside


def assigned_on_foreign(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """The lines that assign an attribute or an item of what another package gave, with its name."""
    foreign = {alias.asname or alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    foreign |= {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("luthier")
        for alias in node.names
    }
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []
        for target in targets:
            base = target
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name) and base is not target and base.id in foreign:
                yield node.lineno, base.id


def breaches(path: Path, source: Path = SOURCE) -> Iterator[str]:
    """The imports of a module that do not go down."""
    room = room_of(path, source)
    for found in facts_of(path, source).imports:
        name = found.name
        package, _, rest = name.partition(".")
        # The top of the package imports everything: who imports it stands above all floors.
        target = other if (other := rest.split(".")[0]) in FLOORS else ""
        where = f"{path.relative_to(source).as_posix()}:{found.line} imports {name}"
        if package != "luthier" or target == room:
            continue
        if floor_of(target) > floor_of(room):
            yield f"{where}: upwards"
        elif room in STAGES and target in STAGES:
            yield f"{where}: stages meet in the run folder"
        elif floor_of(target) == floor_of(room) and room:
            yield f"{where}: sideways"


@each_of((str(path.relative_to(SOURCE)), path) for path in MODULES)
def test_imports_go_down(path: Path) -> None:
    assert list(breaches(path)) == []


@each_of((str(path.relative_to(SOURCE)), path) for path in MODULES)
def test_packages_stay_in_their_rooms(path: Path) -> None:
    room = room_of(path)
    for found in facts_of(path).imports:
        package = found.name.split(".")[0]
        where = f"{path}:{found.line} imports {package}"
        if package in TORCH_PACKAGES:
            assert uses_torch_by_right(path), where
        if room in ROOM_PACKAGES and package not in sys.stdlib_module_names and package != "luthier":
            assert package in ROOM_PACKAGES[room], where


@each_of((str(path.relative_to(SOURCE)), path) for path in MODULES)
def test_imports_stand_at_the_top(path: Path) -> None:
    if path.relative_to(SOURCE).as_posix() in LATE_IMPORTS_ALLOWED or room_of(path) in ("pipeline", "cli"):
        return
    for found in facts_of(path).imports:
        assert found.is_at_top, f"{path}:{found.line} imports {found.name} below the top"


@each_of((str(path.relative_to(SOURCE)), path) for path in MODULES)
def test_nothing_is_patched_or_executed(path: Path) -> None:
    facts = facts_of(path)
    assert not facts.executes, f"{path}:{facts.executes[0]}"
    for line, name in facts.assigned:
        assert path.stem == "device", f"{path}:{line} assigns on {name}; torch's switches belong to model/device"


# The front doors: whatever lies behind one takes a frozen section.
FRONT_DOORS = {"data/stage.py", "data/show.py", "train/stage.py", "evaluate/stage.py", "export/stage.py"}


@each_of((str(path.relative_to(SOURCE)), path) for path in MODULES)
def test_the_whole_configuration_stays_at_the_front_doors(path: Path) -> None:
    if room_of(path) in ("config", "pipeline") or path.relative_to(SOURCE).as_posix() in FRONT_DOORS:
        return
    assert "RunConfig" not in facts_of(path).named, f"{path} sees the whole run file; hand it a section"


def test_init_files_are_empty() -> None:
    for path in SOURCE.rglob("__init__.py"):
        if path.parent != SOURCE:
            assert path.read_text(encoding="utf-8") == "", path


def test_names_say_something() -> None:
    for path in SOURCE.rglob("*"):
        assert path.stem.lower() not in FORBIDDEN_NAMES, path


def import_graph(room: str, source: Path = SOURCE) -> dict[str, set[str]]:
    """Which modules of a room each of its modules imports; what only types need is no import."""
    graph: dict[str, set[str]] = {}
    for path in (source / room).rglob("*.py"):
        module = ".".join(("luthier", *path.relative_to(source).with_suffix("").parts))
        found = {imported.name for imported in facts_of(path, source).imports if not imported.is_for_types}
        graph[module] = {name for name in found if name.startswith(f"luthier.{room}.")}
    return graph


def folder_graph(modules: dict[str, set[str]], depth: int | None = None) -> dict[str, set[str]]:
    """The same for folders: that of each module, or the one `depth` names deep that holds it."""
    graph: dict[str, set[str]] = {}
    for module, others in modules.items():
        folder, *targets = (".".join(name.split(".")[:-1][:depth]) for name in (module, *sorted(others)))
        graph.setdefault(folder, set()).update(target for target in targets if target != folder)
    return graph


def circle_in(graph: dict[str, set[str]]) -> tuple[str, ...]:
    """A circle of imports, its first name repeated at its end; nothing where there is none."""
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        if name in trail:
            return (*trail[trail.index(name) :], name)
        if name in done:
            return ()
        found = next((circle for other in sorted(graph.get(name, ())) if (circle := visit(other, (*trail, name)))), ())
        done.add(name)
        return found

    return next((circle for name in sorted(graph) if (circle := visit(name, ()))), ())


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_no_circle_inside_a_room(room: str) -> None:
    circle = circle_in(import_graph(room))
    assert not circle, " -> ".join(circle)


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_no_circle_of_folders(room: str) -> None:
    modules = import_graph(room)
    for graph in (folder_graph(modules), folder_graph(modules, depth=3)):
        circle = circle_in(graph)
        assert not circle, " -> ".join(circle)


def planted(folder: Path, files: dict[str, str]) -> Path:
    """A house of a few modules."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_the_check_sees_a_breach(tmp_path: Path) -> None:
    house = planted(
        tmp_path,
        {
            "__init__.py": "",
            "core/files.py": "from luthier.guard import lint\n",
            "core/records.py": "import luthier\n",
            "guard/lint.py": "from luthier.core import files\nfrom luthier.model.tokens import Tokens\n",
            "model/tokens.py": "from luthier import load\n",
            "train/loop.py": "import torch.nn\nfrom luthier.core.files import read\n",
            "evaluate/judging/judge.py": "import luthier.train.loop\nfrom luthier.guard import lint\nfrom luthier.evaluate import stage\n",
        },
    )
    assert sorted(breach for path in house.rglob("*.py") for breach in breaches(path, house)) == [
        "core/files.py:1 imports luthier.guard.lint: upwards",
        "core/records.py:1 imports luthier: upwards",
        "evaluate/judging/judge.py:1 imports luthier.train.loop: stages meet in the run folder",
        "guard/lint.py:2 imports luthier.model.tokens: sideways",
        "model/tokens.py:1 imports luthier: upwards",
    ]


def test_the_check_sees_a_circle_of_modules(tmp_path: Path) -> None:
    files = {
        "evaluate/judging/bench.py": "from luthier.evaluate.judging import metrics\n",
        "evaluate/judging/metrics.py": "from luthier.evaluate.kinds import registry\n",
        "evaluate/kinds/registry.py": "from luthier.evaluate.judging.bench import Bench\n",
    }
    names = ("judging.bench", "judging.metrics", "kinds.registry", "judging.bench")
    assert circle_in(import_graph("evaluate", planted(tmp_path, files))) == tuple(f"luthier.evaluate.{name}" for name in names)


def test_the_check_sees_a_circle_of_folders(tmp_path: Path) -> None:
    files = {
        "evaluate/judging/bench.py": "from luthier.evaluate.kinds.kind import Bench\n",
        "evaluate/judging/metrics.py": "",
        "evaluate/kinds/kind.py": "",
        "evaluate/kinds/commands.py": "from luthier.evaluate.judging import metrics\n",
    }
    modules = import_graph("evaluate", planted(tmp_path, files))
    assert circle_in(modules) == ()
    assert circle_in(folder_graph(modules)) == ("luthier.evaluate.judging", "luthier.evaluate.kinds", "luthier.evaluate.judging")


def test_the_check_sees_a_circle_through_a_folder_within_a_folder(tmp_path: Path) -> None:
    files = {
        "guard/risk/shell.py": "",
        "guard/risk/inline/effects.py": "from luthier.guard.values import symbols\n",
        "guard/values/symbols.py": "from luthier.guard.risk.shell import Shell\n",
    }
    modules = import_graph("guard", planted(tmp_path, files))
    assert circle_in(folder_graph(modules)) == ()
    assert circle_in(folder_graph(modules, 3)) == ("luthier.guard.risk", "luthier.guard.values", "luthier.guard.risk")
