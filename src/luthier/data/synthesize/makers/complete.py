"""Rows that complete code: a signature, with its doc where it has one, to the body; the first half of a function to the rest.

A ReScript binding has no body: its declaration is asked for by what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, takewhile

from luthier.data.synthesize.brackets import split_top
from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.makers.document import commented
from luthier.data.synthesize.reading.bindings import Binding, is_plain, read_binding, stands_for, traits
from luthier.data.synthesize.reading.components import read_component
from luthier.data.synthesize.reading.docs import read_doc
from luthier.data.synthesize.reading.signatures import read_signature
from luthier.data.synthesize.reading.statements import is_comment, is_trivial, statements
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.surroundings import Surroundings
from luthier.data.synthesize.reading.worth import (
    code_without_doc,
    fault,
    head_and_rest,
    names_in,
    shortened,
    signature_of,
    without_doc_attribute,
)
from luthier.data.synthesize.wording import dedented, drawn, fenced, first_sentence, paragraphs, sentence, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

VERSION = 8
PER_FILE = 12
# Of the getters, setters and methods whose declaration follows from their name: a few show the form, more would only repeat it.
_MOST_PLAIN = 2
LEAST_LINES = 3
MOST_LINES = 60
# A half that is asked for leaves at least this many lines on both sides.
_LEAST_HALF = 3

# A body without a doc of more lines of code than this is told by its first half better than by its name.
_MOST_UNGUIDED = 12
# Texts in an answer that nothing shows, such as messages: so many, or so many words of them, and on so large a share of its lines, make it
# a thing to know by heart.
_MOST_TEXTS = 5
_MOST_TEXT_WORDS = 11
_MOST_TEXTS_SHARE = 0.2
_MOST_TEXT_WORDS_OF_RESCRIPT = 3
_NUMBER = re.compile(r"(?<![\w.])\d{2,}(?:\.\d+)?|(?<![\w.])\d+\.\d+")
_PLAIN_NUMBERS = frozenset(("10", "100", "0.0", "1.0", "2.0", "0.5"))
# A body of less is read off its type, or off its name.
_LEAST_LINE_CHARACTERS = 24
_LEAST_LINE_NAMES = 3
_PUT_TOGETHER = re.compile(r"->|\w\(|\bswitch\b|\?|[-+*/]\.?\s|\+\+|\.\.\.")
_LITERAL = re.compile(r"\"((?:\\.|[^\"\\\n]){3,})\"|'((?:\\.|[^'\\\n]){3,})'")

_BODIES = (
    "Write the body of {name} in {source} ({place}).\n\n{context}{code}",
    "Complete this {kind} from {place} in {source}:\n\n{context}{code}",
    "Implement {name} in {place} of {source}. The signature is given:\n\n{context}{code}",
    "{context}{code}\n\nFill in the implementation of {name} as {source} has it in {place}.",
    "How would you implement {name} ({source}, {place})?\n\n{context}{code}",
)
_HALVES = (
    "Continue {name} from where it stops. It is in {place} of {source}.\n\n{context}{code}",
    "This is the first part of {name} ({place}, {source}). Write the rest.\n\n{context}{code}",
    "Finish this {kind} ({place}, {source}); answer with the missing end alone:\n\n{context}{code}",
    "{context}{code}\n\nThe code of {name} in {place} breaks off here. What comes next?",
)
_BINDINGS = (
    "Write a ReScript binding named {name} for {what}. {type}{traits}It belongs in {place} of {source}.",
    "In {place} of {source}, how would you declare the `external` {name}, which binds {what}? {type}{traits}",
    "I need an `external` in ReScript: {name}, bound to {what}. {type}{traits}",
    "Declare {name} in {place} of {source}: a binding of {what}. {type}{traits}",
    "Add a binding of {what} to {place} of {source}, as {name}. {type}{traits}",
)
_RAISES = {True: ("It is marked with `@raises`.",)}
_SIMPLE = re.compile(
    r"^\s*(?:return\b\s*)?(?:pass|\.\.\.|None|null|nil|undefined|true|false|True|False|self|this|-?\d+(?:\.\d+)?|\"[^\"]*\"|'[^']*'|\[\]|\{\}|\(\))?\s*;?\s*$|"
    r"^\s*raise NotImplementedError\b.*$|^\s*(?:throw new Error|panic|failwith|todo!|unimplemented!)\(.*$"
)  # `self.name = name`: an argument that is kept.
_TAKEN_OVER = re.compile(r"^\s*(?:self|this|cls)\.\w+(?::[^=]+)?\s*=\s*[A-Za-z_]\w*\s*;?\s*$")


def make(material: Material) -> Iterator[Made | Unfit]:
    """Bodies, second halves and bindings of `material`."""
    structure = Structure(material)
    surroundings = Surroundings(structure)
    for chunks in structure.files().values():
        found = list(within_budget((row for chunk in chunks for row in _rows(material, chunk, surroundings)), PER_FILE))
        yield from found
        left = PER_FILE - sum(isinstance(row, Made) for row in found)
        plain = ((chunk, binding) for chunk in chunks if (binding := read_binding(chunk)) and is_plain(binding) and not chunk.is_test)
        yield from within_budget((_binding(material, chunk, binding) for chunk, binding in plain), min(left, _MOST_PLAIN))


def _rows(material: Material, chunk: Chunk, surroundings: Surroundings) -> Iterator[Made | Unfit]:
    if chunk.is_test:
        return
    if binding := read_binding(chunk):
        if not is_plain(binding):
            yield _binding(material, chunk, binding)
        return
    if chunk.kind not in CODE_KINDS or not chunk.body.strip() or not chunk.signature.strip():
        return
    bad = body_fault(chunk)
    if bad and bad[0] == "short_body" and _is_typed_line(chunk, surroundings):
        yield _typed_line(material, chunk, surroundings)
        return
    if bad:
        yield Unfit(chunk.path, chunk.lines, *bad)
        return
    is_long = chunk.body.count("\n") >= 2 * _LEAST_HALF + 4
    lines = [line for line in head_and_rest(chunk)[1].split("\n") if line.strip() and not is_comment(line)]
    is_unguided = not chunk.doc.strip() and not _opening_remark(chunk) and len(lines) > _MOST_UNGUIDED
    if is_long and (is_unguided or drawn("half", chunk.path, chunk.text) % 2) and (half := _half(material, chunk, surroundings)):
        yield half
        return
    body = _body(material, chunk, surroundings)
    if isinstance(body, Unfit) and is_long:
        # The first half tells what a signature alone does not.
        yield _half(material, chunk, surroundings) or body
    elif is_unguided:
        yield Unfit(chunk.path, chunk.lines, "unguided_body", f"{len(lines)} lines of code and no doc, {_MOST_UNGUIDED} are the most")
    else:
        yield body


def body_fault(chunk: Chunk) -> tuple[str, str] | None:
    """Why the body of a function is no task: a reason code and a detail; None where it is one."""
    lines = [line for line in head_and_rest(chunk)[1].split("\n") if line.strip()]
    code = [line for line in lines if not is_comment(line)]
    code = [line for line in code if not is_trivial([line])]
    if len(code) < LEAST_LINES:
        return "short_body", f"{len(code)} lines of code, {LEAST_LINES} are asked"
    if len(lines) > MOST_LINES:
        return "long_body", f"{len(lines)} lines, {MOST_LINES} are allowed"
    if all(_SIMPLE.match(line) or _TAKEN_OVER.match(line) for line in code):
        return "trivial_body", "it only returns a constant, passes, raises or keeps its arguments"
    if re.search(r"\b(?:TODO|FIXME|XXX)\b", chunk.body):
        return "unfinished_body", "the code holds a TODO or a FIXME"
    return None


def _body(material: Material, chunk: Chunk, surroundings: Surroundings) -> Made | Unfit:
    code = "\n".join(part for part in (head_with_doc(chunk), _opening_remark(chunk)) if part)
    rest = head_and_rest(chunk)[1]
    around = surroundings.around(chunk, code, rest)
    if texts := _untold_texts(chunk, f"{around.text}\n{code}", rest):
        return Unfit(chunk.path, chunk.lines, "untold_texts", f"nothing tells of {len(texts)} texts, such as `{texts[0][:40]}`")
    if not around.is_enough:
        names = ", ".join(around.unknown[:5])
        return Unfit(chunk.path, chunk.lines, "unknown_names", f"neither signature nor imports nor what it calls tell of {names}")
    answer = fenced(code_without_doc(chunk), chunk.language)
    return _made(material, chunk, _BODIES, around.text, code, answer)


def _is_typed_line(chunk: Chunk, surroundings: Surroundings) -> bool:
    """Whether a ReScript function of a line or two is a task all the same: its type is told, and its body puts several things together."""
    if chunk.language != "rescript" or read_component(chunk) or "%raw" in chunk.body or len(chunk.body.strip()) < _LEAST_LINE_CHARACTERS:
        return False
    signature = read_signature(chunk)
    is_typed = bool(signature and signature.parameters and signature.returns and all(one.type for one in signature.parameters))
    names = set(re.findall(r"[A-Za-z_]\w*", _LITERAL.sub("", chunk.body)))
    return (is_typed or bool(surroundings.interface(chunk))) and len(names) >= _LEAST_LINE_NAMES and bool(_PUT_TOGETHER.search(chunk.body))


def _typed_line(material: Material, chunk: Chunk, surroundings: Surroundings) -> Made | Unfit:
    """The body of a function of a line or two, asked for by its type."""
    head = shortened(signature_of(chunk))
    around = surroundings.around(chunk, head, chunk.body)
    if not around.is_enough or _untold_texts(chunk, f"{around.text}\n{head}", chunk.body):
        names = ", ".join(around.unknown[:5])
        return Unfit(chunk.path, chunk.lines, "unknown_names", f"neither signature nor imports nor what it calls tell of {names}")
    doc = chunk.doc.strip() and not fault(read_doc(chunk.doc), chunk, chunk.signature)
    shown = f"{commented(chunk.doc, chunk.language)}\n{head}" if doc else head
    return _made(material, chunk, _BODIES, around.text, shown, fenced(code_without_doc(chunk), chunk.language))


def _opening_remark(chunk: Chunk) -> str:
    """The comment that a body begins with: where there is no doc it says what the function does."""
    lines = head_and_rest(chunk)[1].split("\n")
    remark = list(takewhile(is_comment, dropwhile(lambda line: not line.strip(), lines)))
    return "\n".join(remark) if any(len(line.split()) > 2 for line in remark) else ""


def _untold_texts(chunk: Chunk, shown: str, missing: str) -> list[str]:
    """The texts in the missing code with a word that nothing shown holds, where they are too many for anybody to guess.

    In ReScript, whose short functions are style sheets and messages often, a few words are too many, and a number of two digits is.
    """
    known = set(re.findall(r"\w+", shown.lower()))
    lines = [line for line in missing.split("\n") if line.strip() and not is_comment(line)]
    untold = dict[str, set[str]]()
    count = 0
    for line in lines:
        texts = {
            text: set(re.findall(r"[^\W\d_]{2,}", text.lower())) - known for found in _LITERAL.findall(line) if (text := "".join(found))
        }
        new = {text: words for text, words in texts.items() if words}
        untold |= new
        count += bool(new)
    if chunk.language == "rescript":
        numbers = sorted(set(_NUMBER.findall(missing)) - set(_NUMBER.findall(shown)) - _PLAIN_NUMBERS)
        is_known = sum(map(len, untold.values())) <= _MOST_TEXT_WORDS_OF_RESCRIPT
        return numbers or ([] if is_known else list(untold))
    are_many = len(untold) > _MOST_TEXTS or sum(map(len, untold.values())) > _MOST_TEXT_WORDS
    return list(untold) if are_many and count >= _MOST_TEXTS_SHARE * len(lines) else []


def _half(material: Material, chunk: Chunk, surroundings: Surroundings) -> Made | None:
    _, rest = head_and_rest(chunk)
    lines = rest.split("\n")
    fits = [first for first, _ in statements(lines) if _LEAST_HALF <= first <= len(lines) - _LEAST_HALF]
    fits = [first for first in fits if not is_trivial(lines[first:]) and abs(first - len(lines) / 2) <= len(lines) / 4]
    if not fits:
        return None
    cut = fits[drawn("cut", chunk.path, chunk.text) % len(fits)]
    shown, missing = "\n".join([head_with_doc(chunk), *lines[:cut]]), "\n".join(lines[cut:])
    around = surroundings.around(chunk, shown, missing)
    if _untold_texts(chunk, f"{around.text}\n{shown}", missing):
        return None
    return _made(material, chunk, _HALVES, around.text, shown, fenced(missing, chunk.language)) if around.is_enough else None


def head_with_doc(chunk: Chunk) -> str:
    """The declaration with its doc where that stands in the language."""
    head, rest = head_and_rest(chunk)
    if not chunk.doc.strip() or fault(read_doc(chunk.doc), chunk, chunk.signature):
        return head
    comment = commented(chunk.doc, chunk.language)
    if chunk.language != "python":
        return f"{comment}\n{head}"
    body = next((line for line in rest.split("\n") if line.strip()), "")
    indent = body[: len(body) - len(body.lstrip())] or "    "
    return "\n".join([head, *((indent + line).rstrip() for line in comment.split("\n"))])


def _made(material: Material, chunk: Chunk, templates: tuple[str, ...], context: str, code: str, answer: str) -> Made:
    request = worded(
        templates,
        chunk,
        name=ticked(spoken(chunk)),
        source=ticked(material.name),
        place=ticked(chunk.path),
        kind=chunk.kind,
        context=f"{context}\n\n" if context else "",
        code=fenced(code, chunk.language),
    )
    return Made(asked(request, answer), chunk.path, chunk.lines, chunk.license)


def _binding(material: Material, chunk: Chunk, binding: Binding) -> Made | Unfit:
    what = stands_for(binding)
    if not what or (len(split_top(binding.type, "=>")) < 2 and not binding.module and not binding.has("scope")):
        return Unfit(chunk.path, chunk.lines, "plain_binding", "what it binds cannot be told apart from the declaration")
    code = chunk.text.strip("\n")
    if chunk.doc.strip():
        code = chunk.signature if "external" in chunk.signature else ""
    code = re.sub(r"[ \t]*(?:/\*(?!\*).*?\*/|//[^\n\"]*)[ \t]*$", "", without_doc_attribute(code)).strip("\n")
    if not code or is_comment(code.split("\n")[0]):
        return Unfit(chunk.path, chunk.lines, "unclear_declaration", "the declaration cannot be told from its comment")
    read = read_doc(chunk.doc)
    bad = fault(read, chunk, chunk.signature)
    doc = "" if bad and bad[0] in ("headline", "aside", "commented_code", "unfinished_doc") else first_sentence(read.prose)
    # What it sets or reads is told in a clause that only the end of a sentence takes.
    forms = tuple(form for form in _BINDINGS if ", which " not in what or "{what}." in form)
    request = worded(
        forms,
        chunk,
        name=ticked(binding.name),
        what=what,
        type=f"Its type is {ticked(binding.type)}. ",
        traits="".join(f"{note} " for note in (*traits(binding), *_RAISES.get(binding.has("raises"), ()))),
        place=ticked(chunk.path),
        source=ticked(material.name),
    ).strip()
    request = paragraphs(request, f"What it is for: {sentence(doc, names_in(chunk.signature))}" if doc and "```" not in doc else "")
    return Made(asked(request, fenced(dedented(code), chunk.language)), chunk.path, chunk.lines, chunk.license)
