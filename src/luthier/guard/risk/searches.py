"""`find`, `xargs` and `parallel`: programs whose arguments say on which files others are started."""

from __future__ import annotations

import re
from collections.abc import Callable

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument, Call, read_call, spec_of
from luthier.guard.risk.paths import harm_of, places_named, zones_of
from luthier.guard.values.symbols import CLASS, CWD, ENDLESS, HOME, LOCAL, STAR, UNKNOWN, UNSETTLED, shown, taint_of

Search = Callable[[Context, Call, list[Argument], str | None], str]

_SELECTIVE = frozenset(
    f"-{name}"
    for name in (
        *("name", "iname", "path", "ipath", "wholename", "iwholename", "regex", "iregex", "lname", "size", "empty", "links"),
        *("mtime", "mmin", "atime", "amin", "ctime", "cmin", "newer", "newermt", "anewer", "cnewer", "used"),
        *("user", "group", "uid", "gid", "nouser", "nogroup", "perm", "executable", "inum", "samefile", "fstype", "xtype"),
    )
)
_STARTS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
_AT_ONCE = spec_of("-P|--max-procs")
_PRINTS_TO = frozenset(("-fprintf", "-fprint", "-fprint0", "-fls"))
_EVERYTHING = re.compile(f"(?:\\.?[{STAR}*]+)(?:\\.[{STAR}*]+)?")
_MOST_ITEMS = 64
# Where GNU parallel puts an item, whole or a part of its name.
_PLACE = re.compile(r"\{[./#%]*\}")
# Where even a search by name finds what belongs to the system or to others.
_BROAD = frozenset(("root", "system", "binaries", "accounts", "logs", "homes", "backups"))
# Old ones may go there: that is what keeps a place from filling up.
_KEPT_FOR_A_TIME = frozenset(("backups",))
# Whose harm to a tree is that to all that is found in it.
_RIGHTS = frozenset(("chmod", "chown", "chgrp", "setfacl", "chattr", "chcon", "setcap"))
_DELETERS = frozenset(("rm", "shred", "unlink", "srm", "wipe", "rmdir", "trash"))
_AGES = frozenset(("-mtime", "-mmin", "-atime", "-amin", "-ctime", "-cmin", "-newer", "-newermt"))


