"""The `git` program as a child that can do nothing but what it was asked: a clean environment, a git folder of our own, a deadline.

Git takes orders from many places: configuration of the system, the user and the repository, environment variables, hooks, attributes,
helpers for credentials and protocols. None of them is read here. Every call runs in a folder that Luthier itself wrote (`git.standin`
for a folder of the user, `git.fetching` for a URL), whose configuration is `CONFIGURATION`: what stands in a repository is only data.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from luthier.core.errors import DataError, Problem
from luthier.core.events import monotonic_seconds

# What is being done, how much of it is done, and how much there is where that is known.
Progress = Callable[[str, int, int | None], None]

# Read by every call, for it stands in the git folder that Luthier writes. Nothing is ever checked out, so that no filter and no link acts.
CONFIGURATION = """\
\tbare = true
\thooksPath = /dev/null
\tfsmonitor = false
\tuntrackedCache = false
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tcommitGraph = false
\tlogAllRefUpdates = false
\tbigFileThreshold = 16m
\tpackedGitLimit = 1g
[protocol "ext"]
\tallow = never
[submodule]
\trecurse = false
[fetch]
\trecurseSubmodules = false
\tunpackLimit = 1
\twriteCommitGraph = false
\tfsckObjects = true
[transfer]
\tbundleURI = false
\tadvertiseSID = false
[fetch "fsck"]
\tbadDate = warn
\tbadTimezone = warn
\tbadEmail = warn
\tmissingEmail = warn
\tmissingNameBeforeEmail = warn
\tmissingSpaceBeforeEmail = warn
\tmissingSpaceBeforeDate = warn
\tzeroPaddedFilemode = warn
\tzeroPaddedDate = warn
\tgitmodulesUrl = warn
\tgitmodulesPath = warn
\tgitmodulesUpdate = warn
\tgitmodulesName = warn
\tgitmodulesParse = warn
[gc]
\tauto = 0
[maintenance]
\tauto = false
[http]
\tfollowRedirects = initial
\tlowSpeedLimit = 100
\tlowSpeedTime = 60
[pack]
\tthreads = 2
[advice]
\tdetachedHead = false
"""
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_PAGER": "cat",
    "GIT_MERGE_AUTOEDIT": "no",
    # No single piece of memory above this: a few bytes of a packed delta can name any size.
    "GIT_ALLOC_LIMIT": "1g",
}
# What a fetch needs beside them: how to get out, whom to trust, and the keys that ssh and `~/.netrc` hold.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PASSED_ON = ("HOME", "SSH_AUTH_SOCK", *_CERTIFICATES, "http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Nothing is asked, forwarded or run on this side; the hosts, keys and jumps are those of the user's own ssh configuration.
_SSH = "ssh -oBatchMode=yes -oForwardAgent=no -oForwardX11=no -oClearAllForwardings=yes -oPermitLocalCommand=no"
_WATCH_SECONDS = 0.1
_MAX_SAID_BYTES = 4_000_000
_FLOOD = "the server of the repository floods git with messages"
_MAX_REASON = 300
_MAX_OUTPUT_BYTES = 64_000_000


class GitFailure(Exception):
    """Git ended with an error; the text is what it said, on one line and cut."""


class Clock:
    """The time that one source may take. Errors name `timeout_seconds`."""

    def __init__(self, seconds: float, shown: str) -> None:
        self._seconds = seconds
        self._end = monotonic_seconds() + seconds
        self.shown = shown

    def overdue(self) -> DataError | None:
        """The error to raise where the time is up."""
        if monotonic_seconds() < self._end:
            return None
        return DataError(
            Problem(
                "the repository could not be read in the time it may take",
                where=self.shown,
                found=f"timeout_seconds: {self._seconds:g}",
                hint="raise `timeout_seconds`, or read less of it with `include` and `max_commits`",
            )
        )

    def check(self) -> None:
        """Raises `DataError` where the time is up."""
        if error := self.overdue():
            raise error


@dataclass(slots=True)
class Child:
    """A running git. `stdout` is what it writes."""

    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    ended_by: DataError | None = None

    def is_running(self, seconds: float) -> bool:
        """Whether it still runs after `seconds` more."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return False
        return True

    def kill(self) -> None:
        """Ends it with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Git:
    """Git in one git folder. `protocols` are those that it may use: none where it reads what is there. `settings` as in `environment`."""

    def __init__(
        self, folder: Path, clock: Clock, protocols: tuple[str, ...] = (), settings: tuple[tuple[str, str], ...] | None = None
    ) -> None:
        self.folder = folder
        self.clock = clock
        self._program = program()
        self._environment = environment(protocols, settings)

    def output(self, *arguments: str, stdin: bytes = b"", variables: dict[str, str] | None = None) -> bytes:
        """All that `git ARGUMENTS` writes. `GitFailure` where it fails or writes more than 64 MB; `DataError` where the time is up."""
        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            with self.stream(*arguments, stdin=given, variables=variables) as child:
                found = child.stdout.read(_MAX_OUTPUT_BYTES + 1)
                if len(found) > _MAX_OUTPUT_BYTES:
                    raise GitFailure(f"git {arguments[0]} wrote more than {_MAX_OUTPUT_BYTES:,} bytes")
                return found

    @contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes] | None = None, variables: dict[str, str] | None = None) -> Iterator[Child]:
        """Git at work. Left early, by an error or not, it is killed with all that it started.

        `GitFailure` where all that it wrote was read and it failed; `DataError` where the time is up.
        """
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [self._program, *arguments],
                stdin=stdin or subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                cwd=self.folder,
                env={**self._environment, "GIT_DIR": str(self.folder), **(variables or {})},
                start_new_session=True,
            )
            assert process.stdout is not None
            child = Child(process, process.stdout)
            done = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(child, done, said), daemon=True)
            watcher.start()
            try:
                yield child
                left_early = bool(child.stdout.read(1))
                if left_early:
                    child.kill()
                process.wait()
            except BaseException:
                child.kill()
                process.wait()
                if child.ended_by is not None:
                    raise child.ended_by from None
                raise
            finally:
                done.set()
                watcher.join()
                child.stdout.close()
            if child.ended_by is not None:
                raise child.ended_by
            if process.returncode and not left_early:
                raise GitFailure(_reason(said) or f"git {arguments[0]} ended with status {process.returncode}")

    def _watch(self, child: Child, done: threading.Event, said: IO[bytes]) -> None:
        while not done.wait(_WATCH_SECONDS):
            # A server can have git repeat its words for ever.
            if os.fstat(said.fileno()).st_size > _MAX_SAID_BYTES:
                child.ended_by = DataError(
                    Problem(_FLOOD, where=self.clock.shown, hint="name another server, or clone it yourself and name the folder")
                )
            else:
                child.ended_by = self.clock.overdue()
            if child.ended_by is not None:
                child.kill()
                return


def program() -> str:
    """The path of git; `DataError` where there is none."""
    found = shutil.which("git")
    if found is None:
        raise DataError(
            Problem("the program `git` is not on this machine", where="sources: repo", hint="install git, or name the files under `docs`")
        )
    return str(Path(found).absolute())


def environment(protocols: tuple[str, ...], settings: tuple[tuple[str, str], ...] | None = None) -> dict[str, str]:
    """The whole environment of a git that may use `protocols`; nothing else of this process is handed on.

    `settings` hold beside those of the git folder, and before them. Where they are given, keys, `~/.netrc` and proxies are not handed on.
    """
    variables = dict(_ENVIRONMENT)
    variables["PATH"] = os.environ.get("PATH", os.defpath)
    # An empty list would allow git's own choice in some versions; this is the name of no protocol.
    variables["GIT_ALLOW_PROTOCOL"] = ":".join(protocols) or "none"
    if protocols:
        for name in _PASSED_ON if settings is None else _CERTIFICATES:
            for written in (name, name.upper()):
                if written in os.environ:
                    variables[written] = os.environ[written]
        variables["GIT_SSH_COMMAND"] = _SSH
        variables["GIT_SSH_VARIANT"] = "ssh"
    if settings is not None:
        variables["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (name, value) in enumerate(settings):
            variables[f"GIT_CONFIG_KEY_{number}"], variables[f"GIT_CONFIG_VALUE_{number}"] = name, value
    return variables


def configuration(object_format: str, ref_storage: str) -> str:
    """The text of the configuration of a git folder that Luthier writes."""
    extensions = f"\tobjectFormat = {object_format}\n" if object_format != "sha1" else ""
    extensions += f"\trefStorage = {ref_storage}\n" if ref_storage != "files" else ""
    head = f"[extensions]\n{extensions}" if extensions else ""
    return f"{head}[core]\n\trepositoryFormatVersion = {int(bool(extensions))}\n{CONFIGURATION}"


def printable(text: str) -> str:
    """`text` on one line, cut, without control characters: words of a server go to a terminal."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:_MAX_REASON]


def _reason(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read(_MAX_SAID_BYTES).decode("utf-8", "replace").splitlines()
    # The first complaint is the cause; hints and progress are not.
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "ssh:"))] or lines[-3:]
    return printable("; ".join(telling[:3]))
