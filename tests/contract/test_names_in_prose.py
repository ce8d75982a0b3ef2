"""What docstrings, comments and docs call by a dotted name or a path is there: a name that moved is found where it is told."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "luthier"
MODULES = {".".join(("luthier", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in sorted(SOURCE.rglob("*.py"))}
FOLDERS = {part for name in MODULES for part in name.split(".")[:-1]}
KEYS = set((Path(__file__).parent / "keys.txt").read_text(encoding="utf-8").split())
# Names of files and of what a run folder holds, which are no modules.
ENDINGS = {"html", "jinja", "json", "jsonl", "md", "safetensors", "index"}
# Files of another program, and one of an example.
FOREIGN = {"prompt_strategies/chat_template.py", "prompt_strategies/user_defined.py", "src/client.py"}
PROSE = [*sorted((ROOT / "docs" / "decisions").glob("*.md")), *sorted((ROOT / "docs" / "how-to").glob("*.md")), ROOT / "README.md"]

_DOTTED = re.compile(r"`([a-z_]\w*(?:\.\w+)+)`|\b(luthier(?:\.\w+)+)")
_PATH = re.compile(r"(?<![\w./~-])((?:[\w.-]+/)+[\w-]+\.(?:py|toml)|tests/(?:[\w-]+/)*[\w-]+\.\w+)\b")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def written_texts() -> frozenset[str]:
    """Every text that the source itself writes, such as the names of events."""
    nodes = (node for path in MODULES.values() for node in ast.walk(tree_of(path)))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def prose_of(path: Path) -> Iterator[str]:
    """The docstrings and comments of a module."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    with io.StringIO(path.read_text(encoding="utf-8")) as stream:
        yield from (token.string for token in tokenize.generate_tokens(stream.readline) if token.type == tokenize.COMMENT)


def defines(module: str, name: str) -> bool:
    """Whether a module has a function, a class or a constant of that name."""
    for node in tree_of(MODULES[module]).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if getattr(node, "name", None) == name or any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return True
    return False


def is_there(name: str) -> bool:
    """Whether a dotted name, from any folder on, is a module, a name in one, a key of the run file or a text of the source."""
    if name in KEYS or name in written_texts() or name.rsplit(".", maxsplit=1)[-1] in ENDINGS:
        return True
    owner, _, last = name.rpartition(".")
    ends = [module for module in MODULES if f".{module}".endswith(f".{name}")]
    return bool(ends) or any(f".{module.removesuffix('.__init__')}".endswith(f".{owner}") and defines(module, last) for module in MODULES)


def lost_names(text: str) -> list[str]:
    """Dotted names that begin with a folder of the source and lead nowhere."""
    names = [match[1] or match[2] for match in _DOTTED.finditer(text)]
    return [name for name in names if name.split(".")[0] in FOLDERS and not is_there(name)]


@cache
def files() -> tuple[str, ...]:
    folders = ("src", "tests", "docs", "recipes", "examples", "benchmarks")
    return tuple(f"/{path.relative_to(ROOT).as_posix()}" for folder in folders for path in (ROOT / folder).rglob("*.*"))


def lost_paths(text: str) -> list[str]:
    """Paths of source, tests and tables, written from any folder on, that lead nowhere."""
    found = {match[1] for match in _PATH.finditer(text)} - FOREIGN
    return sorted(path for path in found if not any(file.endswith(f"/{path}") for file in files()))


@pytest.mark.parametrize("module", MODULES)
def test_names_in_docstrings_and_comments_are_there(module: str) -> None:
    for text in prose_of(MODULES[module]):
        assert lost_names(text) == [], text
        assert lost_paths(text) == [], text


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_paths_in_docs_are_there(path: Path) -> None:
    assert lost_paths(path.read_text(encoding="utf-8")) == []


def test_the_check_sees_what_is_lost() -> None:
    assert lost_names("`guard.shell.normalized`, `evaluate.judge`, `evaluate/summary.json`, luthier.core.files") == []
    assert lost_names("`evaluate.prompts`, `guard.shell.abnormal`, luthier.core.lost") == [
        "evaluate.prompts",
        "guard.shell.abnormal",
        "luthier.core.lost",
    ]
    assert lost_paths("`risk/values.py`, `values/symbols.py`, tests/contract/keys.txt, `tests/lost.txt`") == [
        "risk/values.py",
        "tests/lost.txt",
    ]
