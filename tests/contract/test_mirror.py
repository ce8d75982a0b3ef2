"""The folders of `tests/unit` are those of the source: who looks for the tests of a module knows where they are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def strays(tests: Path, *sources: Path) -> list[str]:
    """Folders of tests for which none of the sources has a folder with modules."""
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    return sorted(folder.as_posix() for folder in folders if not any(any((source / folder).rglob("*.py")) for source in sources))


def test_each_folder_of_tests_has_its_folder_of_source() -> None:
    # Recipes stand beside the package.
    assert strays(ROOT / "tests" / "unit", ROOT / "src" / "luthier", ROOT) == []


def test_the_check_sees_a_stray(tmp_path: Path) -> None:
    files = ("guard/lint.py", "guard/risk/inline/effects.py")
    tests = ("guard/test_lint.py", "guard/risk/inline/test_effects.py", "guard/inline/test_effects.py")
    for path in (*(tmp_path / "source" / name for name in files), *(tmp_path / "tests" / name for name in tests)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert strays(tmp_path / "tests", tmp_path / "source") == ["guard/inline"]
