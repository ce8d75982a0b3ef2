"""Loading packages that may be missing even where their room's own extra is installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from luthier.core.errors import MissingExtraError


def load(package: str, extra: str, reason: str = "") -> ModuleType:
    """The module `package`, or `MissingExtraError` with the install line for `extra`."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        # A package that is there but broken must not be reported as missing.
        if error.name is not None and error.name.split(".")[0] != package.split(".", maxsplit=1)[0]:
            raise
        raise MissingExtraError(package.split(".", maxsplit=1)[0], extra, reason) from error
