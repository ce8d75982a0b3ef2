"""Tasks in words made into requests that fit a command: values put where the task speaks of them, and the wording drawn by hash."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from luthier.data.synthesize.placeholders import Value
from luthier.data.synthesize.wording import drawn, pick

_TABLE = tomllib.loads(Path(__file__).with_name("verbs.toml").read_text(encoding="utf-8"))
MOST_VALUES = 4
_MOST_BEHIND = 2

_MNEMONIC = re.compile(r"\[(\w{1,3})\](?=\w)|(?<=\w)\[(\w{1,3})\]")
_REMARK = re.compile(
    r"\s*\((?:note|requires?|see|use|useful|only|also|works?|defaults?|it|this|these|must|can|may|could|determine|should|press|e\.g|i\.e"
    r"|or|if|where|when|other|the|recommended|equivalent|alias|same|like|similar|available|there|omit|remove|without|ctrl|not)\b[^()]*"
    r"(?:\([^()]*\)[^()]*)*\)",
    re.IGNORECASE,
)
# "To add a proxy, use": what manuals say before an example.
_TO_IN_FRONT = re.compile(r"^(?:in order to|to|or to|you can|or)\s+(?=[a-z])", re.IGNORECASE)
_USE_BEHIND = re.compile(
    r"[\s,]*(?:\b(?:use|do|run|type|try|say|issue|with|by|using|via|like|as|you can|you could|you may)"
    r"(?: this| the following| something like)?(?: command)?)$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[\w`)])\.\s+(?=[A-Z(`])")
# Verbs that a task opens with. What opens with another word is no `How do I ...`: "Tag to apply", "Only list files".
VERBS = frozenset(_TABLE["verbs"].split())
VERBS_OF_CHANGE = frozenset(_TABLE["verbs_of_change"].split())
# A task that opens with one of these speaks of an option: it says nothing without the tool's name.
_OF_OPTIONS = frozenset(_TABLE["of_options"].split())
_ADJECTIVES = r"(?:(?:specific|specified|given|particular|certain|single|chosen|desired|existing)\s+)*"
_STOPS = (
    "of|in|to|from|with|and|or|for|as|that|by|on|at|into|using|via|without|is|are|it|its|their|than|but|if|all|each|every|no|not|which|"
    "multiple|list|number|name|contents?|content|type|size|version|id"
)
_MODIFIERS = rf"(?P<modifiers>(?:(?!(?:{_STOPS})\b)[\w/+-]+\s+){{0,2}}?)"
_FOLLOW = (
    r"(?=$|[.,;:)]|\s+(?:in|to|from|with|and|by|for|on|as|at|into|using|via|without|that|if|but|while|when|inside|through|"
    r"against|before|after|over|recursively|interactively|only|is|has|was|,)\b|\s+\()"
)
_THIRD_PERSON = re.compile(r"^([A-Z][a-z]+?)(?:(?<=[a-z])(ches|shes|sses|xes|zes)|(ies)|(s))\b")
_KEPT_S = frozenset(
    ["access", "process", "pass", "address", "discuss", "assess", "focus", "cross", "compress", "bypass", "express", "dismiss"]
)
_NOUNS = {
    "directory": ("directory", "folder"),
    "folder": ("directory", "folder"),
    "url": ("URL", "page", "website", "web page", "link", "site"),
    "host": ("host", "server", "machine", "hostname", "target"),
    "server": ("server", "host"),
    "ip": ("IP address", "IP", "address", "host"),
    "ip address": ("IP address", "IP", "address", "host", "target"),
    "user": ("user", "account", "username"),
    "device": ("device", "disk", "drive", "block device"),
    "partition": ("partition", "device", "filesystem"),
    "pid": ("process", "PID", "process ID"),
    "repository": ("repository", "repo"),
    "interface": ("interface", "network interface", "device"),
    "pattern": ("pattern", "string", "regex"),
    "regex": ("regex", "regular expression", "pattern"),
    "string": ("string", "text"),
    "text": ("text", "string"),
    "image": ("image", "picture"),
    "file or directory": ("file or directory", "directory or file", "file", "directory", "path", "file/directory"),
    "app": ("app", "application", "program"),
    "application": ("application", "app"),
    "database": ("database",),
    "db": ("database",),
    "domain": ("domain", "domain name", "host", "website"),
    "address": ("address", "IP address", "host"),
    "unit": ("unit", "service"),
    "commit": ("commit", "revision"),
    "variable": ("variable", "environment variable"),
    "executable": ("executable", "program", "binary"),
    "binary": ("binary", "executable", "program"),
    "program": ("program", "command"),
}
_ENDINGS = {
    "jpg": ("JPEG", "JPG"),
    "jpeg": ("JPEG",),
    "yml": ("YAML",),
    "htm": ("HTML",),
    "md": ("Markdown",),
    "tex": ("LaTeX", "TeX"),
    "img": ("image", "disk image"),
}
_CAPITALS = {"ip": "IP", "pid": "PID", "id": "ID", "url": "URL", "uid": "UID", "pr": "PR", "db": "database", "n": "number", "api": "API"}
_FORMS = ("{task}", "{task}.", "How do I {lower}?", "How can I {lower}?", "I want to {lower}.", "What is the command to {lower}?")
_NAMED = ("{task} with {tool}", "{task} using {tool}", "How do I {lower} with {tool}?", "Using {tool}, {lower}.", "{tool}: {lower}")


def cleaned_task(text: str) -> str:
    """A page's task as one sentence without remarks in brackets, marked letters (`[z]ip`), and what follows its first sentence."""
    text = re.sub(r"<(https?://[^<>\s]+)>", r"\1", text)
    plain = _MNEMONIC.sub(lambda match: match[1] or match[2], text.removeprefix("[Interactive]").strip())
    before = None
    while before != plain:
        before, plain = plain, _REMARK.sub("", plain)
    plain = _SENTENCE_END.split(plain)[0].strip().rstrip(".:;").strip()
    plain = _USE_BEHIND.sub("", _TO_IN_FRONT.sub("", plain))
    return imperative(plain) if plain else plain


