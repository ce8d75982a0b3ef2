"""What is taken in, as it was asked for and as it lies in the library."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from luthier.core.errors import DataError, Problem
from luthier.core.files import read_json, write_json
from luthier.core.records import JsonObject

Kind = Literal["folder", "repository", "upload"]
# The commit where none is asked for.
HEAD = "HEAD"
# In the folder of an upload: files as they were sent, and what they hold.
SENT, CONTENT = "sent", "content"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one source may take: bytes, files, bytes of one file, seconds of fetching and reading."""

    bytes: int
    files: int
    file_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Spec:
    """What a job takes in. `place` is a folder, a URL, or the folder that an upload lies in; `shown` is how it is told.

    `commit` is a commit, branch or tag of a repository. `folders` and `hosts` are those that sources may come from, as the server was told;
    nothing is read below `without`, the server's own state. `sent` are the files of an upload: the name that the client gave, that
    below `SENT` in its folder, and its bytes.
    """

    name: str
    kind: Kind
    place: str
    shown: str
    commit: str
    folders: tuple[str, ...]
    hosts: tuple[str, ...]
    limits: Limits
    without: str
    sent: tuple[tuple[str, str, int], ...] = ()

    def write(self, path: Path) -> None:
        """Keeps it for the job."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Spec:
        """What `write` kept."""
        row = read_json(path)
        lists = {name: tuple(row[name]) for name in ("folders", "hosts")}
        sent = tuple((name, file, size) for name, file, size in row["sent"])
        return cls(**{**row, **lists, "sent": sent, "limits": Limits(**row["limits"])})


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was taken in. `place` is the folder or URL, `upload` where it was sent; `commit` the full SHA of a repository.

    `languages` are files by language, `excluded` files by the reason for which they were left out, `masked` secrets by kind; `changes` is
    what the last ingest changed: files that are `added changed removed unchanged`. `ingested` are seconds since the epoch. `asked` is the
    commit, branch or tag that was asked for by name; empty where none was.
    """

    name: str
    kind: Kind
    place: str
    commit: str | None
    license: str | None
    files: int
    pieces: int
    languages: dict[str, int]
    ingested: float
    changes: dict[str, int]
    excluded: dict[str, int]
    masked: dict[str, int]
    notes: tuple[str, ...]
    asked: str = ""

    def to_json(self) -> JsonObject:
        """The source as it is kept and told."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: JsonObject) -> Source:
        """What `to_json` told; `DataError` where it was kept by a version of Luthier that knew other fields."""
        try:
            return cls(**{**row, "notes": tuple(row["notes"])})
        except (TypeError, KeyError) as error:
            raise DataError(
                Problem("what is kept of a source has other fields than this version of Luthier knows", found=str(error))
            ) from error


@dataclass(frozen=True, slots=True)
class Found:
    """A piece that was found: `lines` (first and last) of `path` in `source` at `commit`; `name` is what it defines, or its heading."""

    source: str
    path: str
    lines: tuple[int, int]
    commit: str | None
    text: str
    score: float
    name: str
    kind: str
    language: str
