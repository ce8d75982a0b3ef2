"""The token: made once, kept from others, never one that can be guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import UserError
from luthier.serve.door.token import is_token, read_token


def test_a_token_is_made_once_and_kept_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUTHIER_TOKEN", raising=False)
    token, place = read_token(tmp_path)
    assert len(token) >= 40
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert read_token(tmp_path) == (token, place)
    assert is_token(token, token)
    assert not is_token("", token)
    assert not is_token("é\udcff", token)


def test_the_environment_goes_first_and_no_weak_token_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_TOKEN", "x" * 16)
    assert read_token(tmp_path)[0] == "x" * 16
    assert not (tmp_path / "token").exists()
    for weak in ("short", "with a blank in it", "ümlautümlautümlaut"):
        monkeypatch.setenv("LUTHIER_TOKEN", weak)
        with pytest.raises(UserError, match="LUTHIER_TOKEN"):
            read_token(tmp_path)
    monkeypatch.delenv("LUTHIER_TOKEN")
    (tmp_path / "token").write_text("cut")
    with pytest.raises(UserError, match="remove it"):
        read_token(tmp_path)
