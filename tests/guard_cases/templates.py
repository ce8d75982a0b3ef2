"""Templates of ways round: a template holds marks, and each mark stands for the command or a part of it in some quoting.

«t» is the command; «q» the same quoted for the shell, «d» in double quotes, «j» as a JSON string (one of Python, JavaScript and Ruby as
well, where it holds nothing special to them), «p» as a string of Perl; «h» and «r» are the program and the rest, «f» the program's
folder, «i» and «l» all words but the last, and the last. The other marks are for one tool each.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable

from guard_cases.seeds import Seed

Way = Callable[[Seed], str | None]


def _parts(seed: Seed) -> dict[str, str]:
    """What the templates need beside the plain text; a program as one word, for tools that split their option's value, is under «s»."""
    text = seed.text
    shell = f"sh -c {seed.quoted}"
    return {
        "t": text,
        "q": seed.quoted,
        "d": seed.in_double_quotes,
        "j": json.dumps(text),
        "p": '"' + re.sub(r'([\\"$@`])', r"\\\1", text) + '"',
        "h": seed.head,
        "r": seed.rest,
        "f": seed.folder,
        "i": " ".join(seed.words[:-1]),
        "l": seed.words[-1] if seed.words else "",
        "s": shlex.quote(shell),
        "x": shlex.quote(f":!{text}"),
        "e": shlex.quote(f"1e {text}"),
        "b": shlex.quote(f"!{text}"),
        "o": shlex.quote(f"|{text} # %s"),
        "m": text.replace("$", "$$"),
        "n": shlex.quote(text.replace("$", "$$")),
        "g": shlex.quote(f"shell {text}"),
    }


def filled(template: str) -> Way:
    """The way that fills `template`."""

    def way(seed: Seed) -> str | None:
        parts = _parts(seed)
        return re.sub("«(.)»", lambda found: parts[found[1]], template)

    return way


def when(fits: Callable[[Seed], bool], way: Way) -> Way:
    """`way` for the seeds that `fits` accepts, nothing for the rest."""
    return lambda seed: way(seed) if fits(seed) else None