def is_imperative(task: str) -> bool:
    """Whether the task opens with a verb, perhaps with an adverb in front: what can follow `How do I`."""
    words = re.findall(r"[\w-]+", task)[:2]
    if words and words[0].lower().endswith("ly") and len(words) > 1:
        words = words[1:]
    return bool(words) and words[0].lower() in VERBS and task[:1].isupper()


def imperative(task: str) -> str:
    """`Returns a user` as `Return a user`, with a capital letter."""
    task = task[:1].upper() + task[1:]
    found = _THIRD_PERSON.match(task)
    if found is None or found[0].lower() in _KEPT_S:
        return task
    # "Fixes" is of "fix", "resizes" of "resize".
    endings = ["y"] if found[3] else [found[2][:-2], found[2][:-1]] if found[2] else [""]
    changed = (found[1] + ending + task[found.end() :] for ending in endings)
    return next((one for one in changed if is_imperative(one)), task)


def with_values(task: str, values: Sequence[Value], key: str) -> str | None:
    """The task with every value in it, where it speaks of it or behind it; None where a value has no name to be called by."""
    left: list[Value] = []
    masked: list[str] = []
    for value in sorted(_joined(task, values), key=lambda value: value.kind == "output"):
        if all(_stands(text, task) for text in value.texts) and value.kind == "word" and value.texts == (value.placeholder,):
            continue
        said = _said(value)
        replaced = _put_in(task, value, len(masked), key)
        if replaced is None:
            left.append(value)
        else:
            masked.append(said)
            task = replaced
    if len(left) > _MOST_BEHIND or any(not value.label and value.kind != "path" for value in left):
        return None
    task = re.sub(r"\x00(\d+)\x00", lambda match: masked[int(match[1])], task)
    return _behind(task, left, key)


def _joined(task: str, values: Sequence[Value]) -> Iterator[Value]:
    """The values, those of one label as one list, unless the task speaks of each of them: `a file to another file`."""
    for (label, kind), group in groupby(sorted(values, key=_joint), key=_joint):
        members = list(group)
        if len(members) == 1 or kind == "output" or re.search(r"\b(?:another|second|other)\b", task):
            yield from members
        else:
            texts = tuple(text for member in members for text in member.texts)
            yield Value(label, texts, members[0].kind, members[0].placeholder)


def _joint(value: Value) -> tuple[str, str]:
    return value.label, value.kind


def _stands(text: str, task: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w-]|\.\w)", task) is not None


def _said(value: Value) -> str:
    texts = [f'"{text}"' if " " in text else text for text in value.texts]
    return " and ".join(texts)


