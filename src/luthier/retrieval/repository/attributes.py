"""What `.gitattributes` files say of generated and vendored files, read as data: nothing else in them counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from luthier.retrieval.patterns import matches

_NAMES = {"linguist-generated": "generated", "linguist-vendored": "vendored"}
_MAX_RULES = 200


@dataclass(frozen=True, slots=True)
class Attributes:
    """Rules in the order of their files, upper folders first: of those that fit a path, the last one counts."""

    rules: tuple[tuple[str, str, str, bool], ...] = field(default=())

    def says(self, path: str, reason: str) -> bool | None:
        """Whether `path` is `generated` or `vendored` by these files; None where they do not say."""
        answer = None
        for folder, pattern, named, value in self.rules:
            if named == reason and path.startswith(folder) and matches(path[len(folder) :], (pattern,)):
                answer = value
        return answer


def read_attributes(texts: Mapping[str, str]) -> Attributes:
    """The rules in `.gitattributes` files, given by path."""
    rules = []
    for path in sorted(texts, key=lambda path: (path.count("/"), path)):
        folder = PurePosixPath(path).parent.as_posix()
        for line in texts[path].splitlines():
            words = line.split()
            if len(words) < 2 or words[0].startswith(("#", "[attr]", '"')):
                continue
            for word in words[1:]:
                name, _, value = word.lstrip("-!").partition("=")
                if name in _NAMES and not word.startswith("!"):
                    holds = not word.startswith("-") and value != "false"
                    rules.append(("" if folder == "." else f"{folder}/", words[0], _NAMES[name], holds))
    return Attributes(tuple(rules[:_MAX_RULES]))
