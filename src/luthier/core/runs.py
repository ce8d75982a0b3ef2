"""The run folder: its layout, its manifest, stage keys, and the lock that keeps two processes out of one folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from luthier.core.errors import BusyError, IntegrityError, Problem, UserError
from luthier.core.files import HashMemory, link_or_copy, read_json, remove, sha256_json, write_json
from luthier.core.manifest import MANIFEST_FORMAT, Manifest, StageRecord
from luthier.core.records import JsonObject, JsonValue
from luthier.core.stages import apart
from luthier.core.weight_files import ADAPTER_CONFIG, MODEL_CONFIG

_LOCK_TRIES = 5
_LOCK_PAUSE_SECONDS = 0.02


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The installed version of each package, `absent` where it is not installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def stage_key(name: str, version: int, fields: JsonObject, inputs: Mapping[str, str], packages: Sequence[str]) -> str:
    """The SHA-256 that a stage's result depends on: its fields, its inputs' hashes, its own version, its packages' versions."""
    return sha256_json(
        {
            "stage": name,
            "version": version,
            "fields": fields,
            "inputs": dict(inputs),
            "packages": package_versions(packages),
        }
    )


class RunFolder:
    """Names of everything in a run folder, and its manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashes = HashMemory(path.parent / ".hashes.json")

    # Files of the run itself.
    @property
    def cache(self) -> Path:
        """What runs beside this one may use again: clones, made rows, what teachers answered."""
        return self.path.parent.absolute() / ".cache"

    @property
    def run_yaml(self) -> Path:
        """The run file as the user wrote it."""
        return self.path / "run.yaml"

    @property
    def resolved_yaml(self) -> Path:
        """The run file after `extends`, overrides and defaults."""
        return self.path / "resolved.yaml"

    @property
    def plan_json(self) -> Path:
        """The machine facts that the run is held to."""
        return self.path / "plan.json"

    @property
    def versions_lock(self) -> Path:
        """Python's and every package's version."""
        return self.path / "versions.lock"

    @property
    def manifest_json(self) -> Path:
        """What is done."""
        return self.path / "manifest.json"

    @property
    def events_jsonl(self) -> Path:
        """The one structured stream of what happened."""
        return self.path / "events.jsonl"

    # The data stage's files.
    @property
    def data(self) -> Path:
        """The folder of the data stage."""
        return self.path / "data"

    def split(self, name: str) -> Path:
        """The rows of `train`, `validation` or `test`."""
        return self.data / f"{name}.jsonl"

    @property
    def rejected(self) -> Path:
        """The rows that were dropped, with reasons."""
        return self.data / "rejected.jsonl"

    @property
    def changed(self) -> Path:
        """What cleaning put in place of something else, by row; there only where it did."""
        return self.data / "changed.jsonl"

    @property
    def data_report(self) -> Path:
        """Counts of the data stage."""
        return self.data / "report.json"

    @property
    def provenance(self) -> Path:
        """Sources with their hashes and licenses."""
        return self.data / "provenance.json"

    @property
    def templates(self) -> Path:
        """The wordings that rows name in `template`: `{name: jinja text}`."""
        return self.data / "templates.json"

    # The other stages' files.
    @property
    def train(self) -> Path:
        """Training's working files: tokens and the summary."""
        return self.path / "train"

    @property
    def tokens(self) -> Path:
        """Tokenized rows."""
        return self.train / "tokens"

    @property
    def train_summary(self) -> Path:
        """Training's losses, counts, speed and peak memory."""
        return self.train / "summary.json"

    @property
    def train_rejected(self) -> Path:
        """The rows that cannot be trained on as tokens, with reasons."""
        return self.train / "rejected.jsonl"

    @property
    def curve(self) -> Path:
        """Every logged step and evaluation of the training, as they stand in the event stream."""
        return self.train / "curve.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Training's result: adapter and tokenizer files."""
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """Training's result where no adapter is trained: a whole model and its tokenizer files."""
        return self.path / "model"

    @property
    def tuned(self) -> Path:
        """Training's result, whichever of the two it is; the adapter's folder where there is none yet."""
        return self.model if self.model.is_dir() else self.adapter

    @property
    def is_trained(self) -> bool:
        """Whether training's result is there."""
        return (self.adapter / ADAPTER_CONFIG).is_file() or (self.model / MODEL_CONFIG).is_file()

    @property
    def evaluate(self) -> Path:
        """One folder for each suite."""
        return self.path / "evaluate"

    @property
    def beside(self) -> Path:
        """What was compared with the run later on, without a change to it: a folder for each name."""
        return self.path / "against"

    @property
    def review(self) -> Path:
        """What people judged by hand: a file for each judge, and the summary."""
        return self.path / "review"

    @property
    def review_summary(self) -> Path:
        """The judges' figures."""
        return self.review / "summary.json"

    @property
    def export(self) -> Path:
        """Merged model, card and other targets."""
        return self.path / "export"

    @property
    def merged(self) -> Path:
        """What was trained as one model: the export `merged`."""
        return self.export / "merged"

    @property
    def export_summary(self) -> Path:
        """What was exported and how it was checked."""
        return self.export / "summary.json"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.export / "README.md"

    @property
    def report_html(self) -> Path:
        """The report as one page."""
        return self.path / "report.html"

    @property
    def report_md(self) -> Path:
        """The report as Markdown."""
        return self.path / "report.md"

    @property
    def report_pages(self) -> Path:
        """The report's pages of generations."""
        return self.path / "report"

    def manifest(self) -> Manifest:
        """The stored manifest; an empty one where there is none. `IntegrityError` where it cannot be read."""
        if not self.manifest_json.is_file():
            return Manifest(self.path.name)
        try:
            row = read_json(self.manifest_json)
            if row["format"] != MANIFEST_FORMAT:
                raise IntegrityError(f"{self.manifest_json}: written by another version of Luthier (format {row['format']})")
            return Manifest(row["run"], {name: StageRecord.from_json(record) for name, record in row["stages"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"{self.manifest_json}: not a manifest; the file was changed or cut. Delete it, and the stages run again"
            ) from error

    def save_manifest(self, manifest: Manifest) -> None:
        """Writes the manifest."""
        stages = {name: record.to_json() for name, record in manifest.stages.items()}
        write_json(self.manifest_json, {"format": MANIFEST_FORMAT, "run": manifest.run, "stages": stages})

    def output_hashes(self, outputs: Sequence[str]) -> dict[str, str]:
        """The hash of every existing output (a file or a folder, relative to the run folder)."""
        return {name: self._hash_of(name) for name in outputs if (self.path / name).exists()}

    def _hash_of(self, output: str) -> str:
        return self.hashes.sha256_tree(self.path / output, without=[self.path / name for name in apart(output)])

    def clear(self, output: str) -> None:
        """Removes an output; what stands in its folder and is no part of it stays."""
        kept = [self.path / name for name in apart(output) if (self.path / name).exists()]
        if not kept:
            remove(self.path / output)
            return
        for path in (self.path / output).iterdir():
            if path not in kept:
                remove(path)

    def is_complete(self, name: str, key: str, *, or_failed: bool = False) -> bool:
        """Whether stage `name` was completed with `key`, nothing is to be tried again (`or_failed`: or no matter), and every output still
        has its recorded bytes."""
        record = self.manifest().stages.get(name)
        return record is not None and record.key == key and (or_failed or not record.failed) and self.is_intact(record)

    def is_intact(self, record: StageRecord) -> bool:
        """Whether every output of `record` still has its recorded bytes."""
        return all((self.path / output).exists() and self._hash_of(output) == digest for output, digest in record.outputs.items())

    def take_from_sibling(self, name: str, key: str, processes: int = 1) -> Path | None:
        """Links stage `name` from a run beside this one that completed it with the same `key`; the sibling, or None.

        A stage that was shared by another number of processes than `processes` is another result.
        """
        for sibling in self._siblings_with(name, key, processes):
            record = sibling.manifest().stages[name]
            for output in record.outputs:
                self.clear(output)
                link_or_copy(sibling.path / output, self.path / output, without=[sibling.path / name for name in apart(output)])
            if not self.is_intact(record):
                continue  # The sibling was at work in between.
            taken = StageRecord(key, record.outputs, record.seconds, taken_from=sibling.path.name, processes=processes)
            self.save_manifest(self.manifest().with_stage(name, taken))
            return sibling.path
        return None

    def sibling_with(self, name: str, key: str, processes: int = 1) -> RunFolder | None:
        """The run beside this one from which stage `name` would be taken, or None; nothing is linked or written."""
        return next(self._siblings_with(name, key, processes), None)

    def _siblings_with(self, name: str, key: str, processes: int) -> Iterator[RunFolder]:
        """The runs beside this one that completed stage `name` with `key` in so many processes, in the order of their names."""
        for path in sorted(self.path.parent.iterdir()) if self.path.parent.is_dir() else ():
            if path == self.path or not (path / "manifest.json").is_file():
                continue
            sibling = RunFolder(path)
            sibling.hashes = self.hashes
            try:
                if sibling.is_complete(name, key) and sibling.manifest().stages[name].processes == processes:
                    yield sibling
            except IntegrityError:
                continue  # Another version's folder, or a broken one, is no concern of this run.

    def same_training(self) -> list[RunFolder]:
        """The runs beside this one with the same training, that from which it was taken first: equal key, equal result."""
        ours = self._training()
        if ours is None:
            return []
        source = self.path.parent / ours.taken_from if ours.taken_from else self.path
        paths = sorted((path for path in self.path.parent.iterdir() if path != self.path), key=lambda path: (path != source, path.name))
        found = []
        for path in paths:
            sibling = RunFolder(path)
            sibling.hashes = self.hashes
            theirs = sibling._training()
            if theirs is not None and (theirs.key, _result(theirs)) == (ours.key, _result(ours)):
                found.append(sibling)
        return found

    def _training(self) -> StageRecord | None:
        """The record of a complete training; None where there is none, or no manifest that this version can read."""
        try:
            return self.manifest().stages.get("train")
        except IntegrityError:
            return None

    @property
    def is_held(self) -> bool:
        """Whether a process is at work in the folder."""
        try:
            with (self.path / ".lock").open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # Nobody was ever at work, or who asks may not know.
            return False
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for this process; `BusyError` where another process holds it. The system frees it at any exit."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "choose another `output_dir`, or mend the rights of its folder"
            raise UserError(Problem(f"the run folder cannot be made: {error.strerror}", str(self.path), hint=hint)) from error
        with (self.path / ".lock").open("a+", encoding="ascii") as stream:
            try:
                _take(stream.fileno())
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise BusyError(
                    Problem(
                        f"another process (id {holder}) is at work in {self.path}",
                        hint="wait for it to end, or stop it; nothing was changed",
                    )
                ) from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield


def _take(descriptor: int) -> None:
    """Locks an open file; who only looks whether it is held has it for an instant, so a few tries are made."""
    for _ in range(_LOCK_TRIES - 1):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOCK_PAUSE_SECONDS)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _result(record: StageRecord) -> tuple[str | None, ...]:
    """The hashes of a training's result."""
    return tuple(record.outputs.get(name) for name in ("adapter", "model"))


def find_runs(output_dir: Path) -> list[RunFolder]:
    """The run folders in `output_dir`, the latest change last."""
    if not output_dir.is_dir():
        return []
    found = [path for path in output_dir.iterdir() if (path / "resolved.yaml").is_file()]
    return [RunFolder(path) for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def summary_or_none(path: Path) -> JsonValue:
    """The JSON in `path`, or None where the stage that writes it has not run."""
    return read_json(path) if path.is_file() else None
