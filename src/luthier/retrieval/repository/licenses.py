"""The license of a source and of its files as SPDX expressions, by what they themselves say; None where they do not say it clearly.

Texts are known by phrases that no other license of the list has, not by their whole wording, so that wrapping, years and holders do not
matter. The names are those of the SPDX License List (https://spdx.org/licenses/).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from luthier.retrieval.repository.headers import UNKNOWN, license_in_prose
from luthier.retrieval.repository.spdx import expression

TABLE = Path(__file__).with_name("licenses.toml")
_LICENSE_FILE = re.compile(r"(?:LICEN[CS]E|COPYING|UNLICENSE|COPYRIGHT)(?:\.LESSER)?(?:[-_.][\w.+-]+)?", re.IGNORECASE)
_TEXT_ENDINGS = ("", ".txt", ".md", ".rst", ".markdown", ".html")
_MAX_TEXT = 100_000
_HEAD_CHARACTERS = 6_000
_MAX_NOTICE = 3_000

# Names that only other texts can stand beside: a further license in one file is no single license.
_ALONE = ("MIT", "Apache-2.0", "MPL-2.0", "BSD", "GPL", "PSF-2.0", "ISC")
_FAMILIES = {
    "MIT": "permission is hereby granted free of charge to any person obtaining a copy",
    "Apache-2.0": "apache license version 2 0",
    "BSD": "redistributions in binary form",
}

_IDENTIFIER = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,300})")
_GNU_NOTICE = re.compile(r"gnu (?P<kind>lesser |library |affero |)general public license")
_VERSION = re.compile(r"version (?P<version>3|2 1|2)\b")
_GNU_NAMES = {"": "GPL", "lesser ": "LGPL", "library ": "LGPL", "affero ": "AGPL"}


def is_license_file(path: str) -> bool:
    """Whether the name of a file is that of a license."""
    name = PurePosixPath(path).name
    if not _LICENSE_FILE.fullmatch(name):
        return False
    ending = PurePosixPath(name).suffix.lower()
    # `license.py` is code; `LICENSE.MIT` and `LICENSE-2.0` are texts.
    return ending in _TEXT_ENDINGS or name.split(".")[0].isupper()


def license_of_text(text: str) -> str | None:
    """The SPDX name of the license that `text` is; None for any other text, and for one that holds several.

    A GNU license as such does not say whether later versions may be used; its name is then the one that allows less (`-only`).
    """
    words = _words(text[:_MAX_TEXT])
    first = next((name for name, has, lacks in _texts() if _all_in(has, words) and not any(phrase in words for phrase in lacks)), None)
    if first is None:
        return None
    families = {family for family, phrase in _FAMILIES.items() if phrase in words}
    # One text may quote another's title, never its grant.
    own = next((family for family in _ALONE if first.startswith(family)), first)
    others = families - {own} - ({"Apache-2.0"} if first in ("MPL-2.0", "EPL-2.0") else set())
    return None if others and first != "PSF-2.0" else first


def license_of_header(text: str, nearest: str | None = None) -> str | None:
    """The license that the head of a file says it has: its SPDX identifier, the usual notice or whole text of a license, or its name in
    prose. `UNKNOWN` where that is none that is known, None where the head says nothing. `nearest`, what the license file above the file
    says, settles a name that leaves a choice (`the BSD license`).
    """
    head = text[:_HEAD_CHARACTERS]
    if found := _IDENTIFIER.search(head):
        written = found[1].strip().removesuffix("*/").removesuffix("-->").removesuffix("*)").removesuffix("#}").strip("\"'` \t,;")
        return expression(written) or UNKNOWN
    return _by_notice(head) or license_in_prose(head, nearest)


def _by_notice(head: str) -> str | None:
    lower = head.lower()
    if "permission" in lower or "redistributions" in lower:
        own = license_of_text(head)
        if own is not None:
            return own
    if "icense" not in head:
        return None
    words = _words(head)
    if "licensed under the apache license version 2 0" in words:
        return "Apache-2.0"
    if "this source code form is subject to the terms of the mozilla public license v 2 0" in words:
        return "MPL-2.0"
    return _gnu_notice(words) if "it under the terms of the gnu" in words else None


def license_of_manifest(path: str, text: str) -> str | None:
    """The license that a `package.json`, `pyproject.toml` or `Cargo.toml` names; `UNKNOWN` where it names none that is known, None where
    it names none or points at a file."""
    name = PurePosixPath(path).name
    try:
        found = _named_in_json(json.loads(text)) if name == "package.json" else _named_in_toml(tomllib.loads(text))
    except (ValueError, RecursionError):  # No file of its kind: then it names nothing.
        return None
    # `Apache-2.0/MIT` is how Cargo once wrote OR.
    if not isinstance(found, str) or not found.strip() or found.upper().startswith("SEE LICEN"):
        return None
    written = expression(found.replace("/", " OR ") if name == "Cargo.toml" else found)
    return written or license_in_prose(f"# license: {found}", None) or UNKNOWN


def is_manifest(path: str) -> bool:
    """Whether a file is one that `license_of_manifest` reads."""
    return PurePosixPath(path).name in ("package.json", "pyproject.toml", "Cargo.toml")


def licenses_by_folder(license_files: Mapping[str, str], manifests: Mapping[str, str]) -> dict[str, str | None]:
    """The license of each folder that has a license file or a manifest with one; texts are given by path. The root is `.`.

    The license file counts, or, where there are several, the manifest. A license file whose text is not known tells that another license
    holds: then, and where a manifest alone names one that is not known, it is None.
    """
    texts: dict[str, dict[str, str | None]] = {}
    for path, text in license_files.items():
        # Where the whole text is not there, its notice is: `COPYING` beside a `LICENSE` that says which versions of it hold.
        found = license_of_text(text) or (license_of_header(text) if len(text) < _MAX_NOTICE else None)
        texts.setdefault(_folder(path), {})[PurePosixPath(path).name] = None if found == UNKNOWN else found
    named: dict[str, str | None] = {}
    for path in sorted(manifests):
        if written := license_of_manifest(path, manifests[path]):
            named[_folder(path)] = named.get(_folder(path)) or (None if written == UNKNOWN else written)
    folders: dict[str, str | None] = {}
    for folder in sorted({*texts, *named}):
        told = texts.get(folder, {})
        by_text = _of_files(told)
        # Nothing but texts that are not known: the manifest, which tools write by themselves, does not outweigh them.
        folders[folder] = by_text or (named.get(folder) if not told or any(told.values()) else None)
    return folders


def license_at(path: str, by_folder: Mapping[str, str | None]) -> str | None:
    """The license that holds for the file `path`: that of the nearest folder upwards which has one."""
    folder = ruling_folder(path, by_folder)
    return by_folder[folder] if folder is not None else None


def ruling_folder(path: str, by_folder: Mapping[str, str | None]) -> str | None:
    """The nearest folder upwards of the file `path` that has a license, known or not; None where none has."""
    return next((name for folder in PurePosixPath(path).parents if (name := folder.as_posix()) in by_folder), None)


@cache
def _texts() -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """The names of the licenses, what their texts have and what they lack."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple((name, tuple(row["has"]), tuple(row.get("lacks", ()))) for name, row in table.items())


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()


