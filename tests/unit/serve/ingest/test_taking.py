"""A source taken in, and taken in again: what changes, what stays, and which secrets are masked where."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_repositories import committed, run_git, write_files
from ingest_parts import LIMITS, spec
from luthier.core.errors import DataError
from luthier.guard.secrets.findings import SCANNER_ERROR, whole
from luthier.retrieval.records import SourceFile
from luthier.serve.ingest import masking, taking
from luthier.serve.ingest.library import INDEX, Library
from luthier.serve.ingest.records import Limits, Source, Spec
from luthier.serve.state.root import ServeRoot
from pdf_parts import heading, text, written

SHOP = '"""Shop."""\n\n\ndef sell_ticket(price: int) -> int:\n    """Sells a ticket for the museum."""\n    return price\n'
GUIDE = "# Guide\n\n## Opening hours\n\nThe museum opens at nine.\n"
SECRET = "ghp_" + "x7Kq9ZbT2mVw4RnLs8YdJc3HfGp6UaEo1iXv"
DRAWN = "Vq8tLz2Rw9kXp4sYd"
# No scanner takes it for a secret here by itself.
USE = f"def connect() -> None:\n    print('admin', '{DRAWN}')\n"


@pytest.fixture
def root(tmp_path: Path) -> ServeRoot:
    return ServeRoot(tmp_path / "serve")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "code" / "shop"
    committed(folder, {"shop.py": SHOP, "docs/guide.md": GUIDE, "Makefile": "all: build\n\nbuild:\n\techo building the shop\n"})
    return folder


def take(root: ServeRoot, wanted: Spec) -> Source:
    with Library(root).held(wanted.name) as folder:
        return taking.take_in(wanted, folder, lambda step, done: None)


def test_a_repository_is_found_by_what_it_says_with_its_place(root: ServeRoot, shop: Path) -> None:
    source = take(root, spec(shop))
    assert source.commit == run_git(shop, "rev-parse", "HEAD")
    assert (source.files, source.languages) == (3, {"makefile": 1, "markdown": 1, "python": 1})
    library = Library(root)
    assert library.all() == [library.get("shop")] == [source]
    (first, *_) = library.search("Which function sells tickets?")
    assert (first.source, first.path, first.lines, first.commit) == ("shop", "shop.py", (4, 6), source.commit)
    assert first.text == "\n".join(SHOP.split("\n")[3:6])
    assert [found.path for found in library.search("when does the museum open", limit=1)] == ["docs/guide.md"]
    assert [found.path for found in library.search("building the shop", limit=1)] == ["Makefile"]


def test_only_what_changed_is_read_for_secrets_and_cut(root: ServeRoot, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(root, spec(shop))
    cut: list[str] = []
    scanned: list[str] = []

    def passages_of(file: SourceFile) -> object:
        cut.append(file.path)
        return original(file)

    def scan(texts: list[str], strength: str) -> object:
        scanned.extend(texts)
        return scan_original(texts, strength)

    original, scan_original = taking.passages_of, masking.scan
    monkeypatch.setattr(taking, "passages_of", passages_of)
    monkeypatch.setattr(masking, "scan", scan)
    (shop / "Makefile").unlink()
    committed(shop, {"shop.py": SHOP + "\n\nprint('changed here')\n", "new.py": "def new_thing() -> None:\n    print('new')\n"})
    source = take(root, spec(shop))
    assert source.changes == {"added": 1, "changed": 1, "removed": 1, "unchanged": 1}
    assert sorted(cut) == ["new.py", "shop.py"]
    # Two texts, and the one path that is new.
    assert len(scanned) == 3
    found = Library(root).search("museum opening hours building changed new thing", limit=20)
    assert {one.path for one in found} == {"shop.py", "new.py", "docs/guide.md"}
    assert {one.commit for one in found} == {source.commit}


def test_taken_in_again_it_is_what_it_would_be_anew(root: ServeRoot, shop: Path, tmp_path: Path) -> None:
    take(root, spec(shop))
    committed(shop, {"shop.py": SHOP.replace("museum", "castle"), "key.py": f"TOKEN = '{SECRET}'\n"})
    take(root, spec(shop))
    anew = ServeRoot(tmp_path / "anew")
    take(anew, spec(shop))
    one, two = Library(root), Library(anew)
    asked = "ticket castle museum token shop build"
    assert one.search(asked, limit=50) == two.search(asked, limit=50)
    assert (one.get("shop").pieces, one.get("shop").masked) == (two.get("shop").pieces, two.get("shop").masked)


def test_a_secret_is_masked_wherever_the_source_holds_it(root: ServeRoot, shop: Path) -> None:
    committed(shop, {".env": f"DB_PASSWORD={DRAWN}\n", "use.py": USE, "t.py": f"T = '{SECRET}'\n"})
    source = take(root, spec(shop))
    assert sum(source.masked.values()) >= 2
    content = (root.sources / "shop" / INDEX).read_bytes()
    assert DRAWN.encode() not in content
    assert SECRET.encode() not in content
    (found,) = Library(root).search("connect admin", limit=1)
    assert "print('admin', '<" in found.text


def test_a_secret_that_a_changed_file_gives_away_is_masked_in_one_that_stayed(root: ServeRoot, shop: Path) -> None:
    committed(shop, {"use.py": USE})
    alone = take(root, spec(shop))
    assert not alone.masked
    assert DRAWN in Library(root).search("connect admin", limit=1)[0].text
    committed(shop, {"settings.ini": f"[db]\npassword = {DRAWN}\n"})
    take(root, spec(shop))
    assert DRAWN.encode() not in (root.sources / "shop" / INDEX).read_bytes()


def test_a_secret_that_a_file_gives_away_which_stayed_is_masked_in_a_new_one(root: ServeRoot, shop: Path) -> None:
    committed(shop, {"settings.ini": f"[db]\npassword = {DRAWN}\n"})
    take(root, spec(shop))
    committed(shop, {"use.py": USE})
    take(root, spec(shop))
    assert DRAWN.encode() not in (root.sources / "shop" / INDEX).read_bytes()


def test_a_secret_in_a_name_is_kept_nowhere(root: ServeRoot, shop: Path) -> None:
    committed(shop, {f"docs/{SECRET}.md": "# Words\n\nThe cloakroom is closed.\n", "use.py": f"print('{SECRET}')\n"})
    source = take(root, spec(shop))
    assert source.excluded == {"unscannable": 1}
    assert not Library(root).search("cloakroom closed", limit=1)
    take(root, spec(shop))
    assert SECRET.encode() not in (root.sources / "shop" / INDEX).read_bytes()


def test_a_folder_is_read_without_the_state_of_a_server(root: ServeRoot, tmp_path: Path) -> None:
    write_files(tmp_path / "plain", {"a.md": GUIDE, "serve/.luthier-state": "", "serve/runs/b.md": "# Secret words\n\nPangolin.\n"})
    assert take(root, spec(tmp_path / "plain", name="plain")).files == 1
    assert not Library(root).search("pangolin", limit=1)


def test_what_no_scanner_can_judge_is_not_kept(root: ServeRoot, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "scan", lambda texts, strength: [(whole(text, SCANNER_ERROR),) for text in texts])
    source = take(root, spec(shop))
    assert (source.files, source.pieces, source.excluded) == (0, 0, {"unscannable": 3})


def test_a_folder_without_git_is_read_as_it_stands(root: ServeRoot, tmp_path: Path) -> None:
    folder = tmp_path / "code" / "plain"
    outside = tmp_path / "outside.py"
    outside.write_text("def outside_of_everything() -> None: ...\n")
    write_files(folder, {"shop.py": SHOP, "docs/guide.md": GUIDE, "deep/.git/config": "[core]\n", 'odd"na\nme.py': SHOP})
    (folder / "link.py").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path)
    source = take(root, spec(folder, "plain"))
    assert (source.commit, source.files) == (None, 2)
    assert source.excluded == {"link": 2, "odd_name": 1}
    assert not Library(root).search("outside of everything")


def test_pdf_documents_of_a_folder_are_read(root: ServeRoot, tmp_path: Path) -> None:
    folder = tmp_path / "code" / "papers"
    write_files(
        folder, {"paper.pdf": written([[heading("Ships"), text("The lighthouse keeper counts ships.")]]), "broken.pdf": b"%PDF-1.4 broken"}
    )
    source = take(root, spec(folder, "papers"))
    assert (source.languages, sum(source.excluded.values())) == ({"pdf": 1}, 1)
    assert Library(root).search("lighthouse", limit=1)[0].path == "paper.pdf"


@pytest.mark.parametrize(("limits", "said"), [({"files": 2}, "max_files: 2"), ({"bytes": 50}, "max_bytes: 50")])
def test_a_source_above_its_limits_leaves_the_one_before(root: ServeRoot, shop: Path, limits: dict[str, int], said: str) -> None:
    before = take(root, spec(shop))
    bounds = Limits(**{"bytes": LIMITS.bytes, "files": LIMITS.files, "file_bytes": LIMITS.file_bytes, "seconds": 60.0, **limits})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=said):
        take(root, spec(shop, limits=bounds))
    assert Library(root).get("shop") == before


def test_a_source_in_which_nothing_can_be_found_says_so(root: ServeRoot, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"\x89PNG\0" * 10)
    source = take(root, spec(folder, "pictures"))
    assert source.files == 0
    assert any("nothing can be found in it" in note for note in source.notes)


def test_a_commit_that_is_named(root: ServeRoot, shop: Path) -> None:
    first = run_git(shop, "rev-parse", "HEAD")
    committed(shop, {"later.py": "def later_thing() -> None: ...\n"})
    assert take(root, spec(shop, commit=first)).commit == first
    assert not [found for found in Library(root).search("later thing") if found.path == "later.py"]
