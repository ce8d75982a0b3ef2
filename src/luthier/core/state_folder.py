"""The mark of a folder that holds a server's state. Nothing in such a folder is ever read as data, whatever folder above it is named."""

from __future__ import annotations

from pathlib import Path

MARK = ".luthier-state"


def is_state_folder(folder: Path) -> bool:
    """Whether a folder holds the state of a server: its token, its jobs, what was sent to it."""
    return (folder / MARK).exists()


def leads_through_state(path: Path, start: Path) -> bool:
    """Whether one of the folders between `start` and `path`, which lies below it, holds the state of a server."""
    here = start
    for part in path.relative_to(start).parts:
        here /= part
        if is_state_folder(here):
            return True
    return False
