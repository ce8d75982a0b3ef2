"""Both whole files of a change whose diff may show a part of a private key: a hunk can hold lines of one and neither of its marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from luthier.retrieval.git.program import Git
from luthier.retrieval.repository.objects import contents

# Shorter ones are names more often than lines of a key.
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9+/]{24,}")


def may_show_a_key(diff: str) -> bool:
    """Whether a line of `diff` holds what may be a line of a key."""
    return any(word.upper() != word != word.lower() and any(map(str.isdigit, word)) for word in _LIKE_A_KEY.findall(diff))


def texts_of(git: Git, object_ids: Sequence[str]) -> dict[str, str]:
    """The text of each object by its name; none for those that are not there, which git names with zeros."""
    wanted = [name for name in dict.fromkeys(object_ids) if name.strip("0")]
    if not wanted:
        return {}
    return {name: content.decode("utf-8", "replace") for name, content in zip(wanted, contents(git, wanted), strict=True)}
