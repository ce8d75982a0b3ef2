"""For root alone: folders that nobody can reach (an interpreter below /root) made reachable in a private view of the file system.

The view is a mount namespace that is made once; each run enters it with `nsenter`, which also gives up root. The machine's own view
never changes.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import weakref
from collections.abc import Sequence
from pathlib import Path

from luthier.core.errors import Problem, SandboxError

# Folders of every system (Filesystem Hierarchy Standard) that nothing in the sandbox reads; the view has a file system of its own over one.
_STAGES = ("/media", "/mnt", "/srv")
# Arguments: the stage, then pairs of source and name. It says so when all is mounted, and stays until its input ends.
_SCRIPT = """
set -e
stage=$1; shift
mount -t tmpfs -o mode=0755,size=1m tmpfs "$stage"
while [ $# -gt 0 ]; do
  mkdir "$stage/$2"; mount --bind "$1" "$stage/$2"; shift 2
done
echo ready
read -r line || true
"""


def is_reachable(path: Path) -> bool:
    """Whether the user nobody can read the folder `path`: everyone may pass through all that lies above it."""
    modes = [folder.stat().st_mode for folder in (path, *path.parents)]
    return bool(modes[0] & stat.S_IROTH) and all(mode & stat.S_IXOTH for mode in modes)


class Staging:
    """A private view in which `folders` lie at `place(folder)`; commands enter it by `prefix`, with `descriptor` handed on to them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        missing = [program for program in ("unshare", "nsenter", "mount") if shutil.which(program) is None]
        if missing:
            raise SandboxError(
                Problem(
                    "the sandbox needs programs that are not installed", found=", ".join(missing), hint="apt-get install util-linux mount"
                )
            )
        self._stage = next((path for path in _STAGES if _is_free(Path(path), folders)), _STAGES[0])
        self._names = {folder: str(index) for index, folder in enumerate(folders)}
        words = [word for folder, name in self._names.items() for word in (str(folder), name)]
        with subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "sh", self._stage, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            if child.stdout.readline() != b"ready\n":
                said = child.communicate()[1].decode("utf-8", "replace").strip()
                raise SandboxError(
                    Problem(
                        "the interpreter lies where the sandbox's user cannot read it, and no view can be made for it",
                        found=f"{', '.join(map(str, folders))}: {said}",
                        hint="use an interpreter outside of root's home, or run as another user",
                    )
                )
            self.descriptor = os.open(f"/proc/{child.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            child.communicate(b"\n")
        self._give_back = weakref.finalize(self, os.close, self.descriptor)

    def place(self, folder: Path) -> str:
        """Where `folder` lies in the view."""
        return f"{self._stage}/{self._names[folder]}"

    def prefix(self, user: int) -> tuple[str, ...]:
        """The words before a command that runs it in the view, as `user` without other groups."""
        return ("nsenter", f"--mount=/proc/self/fd/{self.descriptor}", "--setgid", str(user), "--setuid", str(user), "--")

    def close(self) -> None:
        """Gives the view back; a second call does nothing."""
        self._give_back()


def _is_free(stage: Path, folders: Sequence[Path]) -> bool:
    return stage.is_dir() and not stage.is_symlink() and not any(folder.is_relative_to(stage) for folder in folders)
