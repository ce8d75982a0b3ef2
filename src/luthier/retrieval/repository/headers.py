"""The license that the head of a file names in prose, as `Licensed under the MIT license` or `@license GPL-3.0`.

Read in three places: behind words such as `licensed under` and `governed by`, behind a tag (`@license`, `:license:`, `__license__`), and
in a line of a comment that is a license's title. A name that leaves open which license it is (`BSD`, `GPL` without its version) is a
family's: it is settled by the nearest license file where that is one of the family, else nothing is known.
"""

from __future__ import annotations

import re

from luthier.retrieval.repository.spdx import expression, together

# Says that the file has a license of its own, which is none that is known: neither its folder's nor its source's holds then.
UNKNOWN = "unknown"
_LINES = 60
# Words behind `licensed under` that may still speak of it.
_REACH = 220
_GNU = re.compile(r"\b(?:(?P<kind>lesser |library |affero |)general public licen[sc]e|(?P<short>[al]?)gpl)(?:v(?=\d)|\b)")
_GNU_NAMES = {"": "GPL", "lesser ": "LGPL", "library ": "LGPL", "affero ": "AGPL", "l": "LGPL", "a": "AGPL"}
_GNU_VERSION = re.compile(r"(?:(?<=gplv)|^ ?|.{0,90}?\bv(?:ersion)? ?)(2 1|[23])\b")
_OTHERS = (
    (re.compile(r"\bapache(?: software)?(?: licen[sc]e)?(?: version| v)? ?2(?: 0)?\b"), "Apache-2.0"),
    (re.compile(r"\bapache(?: software)? licen[sc]e\b(?!(?: version| v)? ?2)"), "Apache"),
    (re.compile(r"\b(?:mozilla public licen[sc]e|mpl)(?: version| v)? ?2(?: 0)?\b"), "MPL-2.0"),
    (re.compile(r"\b(?:mozilla public licen[sc]e|mpl)\b(?!(?: version| v)? ?2)"), "MPL"),
    (re.compile(r"\b(?:(?:2|two) clause bsd|bsd (?:2|two) clause|(?:simplified|freebsd) (?:bsd )?licen[sc]e)\b"), "BSD-2-Clause"),
    (re.compile(r"\b(?:(?:3|three) clause bsd|bsd (?:3|three) clause|(?:new|revised|modified) bsd)\b"), "BSD-3-Clause"),
    (re.compile(r"(?<!clause )(?<!simplified )(?<!new )(?<!revised )(?<!modified )\bbsd\b(?! (?:2|3|two|three) clause)"), "BSD"),
    (re.compile(r"\bmit\b"), "MIT"),
    (re.compile(r"\bisc licen[sc]e\b"), "ISC"),
)
_FAMILIES = frozenset(("GPL", "LGPL", "AGPL", "Apache", "MPL", "BSD"))
_GRANT = re.compile(
    r"\b(?:(?:licen[sc]ed|released|(?:re)?distributed?|available|provided|published|usable)(?: \w+){0,3}? under"
    r"|(?:covered|governed)(?: \w+)?? by|subject to)\b"
)
_CHOICE = re.compile(r"\b(?:either|dual|at your option|your choice)\b")
_ELSEWHERE = re.compile(r"\blicen[sc]e(?:s)? (?:file|txt|md|rst|in the)\b|\b(?:see|file|in) (?:the )?(?:licen[sc]e|copying)\b")
# A license by a name that is not known here, `the Eclipse Public License`, and not `the same license`.
_OTHER_NAME = re.compile(
    r" (?:either )?(?:the |a |an )?(?:terms (?:and conditions )?of )?(?:the |a |an )?"
    r"(?:(?!(?:the|this|that|its|same|following|project|your|our|file|repository|main|package|library|source|license|licence)\b)\w+ ){1,5}"
    r"licen[sc]e\b(?! (?:file|txt|md))"
)
_TAG = re.compile(
    r"(?im)^[ \t]*(?:(?:[/*#;%!<(-]+[ \t]*)?[@:]licen[sc]e\b|[/*#;%!<(-]+[ \t]*licen[sc]e(?=[ \t]*[:=])|__licen[sc]e__)"
    r"[ \t]*[:=]?[ \t]*[\"']?([^\n\"']{2,80})"
)
_TITLE = re.compile(
    r"(?im)^[ \t]*[/*#;%!<(-]+[ \t]*(?:the[ \t]+)?([\w .,-]{0,60}\blicen[sc]e\b(?:,?[ \t]+v(?:ersion)?\.?[ \t]*[\d.]+)?)"
    r"[ \t]*(?:\([\w .-]+\))?[ \t*/.>-]*$"
)
_NONE_GIVEN = re.compile(
    r"\b(?:proprietary and confidential|confidential and proprietary|unauthori[sz]ed (?:copying|use|reproduction|distribution|disclosure)"
    r"|(?:is|contains?|are)(?: the)? (?:proprietary|confidential)|proprietary licen[sc]e|trade secrets?)\b"
)
_HINTS = ("licen", "gpl", "proprietary", "unauthori", "confidential", "trade secret", "copying")


