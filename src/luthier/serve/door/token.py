"""The token that every request carries: from the environment, or made at the first start and kept in a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from luthier.core.child_environment import SERVER_TOKEN as VARIABLE
from luthier.core.errors import Problem, UserError
from luthier.core.files import write_with

FILE = "token"
_SHORTEST = 16
_PRIVATE = 0o600


def read_token(root: Path) -> tuple[str, str]:
    """The token and where it comes from; made now where there is none. `UserError` where it could be guessed or sent by no client."""
    if given := os.environ.get(VARIABLE):
        return _checked(given.strip(), VARIABLE), f"the environment variable {VARIABLE}"
    path = root / FILE
    if not path.is_file():
        made = secrets.token_urlsafe(32)
        write_with(path, lambda stream: stream.writelines([made.encode(), b"\n"]), _PRIVATE)
    return _checked(path.read_text(encoding="utf-8").strip(), str(path)), str(path)


def _checked(token: str, where: str) -> str:
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        hint = "remove it, and one is made" if where != VARIABLE else "unset it, and one is made"
        expected = f"{_SHORTEST} letters, digits and signs or more, without blanks"
        raise UserError(Problem("this is no token to keep others out with", where=where, expected=expected, hint=hint))
    return token


def is_token(given: str, token: str) -> bool:
    """Whether what a client sent is the token, in a time that does not tell how much of it is."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
