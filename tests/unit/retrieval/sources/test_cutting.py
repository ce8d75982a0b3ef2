"""A file to its pieces: code by its symbols, a document by its headings, and what cannot be read with its reason."""

from __future__ import annotations

import json

import pytest

from luthier.retrieval.chunks.cut import cut
from luthier.retrieval.documents.sections import sections
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, SourceFile
from luthier.retrieval.sources import cutting
from luthier.retrieval.sources.cutting import chunks_of

CODE = '''def total(prices: list[int]) -> int:
    """The sum of the prices."""
    return sum(prices)


def rebate(price: int) -> int:
    """A tenth less."""
    return price - price // 10
'''
PAGE = """# Shop

Some words about the shop that are long enough to stand alone.

## Ports

The server listens on port 8080 until a signal stops it.
"""


def test_code_is_cut_by_symbols_and_a_document_by_headings() -> None:
    code, page = SourceFile("shop.py", "python", CODE), SourceFile("shop.md", "markdown", PAGE)
    found, headed = chunks_of(code), chunks_of(page)
    assert found == cut(code)
    assert headed == sections(page)
    assert not isinstance(found, Excluded)
    assert not isinstance(headed, Excluded)
    assert [(chunk.kind, chunk.name) for chunk in found if chunk.kind == "function"] == [("function", "total"), ("function", "rebate")]
    assert {chunk.kind for chunk in headed} == {"section"}
    assert [chunk.name for chunk in headed][-1] == "Ports"
    for chunks in (found, headed):
        assert [chunk.lines for chunk in chunks] == sorted(chunk.lines for chunk in chunks)


def test_a_document_that_cannot_be_read_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = chunks_of(SourceFile("shop.ipynb", "notebook", "{"))
    assert isinstance(bad, Excluded)
    assert bad.path == "shop.ipynb"
    assert bad.reason

    def fail(file: SourceFile) -> tuple[()]:
        raise Unreadable("nested_too_deeply", "the document is nested too deeply")

    monkeypatch.setattr(cutting, "sections", fail)
    found = chunks_of(SourceFile("shop.md", "markdown", PAGE))
    assert found == Excluded("shop.md", "nested_too_deeply", "the document is nested too deeply")
    assert chunks_of(SourceFile("shop.py", "python", CODE)) == cut(SourceFile("shop.py", "python", CODE))


CELLS = [
    {"cell_type": "markdown", "metadata": {}, "source": ["# Rain\n", "\n", "Single storms do not hide the trend of a month."]},
    {
        "cell_type": "code",
        "metadata": {},
        "outputs": [{"output_type": "display_data", "data": {"application/json": {"source": ["def fake():\n", "    pass"]}}}],
        "source": ["%matplotlib inline\n", "!pip install pandas\n", *CODE.splitlines(keepends=True)],
    },
    {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["%%bash\n", "def x(): pass"]},
]


@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize("language", ["python", "julia"])
def test_a_notebook_gives_sections_and_the_code_of_its_cells(indent: int | None, language: str) -> None:
    text = json.dumps({"nbformat": 4, "metadata": {"language_info": {"name": language}}, "cells": CELLS}, indent=indent)
    found = chunks_of(SourceFile("rain.ipynb", "notebook", text))
    assert not isinstance(found, Excluded)
    assert [chunk.name for chunk in found if chunk.kind == "section"] == ["Rain"]
    code = [chunk for chunk in found if chunk.kind == "function"]
    if language != "python":
        assert not code
        return
    assert [(chunk.language, chunk.name, chunk.doc) for chunk in code] == [
        ("python", "total", "The sum of the prices."),
        ("python", "rebate", "A tenth less."),
    ]
    assert code[0].text == CODE.split("\n\n\n", maxsplit=1)[0]
    if indent:
        lines = text.split("\n")
        assert json.loads(lines[code[1].lines[0] - 1].strip(" ,")) == "def rebate(price: int) -> int:\n"
    assert not any("pip install" in chunk.text for chunk in found if chunk.kind != "section")
