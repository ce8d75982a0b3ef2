"""The steps of one source divided among processes: the bytes of one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from git_repositories import committed
from luthier.config.row_sections import MAKER_SOURCES, SourceEntry
from luthier.core.errors import DataError
from luthier.core.files import HashMemory
from luthier.data.sources import making, steps
from luthier.data.sources.making import MadeRows, Teachers, made_rows
from luthier.data.sources.steps import Crew, Cut, Make, Workbench, parts, rows_of
from luthier.data.synthesize.made import Material
from luthier.data.synthesize.makers.registry import MAKERS
from luthier.retrieval.index import build
from luthier.retrieval.records import SourceFile, ToolDefinition
from maker_parts import APP, BUTTON, CART

FILES = {"src/cart.py": CART, "src/Button.res": BUTTON, "src/App.res": APP, "LICENSE": "SPDX-License-Identifier: MIT\n"}
TOKEN = "ghp_" + "k9Xw2LmQ7vRt4YbN8cZs5HjD3fGp6Aq1Ee0U"


def made(folder: Path, processes: int) -> MadeRows:
    entry = SourceEntry(repo="shop", license="MIT")
    return made_rows(
        entry, folder, HashMemory(Path("hashes.json")), lambda step, done: None, Teachers({}, folder, 1), "sources[0]", processes=processes
    )


@pytest.mark.slow
def test_several_processes_make_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process compiles the scanner's rules anew, which takes seconds."""
    monkeypatch.chdir(tmp_path)
    commented = CART.replace('"""', f'"""The token {TOKEN} opens it. ', 1)
    unread = {f"vendor/part{number}.ini": f"DB_PASSWORD=Qx7t{number}mLw2\n" for number in range(6)}
    parts = {f"src/part{number}.py": CART.replace('"""', f'"""With Qx7t{number}mLw2. ', 1) for number in range(6)}
    committed(Path("shop"), {**FILES, "src/till.py": commented, **parts, **unread})
    alone = made(tmp_path / "a", 1)
    monkeypatch.setattr(steps, "ALONE_CHARACTERS", 1)
    monkeypatch.setattr(steps, "_PART_CHARACTERS", 2_000)
    divided = made(tmp_path / "b", 2)
    assert alone.path.read_bytes() == divided.path.read_bytes()
    assert "mLw2" not in alone.path.read_text()
    assert alone.rejects.read_bytes() == divided.rejects.read_bytes()
    assert alone.facts == divided.facts
    assert alone.facts["rows"]["complete"] > 3
    assert any("masked" in note for note in divided.facts["notes"])
    assert TOKEN not in divided.path.read_text()
    # Nothing that the processes handed each other is left.
    assert sorted(path.suffix for path in (tmp_path / "b" / "made").iterdir()) == [".json", ".jsonl", ".jsonl"]


def cut(bench: Workbench, texts: dict[str, str]) -> Material:
    files = tuple(SourceFile(path, "rescript" if path.endswith(".res") else "python", text) for path, text in texts.items())
    chunks = tuple(chunk for found in bench(Cut(files)) for chunk in found)
    return Material("shop", files, chunks, build(chunks))


def test_a_process_that_reads_the_material_makes_what_one_makes_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_CHUNKS_AT_ONCE", 3)
    code = {path: text for path, text in FILES.items() if path != "LICENSE"}
    bench, other = Workbench(), Workbench()
    bench.material = cut(bench, code)
    makers = tuple(maker for maker, kinds in MAKER_SOURCES.items() if "repo" in kinds)
    crew = Crew(Workbench, 1, bench)
    found = dict(rows_of(makers, crew, bench, tmp_path, lambda _: None))  # type: ignore[arg-type]
    assert tuple(found) == makers
    assert steps._write(bench.material, tmp_path)
    build(bench.material.chunks, steps.index_file(tmp_path)).close()
    for maker in makers:
        assert other(Make(maker, tmp_path)) == found[maker] == list(MAKERS[maker].make(bench.material))  # type: ignore[arg-type,index]
    assert other.material is not None
    assert other.material.chunks == bench.material.chunks
    assert len(found["complete"]) > 2


def test_a_material_that_cannot_be_handed_on_is_worked_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = {}
    for _ in range(2_000):
        deep = {"properties": deep}
    bench = Workbench()
    tool = ToolDefinition("api.yaml", "get", "", "", deep)
    bench.material = Material("shop", (), (), build(()), tools=(tool,))
    crew = Crew(Workbench, 2, bench)
    monkeypatch.setattr(crew, "each", lambda *_: pytest.fail("it is divided"))
    assert dict(rows_of(("explain", "locate"), crew, bench, tmp_path, lambda _: None)) == {"explain": [], "locate": []}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([], []), ([9], [[9]]), ([4, 4, 4, 4], [[4, 4, 4], [4]]), ([20, 1, 1], [[20], [1, 1]]), ([1, 20, 1], [[1, 20], [1]])],
)
def test_parts_are_about_equal_and_whole(sizes: Sequence[int], expected: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PART_CHARACTERS", 10)
    assert [list(part) for part in parts(sizes, lambda size: size)] == expected


def test_the_working_folder_goes_with_a_run_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    committed(Path("shop"), FILES)
    seen: list[int] = []

    def failing(*given: Any) -> None:
        (folder,) = (tmp_path / "c" / "made").iterdir()
        seen.append(folder.stat().st_mode & 0o777)
        raise DataError(())

    monkeypatch.setattr(making, "_write", failing)
    with pytest.raises(DataError):
        made(tmp_path / "c", 1)
    assert seen == [0o700]
    assert list((tmp_path / "c" / "made").iterdir()) == []
