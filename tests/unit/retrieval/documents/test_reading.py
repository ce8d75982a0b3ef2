"""Folders of documents: what is read, what is left out and why, and that no hostile file harms another."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import docx
import pytest
from pypdf import PdfWriter

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError
from luthier.retrieval.documents.bounded import Bounded
from luthier.retrieval.documents.reading import read_documents
from luthier.retrieval.documents.sections import sections
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Reading


def read(*names: Path | str, **keys: object) -> Reading:
    return read_documents(SourceEntry.model_validate({"docs": [str(name) for name in names], **keys}), lambda *told: None)


def left_out(reading: Reading) -> dict[str, str]:
    return {entry.path: entry.reason for entry in reading.excluded}


def pdf(pages: list[str], outline: list[tuple[str, int]] = ()) -> bytes:
    """A PDF written by hand: one line of text for each line of a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 72 720 Td {lines}ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        number = len(objects)
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {fonts} /Contents {number} 0 R >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode())
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{offset:010} 00000 n \n" for offset in offsets).encode())
    out.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode())
    if not outline:
        return out.getvalue()
    writer = PdfWriter(clone_from=out)
    for title, page in outline:
        writer.add_outline_item(title=title, page_number=page)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Guide", 0)
    document.add_paragraph("It cuts.")
    document.add_heading("Use", 1)
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Bullet")
    document.add_paragraph("# no heading")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "a", "b"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def packed(document: str) -> bytes:
    """The archive of `word` with another main part."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word())) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, document if part.filename == "word/document.xml" else old.read(part))
    return out.getvalue()


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.md").write_text("# Hidden\n\nx\n", encoding="utf-8")
    (tmp_path / "deep" / "a.md").write_text("# A\r\n\r\ntext\r\n", encoding="utf-8", newline="")
    (tmp_path / "b.rst").write_text("B\n=\n\ntext\n", encoding="utf-16")
    (tmp_path / "c.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "d.txt").write_text("not wanted\n", encoding="utf-8")
    (tmp_path / "e.md").symlink_to("/etc/passwd")
    (tmp_path / "f.pdf").write_bytes(pdf(["Start\nSome text", "Use it\nMore text"], [("Start", 0), ("Use it", 1)]))
    (tmp_path / "g.docx").write_bytes(word())
    (tmp_path / "h.ipynb").write_text('{"cells": [{"cell_type": "markdown", "source": "# N\\n\\nx"}]}', encoding="utf-8")
    reading = read(tmp_path, exclude=["d.*"], license="MIT")
    assert [(file.path, file.language) for file in reading.files] == [
        ("b.rst", "rst"),
        ("deep/a.md", "markdown"),
        ("f.pdf", "pdf"),
        ("g.docx", "docx"),
        ("h.ipynb", "notebook"),
    ]
    assert left_out(reading) == {".git": "hidden", "c.py": "no_document", "d.txt": "excluded", "e.md": "link"}
    assert (reading.name, reading.license, reading.commit) == (tmp_path.name, "MIT", None)
    by_path = {file.path: [(chunk.full_name, chunk.body) for chunk in sections(file)] for file in reading.files}
    assert by_path["deep/a.md"] == [("A", "text")]
    assert by_path["b.rst"] == [("B", "text")]
    assert by_path["f.pdf"] == [("Start", "Some text"), ("Use it", "More text")]
    assert by_path["g.docx"] == [("Guide", "It cuts."), ("Use", "- one\n- two\n\n# no heading\n\n| a | b |\n| --- | --- |")]
    assert reading == read(tmp_path, exclude=["d.*"], license="MIT")


def test_pages_of_a_pdf_without_outline_are_sections(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(["one two", "three"]))
    reading = read(tmp_path / "a.pdf")
    assert [(chunk.name, chunk.body) for chunk in sections(reading.files[0])] == [("Page 1", "one two"), ("Page 2", "three")]


def test_hostile_files_harm_no_other(tmp_path: Path) -> None:
    encrypted = PdfWriter(clone_from=io.BytesIO(pdf(["secret"])))
    encrypted.encrypt("password")
    encrypted.write(tmp_path / "encrypted.pdf")
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    laughs = f"<!DOCTYPE d [{entities}]><w:document {space}><w:body><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:body></w:document>"
    deep = f"<w:document {space}><w:body>{'<w:tbl><w:tr><w:tc>' * 3000}</w:body></w:document>"
    files: dict[str, tuple[bytes, str]] = {
        "bomb.docx": (packed(" " * 60_000_000), "bomb"),
        "laughs.docx": (packed(laughs), "bomb"),
        "deep.docx": (packed(deep), "broken"),
        "cut.docx": (word()[:400], "broken"),
        "cut.pdf": (b"%PDF-1.4\ngarbage", "broken"),
        "pictures.pdf": (pdf([""]), "no_text"),
        "latin1.md": ("# Über\n\nx\n".encode("latin-1"), "invalid_utf8"),
        "nul.txt": (b"a\0b\n", "binary"),
        "line.md": (b"a" * 300_000, "long_line"),
        "big.txt": (b"a b\n" * 600_000, "too_large"),
        "empty.md": (b"<!-- nothing -->\n", "empty"),
        "deep.ipynb": (b'{"cells": ' + b"[" * 100_000, "nested_too_deeply"),
        "deep.html": (b"<div>" * 5000 + b"text", "nested_too_deeply"),
        "deep.rst": ("".join(f"{' ' * n}* a\n\n" for n in range(0, 1200, 2)).encode(), "nested_too_deeply"),
        "no.1": (b"version one\n", "no_document"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "good.md").write_text("# Good\n\ntext\n", encoding="utf-8")
    reading = read(tmp_path, max_file_bytes=1_000_000)
    assert [file.path for file in reading.files] == ["good.md"]
    expected = {name: reason for name, (_, reason) in files.items()}
    assert left_out(reading) == {**expected, "encrypted.pdf": "encrypted", "pipe.md": "special"}
    assert all(entry.detail for entry in reading.excluded)


def test_a_parser_that_takes_too_long_is_ended() -> None:
    with Bounded(seconds=0.001) as bounded, pytest.raises(Unreadable, match=r"longer than 0\.001 seconds"):
        bounded.check("markdown", "# a\n\n" + "text *a* `b`\n" * 50_000)


def test_the_next_file_finds_a_new_worker() -> None:
    with Bounded() as bounded:
        bounded.check("markdown", "# a\n\ntext\n")
        child = bounded._child
        assert child is not None
        child.kill()
        child.wait()
        with pytest.raises(Unreadable, match="ended without an answer"):
            bounded.check("markdown", "# a\n\ntext\n")
        bounded.check("markdown", "# a\n\ntext\n")


def test_a_name_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# A\n\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"did you mean `.*guide\.md`"):
        read(tmp_path / "gide.md")
    with pytest.raises(DataError, match="no file fits"):
        read(tmp_path / "*.rst")
    assert [file.path for file in read(tmp_path / "*.md").files] == ["guide.md"]


def test_limits(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text("# A\n\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match="more than 2 files"):
        read(tmp_path, max_files=2)
    with pytest.raises(DataError, match="max_bytes"):
        read(tmp_path, max_bytes=10)
    with pytest.raises(DataError, match="no document could be read"):
        read(tmp_path, include=["*.rst"])
    assert len(read(tmp_path, include=["a.*", "b.*"], languages=["markdown"]).files) == 2
