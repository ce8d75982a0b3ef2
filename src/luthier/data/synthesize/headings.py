"""Questions that a heading answers: from its words and those of the headings above it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from luthier.data.synthesize.requests import VERBS
from luthier.data.synthesize.wording import pick

_TABLE = tomllib.loads(Path(__file__).with_name("verbs.toml").read_text(encoding="utf-8"))
_NUMBERING = re.compile(
    r"^(?:(?:step|part|chapter|section|appendix)\s+\w{1,3}\s*[:.-]\s*|\(?\d+(?:\.\d+)*[.)]?\s+|[A-Z]\.\d*\s+|[§#*•\s]+)", re.IGNORECASE
)
_DECORATION = re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u2B00-\u2BFF¶#]+|:[a-z_]+:(?=\s|$)")
_QUESTION = re.compile(r"^(?:how|what|why|when|where|which|who|can|could|should|is|are|does|do|will)\b", re.IGNORECASE)
_AUXILIARIES = (
    "is|are|was|were|do|does|did|can|could|should|would|will|shall|may|might|must|has|have|about|if|not|else|many|much|long|"
    "often|kinds?|types?|version"
)
_TOLD = re.compile(rf"^(?:how|what|why|when|where)\s+(?!(?:{_AUXILIARIES})\b)\S+\s+\S", re.IGNORECASE)
# Names that are written like code and are none.
_NAMES = re.compile(
    r"(?:mac|Mac|i|iPad|watch|tv)OS|GitHub|GitLab|JavaScript|TypeScript|PowerShell|OpenSSL|MySQL|PostgreSQL|"
    r"SQLite|NumPy|FreeBSD|OpenBSD|"
    r"NetBSD|WebAssembly|DevOps|YouTube|OpenAPI|GraphQL|CoffeeScript|ReScript|WebSockets?|LaTeX|YAML|JUnit|"
    r"CMake|FastAPI|PyPI|LinkedIn"
)
# A heading that names no thing: a question, or words that say when or where.
_NO_NAME = re.compile(
    rf"{_QUESTION.pattern}|^(?:in|on|with|for|from|by|at|if|as|to|using|without|before|after|during|inside|under|via)\b", re.IGNORECASE
)
_POINTS_ABOVE = re.compile(r"\b(?:it|its|they|them|these|those)$", re.IGNORECASE)
_HOW_TO = re.compile(r"^how to\s+", re.IGNORECASE)
_CODE = re.compile(
    r"^`[^`]+`$|^(?:new |await )?[\w.:/-]*(?:\([^)]*\)|_|::|\w\.\w|[a-z][A-Z])[\w.:*=/-]*(?:\(.*\)|\[.*\])?$|"
    r"^--?\w[\w-]*(?:[ =,].*)?$"
)
_KIND = re.compile(
    r"^(?P<kind>class|event|static method|static property|function|method|property|type|interface|module|enum|command|option)"
    r"(?::\s*[`'\"]?(?P<name>\S[^`'\"]*)|\s+[`'\"](?P<quoted>[^`'\"]+))[`'\"]?$",
    re.IGNORECASE,
)
_AFTER_VERB = frozenset(
    [
        "a",
        "an",
        "the",
        "your",
        "this",
        "that",
        "it",
        "its",
        "all",
        "with",
        "from",
        "in",
        "into",
        "to",
        "for",
        "on",
        "of",
        "as",
        "new",
        "custom",
        "multiple",
        "one",
        "and",
        "up",
        "out",
    ]
)

# Words that stand in small letters within a sentence, whatever capitals a heading gives them.
_SMALL = (_AFTER_VERB - {"multiple", "one", "up", "out"}) | {"or"}

# Headings that nothing can be asked of: lists of places, of names, of versions.
NO_SUBJECT = re.compile(
    r"(?:table of )?contents|toc|index|changelog|change ?log|changes|release ?notes?.*|releases|history|news|what'?s new.*|"
    r"licen[sc]e(?: (?:and|&) .*)?|licen[sc]ing|documentation|"
    r"copyright.*|credits?|authors?|maintainers?|acknowledge?ments?|contributors?|sponsors?|backers?|donat.*|thanks.*|references|"
    r"see also|links?|further reading|resources|navigation|todo|roadmap|badges?|indices and tables|bibliography|footnotes?|"
    r"contact|support|community|contributing|code of conduct|star history|related(?: projects)?|read more|next steps?|more|misc.*|other|"
    r"v?\d+(?:\.\d+)+.*|(?:version|release) v?\d.*|\[?unreleased\]?.*|\d{4}-\d{2}-\d{2}.*|report(?:ing)? (?:a )?bugs?|bugs|author|"
    r"fixed|added|removed|changed|deprecated|security|bug ?fixes|breaking changes|enhancements|name|synopsis|git|exit status|"
    r"standards|conforming to|untitled.*",
    re.IGNORECASE,
)

# Headings that mean something only with what they stand under: the question for each, `{of}` the thing.
# The first of them are said of a part: at the head of a document, "Parameters" are not those of the whole.
_OF_A_PART = 5
_GENERIC: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"parameters?|params|arguments?|args|inputs?",
        ("What are the parameters of {of}?", "Which parameters does {of} take?", "Describe the parameters of {of}."),
    ),
    (
        r"options?|flags|switches|settings",
        ("Which options does {of} have?", "What are the options of {of}?", "Describe the options of {of}."),
    ),
    (r"returns?|return values?|outputs?", ("What does {of} return?", "Describe the return value of {of}.")),
    (r"raises|exceptions?|errors?", ("Which errors can {of} raise?", "What errors are there in {of}?")),
    (
        r"methods|functions|commands|properties|attributes|fields|events|classes|types",
        ("Which {heading} does {of} have?", "What are the {heading} of {of}?"),
    ),
    (r"usage|basic usage|how to use|use", ("How do I use {of}?", "How is {of} used?", "Explain the usage of {of}.")),
    (
        r"(?:basic |simple |more |code |usage )?examples?",
        ("Give an example of {of}.", "Show examples of {of}.", "Can you show me an example of {of}?"),
    ),
    (
        r"overview|introduction|intro|about|summary|description|synopsis|background|preface|abstract",
        ("What is {of}?", "Give an overview of {of}.", "Describe {of}."),
    ),
    (r"(?:key |main )?features|highlights", ("What are the features of {of}?", "Which features does {of} have?")),
    (
        r"requirements|prerequisites|dependencies|system requirements",
        ("What does {of} require?", "What are the requirements of {of}?", "What do I need for {of}?"),
    ),
    (r"install(?:ation|ing)?(?: instructions| guide)?", ("How do I install {of}?", "How is {of} installed?")),
    (r"set ?up", ("How do I set up {of}?", "How is {of} set up?")),
    (r"getting started|quick ?start(?: guide)?|first steps", ("How do I get started with {of}?", "What are the first steps with {of}?")),
    (r"configuration|configuring", ("How do I configure {of}?", "How is {of} configured?")),
    (r"building|build|compiling|compilation", ("How do I build {of}?", "How is {of} built?")),
    (r"test(?:s|ing)?|running tests", ("How is testing done in {of}?", "What should I know about testing with {of}?")),
    (r"limitations?|known issues|caveats|restrictions|gotchas", ("What are the limitations of {of}?", "Which limitations does {of} have?")),
    (r"notes?|remarks?|details|tips", ("What should I note about {of}?", "What is worth knowing about {of}?")),
    (r"motivation|rationale|why|goals?|purpose", ("What is the purpose of {of}?", "Why is there {of}?")),
    (
        r"troubleshooting|faq|common (?:problems|issues|pitfalls)",
        ("Which problems are common with {of}, and how are they solved?", "How do I troubleshoot {of}?"),
    ),
    (r"architecture|design|internals|how it works", ("How does {of} work?", "How is {of} built internally?")),
    (r"api|api reference|reference|interface", ("What does the API of {of} offer?", "Describe the API of {of}.")),
    (r"syntax|format|grammar", ("What is the syntax of {of}?", "Describe the syntax of {of}.")),
    (r"defaults?|default values?", ("What are the defaults of {of}?", "Which defaults does {of} have?")),
    (r"performance|benchmarks?", ("What is known about the performance of {of}?", "How does {of} perform?")),
)
# Gerunds that a heading opens with, and their verbs.
_GERUNDS: dict[str, str] = _TABLE["gerunds"]
_ABOUT: tuple[str, ...] = (
    "Explain {heading} in {of}.",
    "What should I know about {heading} in {of}?",
    "Tell me about {heading} in {of}.",
    "What do the docs say about {heading} in {of}?",
)
_ARTICLE = re.compile(r"^(?:The|An?) ")
_EVENT_ASKED: tuple[str, ...] = (
    "When is {heading} of {of} emitted?",
    "Explain {heading} of {of}.",
    "What should I know about {heading} of {of}?",
)
_KIND_ASKED: tuple[str, ...] = ("What is {heading} in {of}?", "Explain {heading} in {of}.", "Describe {heading} of {of}.")
_NAME_ASKED: tuple[str, ...] = ("What is {heading} in {of}?", "Explain {heading} in {of}.", "{of}: what is {heading}?")
_CODE_ASKED: tuple[str, ...] = (
    "What does {heading} do in {of}?",
    "Explain {heading} in {of}.",
    "How does {heading} of {of} work?",
    "What is {heading} in {of}?",
)
_HOW = ("How do I {action} in {of}?", "How can I {action} with {of}?", "{of}: how do I {action}?")
_EXAMPLES = ("Show an example of {heading} in {of}.", "Give me a code example of {heading} in {of}.", "{of}: show an example of {heading}.")


def plain_heading(heading: str) -> str:
    """A heading without numbering, pictures and marks at its ends."""
    text = " ".join(_DECORATION.sub(" ", heading).split())
    before = None
    while before != text:
        before, text = text, _NUMBERING.sub("", text)
    if re.fullmatch(r"[A-Z][A-Z ,/&-]+", text) and (" " in text or len(text) > 6 or is_generic(text)):
        # Manuals write their headings in capitals.
        text = text[0] + text[1:].lower()
    return text.lstrip(" :.–—*").rstrip(" :.-–—*")


def is_generic(heading: str) -> bool:
    """Whether a heading says what a section gives, but not of what."""
    return any(re.fullmatch(pattern, heading, re.IGNORECASE) for pattern, _ in _GENERIC)


def is_code(heading: str) -> bool:
    """Whether a heading is a name of code: `Command.Execute`, `fs.open(path)`, `--verbose`."""
    return _CODE.fullmatch(heading) is not None and not _NAMES.fullmatch(heading)


def subject(above: Sequence[str], source: str, *, with_source: bool = True) -> str:
    """What a section is about by the headings above it, nearest first: the first that says something, and the source's name."""
    for heading in above:
        plain = plain_heading(heading)
        if plain and not is_generic(plain) and not NO_SUBJECT.fullmatch(plain) and not _NO_NAME.match(plain):
            named = _as_name(plain)
            return named if not with_source or source.lower() in named.lower() else f"{named} ({source})"
    return source


