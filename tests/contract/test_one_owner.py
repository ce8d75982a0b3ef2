"""What two parts must agree on is written once: in the module that owns it, which the others import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "luthier"
MODULES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


def written_in(value: object) -> list[str]:
    """The modules in which `value` stands as a constant."""
    return [
        name for name, tree in MODULES.items() if any(isinstance(node, ast.Constant) and node.value == value for node in ast.walk(tree))
    ]


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        ("+parser", "core/candidates.py"),
        ("shellsession", "evaluate/instruments/shell_prompts.py"),
        ("/proc/sys/user/max_user_namespaces", "guard/sandbox.py"),
        (1.959963984540054, "evaluate/figures/statistics.py"),
    ],
)
def test_a_value_is_written_by_its_owner_alone(value: object, owner: str) -> None:
    assert written_in(value) == [owner]


@pytest.mark.parametrize("name", ["base+parser", "base+shots"])
def test_the_names_of_own_candidates_are_put_together_by_their_owner(name: str) -> None:
    assert written_in(name) == []
