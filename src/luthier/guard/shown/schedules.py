"""Commands of lines of cron: five fields of time, or `@daily` and the like, perhaps a user, and what is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FIELD = r"(?:\*|\d{1,2}|[A-Za-z]{3})(?:[-/,](?:\*|\d{1,2}|[A-Za-z]{3}))*"
_LINE = re.compile(
    rf"[ \t]*(?:[-*+][ \t]+)?`?(?:@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|{_FIELD}(?:[ \t]+{_FIELD}){{4}})"
    r"[ \t]+(?P<command>[^\n]*[^\s`])"
)
# A table of the system names the user in front of the command (crontab(5)).
_USER = re.compile(r"(?:root|daemon|nobody|www-data|admin|ubuntu|backup|postgres|<\w+>|\$?[A-Z_]{2,20})[ \t]+(?=\S)")
_PERCENT = re.compile(r"\\%")


def of_cron(text: str) -> Iterator[str]:
    """What the lines of a table run; lines of another kind give nothing."""
    for line in text.split("\n"):
        if (found := _LINE.match(line)) is not None:
            command = _PERCENT.sub("%", found["command"])
            yield command
            if (user := _USER.match(command)) is not None:
                yield command[user.end() :]
