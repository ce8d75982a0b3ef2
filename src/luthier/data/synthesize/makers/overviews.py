"""Rows that give an overview: what a module, a class or a file offers to others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from luthier.data.synthesize.made import Made, Unfit, asked
from luthier.data.synthesize.makers.locate import summary
from luthier.data.synthesize.reading.scopes import scopes_of_several_files
from luthier.data.synthesize.reading.shapes import shape
from luthier.data.synthesize.reading.structure import Structure, module_of, spoken, within_module
from luthier.data.synthesize.wording import bullets, listed, paragraphs, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

_MOST_LISTED = 25
_LEAST_OFFERED = 3
_MOST_DECLARED = 120
# Languages where the members of one type may stand in several files.
_OPEN_TYPES = frozenset(("go", "rust", "c++", "c_sharp", "ruby", "swift", "kotlin"))
_CALLED_BY_THE_LANGUAGE = re.compile(r"__\w+__")

_OFFERS = (
    "What does {module} in {source} offer?",
    "Which public {what} does {module} ({place}) have?",
    "Give me an overview of {module} in {source}.",
    "What can I call in {module} of {source}?",
    "List what {place} defines for others in {source}.",
)
# Where a module has an interface, or several files are one of its name, the file tells which is meant.
_OFFERS_IN = (
    "Which public {what} does {module} ({place}) have?",
    "List what {place} defines for others in {source}.",
    "Give me an overview of {module} as {place} of {source} has it.",
    "What does {place} of {source} tell other modules of {module}?",
    "{module} in {place} of {source}: what is in it for others?",
)
_GIVES = (
    "Which public {what} of {module} does {place} of {source} define?",
    "What does {place} give {module} in {source}?",
    "List what {place} of {source} adds to {module}.",
)


class Overviews:
    """The overviews of the files of one material."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._source = ticked(structure.material.name)
        self._spread = scopes_of_several_files(structure)

    def __call__(self, chunks: list[Chunk]) -> Iterator[Made | Unfit]:
        """What each module or class of a file offers, and the file itself."""
        by_scope = defaultdict[str, dict[str, Chunk]](dict)
        for chunk in chunks:
            is_file = chunk.kind == "module" and chunk.name == module_of(chunk.path)
            is_offered = chunk.is_public and not is_file and not _CALLED_BY_THE_LANGUAGE.fullmatch(chunk.name)
            if is_offered and chunk.kind in (*CODE_KINDS, "type", "constant", "class", "module"):
                # In ReScript a later definition hides an earlier one of its name.
                key = chunk.name if chunk.language == "rescript" and chunk.kind in CODE_KINDS else f"{chunk.lines[0]} {chunk.name}"
                by_scope[chunk.scope].pop(key, None)
                by_scope[chunk.scope][key] = chunk
        for scope, by_name in by_scope.items():
            offered = list(by_name.values())
            functions = [one for one in offered if one.kind in CODE_KINDS]
            shown = functions if len(functions) >= _LEAST_OFFERED else offered
            if len(shown) < _LEAST_OFFERED:
                continue
            if len(shown) > 2 * _MOST_LISTED:
                yield Unfit(offered[0].path, offered[0].lines, "many_members", f"{len(shown)} definitions")
                continue
            yield self._overview(scope, offered, shown)

    def _overview(self, scope: str, offered: list[Chunk], shown: list[Chunk]) -> Made:
        first = offered[0]
        if first.language == "rescript":
            module = within_module(first.path, scope) if scope else module_of(first.path)
        else:
            # A file's name alone (`util`, `int8`) is no name of the language, or that of many files.
            module = (scope.replace(".", "::") if first.language in ("ruby", "rust", "cpp") else scope) or first.path
        said = bullets(_offered(one) for one in shown[:_MOST_LISTED])
        more = f"and {len(shown) - _MOST_LISTED} more." if len(shown) > _MOST_LISTED else ""
        kinds = {one.kind for one in shown}
        what = "methods" if kinds == {"method"} else "functions" if kinds <= set(CODE_KINDS) else "definitions"
        place = f" ({ticked(first.path)})" if module != first.path else ""
        head = f"{ticked(module)}{place} has {len(shown)} public {what}:"
        templates: tuple[str, ...] = _OFFERS
        if scope in self._spread:
            if first.language in _OPEN_TYPES:
                templates, head = _GIVES, f"{ticked(first.path)} defines {len(shown)} public {what} of {ticked(module)}:"
            else:
                templates = tuple(template for template in _OFFERS if "{place}" in template)
        if first.language == "rescript" and not self._structure.is_one_module(module):
            templates = _OFFERS_IN
        if what == "definitions":
            templates = tuple(template for template in templates if "call" not in template)
        if module == first.path:
            templates = tuple(template for template in templates if not ("{place}" in template and "{module}" in template))
        types = [ticked(one.name) for one in offered if one.kind in ("type", "class") and one not in shown]
        rest = f"It also defines {'the type ' if len(types) == 1 else 'the types '}{listed(types[:10])}." if types else ""
        lines = (min(one.lines[0] for one in offered), max(one.lines[1] for one in offered))
        slots = {"module": ticked(module), "place": ticked(first.path), "source": self._source, "what": what}
        request = worded(templates, first, **slots)
        if self._source not in request:
            request = f"In {self._source}, {request[0].lower()}{request[1:]}"
        return Made(asked(request, paragraphs(head, f"{said}\n- {more}" if more else said, rest)), first.path, lines, first.license)


def _offered(one: Chunk) -> str:
    said = summary(one)
    if one.language == "rescript":
        return f"{ticked(one.name)}: {said}" if said else ticked(shape(one))
    # Ruby tells by the sign before a name what it is called on.
    name = spoken(one).removeprefix(one.scope.replace(".", "::")) if one.language == "ruby" and one.kind in CODE_KINDS else one.name
    if said:
        return f"{ticked(name)}: {said}"
    declared = " ".join((one.signature or one.text.split("\n", 1)[0]).split())
    declared = re.sub(r"^(?:@@?[\w.]+(?:\([^)]*\))?\s+)+", "", declared)
    if one.language == "ruby" and one.kind in CODE_KINDS:
        declared = re.sub(r"^.*?\bdef\s+(?:\w+\s*\.\s*)?[^\s(]+", lambda _: name, declared)
    declared = re.sub(r"^(?:export\s+)?(?:let\s+(?:rec\s+)?|(?=type\s)|(?=module\s))|\s*(?:=>?|\{|:)?\s*$", "", declared)
    if "@property" in one.signature or "@cached_property" in one.signature or "@functools.cached_property" in one.signature:
        return f"{ticked(one.name)}, a property"
    shown = one.name if one.kind == "module" else declared
    return ticked(shown if len(shown) <= _MOST_DECLARED else one.name)