def license_in_prose(head: str, nearest: str | None) -> str | None:
    """The SPDX expression that the words at the head of a file name; `UNKNOWN` where they name one that is not known or forbid the use;
    None where they name none, or point at the license file beside it. `nearest` is what that file says."""
    head = "\n".join(head.split("\n", _LINES)[:_LINES])
    lower = head.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    words = re.sub(r"[\W_]+", " ", lower)
    if _NONE_GIVEN.search(words) is not None:
        return UNKNOWN
    grants = [grant.span() for grant in _GRANT.finditer(words)]
    ends = [*(start for start, _ in grants[1:]), len(words)]
    found = [_granted(words[at : min(at + _REACH, end)], words[:at], nearest) for (_, at), end in zip(grants, ends, strict=False)]
    found += [_tagged(tag[1], nearest) for tag in _TAG.finditer(head)]
    found += [_of_names(_names(_plain(title[1])), nearest) for title in _TITLE.finditer(head)]
    said = [name for name in found if name is not None]
    if UNKNOWN in said:
        return UNKNOWN
    return together(said)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


def _granted(behind: str, before: str, nearest: str | None) -> str | None:
    names = _names(behind)
    if not names:
        return UNKNOWN if _OTHER_NAME.match(behind) is not None and _ELSEWHERE.search(behind) is None else None
    if "BSD" in names and not any("GPL" in name for name in names) and _ELSEWHERE.search(behind) is not None:
        return None
    if len(names) > 1 and _FAMILIES.isdisjoint(names) and _CHOICE.search(before[-20:] + behind) is not None:
        return " OR ".join(names)
    return _of_names(names, nearest)


def _tagged(value: str, nearest: str | None) -> str | None:
    written = value.strip().removesuffix("*/").removesuffix("-->").strip(" \t.,;")
    if (named := expression(written)) is not None:
        return named
    if re.match(r"(?i)(?:proprietary|commercial|unlicensed|none|all rights reserved)\b", written):
        return UNKNOWN
    return _of_names(_names(_plain(written)), nearest)


def _of_names(names: list[str], nearest: str | None) -> str | None:
    settled = [name if name not in _FAMILIES else _settled(name, nearest) for name in names]
    return UNKNOWN if UNKNOWN in settled else together(settled)


def _settled(family: str, nearest: str | None) -> str:
    return nearest if nearest is not None and nearest.startswith(f"{family}-") and " " not in nearest else UNKNOWN


def _names(words: str) -> list[str]:
    """The licenses and families that normalised words name, each once, in the order of the list above."""
    found = [_gnu(words, gnu) for gnu in _GNU.finditer(words)]
    found += [name for pattern, name in _OTHERS if pattern.search(words) is not None]
    once = list(dict.fromkeys(found))
    # `the GNU General Public License (GPL), version 2` names one license twice.
    return [name for name in once if name not in _FAMILIES or not any(other.startswith(f"{name}-") for other in once)]


def _gnu(words: str, gnu: re.Match[str]) -> str:
    family = _GNU_NAMES[gnu["short"] if gnu["short"] is not None else gnu["kind"]]
    behind = words[gnu.end() : gnu.end() + 160]
    version = _GNU_VERSION.match(behind) or (re.match(r"(2 1|[23])\b", behind) if gnu.group().endswith("v") else None)
    if version is None:
        return family
    number = version[1].replace(" ", ".") if " " in version[1] else f"{version[1]}.0"
    is_later = re.search(r"\b(?:any later|or later|or newer|or any newer)\b", behind) is not None
    return f"{family}-{number}-{'or-later' if is_later else 'only'}"
