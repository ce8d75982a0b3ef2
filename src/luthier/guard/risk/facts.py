"""What is known of programs, read from `rules/programs-*.toml`: option grammar, roles of operands, what they start and print."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from luthier.guard.values.symbols import SYMBOL, UNKNOWN, as_typed

RULES = Path(__file__).parents[1] / "rules"


class Argument(NamedTuple):
    """An expanded word and where it stands in the text."""

    text: str
    start: int
    end: int


class Option(NamedTuple):
    """An option as given, `-r` or `--force`, with its value where it has one."""

    name: str
    value: Argument | None
    place: Argument


Spec = tuple[tuple[str, str | None], ...]

# The role of an operand of which the data files say nothing.
UNSAID = ""


def spec_of(text: str) -> Spec:
    """The alternatives of `-X=DELETE|--request=DELETE` as (option, glob of its value or None)."""
    alternatives = []
    for piece in text.split("|"):
        name, equals, value = piece.partition("=")
        alternatives.append((name, value if equals else None))
    return tuple(alternatives)


@dataclass(frozen=True, slots=True)
class Program:
    """One entry of `programs-*.toml`; the fields are those of its keys."""

    name: str
    level: str = "caution"
    valued: frozenset[str] = frozenset()
    long: frozenset[str] = frozenset()
    single_dash_long: bool = False
    operands: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    tree: Spec | bool = False
    pairs: dict[str, str] = field(default_factory=dict)
    globals: Program | None = None
    stdin: str = ""
    stdout: str = ""
    network: bool = False
    inner: int | None = None
    inner_assigns: bool = False
    inner_text: bool = False
    inner_remote: bool = False
    inner_items: bool = False
    replace: Spec = ()
    within: Spec = ()
    privileged: bool = False
    script: bool = False
    runs_project: bool = False
    instead: Spec = ()
    rewrites: Spec = ()
    removes: Spec = ()
    keeps: Spec = ()
    appends: Spec = ()
    glued: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    plus: str = ""
    language: str = ""
    dashless: bool = False
    is_listed: bool = True

    @property
    def takes_arguments(self) -> bool:
        """Whether it is a shell: what follows its code or script are that one's arguments, not its own options."""
        return self.script and self.stdin == "code:shell"

    def with_valued(self, options: Sequence[str]) -> Program:
        """The program with these options, `-C` or `--directory`, as ones that take a value."""
        short = {option[1] for option in options if len(option) == 2}
        long = {option.lstrip("-") for option in options if len(option) > 2}
        return replace(self, valued=self.valued | short, long=self.long | long) if options else self

    def roles(self, count: int) -> list[str]:
        """The role of each of `count` operands; `UNSAID` for those of which nothing is known."""
        known = self.operands
        repeat = next((place for place, role in enumerate(known) if role.endswith("...")), None)
        if repeat is None:
            return [*known[:count], *[UNSAID] * (count - len(known))]
        head, tail = known[:repeat], known[repeat + 1 :]
        if count <= len(head) + len(tail):
            # Too few for all: what is written last is still the last operand's role, but for one operand alone.
            return [*head, *tail][-count:] if tail and count > 1 else [*head, known[repeat][:-3]][:count]
        middle = [known[repeat][:-3]] * (count - len(head) - len(tail))
        return [*head, *middle, *tail]


UNLISTED = Program("", is_listed=False)


def _spec(entry: dict[str, Any], key: str) -> Spec:
    return spec_of(entry[key]) if entry.get(key) else ()


def _program(name: str, entry: dict[str, Any]) -> Program:
    options: dict[str, str] = {}
    for spec, role in entry.get("options", {}).items():
        options.update(dict.fromkeys((name for name, _ in spec_of(spec)), role))
    tree = entry.get("tree", False)
    outer, stdin = entry.get("globals"), entry.get("stdin", "")
    return Program(
        name=name,
        level=entry.get("level", "caution"),
        valued=frozenset(entry.get("valued", "")) | {name[1] for name in options if len(name) == 2 and name[1] != "-"},
        long=frozenset(entry.get("long", ())) | {name.lstrip("-") for name in options if len(name) > 2},
        single_dash_long=entry.get("single_dash_long", False),
        operands=tuple(entry.get("operands", ())),
        options=options,
        tree=tree if isinstance(tree, bool) else spec_of(tree),
        pairs=entry.get("pairs", {}),
        globals=_program(name, outer) if outer else None,
        stdin=stdin,
        stdout=entry.get("stdout", ""),
        network=entry.get("network", False),
        inner=entry.get("inner"),
        replace=_spec(entry, "replace"),
        within=_spec(entry, "within"),
        instead=_spec(entry, "instead"),
        rewrites=_spec(entry, "rewrites"),
        removes=_spec(entry, "removes"),
        keeps=_spec(entry, "keeps"),
        appends=_spec(entry, "appends"),
        glued=frozenset(entry.get("glued", "")),
        words=re.compile(entry["words"]) if "words" in entry else None,
        plus=entry.get("plus", ""),
        language=entry.get("language", stdin[5:] if stdin.startswith("code:") else ""),
        dashless=entry.get("dashless", False),
        **{
            key: entry.get(key, False)
            for key in ("inner_assigns", "inner_text", "inner_remote", "inner_items", "privileged", "script", "runs_project")
        },
    )


