"""Lines that wait on the disk until all are known: millions of them take no memory."""

from __future__ import annotations

from pathlib import Path

from luthier.core.files import Spool, json_line, write_with
from luthier.core.records import JsonObject


class JsonSpool:
    """JSON Lines in a file without a name in `folder`, so that a killed process leaves nothing; `len` counts them."""

    def __init__(self, folder: Path) -> None:
        self._stream = Spool(folder)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: JsonObject) -> None:
        """Adds one line; half of a surrogate pair, for which UTF-8 has no bytes, becomes a question mark."""
        self._stream.write(json_line(row).encode("utf-8", "replace"))
        self._count += 1

    def write(self, path: Path) -> None:
        """Writes all lines so far to `path`, whole or not at all."""
        self._stream.seek(0)
        write_with(path, lambda stream: stream.writelines(self._stream))
        self._stream.seek(0, 2)

    def close(self) -> None:
        """Frees the disk space."""
        self._stream.close()
