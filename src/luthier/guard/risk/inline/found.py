"""What code does, as a list of effects, and the list's keeper while the code is read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from luthier.guard.risk.inline.texts import DecodedText, is_constant
from luthier.guard.values.symbols import DECODED, NETWORK, UNKNOWN

# More effects than any one-liner has: the rest would not change a verdict.
MAX_EFFECTS = 300
# An interactive shell: nothing but its name, or `-i` and redirections behind it.
_BARE_SHELL = re.compile(
    r"\s*(?:\S*/)?(?:(?:ba|z|da|k|tc|c|a)?sh|cmd(?:\.exe)?|powershell(?:\.exe)?|pwsh)(?:\s+(?:-[il]+|--login|[0-9]*[<>].*))*\s*", re.S
)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a piece of code does.

    `kind` is `shell` (`texts[0]` is run by a shell), `argv` (the words of a program that is started), `delete`, `delete_tree`, `write`,
    `append`, `read`, `permissions` (paths), `move` (source, target), `send` (the receiver, then what goes out), `fetch` (the address),
    `listen`, `code` (a language and its code), `dynamic` (known only when it runs), `encoded` (decoded data is run), `print` (what goes
    to standard output), `open` (what it changes is not known, with the reason), or `danger:CLASS` with the
    reason. Offsets are characters of the code.
    """

    kind: str
    texts: tuple[str, ...]
    start: int
    end: int


class Findings:
    """Effects in the order in which they were found, each once."""

    def __init__(self, length: int) -> None:
        self.effects: list[Effect] = []
        self._seen: set[Effect] = set()
        self._notes: set[str] = set()
        self._length = length

    def note(self, name: str) -> None:
        """Remembers that the code has a `socket`, or copies descriptors (`dup2`): harmless alone, a reverse shell together."""
        self._notes.add(name)

    def add(self, kind: str, texts: tuple[str, ...], start: int, end: int) -> None:
        """One more effect; what runs decoded text is told as `encoded` too, and code that only the run decides as `dynamic`."""
        if kind == "code" and len(texts) < 2:
            texts = (*texts, UNKNOWN)
        if kind == "code" and not is_constant(texts[1]) and NETWORK not in texts[1]:
            if DECODED in texts[1]:
                self._put("encoded", (), start, end)
            self._put("dynamic", (), start, end)
            return
        if kind in ("shell", "argv") and _BARE_SHELL.fullmatch(texts[0] if kind == "shell" else " ".join(texts)[:400]):
            self._notes.add("shell")
        if kind in ("shell", "argv", "code") and any(isinstance(text, DecodedText) or DECODED in text for text in texts):
            self._put("encoded", (), start, end)
        self._put(kind, tuple(str(text) for text in texts), start, end)

    def _put(self, kind: str, texts: tuple[str, ...], start: int, end: int) -> None:
        if len(self.effects) >= MAX_EFFECTS:
            return
        # A string that is never closed ends with the code.
        start = min(max(start, 0), self._length)
        effect = Effect(kind, texts, start, min(max(end, start), self._length))
        if effect not in self._seen:
            self._seen.add(effect)
            self.effects.append(effect)
            if len(self.effects) == MAX_EFFECTS:
                self.effects.append(Effect("dynamic", (), 0, self._length))

    def finish(self) -> list[Effect]:
        """All effects, with what they mean only together."""
        if "socket" in self._notes and self._notes & {"shell", "dup2"}:
            self._put("danger:exposure", ("hands a shell to a network peer",), 0, self._length)
        return self.effects
