"""Whether a doc comment is worth a row: what it says beyond the code, and kinds of comment that explain nothing."""

from __future__ import annotations

import re
from functools import lru_cache

from luthier.data.synthesize.reading.docs import Doc
from luthier.data.synthesize.wording import dedented, pick
from luthier.retrieval.records import Chunk

# Content words of a doc that the code's own names do not hold: at least so many, and this share of all its content words. Both are set by
# judgement: nobody has counted how many good docs they turn down.
LEAST_NEW_WORDS = 4
LEAST_NEW_SHARE = 0.4
LEAST_CHARACTERS = 30
# A type of more lines than this is shown by its first ones alone.
MOST_DECLARED_LINES = 12
MOST_CHARACTERS = 4_000
# Words of code and doc from which on a request no longer tells two rows of them apart.
_LONG_WORDS = 100

_WORD = re.compile(r"[^\W\d_]{2,}(?:['’][a-z]+)?")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_STOP_WORDS = """
a an and any are as at be been being but by can cannot could do does done each either else etc ever every for from get gets
getting given gives had has have having he her here his how however if in into is it its itself just let like made make makes may
might more most must my no nor not of off on once one only or other others our out over own per same set sets setting shall she
should since so some such take takes than that the their them then there these they this those through to too two under up upon us
use used uses using very via was we were what when where whether which while who whose why will with within would you your also
return returns returned returning function method class object value values call calls called type parameter parameters argument
arguments see new
"""
_STOP = frozenset(_STOP_WORDS.split())
_DOC = re.compile(r"(?<!@)@(?:ocaml\.|res\.)?doc\(\s*(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`)\s*\)\s*|/\*\*(?!/).*?\*/\s*", re.DOTALL)
_TODO = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|WIP|TBD)\b")
_LICENSE = re.compile(
    r"\bcopyright\b|\(c\)\s*\d{4}|all rights reserved|spdx-license|licensed under|permission is hereby granted|without warranty",
    re.IGNORECASE,
)
_POINTER = re.compile(
    r"^\W*(?:see|cf\.?|refer to|inherit(?:s|ed)?|same as|like|ditto|as|overrides?|implements?|internal|private|deprecated|"
    r"alias (?:of|for|to)|please see|equivalent to)\b",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(
    r"^\W*(?:eslint|prettier|istanbul|@ts-|ts-ignore|noqa|type:\s*ignore|pylint|nolint|go:|pragma|region\b|endregion\b|clang-format)",
    re.IGNORECASE,
)
# Asides of whoever wrote the code, which explain nothing to its user.
_ASIDE = re.compile(
    r"\b(?:sigh|ugh|hmm|oops|dunno|not sure|actually|we ever|we'll|let's|lets|i think|i guess|copied from|ported from|for now|"
    r"for some reason|we(?:'re| are)? just|this is so that|workaround|kludge|ugly|magic here|i have ?n[o']t|i havn'?t|i haven'?t|"
    r"renamed? to (?:match|fit))\b",
    re.IGNORECASE,
)
# What a comment leads to and does not hold: a note by its number, an example behind "e.g.".
_OPEN_END = re.compile(r"(?:\be\.g\.?|\bi\.e\.?|\bsuch as|[,(])\s*$")
_NOTE = re.compile(r"(?<![\w\])`])\[\d{1,2}\](?![(\[:])")
# `Properties that apply to any input`: a headline of several definitions, which happens to stand above the first of them.
_HEADLINE = re.compile(
    r"^\W*(?:[\w-]+\s+){0,3}(?:properties|attributes|methods|functions|helpers|constants|types|events|handlers|getters|setters|bindings|"
    r"operators|utilities)\b(?!\s*\w*\s*(?:is|are|was|were)\b)[^.]{0,90}\.?\s*$",
    re.IGNORECASE,
)
# "These classes are currently not used": said of several definitions, and not of the one below.
_OF_SEVERAL = re.compile(r"^\W*(?:these|those|(?:all )?(?:the )?following|all of (?:these|the))\b", re.IGNORECASE)
_PLURAL_FIRST = re.compile(r"^\W*(?:constants|variables|values|names|imports|flags|classes|aliases|defaults)\b", re.IGNORECASE)
# "Fill in specifically-sized types", above a value: what the lines below do, and nothing of the value.
_STEP = re.compile(
    r"^\W*(?:fill|build|compute|set up|setup|define|declare|initiali[sz]e|import|register|try|create|make|generate|populate|load|prepare|"
    r"check|get|add|remove|start|find|export|expose|provide|ensure)\b(?!\w|['-])",
    re.IGNORECASE,
)
# "requestAnimationFrame: accessed directly via Webapi", above another definition.
_OF_ANOTHER = re.compile(r"^\W*(?P<name>[A-Za-z_]\w*)\W{0,2}:\s")
_CALLED_FIRST = re.compile(r"^\W*`(?:\w+\.)*(?P<name>[a-z_]\w*)(?:\([^`]*\)`|`\s+(?:returns?|is|gets?|sets?|takes?)\b)")
_VERB_FIRST = re.compile(
    r"^\W*(?:\w+s\s+(?:the|a|an|all|each|any)\b|(?:return|get|set|list|add|create|check|make|find|call|run|load|show)s?\b)", re.I
)
_ONE_DEFINITION = re.compile(r"\b(?:external|let|def|func|fn|function)\s+\w")
_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:let|const|var|return|import|from|if|for|while|def|func|open|module|external|type)\s+\S.*[=({:]|^\s*[\w.]+\s*[-+]?=\s|"
    r"^\s*[\w.]+\([^)]*\)\s*;?$|->\w+|^\s*@\w+"
)


def split_words(name: str) -> list[str]:
    """The lower-case words of an identifier or of several: `getHTTPName_of` gives `get http name of`."""
    return [part.lower() for part in _PART.findall(name)]


def content_words(prose: str) -> list[str]:
    """The words of `prose` that carry meaning, in lower case and without endings, in their order."""
    plain = re.sub(r"```.*?```", " ", prose, flags=re.DOTALL)
    plain = re.sub(r"https?://\S+", " ", plain)
    found = (word for match in _WORD.finditer(plain) for word in (split_words(match[0]) or [match[0].lower()]))
    return [stem(word) for word in found if len(word) > 2 and word not in _STOP]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word without its commonest English endings: enough to see that `sorted` repeats `sort`."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def new_words(prose: str, code: str) -> tuple[list[str], float]:
    """The content words of `prose` that no name in `code` holds, each once, and their share of all its content words."""
    words = list(dict.fromkeys(content_words(prose)))
    known = {stem(word) for word in split_words(code)}
    fresh = [word for word in words if word not in known]
    return fresh, len(fresh) / len(words) if words else 0.0


def names_in(code: str) -> frozenset[str]:
    """The identifiers that stand in code."""
    return frozenset(re.findall(r"[A-Za-z_]\w*", code))


def code_without_doc(chunk: Chunk) -> str:
    """Signature and body of a chunk as they stand, without the doc comment between or before them."""
    head, rest = head_and_rest(chunk)
    if not rest and chunk.language == "python" and head.endswith(":"):
        rest = "    ..."  # The doc was all that the body held; without it the code would be none.
    return f"{head}\n{rest}" if rest else head


def declared(chunk: Chunk) -> str:
    """The declaration of a chunk as it stands, without its doc and its body; a short type or value with all that it is."""
    whole = code_without_doc(chunk)
    if chunk.kind in ("type", "constant") and whole.strip() and whole.count("\n") < MOST_DECLARED_LINES:
        return dedented(whole)
    signature = dedented(signature_of(chunk))
    if chunk.kind == "type" and re.search(r"=\s*[\[{(]?$", signature) and whole.strip():
        # Without what it is made of, `type t` would declare an abstract type.
        lines = dedented(whole).split("\n")
        kept = MOST_DECLARED_LINES - 2
        return "\n".join([*lines[:kept], f"  // ... {len(lines) - kept} more lines"])
    return told_of(chunk, shortened(signature))


def told_of(chunk: Chunk, short: str) -> str:
    """A shortened declaration; that of a ReScript module with a sign for its body, without which it is no declaration."""
    return f"{short} = ..." if chunk.language == "rescript" and re.fullmatch(r"module\s+\w+", short) else short


def shortened(signature: str, most_lines: int = MOST_DECLARED_LINES) -> str:
    """A declaration without the sign that opens its body; one that is cut off, by that or by its length, says so with `...`."""
    lines = signature.rstrip().split("\n")
    if len(lines) > most_lines:
        return "\n".join([*lines[: most_lines - 1], f"{lines[most_lines - 1].rstrip()} ..."])
    plain = re.sub(r"\s*(?:(?<![=!<>])=\s*\{?|\{)$", "", "\n".join(lines))
    return f"{plain} ..." if plain.endswith(("=>", "(", "[", "{", ",")) else plain


def signature_of(chunk: Chunk) -> str:
    """The signature of a chunk as it would stand by itself: all its lines have lost the indentation of the definition's first one."""
    return _shifted(_undocumented(chunk, chunk.signature.rstrip()), len(chunk.text) - len(chunk.text.lstrip(" \t")))


def head_and_rest(chunk: Chunk) -> tuple[str, str]:
    """The declaration, with the brace that opens the body where it stands on the same line, and the lines of the body after it.

    Both have lost the indentation of the definition's first line, so that together they are the code as it would stand by itself.
    """
    signature, body = _undocumented(chunk, chunk.signature.rstrip()), chunk.body.strip("\n").rstrip()
    depth = len(chunk.text) - len(chunk.text.lstrip(" \t"))
    if not signature:
        return ("", _shifted(body, depth)) if body else (_shifted(chunk.text.strip("\n"), depth), "")
    if not body:
        return _shifted(signature, depth), ""
    at = chunk.text.rfind(body)
    if at > 0 and chunk.text[:at].rstrip(" \t").endswith("\n"):
        return _shifted(signature, depth), _shifted(body, depth)
    first, _, rest = body.partition("\n")
    return _shifted(f"{signature} {first}", depth), _shifted(rest, depth)


def without_doc_attribute(code: str) -> str:
    """ReScript code without doc comments and without `@ocaml.doc("...")`, their old form."""
    return _DOC.sub("", code)


def _undocumented(chunk: Chunk, signature: str) -> str:
    """A signature without the doc that stands among its attributes."""
    return without_doc_attribute(signature).lstrip() if chunk.language == "rescript" and chunk.doc.strip() else signature


def _shifted(code: str, depth: int) -> str:
    """Code with up to `depth` columns of white space less on each line."""
    return "\n".join(line[min(depth, len(line) - len(line.lstrip(" \t"))) :] for line in code.split("\n"))


def fault(doc: Doc, chunk: Chunk, code: str) -> tuple[str, str] | None:
    """Why the doc comment of a chunk says too little about `code` for a row: a reason code and a detail; None where it is good.

    `doc` is what was read of the comment.
    """
    raw = chunk.doc
    first = raw.strip().split("\n", 1)[0]
    fresh, share = new_words(doc.prose, code)
    said = len(doc.prose)
    rules = (
        (bool(_LICENSE.search(raw)), "license_text", "the comment is a license or a copyright note"),
        (bool(_TODO.search(raw)), "unfinished_doc", "the comment holds a TODO or a FIXME"),
        (bool(_DIRECTIVE.match(first)), "directive", f"the comment is an order to a tool: `{first.strip()[:40]}`"),
        (raw.count("```") % 2 == 1, "open_fence", "a code block of the comment has no end"),
        (is_commented_code(raw), "commented_code", "most lines of the comment are code"),
        (said < LEAST_CHARACTERS, "short_doc", f"{said} characters of prose, {LEAST_CHARACTERS} are asked"),
        (said > MOST_CHARACTERS, "long_doc", f"{said} characters of prose, {MOST_CHARACTERS} are allowed"),
        (_is_of_another(chunk, doc, code), "of_another", "the comment speaks of another name"),
        (
            _is_of_several(chunk, doc),
            "headline",
            "the comment speaks of several definitions",
        ),
        (
            chunk.kind == "constant" and bool(_STEP.match(doc.prose)),
            "remark",
            "the comment tells what the lines below do, and nothing of the value",
        ),
        (
            bool(_HEADLINE.match(doc.prose))
            and bool(_ONE_DEFINITION.search(code.strip().split("\n", 1)[0]))
            and not _VERB_FIRST.match(first),
            "headline",
            "the comment is a headline of several definitions",
        ),
        (bool(_OPEN_END.search(doc.prose)), "unfinished_doc", "the comment breaks off"),
        (
            bool(_NOTE.search(re.sub(r"`[^`]*`", "", raw))) and not re.search(r"^\s*(?:\.\.\s+)?\[\d{1,2}\]", raw, re.MULTILINE),
            "note_elsewhere",
            "the comment points to a note that it does not hold",
        ),
        ("\ufffd" in doc.prose, "garbled_doc", "the comment holds characters that stand for lost ones"),
        (bool(_ASIDE.search(raw)) and said < 300, "aside", "the comment is a remark of its author to those who change the code"),
        (bool(_POINTER.match(first)) and len(fresh) < 2 * LEAST_NEW_WORDS, "pointer_only", "the comment only points elsewhere"),
        (
            len(fresh) < LEAST_NEW_WORDS or share < LEAST_NEW_SHARE,
            "restates_code",
            f"{len(fresh)} words ({share:.0%}) are not in the code; {LEAST_NEW_WORDS} and {LEAST_NEW_SHARE:.0%} are asked",
        ),
    )
    return next(((reason, detail) for is_broken, reason, detail in rules if is_broken), None)


def _is_of_another(chunk: Chunk, doc: Doc, code: str) -> bool:
    """Whether a comment begins with a name of code that its definition does not hold, as one on a binding that was left out does."""
    if chunk.language == "rescript" and (called := _CALLED_FIRST.match(doc.prose)):
        # "`makeBy(length, f)` returns a list", copied from the binding above.
        return called["name"] != chunk.name and not re.search(rf"\b{re.escape(called['name'])}\b", code)
    found = _OF_ANOTHER.match(doc.prose)
    name = found["name"] if found else ""
    is_code = "_" in name.strip("_") or bool(re.search(r"[a-z][A-Z]", name))
    return is_code and not re.search(rf"\b{re.escape(name)}\b", f"{code} {chunk.full_name}")


def _is_of_several(chunk: Chunk, doc: Doc) -> bool:
    """Whether a comment speaks of several definitions, of which its own is only the first."""
    if chunk.kind not in ("constant", "class", "type", "function"):
        return False
    return bool(_OF_SEVERAL.match(doc.prose)) or (chunk.kind == "constant" and bool(_PLURAL_FIRST.match(doc.prose)))


def told_once(chunk: Chunk, doc: Doc) -> str:
    """Which of two makers takes a documented definition whose two rows would be nearly one: `explain` or `document`, by hash; else empty.

    A short row differs by its request, one with examples by those; a long one is the same code and the same prose twice.
    """
    if doc.examples or len(chunk.text.split()) < _LONG_WORDS:
        return ""
    return pick(("explain", "document"), "told", chunk.path, chunk.full_name, chunk.text)


def is_commented_code(raw: str) -> bool:
    """Whether at least half of a comment's lines outside examples are code; what stands deeper than the first line is an example."""
    plain = re.sub(r"```.*?(?:```|\Z)", "", raw, flags=re.DOTALL)
    lines = [line for line in plain.split("\n") if line.strip() and not line.lstrip().startswith((">>>", "...", "@"))]
    if lines:
        margin = len(lines[0]) - len(lines[0].lstrip())
        lines = [lines[0], *(line for line in lines[1:] if len(line) - len(line.lstrip()) <= margin)]
    return bool(lines) and sum(bool(_CODE_LINE.search(line)) for line in lines) * 2 >= len(lines)
