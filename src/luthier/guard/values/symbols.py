"""Characters that stand, in an expanded word, for what its text does not spell out. They are of Unicode's private use area."""

from __future__ import annotations

import re

UNKNOWN = "\ue000"
NETWORK = "\ue001"
SECRET = "\ue002"
DECODED = "\ue003"
STAR = "\ue004"
QUESTION = "\ue005"
CLASS = "\ue006"
HOME = "\ue007"
CWD = "\ue008"
TEMP = "\ue009"
USER = "\ue00a"
# What was fetched from a host that the run file allows, and the value of a variable that is named like a credential.
TRUSTED = "\ue00b"
PASSWORD = "\ue00c"
# Contents of accounts, home folders and databases: no credentials, but nobody else's to have.
PERSONAL = "\ue00f"
# Text without an end: `yes`, `/dev/zero`.
ENDLESS = "\ue00d"

# A number, or another short text without a slash, that is known only at run time.
NUMBER = CLASS + STAR

# What stands in a file of this machine that the text did not write.
LOCAL = "\ue00e"

# Text whose content is not settled, and globs, which are settled as far as a path goes.
UNSETTLED = re.compile(f"[{UNKNOWN}{NETWORK}{SECRET}{DECODED}{TRUSTED}{PASSWORD}{ENDLESS}{LOCAL}{PERSONAL}]")
GLOB = re.compile(f"[{STAR}{QUESTION}{CLASS}]")
SYMBOL = re.compile("[\ue000-\ue01f]")

_SHOWN = {
    UNKNOWN: "…",
    NETWORK: "…",
    SECRET: "…",
    DECODED: "…",
    STAR: "*",
    QUESTION: "?",
    CLASS: "[…]",
    HOME: "~",
    CWD: ".",
    TEMP: "$TMPDIR",
    USER: "$USER",
    TRUSTED: "…",
    PASSWORD: "…",
    ENDLESS: "…",
    LOCAL: "…",
    PERSONAL: "…",
}
_PLAIN = str.maketrans(_SHOWN)


def as_typed(text: str) -> str:
    """`text` with its special characters as somebody would type them."""
    return text.translate(_PLAIN)


def shown(text: str, most: int = 60) -> str:
    """`text` for a person: special characters as the shell would show them, cut to `most` characters."""
    plain = "".join(character if character.isprintable() else "�" for character in text[: most + 1].translate(_PLAIN))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def is_settled(text: str) -> bool:
    """Whether the text says all of it, but for globs and names of folders."""
    return UNSETTLED.search(text) is None


# From the worst to the least.
_TAINTS = (
    (NETWORK, "network"),
    (DECODED, "decoded"),
    (SECRET, "secret"),
    (PASSWORD, "secret"),
    (PERSONAL, "personal"),
    (UNKNOWN, "unknown"),
    (ENDLESS, "unknown"),
    (LOCAL, "file"),
    (TRUSTED, "trusted"),
)
TAINTS = tuple(dict.fromkeys(name for _, name in _TAINTS))


def taint_of(text: str) -> str:
    """The worst that flows in `text`, one of `TAINTS`, or nothing."""
    for character, name in _TAINTS:
        if character in text:
            return name
    return ""
