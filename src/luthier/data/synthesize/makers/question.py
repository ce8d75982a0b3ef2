"""Rows that ask what structure or doc answers: parameters, results, errors, members of types, defaults, what a module offers, who uses
what.

Each kind of question is one function that gives a row or nothing; all of them speak of what the source itself says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.makers.locate import summary
from luthier.data.synthesize.makers.overviews import Overviews
from luthier.data.synthesize.makers.rescript_questions import rows_of_module
from luthier.data.synthesize.reading.bindings import Binding, owner_type, read_binding, stands_for
from luthier.data.synthesize.reading.docs import read_doc
from luthier.data.synthesize.reading.members import Member, read_members
from luthier.data.synthesize.reading.scopes import subclasses
from luthier.data.synthesize.reading.signatures import Parameter, read_signature
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.worth import names_in, new_words
from luthier.data.synthesize.wording import bullets, listed, paragraphs, pick, sentence, stands, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

VERSION = 8
PER_FILE = 18
_MOST_LISTED = 25
_LEAST_DOC_WORDS = 2
_PARAMETERS = (
    "Which parameters does {name} take, and what are they for?",
    "What do I pass to {name} in {source}?",
    "Explain the arguments of {name} ({place}).",
    "What does each parameter of {name} of {source} mean?",
)
_RETURNS = (
    "What does {name} return?",
    "What do I get back from {name} in {source}?",
    "What is the result of a call of {name} ({place}, {source})?",
)
_ERRORS = (
    "Which errors can {name} raise, and when?",
    "What can go wrong when I call {name} of {source}?",
    "When does {name} in {place} fail?",
)
_MEMBERS = (
    "Which {members} does {name} have in {source}?",
    "What is {name} made of? ({place} in {source})",
    "List the {members} of the type {name} of {source}.",
    "I need to build a value of {name} ({source}). What belongs in it?",
)
_CASES = (
    "Which {members} does {name} have in {source}?",
    "What values can {name} take? ({place} in {source})",
    "Which cases must a switch on {name} of {source} handle?",
    "List the {members} of {name} in {place}.",
)
_DEFAULTS = (
    "Which arguments of {name} may I leave out, and what do they default to?",
    "What are the defaults of {name} in {source}?",
    "What happens to the optional arguments of {name} ({place}) if I do not pass them?",
)
_CALLERS = (
    "What depends on {name} in {source}?",
    "Which code would I have to check if I changed {name} ({place})?",
    "Who calls {name} in {source}?",
    "Where is {name} used inside {source}?",
)
_CALLEES = (
    "Which other parts of {source} does {name} rely on?",
    "What does {name} ({place}) call, and where are those functions defined?",
    "On which definitions of {source} does {name} depend?",
)
_REVERSE = (
    "Which binding of {source} gives me {js} of JavaScript?",
    "How do I reach {js} from ReScript with {source}?",
    "I know {js} from JavaScript. What is it called in {source}?",
    "Does {source} bind {js}, and under which name?",
)
_REVERSE_IN = (
    "Which binding in {place} of {source} gives me {js} of JavaScript?",
    "Under which name does {place} of {source} bind {js}?",
    "I know {js} from JavaScript. What is it called in {place} ({source})?",
    "Does {place} of {source} bind {js}, and of which type?",
    "How do I reach {js} by way of {place} in {source}?",
)
_SUBTYPES = (
    "Which classes derive from {name} in {source}?",
    "What are the subclasses of {name} ({place})?",
    "Who extends {name} in {source}?",
)


def make(material: Material) -> Iterator[Made | Unfit]:
    """Questions about the definitions and files of `material`."""
    asking = _Asking(Structure(material))
    for chunks in asking.structure.files().values():
        yield from within_budget(asking.rows(chunks), PER_FILE)


class _Asking:
    """The kinds of question about one material."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.source = ticked(structure.material.name)
        self.subclasses = subclasses(structure)
        self._overviews = Overviews(structure)
        self._bound: Counter[str] | None = None
        self._kinds: tuple[Callable[[Chunk], Made | Unfit | None], ...] = (
            self._parameters,
            self._returns,
            self._errors,
            self._members,
            self._defaults,
            self._callers,
            self._callees,
            self._subtypes,
        )

    def rows(self, chunks: list[Chunk]) -> Iterator[Made | Unfit]:
        """All rows that one file could give, in the order of its lines."""
        if chunks and chunks[0].is_test:
            return
        yield from self._overviews(chunks)
        yield from self._reverse(chunks)
        if chunks and chunks[0].language == "rescript":
            yield from rows_of_module(self.structure, chunks, self._made)
        for chunk in chunks:
            for kind in self._kinds:
                if row := kind(chunk):
                    yield row

    def _made(self, chunk: Chunk, templates: tuple[str, ...], answer: str, lines: tuple[int, int] | None = None, **parts: str) -> Made:
        slots = {"name": ticked(spoken(chunk)), "source": self.source, "place": ticked(chunk.path), **parts}
        is_plain = templates in (_REVERSE, _REVERSE_IN)
        # Defaults stand in the module, and its interface says only that there are some.
        told = templates if is_plain else self.structure.telling(templates, chunk, by_file=templates is _DEFAULTS)
        request = worded(told, chunk, **slots)
        if self.source not in request:
            request = f"In {self.source}: {request}" if request[0] == "`" else f"In {self.source}, {request[0].lower()}{request[1:]}"
        return Made(asked(request, answer), chunk.path, lines or chunk.lines, chunk.license)

    def _parameters(self, chunk: Chunk) -> Made | Unfit | None:
        doc = read_doc(chunk.doc) if chunk.doc else None
        if not doc or not doc.parameters or chunk.kind == "module":
            return None
        told = [(name, text) for name, text in doc.parameters if len(new_words(text, f"{name}")[0]) >= _LEAST_DOC_WORDS]
        if len(told) * 2 < len(doc.parameters) or not told:
            return Unfit(chunk.path, chunk.lines, "thin_parameters", "the doc names parameters and says nothing of them")
        declared = {one.name.lstrip("*."): one for one in (read_signature(chunk) or _NOTHING).parameters}
        said = bullets(f"{_named(name, declared.get(name.lstrip('*.')))}: {sentence(text, declared)}" for name, text in doc.parameters)
        count = len(doc.parameters)
        head = f"{ticked(spoken(chunk))} ({stands(chunk)}) {'documents one parameter' if count == 1 else f'documents {count} parameters'}:"
        return self._made(chunk, _PARAMETERS, paragraphs(head, said))

    def _returns(self, chunk: Chunk) -> Made | Unfit | None:
        doc = read_doc(chunk.doc) if chunk.doc and chunk.kind in CODE_KINDS else None
        if not doc or not doc.returns:
            return None
        if len(new_words(doc.returns, chunk.name)[0]) < _LEAST_DOC_WORDS:
            return Unfit(chunk.path, chunk.lines, "thin_result", "the doc names a result and says nothing of it")
        signature = read_signature(chunk)
        kind = f"{ticked(spoken(chunk))} is declared to return {ticked(signature.returns)}." if signature and signature.returns else ""
        said = f"By its doc in {stands(chunk)}, {ticked(chunk.name)} returns: {sentence(doc.returns, names_in(chunk.signature))}"
        return self._made(chunk, _RETURNS, paragraphs(said, kind))

    def _errors(self, chunk: Chunk) -> Made | None:
        if chunk.kind not in CODE_KINDS:
            return None
        told = [(name, text) for name, text in (read_doc(chunk.doc).errors if chunk.doc else ()) if text]
        said = [f"{ticked(name)}: {sentence(text, names_in(chunk.signature))}" for name, text in told]
        raised = [one for one in _raised(chunk) if one[0] not in dict(told)]
        said += [f"{ticked(name)}, with the message {ticked(message)} (line {line})" for name, message, line in raised]
        if not said:
            return None
        head = f"{ticked(spoken(chunk))} ({stands(chunk)}) itself raises:"
        further = len(_RAISES.findall(chunk.text)) - len(_raised(chunk)) if chunk.language == "python" else 0
        more = "It raises others too, with messages that it makes of values." if raised and further > 0 else ""
        return self._made(chunk, _ERRORS, paragraphs(head, bullets(said), more))

    def _members(self, chunk: Chunk) -> Made | Unfit | None:
        found = read_members(chunk)
        if not found or len(found.items) < 2:
            return None
        if len(found.items) > 2 * _MOST_LISTED:
            return Unfit(chunk.path, chunk.lines, "many_members", f"{len(found.items)} members")
        is_case = found.kind in ("constructor", "member")
        said = bullets(_member(one) for one in found.items)
        head = f"{ticked(spoken(chunk))} ({stands(chunk)}) has {len(found.items)} {found.kind}s:"
        return self._made(chunk, _CASES if is_case else _MEMBERS, paragraphs(head, said, summary(chunk)), members=f"{found.kind}s")

    def _defaults(self, chunk: Chunk) -> Made | None:
        signature = read_signature(chunk) if chunk.kind in CODE_KINDS else None
        with_default = [one for one in signature.parameters if one.default and len(one.default) <= 60] if signature else []
        if len(with_default) < 2:
            return None
        said = bullets(_default(one) for one in with_default)
        needed = (
            [one.name for one in signature.parameters if not one.default and one.name and not one.name.startswith(("*", "."))]
            if signature
            else []
        )
        rest = f"{listed([ticked(name) for name in needed])} must be given." if needed and len(needed) < 8 else ""
        return self._made(
            chunk, _DEFAULTS, paragraphs(f"These may be left out in a call of {ticked(spoken(chunk))} ({stands(chunk)}):", said, rest)
        )

    def _callers(self, chunk: Chunk) -> Made | None:
        if chunk.kind not in (*CODE_KINDS, "class"):
            return None
        users = list(dict.fromkeys(use.chunk for use in self.structure.uses(chunk)))
        if len(users) < 2:
            return None
        shown = users[:8]
        said = bullets(f"{ticked(spoken(user))} ({stands(user)})" + (", a test" if user.is_test else "") for user in shown)
        more = f"So do {len(users) - len(shown)} more places." if len(users) > len(shown) + 1 else ""
        return self._made(chunk, _CALLERS, paragraphs(f"{ticked(spoken(chunk))} ({stands(chunk)}) is used by:", said, more))

    def _callees(self, chunk: Chunk) -> Made | None:
        if chunk.kind not in CODE_KINDS:
            return None
        found = self.structure.callees(chunk)
        if len(found) < 2 or (len(found) < 3 and all((one.path, one.scope) == (chunk.path, chunk.scope) for one in found)):
            return None
        said = bullets(f"{ticked(spoken(one))} ({stands(one)})" + (f": {summary(one)}" if summary(one) else "") for one in found[:8])
        more = f"It also calls {listed([ticked(spoken(one)) for one in found[8:]])}." if len(found) > 8 else ""
        head = f"{ticked(spoken(chunk))} ({stands(chunk)}) calls these definitions of {self.source}:"
        return self._made(chunk, _CALLEES, paragraphs(head, said, more))

    def _subtypes(self, chunk: Chunk) -> Made | None:
        found = self.subclasses.get((chunk.path, chunk.full_name), []) if chunk.kind == "class" else []
        if not found:
            return None
        said = bullets(
            f"{ticked(spoken(one))} ({stands(one)})" + (f": {summary(one)}" if summary(one) else "") for one in found[:_MOST_LISTED]
        )
        count = "One class derives" if len(found) == 1 else f"{len(found)} classes derive"
        return self._made(chunk, _SUBTYPES, paragraphs(f"{count} from {ticked(chunk.name)} ({stands(chunk)}):", said))

    def _reverse(self, chunks: list[Chunk]) -> Iterator[Made]:
        """From a JavaScript name to the bindings of one file that stand for it."""
        if self._bound is None:
            self._bound = Counter(key for found in self.structure.files().values() for key in _by_target(found))
        for key, found in _by_target(chunks).items():
            chunk, binding = found[0]
            if all(other.name == binding.target for _, other in found) and not binding.module and len(found) < 2:
                continue
            js = ticked(binding.path)
            owner = ticked(owner_type(binding, spoken(chunk).rpartition(".")[0]))
            if binding.module:
                js += f" of the module {ticked(binding.module)}"
            elif binding.has("send", "get", "set") and binding.takes:
                js = f"the {'method' if binding.has('send') else 'property'} {ticked(binding.target)} of {owner}"
            said = bullets(
                f"{ticked(spoken(one))}, of type {ticked(other.type)} ({stands(one)}): {stands_for(other)}." for one, other in found[:6]
            )
            head = pick(("It is bound as:", f"In {self.source} it is bound as:"), chunk.path, binding.path)
            # Several files bind it, among them a module and its interface: which one is asked of has to be said.
            templates = _REVERSE if self._bound[key] < 2 else _REVERSE_IN
            yield self._made(chunk, templates, paragraphs(head, said), js=js)