def _as_name(heading: str) -> str:
    """A heading as it stands in a sentence: code in backticks, else as it is written."""
    if kind := _KIND.match(heading):
        return f"the {kind['kind'].lower()} `{kind['name'] or kind['quoted']}`"
    if is_code(heading):
        return f"`{heading.strip('`')}`"
    if _action(heading):
        return f'"{heading}"'  # "The options of Run the server" is no sentence.
    article = _ARTICLE.match(heading)
    return heading[0].lower() + heading[1:] if article else heading


def question(heading: str, above: Sequence[str], source: str, key: str) -> str | None:
    """The question that the section under `heading` answers; None where the heading says nothing to ask about.

    `above` are the headings over it, nearest first, `source` is what the documents are called.
    """
    plain = plain_heading(heading)
    if not plain or NO_SUBJECT.fullmatch(plain) or not re.search(r"[^\W\d_]{2}", plain) or "{{" in f"{plain}{above[-1] if above else ''}":
        return None
    of = subject(above, source)
    for index, (pattern, forms) in enumerate(_GENERIC):
        if re.fullmatch(pattern, plain, re.IGNORECASE) and not (of == source and index < _OF_A_PART):
            return pick(forms, key, "generic").format(of=of, heading=plain.lower())
    if _HOW_TO.match(plain):
        return _asked_how(_HOW_TO.sub("", plain).rstrip("?"), of, key)
    if _TOLD.match(plain) and not plain.endswith("?"):
        # "What X does", "When to use X": a clause, no question.
        return f"Explain {plain[0].lower()}{plain[1:]} ({of})."
    if plain.endswith("?") or (_QUESTION.match(plain) and len(plain.split()) > 2):
        bare = plain.rstrip("?")
        if _POINTS_ABOVE.search(bare):
            # "What is in it": only what stands above says in what.
            return None if of == source else f"{of}: {bare[0].lower()}{bare[1:]}?"
        return f"{bare}?" if source.lower() in plain.lower() else f"{bare} ({of})?"
    if action := _action(plain):
        return _asked_how(action, of, key)
    return _asked_what(plain, of, key)


