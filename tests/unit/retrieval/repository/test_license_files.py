"""License files of the folders of documents: which are looked at, and what they tell."""

from __future__ import annotations

from pathlib import Path

from luthier.retrieval.named_files import Found
from luthier.retrieval.repository.license_files import license_files, licenses_around

MIT = "SPDX-License-Identifier: MIT\n"


def found_in(root: Path, *names: str) -> Found:
    found = Found(root=root)
    for name in names:
        found.files[name] = root / name
        found.files[name].parent.mkdir(parents=True, exist_ok=True)
        found.files[name].write_text("text")
    return found


def test_folders_of_the_files_up_to_the_root_are_looked_at_and_none_above(tmp_path: Path) -> None:
    found = found_in(tmp_path / "docs", "a/b/c.md", "d.md")
    (tmp_path / "docs" / "other").mkdir()
    for folder in ("", "docs", "docs/a/b", "docs/other"):
        (tmp_path / folder / "LICENSE").write_text(MIT)
    assert list(license_files(found)) == [tmp_path / "docs/LICENSE", tmp_path / "docs/a/b/LICENSE"]
    (tmp_path / ".git").mkdir()
    assert tmp_path / "LICENSE" in list(license_files(found))


def test_links_and_what_cannot_be_read_tell_nothing(tmp_path: Path) -> None:
    found = found_in(tmp_path, "a/b.md", "c/d.md")
    (tmp_path / "a" / "LICENSE").write_bytes(b"\0\xff")
    (tmp_path / "away").write_text(MIT)
    (tmp_path / "c" / "LICENSE").symlink_to(tmp_path / "away")
    (tmp_path / "COPYING").write_text(MIT)
    assert licenses_around(found, 1_000) == {tmp_path.as_posix(): "MIT"}
    assert licenses_around(found, 3) == {}
