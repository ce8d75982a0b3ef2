"""Rules between the keys that speak of rows: what an entry of `sources` takes, which endpoints may teach, what acts with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luthier.config.row_sections import MAKER_SOURCES, SOURCE_KINDS, AugmentSection, SourceEntry
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import Problem
from luthier.core.nearness import nearest

Values = dict[str, Any]

# Keys of an entry of `sources`, and the kinds of source on which they act.
_ACTS_ON: dict[str, tuple[str, ...]] = {
    "commit": ("repo",),
    "max_commits": ("repo",),
    "allow_protocols": ("repo",),
    "max_bytes": ("repo", "docs"),
    "languages": ("repo", "docs", "schemas"),
    "timeout_seconds": ("repo", "docs", "schemas"),
    "include": ("repo", "docs", "schemas"),
    "exclude": ("repo", "docs", "schemas"),
    "max_files": ("repo", "docs", "schemas"),
    "help": ("tools",),
    "tldr": ("tools",),
    "teacher": ("repo", "docs"),
}

# Keys of `augment` that do nothing where no teacher writes.
_WITH_TEACHER = ("judge", "threshold", "max_cost", "max_unusable")


def check_rows(document: Document) -> Iterator[Problem]:
    """Entries of `sources` that name nothing or too much, keys and makers that would do nothing, endpoints that are not there."""
    entries = document.value.get("sources")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            yield from _source(document, ("sources", index), entry)
    yield from _cleaning(document)
    augment = document.value.get("augment")
    if isinstance(augment, dict):
        if augment.get("teacher") is not None:
            yield from _teacher(document, ("augment",), augment, "teacher", "judge")
        else:
            for name in _WITH_TEACHER:
                if augment.get(name) not in (None, AugmentSection.model_fields[name].get_default()):
                    yield document.problem(("augment", name), f"`{name}` acts only with `teacher`", "leave it out")


def _source(document: Document, path: KeyPath, entry: Values) -> Iterator[Problem]:
    kinds = [kind for kind in SOURCE_KINDS if entry.get(kind) is not None]
    known = ", ".join(f"`{kind}`" for kind in SOURCE_KINDS)
    if len(kinds) != 1:
        what = "an entry of `sources` names one of " + known
        yield document.problem(path, what, "give each source an entry of its own", ", ".join(kinds) or "none of them")
        return
    kind = kinds[0]
    for name, acting in _ACTS_ON.items():
        if kind not in acting and not _asks_nothing(name, entry.get(name)):
            also = " and ".join(f"`{other}`" for other in acting)
            yield document.problem((*path, name), f"`{name}` acts only on {also}", "leave it out", f"an entry of `{kind}`")
    makers = entry.get("make")
    for number, maker in enumerate(makers if isinstance(makers, list) else []):
        if maker in MAKER_SOURCES and kind not in MAKER_SOURCES[maker]:
            fitting = ", ".join(f"`{name}`" for name, suited in MAKER_SOURCES.items() if kind in suited)
            yield document.problem((*path, "make", number), f"the maker `{maker}` makes nothing of `{kind}`", f"fitting: {fitting}", maker)
    teacher = entry.get("teacher")
    if isinstance(teacher, dict):
        yield from _teacher(document, (*path, "teacher"), teacher, "endpoint", "judge")


def _asks_nothing(name: str, value: Any) -> bool:
    """Whether a key is not written, or written with its default, as the resolved file of every run has it."""
    default = SourceEntry.model_fields[name].get_default()
    return value in (None, [], ()) or value == (list(default) if isinstance(default, tuple) else default)


def _teacher(document: Document, path: KeyPath, section: Values, *names: str) -> Iterator[Problem]:
    endpoints = document.value.get("endpoints")
    endpoints = endpoints if isinstance(endpoints, dict) else {}
    for name in names:
        chosen = section.get(name)
        if isinstance(chosen, str) and chosen not in endpoints:
            best = nearest(chosen, list(endpoints))
            known = f"known: {', '.join(endpoints)}" if endpoints else "write `endpoints: {NAME: {base_url: ..., model: ...}}`"
            yield document.problem((*path, name), "there is no endpoint of this name", f"did you mean `{best}`?" if best else known, chosen)
        elif isinstance(chosen, str) and section.get("max_cost") is not None:
            priced = endpoints[chosen]
            if isinstance(priced, dict) and priced.get("price") is None:
                hint = f"write `price: {{input: ..., output: ...}}` for a million tokens into `endpoints.{chosen}`"
                yield document.problem((*path, "max_cost"), f"`max_cost` wants the price of the endpoint `{chosen}`", hint)


def _cleaning(document: Document) -> Iterator[Problem]:
    section = document.value.get("clean")
    if not isinstance(section, dict):
        return
    if section.get("near_duplicates") is True:
        hint = "write the similarity from which on rows are near-duplicates, as `0.7`"
        yield document.problem(("clean", "near_duplicates"), "`near_duplicates` is a number from 0 to 1, or false", hint, "true")