def _put_in(task: str, value: Value, index: int, key: str) -> str | None:
    """The task with a mark for the value in place of the words that speak of it; None where none do."""
    mark = f"\0{index}\0"
    own = rf"`{re.escape(value.placeholder)}`|(?<![\w/.-])(?=\w*[_/.]){re.escape(value.placeholder)}(?![\w/.-])"
    if re.search(own, task):
        # "The given `regex`" still wants to hear what it is.
        noun = f"{value.label} " if re.search(rf"\b(?:given|specified|specific|an?)\s+(?:{own})", task) and value.label else ""
        return re.sub(own, f"{noun}{mark}", task)
    nouns = "|".join(re.escape(noun) for noun in _nouns(value))
    if not nouns:
        return None
    if len(value.texts) > 1:
        plurals = "|".join(re.escape(_plural(noun, 2)) for noun in _nouns(value))
        pattern = (
            rf"(?:(?:multiple|several|all|both|some|one or more|two|the|a list of|any number of|many|specific|specified|given|"
            rf"individual)\s+)*{_MODIFIERS}(?P<noun>{plurals})"
        )
        found = re.search(rf"(?<=\s){pattern}{_FOLLOW}", task)
    else:
        found = re.search(rf"\b(?:[Aa]n?|the|another|one|your|this|some)\s+{_ADJECTIVES}{_MODIFIERS}(?P<noun>{nouns}){_FOLLOW}", task)
        found = found or re.search(rf"(?<=\s)(?:specific|specified|given)\s+{_MODIFIERS}(?P<noun>{nouns}){_FOLLOW}", task)
    if found is None:
        return None
    is_bare = value.kind in ("path", "output") and not found["modifiers"] and drawn(key, "bare") % 2 == 0
    phrase = mark if is_bare else f"the {found['modifiers']}{found['noun']} {mark}"
    return task[: found.start()] + phrase + task[found.end() :]


def _nouns(value: Value) -> list[str]:
    """The words by which a task may speak of a value, longest first."""
    label = value.label
    last = label.rpartition(" ")[2]
    nouns = {label, *_NOUNS.get(label.lower(), ()), *_NOUNS.get(last.lower(), ())} if label else set()
    if last not in ("number", "name"):
        nouns.add(last)
    if value.kind in ("path", "output"):
        endings = _ENDINGS.get(value.extension, (value.extension.upper(),)) if value.extension else ()
        nouns |= {f"{ending}{noun}" for ending in endings for noun in ("", " file", " image", " document")}
        is_folder = any(word in label for word in ("directory", "folder"))
        nouns.add("directory" if is_folder else "file")
        if is_folder:
            nouns |= {"folder", "path"}
    return sorted(nouns - {""}, key=lambda noun: (-len(noun), noun))


def _behind(task: str, left: Sequence[Value], key: str) -> str:
    """The task with the values that it does not speak of behind it."""
    outputs = [value for value in left if value.kind == "output" and len(value.texts) == 1]
    others = [value for value in left if value not in outputs]
    if len(outputs) > 1:
        others, outputs = [*others, *outputs], []
    if others:
        named = [(_plural(_shown(value.label) or "file", len(value.texts)), _said(value)) for value in others]
        if len(others) > 1 or len(others[0].texts) > 1 or " with " in task or drawn(key, "behind") % 2:
            task += " (" + ", ".join(f"{label}: {said}" for label, said in named) + ")"
        else:
            task += ", with " + " and ".join(f"{said} as the {label}" for label, said in named)
    for value in outputs:
        task += pick((f", and write the result to {_said(value)}", f" and save the result to {_said(value)}"), key, "output")
    return task


def _shown(label: str) -> str:
    """A label as prose writes it: `IP address`, `PID`."""
    return " ".join(_CAPITALS.get(word, word) for word in label.split())


def _plural(noun: str, count: int) -> str:
    if count < 2 or noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def worded(task: str, tool: str, must_name: bool, key: str) -> str:
    """The task as a request: the plain sentence or a question, with the tool's name where it must be there or by the draw."""
    is_named = re.search(rf"(?<![\w-]){re.escape(tool)}(?![\w-])", task, re.IGNORECASE) is not None
    must_name = must_name or task.split(maxsplit=1)[0].lower() in _OF_OPTIONS
    wants_name = not is_named and (must_name or drawn(key, "named") % 2 == 0)
    if not is_imperative(task):
        return f"{tool}: {task}" if wants_name else task
    lower = task[0].lower() + task[1:]
    forms = [
        form for form in (_NAMED if wants_name else _FORMS) if not any(word in form and word in task for word in (" with ", " using "))
    ]
    form = pick(forms, key, "form of the request")
    return form.format(task=task, lower=lower, tool=tool)
