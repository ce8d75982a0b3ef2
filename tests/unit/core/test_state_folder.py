"""Folders that hold a server's state, known by their mark."""

from __future__ import annotations

from pathlib import Path

from luthier.core.state_folder import MARK, is_state_folder, leads_through_state


def test_a_folder_is_known_by_its_mark_from_above_and_not_from_within(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "serve" / "runs"
    inner.mkdir(parents=True)
    assert not leads_through_state(inner, tmp_path)
    (tmp_path / "a" / "serve" / MARK).touch()
    assert is_state_folder(inner.parent)
    assert not is_state_folder(inner)
    assert leads_through_state(inner, tmp_path)
    # Who names the folder itself means it.
    assert not leads_through_state(inner, inner.parent)
