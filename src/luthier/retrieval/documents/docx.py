"""DOCX files as blocks, by python-docx: heading styles, lists, tables, code styles. Archives that unpack to too much are refused."""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, Any
from xml.sax import SAXException

import docx
from docx.document import Document
from docx.opc.exceptions import OpcError
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml import etree  # type: ignore[import-untyped]

from luthier.retrieval.outline import Block, Unreadable, Writer

MAX_UNPACKED_BYTES = 200_000_000
MAX_RATIO = 200
MAX_PARTS = 5000
# What is parsed as XML is held as a tree of many times its size.
MAX_XML_BYTES = 50_000_000
_SMALL_BYTES = 1_000_000
_MAX_CELLS = 200_000
_HEADING = re.compile(r"(?:heading|überschrift|titre|título)\s*(\d)", re.IGNORECASE)
_CODE = re.compile(r"code|verbatim|preformatted|source|monospace", re.IGNORECASE)
_LIST = re.compile(r"list\s*(bullet|number|paragraph)?", re.IGNORECASE)


def read_bytes(content: bytes) -> list[Block]:
    """The blocks of the DOCX `content`; `Unreadable` where it is broken, encrypted, or unpacks to too much."""
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("encrypted", "an encrypted file, or one of Word before 2007; save it as DOCX without a password")
    try:
        _check(content)
        return _read(docx.Document(io.BytesIO(content)))
    except RecursionError as error:
        raise Unreadable("nested_too_deeply", "elements nested too deeply") from error
    except (
        zipfile.BadZipFile,
        OpcError,
        etree.LxmlError,
        SAXException,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise Unreadable("broken", f"python-docx cannot read it: {str(error)[:200] or type(error).__name__}") from error
    except (OSError, NotImplementedError, RuntimeError) as error:
        raise Unreadable("broken", f"the archive cannot be unpacked: {str(error)[:200]}") from error


def _check(content: bytes) -> None:
    """`Unreadable` for an archive that is a bomb, by what it says of itself and by what comes out of it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        if len(parts) > MAX_PARTS:
            raise Unreadable("too_large", f"the archive holds {len(parts):,} parts; at most {MAX_PARTS:,} are read")
        total = sum(part.file_size for part in parts)
        packed = max(1, sum(part.compress_size for part in parts))
        if total > MAX_UNPACKED_BYTES or (total > _SMALL_BYTES and total / packed > MAX_RATIO):
            raise Unreadable("bomb", f"{len(content):,} bytes unpack to {total:,}")
        for part in parts:
            is_xml = part.filename.lower().endswith((".xml", ".rels"))
            if is_xml and part.file_size > MAX_XML_BYTES:
                raise Unreadable("bomb", f"its part `{part.filename[:80]}` unpacks to {part.file_size:,} bytes")
            with archive.open(part) as stream:
                head = _drained(stream, part) if is_xml else b""
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise Unreadable("bomb", f"its part `{part.filename[:80]}` declares entities, which no word processor does")


def _drained(stream: IO[bytes], part: zipfile.ZipInfo) -> bytes:
    content = stream.read(part.file_size + 1)
    if len(content) > part.file_size:
        raise Unreadable("bomb", f"its part `{part.filename[:80]}` is larger than it says")
    return content


def _read(document: Document) -> list[Block]:
    out = Writer()
    code: list[str] = []
    depth = 0
    for item in document.iter_inner_content():
        style = (item.style.name or "") if isinstance(item, Paragraph) and item.style is not None else ""
        is_code = isinstance(item, Paragraph) and bool(_CODE.search(style))
        if code and not is_code:
            out.fence("\n".join(code))
            code = []
        wanted = _list_depth(item, style) if isinstance(item, Paragraph) and not is_code else 0
        depth = _move(out, depth, wanted, "number" in style.lower())
        if isinstance(item, Table):
            out.table(_rows(item))
        elif is_code:
            code.append(item.text)
        else:
            _paragraph(out, item, style, depth)
    out.fence("\n".join(code))
    _move(out, depth, 0, False)
    return out.blocks()


def _paragraph(out: Writer, paragraph: Paragraph, style: str, depth: int) -> None:
    heading = _HEADING.match(style)
    text = _text(paragraph)
    if not text.strip():
        return
    if depth:
        out.open_item()
        out.paragraph(text)
        out.close()
    elif heading is not None or style == "Title":
        out.heading(int(heading.group(1)) if heading else 1, text, 1)
    else:
        out.paragraph(text)


def _list_depth(paragraph: Paragraph, style: str) -> int:
    """How deep in lists a paragraph stands; 0 outside of any."""
    properties: Any = paragraph._p.pPr  # No public name gives a paragraph's numbering.
    numbering = properties.numPr if properties is not None else None
    if numbering is not None and not _HEADING.match(style):
        level = numbering.ilvl.val if numbering.ilvl is not None else 0
        return 1 + min(max(int(level), 0), 8)
    if not _LIST.match(style):
        return 0
    return int(style[-1]) if style[-1:].isdigit() and style[-1] != "0" else 1


def _move(out: Writer, depth: int, wanted: int, is_numbered: bool) -> int:
    while depth < wanted:
        if depth:
            out.open_indent()
        out.open_list(1 if is_numbered else None)
        depth += 1
    while depth > wanted:
        out.close_list()
        depth -= 1
        if depth:
            out.close()
    return depth


def _text(paragraph: Paragraph) -> str:
    """The paragraph's text, links with their targets behind them."""
    parts = []
    for inner in paragraph.iter_inner_content():
        target = str(getattr(inner, "address", "") or "")
        parts.append(f"{inner.text} ({target})" if target and target not in inner.text else inner.text)
    return "".join(parts)


def _rows(table: Table) -> list[list[str]]:
    rows: list[list[str]] = []
    cells = 0
    for row in table.rows:
        rows.append([cell.text for cell in row.cells])
        cells += len(rows[-1])
        if cells > _MAX_CELLS:
            raise Unreadable("too_large", f"a table of more than {_MAX_CELLS:,} cells")
    return rows
