"""What two parts must agree on is written once: in the module that owns it, which the others import."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "luthier"


@cache
def constants() -> dict[str, frozenset[object]]:
    """Every constant that each module writes."""
    trees = ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(SOURCE.rglob("*.py")))
    return {
        path.relative_to(SOURCE).as_posix(): frozenset(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        for path, tree in trees
    }


def written_in(value: object) -> list[str]:
    """The modules in which `value` stands as a constant."""
    return [name for name, written in constants().items() if value in written]


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        ("+parser", "core/candidates.py"),
        ("shellsession", "guard/shown/names.py"),
        ("text/event-stream", "serve/door/events.py"),
        ("X-Accel-Buffering", "serve/door/events.py"),
        ("LUTHIER_TOKEN", "core/child_environment.py"),
        ("/proc/sys/user/max_user_namespaces", "guard/sandbox.py"),
        (1.959963984540054, "evaluate/figures/statistics.py"),
    ],
)
def test_a_value_is_written_by_its_owner_alone(value: object, owner: str) -> None:
    assert written_in(value) == [owner]


@pytest.mark.parametrize("name", ["base+parser", "base+shots"])
def test_the_names_of_own_candidates_are_put_together_by_their_owner(name: str) -> None:
    assert written_in(name) == []
