"""What manifests tell of packages, whatever they hold, and what a repository is that leaves modules unread."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_repositories import committed, quiet, source
from luthier.retrieval.records import Package
from luthier.retrieval.repository.layout import namespace_of, packages_of
from luthier.retrieval.repository.reading import read_repository


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rescript-nodejs", "RescriptNodejs"), ("@org/my-lib", "OrgMyLib"), ("NodeJs", "NodeJs"), ("a_b/c", "A_bC"), ("", "")],
)
def test_the_namespace_of_a_package(name: str, expected: str) -> None:
    assert namespace_of(name) == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "app/rescript.json",
            '{"name": "@o/app", // the app\n"namespace": true, "dependencies": ["a", "b",], '
            '"bs-dev-dependencies": ["c"], "bsc-flags": ["-open A.B"]}',
            Package("app", "rescript", "@o/app", "OApp", frozenset("abc"), ("A.B",)),
        ),
        ("bsconfig.json", '{"name": "x", "namespace": "its-own", "url": "http://x"}', Package("", "rescript", "x", "ItsOwn")),
        (
            "package.json",
            '{"name": "x", "dependencies": {"a": "1"}, "peerDependencies": {"b": "*"}}',
            Package("", "npm", "x", "", frozenset("ab")),
        ),
        ("go.mod", "module example.com/x\n\ngo 1.22\n", Package("", "go", "example.com/x")),
        (
            "Cargo.toml",
            '[package]\nname = "a-b"\n[dependencies]\nc-d = "1"\n[target."cfg(unix)".dependencies]\ne = "1"\n',
            Package("", "cargo", "a_b", "", frozenset(("c_d", "e"))),
        ),
        ("Cargo.toml", '[workspace]\nmembers = ["a"]\n', None),
        ("pyproject.toml", "]", Package("", "python", "")),
        # What cannot be read, and what is of another form, says nothing.
        ("rescript.json", "[" * 100_000, Package("", "rescript", "")),
        ("rescript.json", '["name"]', Package("", "rescript", "")),
        (
            "rescript.json",
            '{"name": 1, "namespace": {}, "dependencies": [1, {"name": "a"}, null]}',
            Package("", "rescript", "", "", frozenset("a")),
        ),
        ("Cargo.toml", "]", None),
        ("Cargo.toml", "package = 1\ndependencies = 2\ntarget = 3\n", None),
        ("go.mod", "go 1.22\n", None),
        ("other.json", '{"name": "x"}', None),
    ],
)
def test_what_a_manifest_tells(path: str, text: str, expected: Package | None) -> None:
    assert packages_of({path: text}) == ((expected,) if expected else ())


def test_of_two_names_of_the_configuration_the_newer_one_counts() -> None:
    found = packages_of({"a/bsconfig.json": '{"name": "old"}', "a/rescript.json": '{"name": "new"}', "bsconfig.json": '{"name": "root"}'})
    assert [one.name for one in found] == ["new", "root"]


def test_a_repository_tells_its_layout_whatever_is_read_of_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "app/__init__.py": "",
        "app/send.py": "x = 1\n",
        "app/rescript.json": '{"name": "app"}',
        "app/Copy.res": "let x = 1\n",
        "app/Copied.res": "let x = 1\n",
        "go.mod": "module example.com/x\n",
    }
    committed(tmp_path / "repo", files)
    layout = read_repository(source(tmp_path / "repo", languages=["rescript"]), tmp_path / "cache", quiet).layout
    assert layout.packages == (Package("app", "rescript", "app"), Package("", "go", "example.com/x"))
    # One file of two with equal bytes is read, and of the languages only the one asked for.
    assert layout.unread == {"app/__init__.py", "app/send.py", "app/Copy.res"}
