"""Files of a run: a list of those that may be taken away, and each of them, never one from outside the run folder.

What may be taken is named here. Rows and answers are not: they are shown on the pages, with secrets marked; checkpoints and tokens are
the training's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from luthier.report.wording import size
from luthier.serve.door.errors import RequestError, unknown
from luthier.serve.door.policy import RUN_PAGE_POLICY
from luthier.serve.door.redact import redacted
from luthier.serve.pages.frame.page import page
from luthier.serve.pages.runs.library import RunLibrary

_CHUNK_BYTES = 1 << 18
# Files by what they are; `*` stands for one name, `**` at the end for all that lies below.
OFFERED = (
    ("The report", ("report.html", "report.md")),
    ("How it was made", ("run.yaml", "resolved.yaml", "plan.json", "versions.lock", "manifest.json")),
    ("Figures", ("data/report.json", "train/summary.json", "evaluate/summary.json", "evaluate/gate.json", "evaluate/*/scores.json")),
    ("The adapter", ("adapter/*",)),
    ("The model", ("model/*",)),
    ("What was exported", ("export/**",)),
    ("The report’s pages of answers", ("report/*",)),
)
# Written by people, or told by a machine: secrets in them are marked. The report's pages have theirs marked already.
_REDACTED = frozenset({"run.yaml", "resolved.yaml", "plan.json", "versions.lock"})
_MOST_REDACTED_BYTES = 1 << 20
_MOST_FILES = 2_000
_HIDDEN = re.compile(r"(?:^|/)\.")


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that may be taken: its path in the run folder, its size in words, and whether a browser shows it."""

    path: str
    size: str
    is_page: bool


@dataclass(frozen=True, slots=True)
class FilePages:
    """The files of a run in `library`."""

    library: RunLibrary

    def routes(self) -> list[Route]:
        """Their routes."""
        return [Route("/runs/{key}/files", self.show), Route("/runs/{key}/files/{path:path}", self.send)]

    def show(self, request: Request) -> Response:
        """What may be taken, by kind."""
        listed = self.library.get(request.path_params["key"])
        groups = [(title, list(offered(listed.folder.path, patterns))) for title, patterns in OFFERED]
        return page(
            request,
            "run_files.html",
            one=listed,
            tab="files",
            groups=[(title, found) for title, found in groups if found],
            place=str(listed.folder.path),
        )

    def send(self, request: Request) -> Response:
        """One file: a page of the report in a sandbox, anything else as a download; 404 for whatever is not offered."""
        listed = self.library.get(request.path_params["key"])
        path = request.path_params["path"]
        if not is_offered(path):
            raise unknown("there is no such file to take away", "path")
        stream = open_inside(listed.folder.path, path)
        length = os.fstat(stream.fileno()).st_size
        if path not in _REDACTED:
            headers = {**_headers(path), "Content-Length": str(length)}
            return StreamingResponse(_chunks(stream, length), media_type=_media_type(path), headers=headers)
        with stream:
            if length > _MOST_REDACTED_BYTES:
                raise RequestError(413, f"{path} is too large to be looked through for secrets; it lies in {listed.folder.path}")
            text = redacted(stream.read(length).decode("utf-8", "replace"))
        return Response(text, media_type="text/plain", headers=_headers(path))


def is_offered(path: str) -> bool:
    """Whether a path in a run folder is one of those that may be taken."""
    found = PurePosixPath(path)
    if path != str(found) or found.is_absolute() or ".." in found.parts or _HIDDEN.search(path) or "\0" in path:
        return False
    return any(_matches(found, pattern) for _, patterns in OFFERED for pattern in patterns)


def _matches(path: PurePosixPath, pattern: str) -> bool:
    parts = PurePosixPath(pattern).parts
    if parts[-1] == "**":
        return len(path.parts) >= len(parts) and path.parts[: len(parts) - 1] == parts[:-1]
    return len(path.parts) == len(parts) and all(wanted in ("*", part) for wanted, part in zip(parts, path.parts, strict=True))


def offered(folder: Path, patterns: tuple[str, ...]) -> Iterator[Offered]:
    """The files in `folder` that `patterns` name; a link is none, nor what lies behind one."""
    seen = 0
    for pattern in patterns:
        glob = pattern.replace("**", "**/*") if pattern.endswith("**") else pattern
        for file in sorted(folder.glob(glob)):
            path = file.relative_to(folder).as_posix()
            inside = (file, *(folder / parent for parent in PurePosixPath(path).parents[:-1]))
            is_plain = file.is_file() and not any(place.is_symlink() for place in inside)
            if is_offered(path) and is_plain and (seen := seen + 1) <= _MOST_FILES:
                yield Offered(path, size(file.stat().st_size), is_report_page(path))


def open_inside(folder: Path, path: str) -> BinaryIO:
    """The plain file `path` below `folder`, open; 404 where there is none.

    Each part is opened from the one before and may be no link: nobody can put one there between the look and the opening.
    """
    *folders, name = PurePosixPath(path).parts
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        # Without waiting: a pipe would hold whoever opens it.
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    except OSError as error:
        raise unknown("there is no such file to take away", "path") from error
    finally:
        os.close(here)
    if not S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise unknown("there is no such file to take away", "path")
    return os.fdopen(found, "rb")


def _chunks(stream: BinaryIO, length: int) -> Iterator[bytes]:
    """The file's bytes, as many as it had when it was opened."""
    with stream:
        while length > 0 and (chunk := stream.read(min(_CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk


def is_report_page(path: str) -> bool:
    """Whether a path in a run folder is a page of the report."""
    return path.endswith(".html") and (path == "report.html" or path.startswith("report/"))


def _media_type(path: str) -> str:
    return "text/html; charset=utf-8" if is_report_page(path) else "application/octet-stream"


def _headers(path: str) -> dict[str, str]:
    if is_report_page(path):
        return {"Content-Security-Policy": RUN_PAGE_POLICY}
    name = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).name)
    return {"Content-Disposition": f'attachment; filename="{name}"', "Content-Security-Policy": "default-src 'none'; sandbox"}
