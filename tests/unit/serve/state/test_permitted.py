"""What the server may read and fetch for others: the same for sources, run files and jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import DataError
from luthier.serve.state.permitted import Permitted


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("open/shop", "closed/shop", "openings"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "open" / "out").symlink_to(tmp_path / "closed")
    (tmp_path / "open" / "in").symlink_to(tmp_path / "open" / "shop")
    (tmp_path / "open" / "file").touch()
    (tmp_path / "open" / "ring").symlink_to(tmp_path / "open" / "ring")
    return tmp_path


def permitted(place: Path, state: Path = Path("/nowhere")) -> Permitted:
    return Permitted.of(state, [str(place / "open")], ["github.com"])


@pytest.mark.parametrize("name", ["open", "open/shop", "open/in", "open/shop/../shop", "closed/../open/shop"])
def test_folders_below_an_allowed_one(place: Path, name: str) -> None:
    assert permitted(place).folder(str(place / name)) == (place / name).resolve()


@pytest.mark.parametrize(
    "name", ["closed", "closed/shop", "closed/none", "open/out", "open/out/shop", "open/../closed", "openings", "", "none"]
)
def test_folders_elsewhere_tell_nothing_of_what_is_there(place: Path, name: str) -> None:
    with pytest.raises(DataError, match="folders are not read there"):
        permitted(place).folder(str(place / name))


@pytest.mark.parametrize("name", ["open/file", "open/none"])
def test_what_is_no_folder(place: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such folder"):
        permitted(place).folder(str(place / name))


@pytest.mark.parametrize("name", ["open/ring", "open/" + "x" * 5_000, "~nobody-at-all/x", "open/\0"])
def test_paths_that_cannot_be_followed(place: Path, name: str) -> None:
    with pytest.raises(DataError):
        permitted(place).folder(name if name.startswith("~") else f"{place}/{name}")


def test_the_state_of_the_server_is_no_source(place: Path) -> None:
    state = place / "open" / "shop"
    for name in ("open/shop", "open/in"):
        with pytest.raises(DataError, match="folders are not read there"):
            permitted(place, state).folder(str(place / name))
    assert permitted(place, state).folder(str(place / "open"))


def test_a_folder_below_the_home_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    may = Permitted.of(Path("/nowhere"), ["~/open"], [])
    assert may.folder("~/open/shop") == (place / "open" / "shop").resolve()
    assert may.is_open(place / "open" / "shop")
    assert not may.is_open(place / "closed")


def test_where_paths_start_does_not_change(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    may = Permitted.of(Path("state"), ["open"], [])
    monkeypatch.chdir(place / "closed")
    assert may.is_open(place / "open" / "shop")
    assert not may.is_open(Path("shop"))


def test_repositories(place: Path) -> None:
    assert permitted(place).repository("https://GitHub.com/a/b").url == "https://GitHub.com/a/b"
    for url in ("http://github.com/a/b", "https://evil.org/a/b", "https://github.com:444/a/b", "https://me@github.com/a/b"):
        with pytest.raises(DataError):
            permitted(place).repository(url)
