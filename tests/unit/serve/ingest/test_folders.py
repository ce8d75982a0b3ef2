"""Folders that may be taken in, once every link is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import DataError
from luthier.serve.ingest.folders import allowed_folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("open/shop", "closed/shop", "openings"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "open" / "out").symlink_to(tmp_path / "closed")
    (tmp_path / "open" / "in").symlink_to(tmp_path / "open" / "shop")
    (tmp_path / "open" / "file").touch()
    (tmp_path / "open" / "ring").symlink_to(tmp_path / "open" / "ring")
    return tmp_path


@pytest.mark.parametrize("name", ["open", "open/shop", "open/in", "open/shop/../shop", "closed/../open/shop"])
def test_folders_below_an_allowed_one(place: Path, name: str) -> None:
    assert allowed_folder(str(place / name), [str(place / "open")]) == (place / name).resolve()


@pytest.mark.parametrize(
    "name", ["closed", "closed/shop", "closed/none", "open/out", "open/out/shop", "open/../closed", "openings", "", "none"]
)
def test_folders_elsewhere_tell_nothing_of_what_is_there(place: Path, name: str) -> None:
    with pytest.raises(DataError, match="folders are not read there"):
        allowed_folder(str(place / name), [str(place / "open")])


@pytest.mark.parametrize("name", ["open/file", "open/none"])
def test_what_is_no_folder(place: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such folder"):
        allowed_folder(str(place / name), [str(place / "open")])


@pytest.mark.parametrize("name", ["open/ring", "open/" + "x" * 5_000, "~nobody-at-all/x", "open/\0"])
def test_paths_that_cannot_be_followed(place: Path, name: str) -> None:
    with pytest.raises(DataError):
        allowed_folder(name if name.startswith("~") else f"{place}/{name}", [str(place / "open")])


def test_the_state_of_the_server_is_no_source(place: Path) -> None:
    state = place / "open" / "shop"
    for name in ("open/shop", "open/in"):
        with pytest.raises(DataError, match="folders are not read there"):
            allowed_folder(str(place / name), [str(place / "open")], str(state))
    assert allowed_folder(str(place / "open"), [str(place / "open")], str(state))
