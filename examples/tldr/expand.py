"""Rows for a tune from tldr pages: `python examples/tldr/expand.py PAGES.jsonl ROWS.jsonl`.

`PAGES.jsonl` holds one `{platform, tool, description, command}` a line, with tldr's own marks in the commands: `{{placeholder}}`, and
`{{[-s|--long]}}` for an option's two forms. The rows have the words of each placeholder and the long form of each option.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ALTERNATION = re.compile(r"\{\{\[([^|\]]*)\|([^\]]*)\]\}\}")
PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")


def expanded(command: str) -> str:
    """The command with the long form of each option and the words of each placeholder."""
    return PLACEHOLDER.sub(r"\1", ALTERNATION.sub(r"\2", command))


def rows(pages: Path) -> Iterator[dict[str, str]]:
    """Each page's row with its command expanded."""
    with pages.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            yield {**row, "command": expanded(row["command"])}


def write(pages: Path, target: Path) -> int:
    """Writes the rows under a temporary name, then renames them. Returns their number."""
    part = target.with_name(f".{target.name}.part")
    count = 0
    with part.open("w", encoding="utf-8") as stream:
        for count, row in enumerate(rows(pages), 1):  # noqa: B007 - The last number is the result.
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(target)
    return count


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not Path(sys.argv[1]).is_file():
        sys.exit(f"error: {sys.argv[1]}: there is no such file")
    print(f"{write(Path(sys.argv[1]), Path(sys.argv[2])):,} rows in {sys.argv[2]}")
