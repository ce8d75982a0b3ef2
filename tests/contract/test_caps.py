"""Sizes: a module, a function, its branches and parameters stay readable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "luthier"
MAX_MODULE_LINES = 400
MAX_SCHEMA_LINES = 600
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 8
SHORT_FUNCTION_LINES = 40
SHORT_SHARE = 0.9


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules() -> None:
    for path in SOURCE.rglob("*.py"):
        cap = MAX_SCHEMA_LINES if path.relative_to(SOURCE).as_posix().startswith("config/schema") else MAX_MODULE_LINES
        assert len(path.read_text(encoding="utf-8").splitlines()) <= cap, path


def test_functions() -> None:
    for path, node in functions():
        assert lines_of(node) <= MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name} has {lines_of(node)} lines"


def test_parameters() -> None:
    for path, node in functions():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
        assert len(names) <= MAX_PARAMETERS, f"{path}:{node.lineno} {node.name} takes {len(names)}"


def test_most_functions_are_short() -> None:
    sizes = [lines_of(node) for _, node in functions()]
    assert sum(size < SHORT_FUNCTION_LINES for size in sizes) / len(sizes) >= SHORT_SHARE


def test_public_definitions_say_what_the_caller_gets() -> None:
    missing = []
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name != "__init__.py" and ast.get_docstring(tree) is None:
            missing.append(str(path))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and ast.get_docstring(node) is None:
                missing.append(f"{path}:{node.lineno} {node.name}")
    assert not missing, "\n".join(missing)
