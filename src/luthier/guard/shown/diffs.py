"""What files hold after a change that a diff shows: context and added lines, file by file. What a diff takes away is shown to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FILE = re.compile(r"\+\+\+ (?:[ab]/)?(?P<path>[^\t\n]+)|diff --git a/\S+ b/(?P<named>\S+)")


def files_after(text: str) -> Iterator[tuple[str, str]]:
    """The path of each file and its lines as the diff leaves them; an empty path where lines come before any file is named."""
    path, lines = "", list[str]()
    for line in text.split("\n"):
        if (found := _FILE.match(line)) is not None:
            if lines:
                yield path, "\n".join(lines)
            path, lines = (found["path"] or found["named"]).strip(), []
        elif line.startswith("@@"):
            lines.append("")
        elif line[:1] in ("+", " "):
            lines.append(line[1:])
    if lines:
        yield path, "\n".join(lines)
