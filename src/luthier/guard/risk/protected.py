"""Places that a user protects: what is done to one, to what lies in it, or to a folder that holds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from luthier.guard.risk.paths import Harm, one_form
from luthier.guard.values.symbols import CLASS, CWD, HOME, QUESTION, STAR, UNSETTLED

# The names of a path from its start, which is `/`, `~`, or the character of the working folder.
Names = tuple[str, ...]

_DANGERS = {
    **dict.fromkeys(("delete", "move", "write", "append"), "destruction"),
    "truncate": "truncation",
    "permissions": "permissions",
}
# What reaches all that lies below the folder it is done to.
_REACHING = frozenset(("delete", "move", "truncate", "permissions"))
_INSIDE, _ABOVE = "inside", "above"
_HOME = re.compile(r"~[^/]*")
_EVERYBODYS_HOMES = (("/", "home"), ("/", "Users"))


@dataclass(frozen=True, slots=True)
class Protected:
    """Paths of `guard.protect`, compared with those of commands name by name.

    A path covers all below it; `*` stands for text within one name, `**` for any folders. One without `/` or `~` in front lies in the
    working folder.
    """

    paths: tuple[str, ...] = ()

    def harm(self, role: str, path: str, cwd: str, tree: bool) -> Harm | None:
        """The harm where `role` reaches a protected place, else None. `tree`: it works on all below `path`, an expanded word."""
        return _harm(self.paths, role, path, cwd, tree) if self.paths and role in _DANGERS else None


@lru_cache(64)
def _places(paths: tuple[str, ...]) -> tuple[tuple[str, Names], ...]:
    return tuple((path, names) for path in paths for names in _names_of(path))


@lru_cache(8192)
def _harm(paths: tuple[str, ...], role: str, path: str, cwd: str, tree: bool) -> Harm | None:
    form, everything = one_form(path, cwd)
    names = _names(form)
    if not names:
        return None
    if UNSETTLED.fullmatch(names[0]) and (tree or everything):  # An empty value would make `$DIR/work` mean `/work`.
        names = ("/", *names[1:])
    if everything:
        names = (*names, STAR)
    reaches = role in _REACHING and (tree or everything)
    for text, place in _places(paths):
        found = _relation(place, names)
        if found == _INSIDE:
            return Harm("dangerous", _DANGERS[role], "it is protected by the guard's settings", "protected")
        if reaches and (found == _ABOVE or _is_folder_above(place, names)):
            return Harm("dangerous", _DANGERS[role], f"`{text}` lies in it, which the guard's settings protect", "protected")
    return None


def _names_of(path: str) -> list[Names]:
    """The names of a path as a user wrote it; homes have one name, so that a folder of homes is them, too."""
    bare = re.sub(r"(?:/+\*\*)+/*$", "", path) or ("/" if path.startswith("/") else ".")
    if bare == "**":
        bare = "."
    names = _names(one_form(_HOME.sub(HOME, bare, count=1) if bare[0] == "~" else bare, CWD)[0])
    return [names, ("~",)] if names in _EVERYBODYS_HOMES else [names]


def _names(form: str) -> Names:
    names = tuple(name for name in form.split("/") if name)
    return ("/", *names) if form.startswith("/") else names


def _relation(place: Names, path: Names) -> str:
    """Whether `path` lies in `place`, or is a folder above it; nothing where neither is known.

    Where `**` stands in a place, the folder before it is above it, and so is one that what follows begins with; of the folders
    between nobody knows whether they hold such a place.
    """
    if place == ("/",):
        return _INSIDE
    # How many names of the place may have been read so far, and whether the last name of the path was one of them.
    read = {0: True}
    for name in path:
        following: dict[int, bool] = {}
        for count in _with_nothing_between(place, read):
            if count == len(place):
                return _INSIDE
            if place[count] == "**":
                following.setdefault(count, False)
            elif _may_be_same(place[count], name):
                following[count + 1] = True
        read = following
    read = _with_nothing_between(place, read)
    return _INSIDE if len(place) in read else _ABOVE if any(read.values()) else ""


def _with_nothing_between(place: Names, read: dict[int, bool]) -> dict[int, bool]:
    """The counts of names read, and those where a `**` that follows stands for no folder."""
    found: dict[int, bool] = {}
    for count, is_sure in sorted(read.items()):
        found[count] = found.get(count, False) or is_sure
        following = count + 1
        while following <= len(place) and place[following - 1] == "**":
            found[following] = found.get(following, False) or is_sure
            following += 1
    return found


def _is_folder_above(place: Names, path: Names) -> bool:
    """Whether `path` is `..`, `../..` or all in it, seen from the working folder that `place` lies in."""
    ups = path[1:-1] if path[-1] == STAR else path[1:]
    return path[0] == place[0] == CWD and bool(ups) and set(ups) == {".."} and ups != place[1 : 1 + len(ups)]


def _may_be_same(wanted: str, given: str) -> bool:
    """Whether a name may fit both globs: `wanted` with `*`, and `given`, an expanded word with the characters of globs."""
    wanted = wanted.replace("*", STAR)
    if STAR not in wanted and STAR not in given:
        return len(wanted) == len(given) and all(
            one == other or other in (QUESTION, CLASS) for one, other in zip(wanted, given, strict=True)
        )
    # For each length of `given`: whether its start may fit what was read of `wanted`.
    stars = len(given) - len(given.lstrip(STAR))
    fits = [index <= stars for index in range(len(given) + 1)]
    for one in wanted:
        before, fits = fits, [fits[0] and one == STAR]
        for index, other in enumerate(given):
            if STAR in (one, other):
                fits.append(before[index + 1] or fits[index] or before[index])
            else:
                fits.append(before[index] and (one == other or other in (QUESTION, CLASS)))
    return fits[-1]