def _find(shell: Context, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    words = arguments[1:]
    starts: list[Argument] = []
    index = 0
    while index < len(words) and (not words[index].text.startswith(("-", "(", "!")) or words[index].text in ("-H", "-L", "-P")):
        if not words[index].text.startswith("-"):
            starts.append(words[index])
        index += 1
    starts = starts or [arguments[0]._replace(text=CWD)]
    tests = words[index:]
    selects = _is_selective(tests)
    found = [path for start in starts for path in _found_below(start, selects, tests)]
    is_broad = _BROAD - (_KEPT_FOR_A_TIME if any(word.text in _AGES for word in tests) else frozenset())
    broad = [start for start in starts if not selects or zones_of(start.text, shell.environment.cwd) & is_broad]
    for place, word in enumerate(tests):
        if word.text == "-delete":
            for path in found:
                shell.harm("delete", path)
            for start in broad:
                shell.harm("delete", start, tree=True)
            shell.report("caution", "", "deletes what it finds", word)
        elif word.text in _PRINTS_TO and place + 1 < len(tests):
            shell.harm("truncate", tests[place + 1], content=UNKNOWN)
        elif word.text in _STARTS:
            _start_for_each(shell, tests[place + 1 :], found, broad)
    for path in found if broad and _names_keys(tests) else ():
        harm = harm_of("read", path.text, shell.environment.cwd, False)
        if harm is not None and harm.level == "dangerous":
            shell.report("unknown", "credentials", f"looks everywhere for `{shown(path.text)}`: {harm.reason}", path)
    # What is found all over the system or in others' homes stands anywhere below: whoever deletes it deletes there.
    everywhere = [f"{start.text.rstrip('/')}/{STAR}" for start in broad if selects]
    return "\n".join([*(path.text for path in found), *everywhere])


def _names_keys(tests: list[Argument]) -> bool:
    """Whether a search asks for one name, or for an ending that keys have."""
    names = [tests[place + 1].text for place, word in enumerate(tests[:-1]) if word.text in ("-name", "-iname")]
    return any(not re.search(r"[*?\[]", name) or re.search(r"\.(?:pem|key|kdbx|ovpn|ppk|p12|pfx|jks)$", name) for name in names)


def _is_selective(tests: list[Argument]) -> bool:
    """Whether the tests before the action leave out more than a kind of file: a name that is not every name, an age, a size ..."""
    for place, word in enumerate(tests):
        if word.text in _STARTS or word.text == "-delete":
            break
        if word.text in _SELECTIVE:
            value = tests[place + 1].text if place + 1 < len(tests) else ""
            if place and tests[place - 1].text in ("!", "-not"):
                continue
            if not _EVERYTHING.fullmatch(value):
                return True
    return False


def _found_below(start: Argument, selects: bool, tests: list[Argument]) -> list[Argument]:
    """What may be found below `start`: all names, those with the ending that a test asks for, and known places of such a name."""
    folder = start.text.rstrip("/")
    if not selects:
        return [start._replace(text=f"{folder}/{STAR}")]
    named = next((tests[place + 1].text for place, word in enumerate(tests[:-1]) if word.text in ("-name", "-iname")), "*")
    places = [
        start._replace(text=place)
        for place in places_named(named)
        if place.startswith((folder + "/", "~" if folder in ("", "/home", "/root", HOME) else "\0"))
    ]
    if not re.search(r"[*?\[]", named):
        # It may stand at any depth: in the folders of a folder of homes it is everybody's.
        return [start._replace(text=f"{folder}/{named}"), start._replace(text=f"{folder}/{CLASS}{STAR}/{named}"), *places]
    ending = re.sub(r"^.*[*?\]]", "", named)
    return [start._replace(text=f"{folder}/{CLASS}{STAR}{ending}"), *places]


def _start_for_each(shell: Context, words: list[Argument], found: list[Argument], whole: list[Argument]) -> None:
    """The program of `-exec` on what was found; without a test it works on the folders as trees."""
    command: list[Argument] = []
    for word in words:
        if word.text in (";", "+") or word.text == "\\;":
            break
        command.append(word)
    if not command:
        return
    for path in found:
        replaced = [word._replace(text=word.text.replace("{}", path.text)) for word in command]
        shell.apart().dispatch(replaced, None)
    for start in whole:
        if command[0].text in _DELETERS:
            shell.harm("delete", start, tree=True)
        target = f"{start.text.rstrip('/')}/{STAR}" if command[0].text in _RIGHTS else start.text
        replaced = [word._replace(text=word.text.replace("{}", target)) for word in command]
        shell.apart().dispatch(replaced, None)


_FD_STARTS = frozenset(("-x", "--exec", "-X", "--exec-batch"))
_FD_SELECTS = spec_of("-e|--extension|-S|--size|-o|--owner|--changed-within|--changed-before|--newer|--older")


def _fd(shell: Context, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    """`fd [PATTERN [FOLDER...]] -x PROGRAM ...`: what follows `-x` is the program's own, up to a semicolon."""
    place = next((place for place, word in enumerate(arguments) if word.text in _FD_STARTS), None)
    if place is None:
        return UNKNOWN
    own = read_call(call.name, arguments[1:place])
    pattern, *folders = own.operands or [arguments[0]._replace(text=".")]
    given = own.has((("--search-path", None), ("--base-directory", None)))
    if given is not None and given.value is not None:
        folders.append(given.value)
    starts = folders or [arguments[0]._replace(text=CWD)]
    selects = pattern.text not in (".", "", ".*", "*", "^") or own.has(_FD_SELECTS) is not None
    ending = own.has((("-e", None), ("--extension", None)))
    tests = [arguments[0]._replace(text=text) for text in ("-name", f"*.{ending.value.text}")] if ending and ending.value else []
    found = [path for start in starts for path in _found_below(start, selects, tests)]
    broad = [start for start in starts if not selects or zones_of(start.text, shell.environment.cwd) & _BROAD]
    command = arguments[place + 1 :]
    if not any("{" in word.text for word in command):
        command = [*command, arguments[place]._replace(text="{}")]
    _start_for_each(shell, command, found, broad)
    return UNKNOWN


def _items(stdin: str | None, lines: bool = False) -> list[str]:
    """The words, or the `lines`, that flow in; one unknown word where they are not known."""
    if stdin is None or (taint_of(stdin) and UNSETTLED.sub("", stdin).strip() == ""):
        return [(stdin or UNKNOWN).replace(LOCAL, UNKNOWN)]
    text = stdin.replace("\0", "\n")
    items = [line for line in text.splitlines() if line.strip()] if lines or "\0" in stdin else text.split()
    return items[:_MOST_ITEMS] + ([UNKNOWN] if len(items) > _MOST_ITEMS else [])


def _xargs(shell: Context, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    option = call.has((("-a", None), ("--arg-file", None)))
    from_file = option is not None and option.value is not None and option.value.text not in ("-", "/dev/stdin")
    flow = shell.file_content(option.value.text) if from_file and option is not None and option.value is not None else stdin
    inner = list(call.rest) or [arguments[0]._replace(text="echo")]
    place = call.has(call.program.replace) if call.program.replace else None
    placeholder = place.value.text if place is not None and place.value is not None else ("{}" if place is not None else "")
    shell.report("caution", "", "starts a program for what flows in", arguments[0])
    if flow is not None and ENDLESS in flow:
        shell.report("dangerous", "resources", "starts programs without an end", arguments[0])
    if (many := call.has(_AT_ONCE)) is not None and many.value is not None and many.value.text == "0":
        shell.report("unknown", "resources", "starts as many programs at once as flow in", many.place)
    items = _items(flow, lines=bool(placeholder))
    if any(UNKNOWN in item for item in items) and _leaves_open(inner):
        shell.report("unknown", "unsettled", f"what `{shown(inner[0].text)}` is started on is known only at run time", inner[0])
    if not placeholder:
        extra = [inner[0]._replace(text=item) for item in items]
        return shell.apart().dispatch([*inner, *extra], None)
    printed = ""
    for item in items[:16]:
        printed = shell.apart().dispatch([word._replace(text=word.text.replace(placeholder, item)) for word in inner], None)
    return printed


def _parallel(shell: Context, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    """GNU parallel: a command line, then `:::` and its items, or items from the flow in."""
    words = list(call.rest)
    separator = next((place for place, word in enumerate(words) if re.fullmatch(r":::\+?|::::\+?", word.text)), None)
    if separator is None:
        items = _items(stdin)
        command = words
    else:
        reads_file = words[separator].text.startswith("::::")
        items = [UNKNOWN] if reads_file else [word.text for word in words[separator + 1 :] if word.text != ":::"]
        command = words[:separator]
    if not command:  # Each item is a command line.
        for item in items[:16]:
            shell.code("shell", item, arguments[0])
        return UNKNOWN
    text = " ".join(word.text for word in command)
    place = Argument("", command[0].start, command[-1].end)
    pieces = _PLACE.split(text)
    for item in items[:16]:
        filled = item.join(pieces) if len(pieces) > 1 else f"{text} {item}"
        shell.apart().shell_text(filled, place)
    return UNKNOWN


def _leaves_open(inner: list[Argument]) -> bool:
    """Whether a program changes something and no role says what its operands are."""
    call = read_call(inner[0].text, inner[1:])
    program = call.program
    return (
        program.is_listed
        and program.level == "caution"
        and program.inner is None
        and not (program.operands or program.runs_project or program.script)
    )


_STARTED = (("--exec", None), ("-x", None), ("--startas", None), ("-a", None))


def _daemon(shell: Context, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    """`start-stop-daemon --start --exec PROGRAM -- ARGUMENTS`."""
    started = next((option.value for option in call.options if (option.name, None) in _STARTED), None)
    if started is None or call.has((("--stop", None), ("-K", None), ("--status", None), ("-T", None))):
        return ""
    return shell.apart().dispatch([started, *call.operands], None)


SEARCHES: dict[str, Search] = {
    "start-stop-daemon": _daemon,
    "find": _find,
    "gfind": _find,
    "fd": _fd,
    "fdfind": _fd,
    "xargs": _xargs,
    "gxargs": _xargs,
    "parallel": _parallel,
}