def _by_target(chunks: list[Chunk]) -> dict[str, list[tuple[Chunk, Binding]]]:
    """The bindings of one file by the JavaScript that they stand for."""
    found = defaultdict[str, list[tuple[Chunk, Binding]]](list)
    for chunk in chunks:
        binding = read_binding(chunk)
        # What `@obj` builds has no name in JavaScript.
        if binding and not binding.is_compilers and not binding.has("obj") and stands_for(binding):
            is_of_type = binding.has("send", "get", "set") and binding.takes
            owner = owner_type(binding, spoken(chunk).rpartition(".")[0]) if is_of_type else ""
            found[f"{binding.module}#{binding.path}#{owner}"].append((chunk, binding))
    return found


class _Nothing:
    parameters: tuple[Parameter, ...] = ()


_NOTHING = _Nothing()


def _named(name: str, declared: Parameter | None) -> str:
    kind = f": {declared.type}" if declared and declared.type and len(declared.type) < 60 else ""
    is_shown = declared and declared.default and declared.default != "?" and len(declared.default) < 40
    default = f"{':' if declared.is_keyword else ' ='} {declared.default}" if declared and is_shown else ""
    return ticked(f"{name}{kind}{default}")


def _member(one: Member) -> str:
    is_payload = one.type.startswith("(") or not one.type
    name = ticked(f"{one.name}{one.type}" if is_payload else f"{one.name}: {one.type}")
    return f"{name}{', optional' if one.is_optional else ''}{f': {sentence(one.comment)}' if one.comment else ''}"


def _default(one: Parameter) -> str:
    label = f"~{one.name}" if one.is_labelled else one.name
    kind = f": {one.type}" if one.type and len(one.type) < 60 else ""
    return (
        f"{ticked(label + kind)}, optional without a default"
        if one.default == "?"
        else f"{ticked(label + kind)}, {ticked(one.default)} by default"
    )


_RAISES = re.compile(r"^\s*raise\s+[A-Z]", re.MULTILINE)
_RAISE = re.compile(
    r"^\s*raise\s+(?P<name>[A-Z][\w.]*)\(\s*[rf]?(?P<quote>[\"'])(?P<message>[^\"'\\{}]{8,100})(?P=quote)\s*\)", re.MULTILINE
)


def _raised(chunk: Chunk) -> list[tuple[str, str, int]]:
    """Errors that the code raises by itself with a message: name, message and line of the file."""
    if chunk.language != "python":
        return []
    return [
        (one["name"], one["message"], chunk.lines[0] + chunk.text.count("\n", 0, one.start("name"))) for one in _RAISE.finditer(chunk.text)
    ]
