"""A program beside Luthier that parses foreign documents, so that one that hangs, fills the memory or crashes a parser can be ended.

Behind a first line that says that it is ready, it takes requests, each a line of JSON with the name of the format and the number of
bytes that follow it, and answers each with a line of JSON: the text of a PDF or DOCX file, or that sections can be cut from a text.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from luthier.retrieval.documents import docx, marked, pdf
from luthier.retrieval.documents.sections import sections
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import SourceFile

MAX_MEMORY_BYTES = 4 << 30
_EXTRACTED = {"pdf": pdf.read_bytes, "docx": docx.read_bytes}


def answer(language: str, content: bytes) -> dict[str, Any]:
    """`text` for a file of a binary format and an empty answer for others; `reason` and `detail` where it cannot be read."""
    try:
        if language in _EXTRACTED:
            return {"text": marked.written(_EXTRACTED[language](content))}
        if not sections(SourceFile("document", language, content.decode("utf-8"))):
            return {"reason": "empty", "detail": "nothing that a reader would see"}
    except Unreadable as error:
        return {"reason": error.reason, "detail": error.detail}
    return {}


def main() -> None:
    """Answers until the input ends. What a parser raises otherwise ends the program, and whoever asked takes that as the answer."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not stand among the answers.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    replies.write(b"{}\n")
    replies.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = answer(request["language"], sys.stdin.buffer.read(request["bytes"]))
        replies.write(json.dumps(reply).encode("ascii") + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
