"""The folder of a server's state: whose it is, and that it is known as such."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from luthier.core.state_folder import is_state_folder
from luthier.serve.state.root import ServeRoot


@pytest.mark.parametrize("was_there", [False, True])
def test_the_folder_is_its_owners_alone_and_marked(was_there: bool, tmp_path: Path) -> None:
    root = ServeRoot(tmp_path / "above" / "serve")
    if was_there:
        root.path.mkdir(parents=True)
        root.path.chmod(0o755)
    with root.held():
        assert stat.S_IMODE(root.path.stat().st_mode) == 0o700
        assert is_state_folder(root.path)
    assert not is_state_folder(root.path.parent)


def test_runs_lie_in_each_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = ServeRoot(Path("serve"))
    assert root.places_of_runs(None) == (Path("runs"), root.runs)
    assert len(root.places_of_runs(tmp_path / "serve" / "runs")) == 1