def tables(kind: str) -> Iterator[dict[str, Any]]:
    """The entries `kind` (`program`, `rule`) of all data files, in the files' order."""
    for path in sorted(RULES.glob(f"{kind}s-*.toml")):
        with path.open("rb") as stream:
            yield from tomllib.load(stream).get(kind, ())


@cache
def programs() -> dict[str, Program]:
    """Every known program by name; with a subcommand the name is two or three words.

    An option of which a rule names a value takes one, unless the program's own entry knows it as one without: rules are read for that, too.
    """
    entries = {name: entry for entry in tables("program") for name in entry["names"]}
    known = {name: _program(name, entry) for name, entry in entries.items()}
    valued: dict[str, list[str]] = {}
    for rule in tables("rule"):
        given = [option for text in rule.get("flags", ()) for option, value in spec_of(text) if value is not None]
        for program in rule["programs"] if given else ():
            valued.setdefault(program, []).extend(given)
    for name, program in known.items():
        given = valued.get(name, []) + valued.get(name.split(" ", 1)[0], [])
        # `git -c x=y`, but `git branch -c`.
        if options := [option for option in given if option[1:] not in entries[name].get("flags", "")]:
            known[name] = program.with_valued(options)
    return known


_VERSION = re.compile(r"(?:[-.]?\d+)+$")


def versionless(name: str, others: Collection[str] = ()) -> str:
    """The name by which a program is known: `python` for `python3.9`, `gcc` for `gcc-13`; as it is where nothing is known of it."""
    if name in programs() or name in others or (found := _VERSION.search(name)) is None:
        return name
    plain = name[: found.start()]
    return plain if len(plain) > 1 and plain in programs() else name


@cache
def _with_subcommands() -> frozenset[str]:
    return frozenset(name.split(" ", 1)[0] for name in programs() if " " in name)


@dataclass(slots=True)
class Call:
    """A program with its arguments taken apart. `operands` include the words of a subcommand, `first` is where its own begin."""

    program: Program
    name: str
    options: list[Option]
    operands: list[Argument]
    rest: list[Argument]
    first: int = 0

    def has(self, spec: Spec) -> Option | None:
        """The first option that one of the alternatives names."""
        for option in self.options:
            for name, value in spec:
                if _is_option(option.name, name) and (value is None or _has_value(option, value)):
                    return option
        return None

    def own_operands(self) -> list[Argument]:
        """The operands after the subcommand."""
        return self.operands[self.first :]

    def is_tree(self) -> bool:
        """Whether the call works on whole folders."""
        tree = self.program.tree
        return tree if isinstance(tree, bool) else self.has(tree) is not None


def forms_of(text: str) -> tuple[str, ...]:
    """An expanded word as rules may write it: with the characters that stand for globs and folders, and as it was typed."""
    return (text,) if SYMBOL.search(text) is None else (text, as_typed(text))


def _is_option(given: str, known: str) -> bool:
    # A long option may be cut short; cut at a hyphen it is mostly another one: `--extra`, `--extra-index-url`.
    return given == known or (len(given) > 3 and given.startswith("--") and known.startswith(given) and known[len(given)] != "-")


def _has_value(option: Option, pattern: str) -> bool:
    """Whether the option's value fits a glob; a backslash makes a star of the pattern mean itself."""
    if option.value is None:
        return False
    glob = pattern.lower().replace("[", "[[]").replace("\\*", "[*]").replace("\\?", "[?]")
    return any(fnmatchcase(form.lower(), glob) for form in forms_of(option.value.text))


