"""Which folders may be taken in: those below the folders that the server was told, once every link is followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.core.errors import DataError, Problem


def allowed_folder(place: str, folders: Sequence[str], without: str = "") -> Path:
    """The folder `place` as it really is; `DataError` where it is none, or lies outside of all `folders`, or in `without`.

    Whether there is anything at a place outside is not told.
    """
    if "\0" in place:
        raise DataError(Problem("this is no path", where="folder", hint="name a folder"))
    try:
        path = Path(place).expanduser().resolve()
        allowed = any(path.is_relative_to(Path(folder).expanduser().resolve()) for folder in folders)
        allowed = allowed and not (without and path.is_relative_to(Path(without).resolve()))
        is_there = allowed and path.is_dir()
    except (OSError, RuntimeError):  # A ring of links, a name that is too long, a home that nobody has.
        allowed = is_there = False
    if not allowed:
        hint = "name a folder below one of `serve.allow.folders`, outside of `serve.root`"
        raise DataError(Problem("folders are not read there", where="folder", found=place[:200], hint=hint))
    if not is_there:
        raise DataError(Problem("there is no such folder", where="folder", found=place[:200], hint="name a folder that is there"))
    return path
