"""Marks that stand for a value in a command, read as the word that they stand for: to bash `<PASSWORD>` is two redirections.

Marks of Luthier's own masking are a closed list and are words wherever a text is training data or a model's answer to a suite. Slots of
documentation (`<name>`, `<your-host>`) are anybody's, and words only where the caller knows that the text is documentation. What a person
is about to run (`luthier guard`, `luthier ask`) is judged as bash would take it. Texts keep their length, so that places in them stay.
"""

from __future__ import annotations

import re

from luthier.guard.secrets.kinds import KINDS

# What masking writes beside the kinds of secrets: personal data, and addresses by policy.
OTHER_KINDS = ("email", "name", "phone", "ssn", "ip", "iban", "card", "url", "host")

_NAMES = "|".join(sorted((kind.upper().replace("-", "_") for kind in (*KINDS, *OTHER_KINDS)), key=len, reverse=True))
_BRACKETED = rf"<(?:{_NAMES})(?:_\d{{1,4}})?>"
# A mark that begins a word and has a path glued to it is none that masking wrote: it takes an address whole, and what bash makes of
# `<URL>/dev/sda` is a redirection to the disk.
_MARK = re.compile(rf"(?<=[\w:/@=.,+'\"-]){_BRACKETED}|{_BRACKETED}(?!/)")
# No blank in front of `>`: `<in >out` are two redirections.
_SLOT = re.compile(r"<[A-Za-z](?:[\w .:/|-]{0,80}[\w.])?>")
_NOT_A_WORD = re.compile(r"\W")


def marks_as_words(text: str) -> str:
    """`text` with `_PASSWORD_` for `<PASSWORD>`, and so for each mark that masking writes."""
    return _MARK.sub(_word, text) if "<" in text else text


def slots_as_words(text: str) -> str:
    """`text` with `_your_host_` for `<your-host>`, and so for each slot of documentation and each mark."""
    return _SLOT.sub(_word, text) if "<" in text else text


def _word(found: re.Match[str]) -> str:
    return _NOT_A_WORD.sub("_", found.group())