_CLUSTER = re.compile(r"[A-Za-z]+")


def read_call(name: str, arguments: Sequence[Argument]) -> Call:
    """The call of program `name` (its base name) with `arguments`, by what is known of it."""
    base = programs().get(name, UNLISTED)
    if base.dashless and arguments and _CLUSTER.fullmatch(arguments[0].text):  # `tar xzf`
        arguments = [arguments[0]._replace(text=f"-{arguments[0].text}"), *arguments[1:]]
    if name not in _with_subcommands() and base.globals is None:
        return _parsed(base, name, [], [], arguments)
    outer = base.globals or base
    options: list[Option] = []
    index = 0
    words: list[Argument] = []
    program = base
    while index < len(arguments):
        if is_option(arguments[index].text):
            index += _option(outer if not words else program.globals or program, arguments, index, options)
            continue
        longer = " ".join([name, *(word.text for word in words), arguments[index].text])
        if longer not in programs() and not _leads_on(longer):
            break
        words.append(arguments[index])
        program = programs().get(longer, program)
        index += 1
    if not words and index < len(arguments):  # A subcommand without an entry: options after it are read by the program's own.
        words = [arguments[index]]
        index += 1
    return _parsed(program, name, words, options, arguments[index:])


@cache
def _prefixes() -> frozenset[str]:
    return frozenset(" ".join(name.split(" ")[:count]) for name in programs() for count in range(1, name.count(" ") + 1))


def _leads_on(words: str) -> bool:
    return words in _prefixes()


def is_option(text: str) -> bool:
    """Whether a word starts like an option."""
    return len(text) > 1 and text[0] == "-"


def _parsed(program: Program, name: str, words: list[Argument], options: list[Option], arguments: Sequence[Argument]) -> Call:
    operands: list[Argument] = list(words)
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        text = argument.text
        if text == "--" and not program.single_dash_long:
            operands += arguments[index + 1 :]
            if program.inner is not None:
                own = len(words) + program.inner
                return Call(program, name, options, operands[:own], operands[own:], len(words))
            break
        if program.takes_arguments and (len(operands) > len(words) or _has_code(options)):
            operands += arguments[index:]
            break
        if is_option(text) and (program.words is None or program.words.fullmatch(text) is None):
            index += _option(program, arguments, index, options)
            continue
        assigns = program.inner_assigns and _is_assignment(text)
        if program.inner is not None and not assigns and len(operands) - len(words) >= program.inner:
            return Call(program, name, options, operands, list(arguments[index:]), len(words))
        operands.append(argument)
        index += 1
    return Call(program, name, options, operands, [], len(words))


def _has_code(options: list[Option]) -> bool:
    """Whether the last option of a shell was its code."""
    last = options[-1] if options else None
    return last is not None and last.name == "-c" and last.value is not None and not is_option(last.value.text)


def _is_assignment(text: str) -> bool:
    name, equals, _ = text.partition("=")
    return bool(equals) and name.isidentifier()


def _option(program: Program, arguments: Sequence[Argument], index: int, options: list[Option]) -> int:
    """Adds the option at `index`, or the options of a cluster; how many words they take."""
    argument = arguments[index]
    text = argument.text
    following = arguments[index + 1] if index + 1 < len(arguments) else None
    if text.startswith("--") or program.single_dash_long:
        name, equals, value = text.partition("=")
        if equals:
            options.append(Option(name, argument._replace(text=value), argument))
            return 1
        key = name.lstrip("-")
        if (key in program.long or (len(key) == 1 and key in program.valued)) and following is not None:
            options.append(Option(name, following, argument))
            return 2
        options.append(Option(name, None, argument))
        return 1
    for place, letter in enumerate(text[1:], 1):
        if letter in program.glued:
            value = text[place + 1 :]
            options.append(Option(f"-{letter}", argument._replace(text=value) if value else None, argument))
            return 1
        if letter not in program.valued:
            options.append(Option(f"-{letter}", None, argument))
            if letter == UNKNOWN:
                break
            continue
        if text[place + 1 :]:
            value = text[place + 1 :]
            options.append(Option(f"-{letter}", argument._replace(text=value.removeprefix("=")), argument))
            return 1
        options.append(Option(f"-{letter}", following, argument))
        return 1 if following is None else 2
    if len(text) > 2:  # `-rf` may also be one word to a program that we do not know.
        options.append(Option(text, None, argument))
    return 1