def _of_files(found: Mapping[str, str | None]) -> str | None:
    names = set(found.values())
    # A notice tells more than the text that it points at.
    names -= {f"{name.removesuffix('-or-later')}-only" for name in names if name and name.endswith("-or-later")}
    # GNU's lesser license of version 3 adds to the text of the other one, which has to lie beside it.
    if any(name and name.startswith("LGPL-3.0") for name in names):
        names.discard("GPL-3.0-only")
    return names.pop() if len(names) == 1 else None


def _named_in_json(value: object) -> object:
    found = value.get("license") if isinstance(value, dict) else None
    return found.get("type") if isinstance(found, dict) else found


def _named_in_toml(value: dict[str, object]) -> object:
    tool = value.get("tool")
    for table in (value.get("project"), value.get("package"), tool.get("poetry") if isinstance(tool, dict) else None):
        if isinstance(table, dict) and "license" in table:
            found = table["license"]
            return found.get("text") if isinstance(found, dict) else found
    return None


def _words(text: str) -> str:
    """Lower case, each run of anything but letters and digits one blank."""
    return re.sub(r"[\W_]+", " ", text.lower())


def _all_in(phrases: tuple[str, ...], words: str) -> bool:
    return all(phrase in words for phrase in phrases)


def _gnu_notice(words: str) -> str | None:
    words = words[words.index("it under the terms of the gnu") :][:600]
    kind, version = _GNU_NOTICE.search(words), _VERSION.search(words)
    if kind is None or version is None:
        return None
    number = version["version"].replace(" ", ".") if " " in version["version"] else f"{version['version']}.0"
    later = "any later version" in words or "or later" in words
    return f"{_GNU_NAMES[kind['kind']]}-{number}-{'or-later' if later else 'only'}"