def _asked_what(plain: str, of: str, key: str) -> str:
    """The question for a heading that names a thing: of code, or in words."""
    if kind := _KIND.match(plain):
        forms = _EVENT_ASKED if kind["kind"].lower() == "event" else _KIND_ASKED
    elif is_code(plain):
        # What is called, or given as an option, does something; a constant or a property is something.
        forms = _CODE_ASKED if "(" in plain or plain.startswith("-") else _NAME_ASKED
    else:
        forms = _ABOUT
    is_long = forms is _ABOUT and len(plain.split()) > 3
    asked = pick(forms, key, "what").format(heading=f'"{plain}"' if is_long else _as_name(plain), of=of)
    return asked[0].upper() + asked[1:] if asked.startswith("the ") else asked


def example_question(heading: str, above: Sequence[str], source: str, key: str) -> str | None:
    """A request for the example that stands under `heading`; None where the heading says nothing to ask about."""
    plain = plain_heading(heading)
    if not plain or NO_SUBJECT.fullmatch(plain):
        return None
    of = subject(above, source)
    if is_generic(plain) or plain.endswith("?") or _QUESTION.match(plain):
        plain = subject(above, source, with_source=False).strip("`")
        of = source
        if plain == source:
            return None
    elif _action(plain) and not plain.split()[0].lower().endswith("ing"):
        return f"Show with code how to {_action(plain)} in {of}."
    name = _as_name(plain)
    wanted = pick(_EXAMPLES, key, "example").format(heading=name, of=of)
    return wanted[0].upper() + wanted[1:] if wanted.startswith("the ") else wanted


def _asked_how(action: str, of: str, key: str) -> str:
    forms = [form for form in _HOW if not (" with " in form and " with " in action)]
    return pick(forms, key, "how").format(action=action, of=of)


def _action(heading: str) -> str | None:
    """What a heading tells to do, beginning with the verb: `install X` of "Installing X" and of "Install X"; None where it does not."""
    words = heading.split()
    first = words[0].lower()
    if first in _GERUNDS and len(words) > 1 and words[1].lower() not in ("and", "or"):
        return " ".join((_GERUNDS[first], *_lowered(words[1:])))
    if first in VERBS and len(words) > 2 and words[1].lower() in _AFTER_VERB and words[1].lower() not in ("of", "and", "in", "for"):
        return " ".join((first, *_lowered(words[1:])))
    return None


def _lowered(words: Sequence[str]) -> list[str]:
    """Words of a heading in Title Case as they stand in a sentence; names with other capitals stay."""
    return [word.lower() if word.lower() in _SMALL else word for word in words]
