"""Private keys in diffs: a hunk may show some lines of a key and neither of its marks, so both whole files are asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from luthier.guard.secrets.known import KnownSecrets
from luthier.guard.secrets.patterns import key_findings
from luthier.guard.secrets.private_keys import is_of_a_key
from luthier.retrieval.git.program import Git
from luthier.retrieval.repository.objects import contents

# Shorter ones are names more often than parts of a key.
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9+/]{24,}")


def may_show_a_key(diff: str) -> bool:
    """Whether a line of `diff` holds what may be a line of a key."""
    return any(is_of_a_key(word) for word in _LIKE_A_KEY.findall(diff))


def masked_by_sides(git: Git, diffs: Sequence[str], sides: Sequence[tuple[str, ...]]) -> list[str]:
    """Each diff with a mark over every line of a private key that the objects of its `sides`, the files before and after, hold."""
    wanted = [name for name in dict.fromkeys(name for pair in sides for name in pair) if name.strip("0")]
    known = KnownSecrets()
    for content in contents(git, wanted) if wanted else ():
        text = content.decode("utf-8", "replace")
        known.note(text, key_findings(text))
    return [known.masked(diff) for diff in diffs]
