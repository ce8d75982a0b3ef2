"""From a file to its pieces: code by symbols, documents by headings."""

from __future__ import annotations

from dataclasses import replace

from luthier.retrieval.chunks.cut import cut
from luthier.retrieval.documents.notebook import python_of
from luthier.retrieval.documents.sections import READERS, sections
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Chunk, Excluded, SourceFile

# Goes up when other pieces come of the same file.
VERSION = 8


def code_of(file: SourceFile) -> SourceFile:
    """The file as its code is cut: a notebook as the Python of its code cells, any other as it is."""
    return replace(file, language="python", text=python_of(file.text)) if file.language == "notebook" else file


def chunks_of(file: SourceFile) -> tuple[Chunk, ...] | Excluded:
    """The pieces of `file` in the order of their lines; why it is left out where it is a document that cannot be read."""
    if file.language not in READERS:
        return cut(file)
    try:
        return (*sections(file), *cut(code_of(file))) if file.language == "notebook" else sections(file)
    except Unreadable as error:
        return Excluded(file.path, error.reason, error.detail)
