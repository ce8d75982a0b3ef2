"""Loading packages that may be missing even where their room's own extra is installed."""

from __future__ import annotations

import importlib
import importlib.util
import re
from importlib import metadata
from types import ModuleType

from luthier.core.errors import MissingExtraError


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error with the install line, where the module that `error` misses is of one of Luthier's extras; else None."""
    package = (error.name or "").split(".")[0]
    for requirement in metadata.requires("luthier") or ():
        found = re.match(r"(?P<name>[A-Za-z0-9._-]+).*\bextra == [\"'](?P<extra>\w+)", requirement)
        if found is not None and found["name"].lower().replace("-", "_") == package.lower():
            return MissingExtraError(package, found["extra"])
    return None


def missing(package: str, extra: str, reason: str = "") -> MissingExtraError | None:
    """The error with the install line for `extra` where `package` is not installed, else None. Nothing of it is imported."""
    return None if importlib.util.find_spec(package) is not None else MissingExtraError(package, extra, reason)


def load(package: str, extra: str, reason: str = "") -> ModuleType:
    """The module `package`, or `MissingExtraError` with the install line for `extra`."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # A package that is there but broken must not be reported as missing.
        if error.name is None or error.name.split(".")[0] != package.split(".", maxsplit=1)[0]:
            raise
        raise MissingExtraError(package.split(".", maxsplit=1)[0], extra, reason) from error
