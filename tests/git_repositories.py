"""Scratch repositories for tests: made by git itself, with a fixed author and fixed times, so that equal files give equal commits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from luthier.config.row_sections import SourceEntry


def run_git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """What git writes in `folder`, without anyone's own configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{
            f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
        },
        "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    }
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def write_files(folder: Path, files: dict[str, str | bytes]) -> None:
    """Writes files by path."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def committed(folder: Path, files: dict[str, str | bytes], message: str = "Change") -> str:
    """Commits files in the repository `folder`, which is made where there is none, and gives the SHA."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_git(folder, "init", "-q", "-b", "main")
    write_files(folder, files)
    run_git(folder, "add", "-A", "-f")
    run_git(folder, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-F", "-", given=message.encode())
    return run_git(folder, "rev-parse", "HEAD")


def source(repo: Path | str, **keys: object) -> SourceEntry:
    """A source of a run file."""
    return SourceEntry.model_validate({"repo": str(repo), **keys})


def quiet(what: str, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""
