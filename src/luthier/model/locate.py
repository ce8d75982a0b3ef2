"""Where a base model's files are: the one inside the package, a folder, or a hub's snapshot; and what identifies their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors as hub_errors

from luthier.config.paths import STARTER
from luthier.core.errors import ModelError, Problem
from luthier.core.files import HashMemory, read_json, sha256_json

STARTER_FOLDER = Path(__file__).parents[1] / "assets" / "starter"
# Configuration and tokenizer, and weights as safetensors: never pickled weights, never code, never the same weights twice.
TOKENIZER_FILES = ("*.json", "*.jinja", "*.txt", "tokenizer.model", "README.md", "additional_chat_templates/*.jinja")
MODEL_FILES = ("*.safetensors", *TOKENIZER_FILES)
UNWANTED = ("*.bin", "*.py", "*.pt", "*.gguf", "consolidated*", "original/*", "onnx/*")


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """A model's folder. `identity` is `sha256:...` over a folder's files, or `commit:...` of a hub's snapshot."""

    name: str
    path: Path
    identity: str


def locate(name: str, revision: str | None, hashes: HashMemory, where: str = "base_model") -> ModelLocation:
    """The files of `starter`, of a folder, or of a hub id; `ModelError` at `where` where there are none.

    A snapshot that is already in the hub's cache is used as it is, without the network: a run that worked once goes on working.
    """
    folder = STARTER_FOLDER if name == STARTER else Path(name).expanduser()
    if name == STARTER or folder.is_dir():
        if not (folder / "config.json").is_file():
            hint = "a model folder holds `config.json`"
            raise ModelError(Problem("this folder holds no model", where=where, found=name, hint=hint))
        return ModelLocation(name, folder, _identity(folder, MODEL_FILES, hashes))
    path = _cached(name, revision, MODEL_FILES)
    if path is None or not _is_whole(path):
        path = _download(name, revision, MODEL_FILES, where)
        _require_weights(name, path, where)
    return ModelLocation(name, path, f"commit:{path.name}")


def locate_here(name: str, revision: str | None, hashes: HashMemory) -> ModelLocation | None:
    """The same where the files are on this machine already; None where they would have to be fetched."""
    if name == STARTER or Path(name).expanduser().is_dir():
        return locate(name, revision, hashes)
    path = _cached(name, revision, MODEL_FILES)
    return ModelLocation(name, path, f"commit:{path.name}") if path is not None and _is_whole(path) else None


def locate_tokenizer(name: str, hashes: HashMemory) -> ModelLocation:
    """The files of a tokenizer alone, by the same names as a model; no weights are fetched or hashed. `ModelError` where there are none."""
    folder = STARTER_FOLDER if name == STARTER else Path(name).expanduser()
    if name == STARTER or folder.is_dir():
        if not (folder / "tokenizer.json").is_file():
            hint = "a tokenizer folder holds `tokenizer.json`"
            raise ModelError(Problem("this folder holds no tokenizer", where="tokenizer_config", found=name, hint=hint))
        return ModelLocation(name, folder, _identity(folder, TOKENIZER_FILES, hashes))
    path = _cached(name, None, TOKENIZER_FILES)
    if path is None or not (path / "tokenizer.json").is_file():
        path = _download(name, None, TOKENIZER_FILES, "tokenizer_config")
    return ModelLocation(name, path, f"commit:{path.name}")


def _identity(folder: Path, patterns: Sequence[str], hashes: HashMemory) -> str:
    """What the files that are read amount to; whatever else lies in the folder changes nothing."""
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return f"sha256:{sha256_json([[file.relative_to(folder).as_posix(), hashes.sha256(file)] for file in files])}"


def _cached(name: str, revision: str | None, wanted: Sequence[str]) -> Path | None:
    """The snapshot in the hub's cache, where there is one."""
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(wanted), ignore_patterns=list(UNWANTED), local_files_only=True
        )
    except (ValueError, OSError, hub_errors.HTTPError):
        return None
    return Path(found)


def _is_whole(path: Path) -> bool:
    """Whether configuration, tokenizer and every weight file are there; a download that was broken off left some of them."""
    if not (path / "config.json").is_file() or not (path / "tokenizer.json").is_file():
        return False
    index = path / "model.safetensors.index.json"
    if index.is_file():
        return all((path / file).is_file() for file in set(read_json(index)["weight_map"].values()))
    return any(path.glob("*.safetensors"))


def _download(name: str, revision: str | None, wanted: Sequence[str], where: str) -> Path:
    try:
        found = huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(wanted), ignore_patterns=list(UNWANTED))
    except (ValueError, OSError, hub_errors.HTTPError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        access = isinstance(error, hub_errors.GatedRepoError | hub_errors.RepositoryNotFoundError)
        raise ModelError(
            Problem(
                "there is no such folder, and the model cannot be had from the hub",
                where=where,
                found=name if revision is None else f"{name} at revision {revision}",
                expected="a folder with `config.json`, `starter`, or a hub id such as Qwen/Qwen2.5-Coder-0.5B-Instruct",
                hint=f"the hub said: {lines[0].strip()[:200]}" + ("; private and gated models want HF_TOKEN" if access else ""),
            )
        ) from error
    return Path(found)


def _require_weights(name: str, path: Path, where: str) -> None:
    if not any(path.glob("*.safetensors")):
        hint = "choose another revision, or convert the weights to safetensors"
        raise ModelError(
            Problem("the model has no safetensors weights; pickled weights are never loaded", where=where, found=name, hint=hint)
        )
