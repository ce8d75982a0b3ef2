"""One program with its arguments, judged by what is known of it: base level, rules, roles of its operands, what it starts and prints."""

from __future__ import annotations

import re
from functools import partial

from luthier.guard.risk import searches
from luthier.guard.risk.administering import changes_something, judge_open, rehearses
from luthier.guard.risk.amounts import TOO_MUCH, reserved_by
from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import UNSAID, Argument, Call, Option, Program, is_option, programs, read_call, spec_of
from luthier.guard.risk.flows import content_of, printed_by
from luthier.guard.risk.lexicon import lexicon
from luthier.guard.risk.manifests import judge_started_elsewhere
from luthier.guard.risk.names import program_name
from luthier.guard.risk.paths import SHARED_FOLDERS, is_device, zones_of
from luthier.guard.risk.roles import roles_of
from luthier.guard.risk.rules import ANY_PROGRAM, Situation
from luthier.guard.risk.sending import judge_flow_out, judge_sent
from luthier.guard.risk.wording import judge_wording
from luthier.guard.values.symbols import (
    CWD,
    ENDLESS,
    GLOB,
    HOME,
    NETWORK,
    NUMBER,
    PERSONAL,
    SECRET,
    UNKNOWN,
    UNSETTLED,
    is_settled,
    shown,
    taint_of,
)

PATH_ROLES = frozenset(("read", "write", "append", "delete", "move", "permissions", "send", "truncate"))
_HELP = spec_of("--help|-help")
_TOLD = frozenset(("--help", "-help", "--version", "-version"))
_MOUNT_SOURCE = re.compile(r"(?:^|,)(?:source|src)=([^,]*)")
_ASKS_FOR_KEY = re.compile(r"key|ident|cert|cred|auth|pass|^-[ik]$", re.IGNORECASE)
# Words that are subcommands more often than programs.
_SUBCOMMANDS = frozenset(("history", "exec", "source", "login", "op", "platform", "stack", "reboot", "shutdown", "halt", "scrub", "reg"))
_OWN_MODE = re.compile(r"0?[4-7]00|(?:go|og|g|o)(?:-[rwx]+|=)(?:,(?:g|o|u)[-+=][rwx]*)*")
_SECRET_ZONES = frozenset(("credentials", "accounts", "binaries"))
_AWK_VARIABLE = ("-v", "--assign")
# Programs that keep all that they read before they write.
_KEEPING = frozenset(("tail", "sort", "tac", "shuf", "sponge", "gsort", "gtail", "rev"))
# Files that are what flows in.
_FLOWS_IN = frozenset(("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
# Files whose text tools for building and testing carry out.
_RUN_BY_PROJECTS = frozenset(
    (
        *("Makefile", "makefile", "GNUmakefile", "package.json", "setup.py", "pyproject.toml", "build.gradle", "pom.xml", "Rakefile"),
        *(
            "Dockerfile",
            "conftest.py",
            "CMakeLists.txt",
            "build.rs",
            "Gemfile",
            "tox.ini",
            "noxfile.py",
            "justfile",
            "composer.json",
            ".npmrc",
        ),
    )
)
# Words of one command that are looked at: more than anybody types.
MOST_WORDS = 1000
# Programs that do nothing with a word but print it.
_PRINTS_ALL = frozenset(("echo", "printf", ":", "true", "false"))
# What a tool that others share does not do in a rehearsal.
_REHEARSED = frozenset(("cloud", "services", "shared-history"))
# So many words of a program that nobody knows are tried as the start of another one.
_MOST_STARTED = 9
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "csh", "tcsh", "su", "login"))
_GIVEN_CODE = spec_of("-c|--command|-n|--version")
# A cmdlet of PowerShell: a verb and a noun, each with a capital letter.
_CMDLET = re.compile(r"(?:[A-Z][a-z]+)-[A-Z]\w+")


# What flows into these from the network lies on the disk afterwards.
_UNPACKERS = frozenset(("tar", "bsdtar", "gtar", "cpio", "unzip", "bsdcpio", "pax", "tee", "dd", "sponge"))


def run(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """Judges a program and returns what it prints, as far as that is known."""
    shell.findings.step(words=len(arguments))
    name = program_name(shell, arguments, stdin)
    if name is None:
        return UNKNOWN
    if len(arguments) > MOST_WORDS and name not in _PRINTS_ALL:
        shell.report("unknown", "unsettled", f"it has more than {MOST_WORDS:,} words", arguments[0])
        arguments = arguments[:MOST_WORDS]
    call = read_call(name, arguments[1:])
    program = call.program
    if (program.is_listed or name in shell.settings.rules) and _only_tells(program, call, arguments):
        return UNKNOWN
    if name in _UNPACKERS and stdin is not None and taint_of(stdin) == "network":
        shell.environment.fetched.append(name)
    if _CMDLET.fullmatch(name) and name not in shell.calls:
        text = " ".join(argument.text if re.fullmatch(r"[\w./\\:*$-]+", argument.text) else f'"{argument.text}"' for argument in arguments)
        inner = shell.apart()
        inner.calls = (*shell.calls, name)
        inner.inline("powershell", text, Argument("", arguments[0].start, arguments[-1].end), stdin)
    paths = roles_of(call)
    ruled = _judge_rules(shell, name, call, arguments[0], paths, stdin)
    content = content_of(shell, name, call, paths, stdin)
    for role, path in paths:
        _judge_path(shell, "truncate" if role == "write" and content == "" else role, path, call, content)
    judge_flow_out(shell, call, stdin)
    if name in _KEEPING and any(ENDLESS in text for text in (stdin or "", *(shell.file_content(path.text) for _, path in paths))):
        shell.report("dangerous", "resources", "keeps in memory what has no end", arguments[0])
    if reserved_by(call) >= TOO_MUCH:
        shell.report("dangerous", "resources", "takes more room than most disks have", arguments[0])
    if not ruled:
        judge_open(shell, call, arguments[0])
    judge_wording(shell, call, arguments[0], ruled)
    judge_started_elsewhere(shell, name, arguments, stdin)
    _judge_base(shell, name, call, arguments, stdin)  # Last: a rule's own words say more.
    if (search := searches.SEARCHES.get(name)) is not None:
        return search(shell, call, arguments, stdin)
    said = _follow_code(shell, call, stdin)
    if call.rest:
        return _follow_inner(shell, call, stdin)
    return said if is_settled(said) else printed_by(shell, name, call, arguments, stdin)


def _only_tells(program: Program, call: Call, arguments: list[Argument]) -> bool:
    """Whether the program only shows its help or version."""
    return (program.inner is None and call.has(_HELP) is not None) or (len(arguments) == 2 and arguments[1].text in _TOLD)


def judge_builtin(shell: Context, arguments: list[Argument], stdin: str | None) -> None:
    """Rules about one of the shell's own commands."""
    name = arguments[0].text
    if name in shell.settings.rules:
        call = read_call(name, arguments[1:])
        _judge_rules(shell, name, call, arguments[0], roles_of(call), stdin)


def _judge_started(shell: Context, arguments: list[Argument]) -> None:
    """A program of whose operands nothing is known may start one: `wrapper rm -rf /`. What that would do counts where it is dangerous."""
    for index, argument in enumerate(arguments[1:_MOST_STARTED], 1):
        if argument.text in programs() and argument.text not in _SUBCOMMANDS and index + 1 < len(arguments):
            worst = shell.trial(partial(_dispatched, arguments[index:]))
            if worst is not None and worst.level == "dangerous":
                shell.report("dangerous", worst.danger, f"it seems to start `{shown(argument.text)}`, which {worst.reason}", argument)
                return


def _dispatched(arguments: list[Argument], shell: Context) -> str:
    return shell.dispatch(arguments, None)


def _judge_base(shell: Context, name: str, call: Call, arguments: list[Argument], stdin: str | None) -> None:
    program, place = call.program, arguments[0]
    if shell.environment.privileged and name in _SHELLS and stdin is None and not call.own_operands() and not call.has(_GIVEN_CODE):
        shell.report("dangerous", "privilege", "opens a shell with all rights", place)
    if shell.environment.privileged:
        shell.report("caution", "privilege", "runs as another user", place)
    if not program.is_listed:
        _judge_started(shell, arguments)
        shell.report("caution", "", f"nothing is known of `{shown(name)}`", place)
    elif program.runs_project:
        written = next((path for path in shell.environment.files if path.rsplit("/", 1)[-1] in _RUN_BY_PROJECTS), None)
        if written is not None:
            shell.report("unknown", "unsettled", f"`{shown(name)}` runs what `{shown(written)}` now says", place)
        if shell.environment.fetched and shell.environment.privileged:
            shell.report("dangerous", "remote-code", f"`{shown(name)}` may run what was just fetched, with all rights", place)
        shell.report("caution", "", f"`{shown(name)}` runs the project's own code", place)
    elif program.level == "safe" and program.inner is None and changes_something(call):
        shell.report("caution", "", f"`{shown(name)}` is told to change something", place)
    elif program.level == "caution":
        shell.report("caution", "", f"`{shown(program.name)}` changes something", place)


def _judge_rules(shell: Context, name: str, call: Call, place: Argument, paths: list[tuple[str, Argument]], stdin: str | None) -> bool:
    """Reports the rules that hold; whether one does."""
    rules = shell.settings.rules
    own, general = rules.get(name, ()), rules.get(ANY_PROGRAM, ())
    if not own and not (general and shell.assigned):
        return False
    situation = Situation(
        stdin,
        shell.assigned,
        shell.environment.privileged,
        shell.environment.cwd,
        tuple(path for _, path in paths),
        shell.findings.spend,
    )
    held = False
    tries = name in lexicon().tools and rehearses(call)
    for rule in (*own, *general):
        if rule.environment and not shell.assigned:
            continue
        found = rule.applies(call, situation)
        if found is not None:
            held = True
            if tries and rule.danger in _REHEARSED:
                continue
            shell.report(rule.level, rule.danger, rule.reason, found if found.start >= 0 else place)
    return held


def _judge_path(shell: Context, role: str, path: Argument, call: Call, content: str) -> None:
    if role in ("send", "host"):
        judge_sent(shell, role, path, call)
    elif role == "mount":
        _judge_mounted(shell, path)
    elif role == UNSAID:
        _judge_unsaid(shell, path, call)
    elif role == "execute":
        _judge_executed(shell, path, call)
    elif role == "install":
        _judge_installed(shell, path)
    elif role == "update":
        shell.harm("read", path)
        _judge_path(shell, "append", path, call, content)
    elif role == "permissions" and _closes(call) and _SECRET_ZONES & zones_of(path.text, shell.environment.cwd) == {"credentials"}:
        shell.report("caution", "permissions", f"closes `{shown(path.text)}` to others", path)
    elif role in PATH_ROLES and not is_option(path.text):
        if role == "write" and GLOB.search(path.text.replace(NUMBER, "")) and any(option.value is path for option in call.options):
            shell.report("unknown", "truncation", f"writes over the first of `{shown(path.text)}`", path)
        shell.harm(role, path, call.is_tree() or role == "move", content)
        if role in ("write", "append", "truncate") and path.text not in ("-", "/dev/null", "/dev/stdout"):
            if ENDLESS in content and not is_device(path.text):
                shell.report("dangerous", "resources", f"writes to `{shown(path.text)}` without an end", path)
            shell.report("caution", "", f"writes `{shown(path.text)}`", path)


def _closes(call: Call) -> bool:
    """Whether a mode leaves rights to the owner alone."""
    return call.name in ("chmod", "gchmod") and bool(call.operands) and _OWN_MODE.fullmatch(call.operands[0].text) is not None


def _judge_mounted(shell: Context, path: Argument) -> None:
    """A folder of this machine that a container is given: `HOST:CONTAINER`, `type=bind,source=HOST,...`."""
    source = _MOUNT_SOURCE.search(path.text)
    host = source[1] if source else path.text.partition(":")[0]
    if host[:1] in (".", "/", "~", HOME, CWD):
        shell.harm("read", path._replace(text=host), tree=True)


def _judge_unsaid(shell: Context, path: Argument, call: Call) -> None:
    """An operand of which nothing is known: where it is a file with credentials, it is taken to be read.

    After an option that asks for a key it is the key that the program works with.
    """
    is_key = any(option.place.end + 1 == path.start and _ASKS_FOR_KEY.search(option.name) for option in call.options)
    if "/" in path.text and not is_option(path.text) and not is_key:
        shell.harm("read", path)


def _judge_installed(shell: Context, path: Argument) -> None:
    """A package by its name, its file or its URL."""
    if path.text.startswith(("http://", "ftp://")) and not shell.is_allowed(path.text):
        shell.report("dangerous", "packages", "installs what comes over a connection that anybody can change", path)
    elif "://" not in path.text and NETWORK in shell.file_content(path.text):
        shell.report("dangerous", "remote-code", f"installs `{shown(path.text)}`, which comes from the network", path)


def _judge_executed(shell: Context, path: Argument, call: Call) -> None:
    content = shell.file_content(path.text)
    if is_settled(content) and content:
        shell.code(call.program.language or "other", content, path)
    elif NETWORK in content:
        shell.report("dangerous", "remote-code", f"runs or installs `{shown(path.text)}`, which comes from the network", path)
    elif UNSETTLED.search(path.text):
        shell.report("unknown", "unsettled", "which code it runs is known only at run time", path)
    elif path.text.startswith(SHARED_FOLDERS):
        shell.report("unknown", "unsettled", f"runs `{shown(path.text)}`, which anybody may have put there", path)


def _follow_code(shell: Context, call: Call, stdin: str | None) -> str:
    """Code in options, operands, files and the flow in; what it prints, where that is known."""
    program = call.program
    took, said = False, UNKNOWN
    operands = call.own_operands()
    for role, path in roles_of(call):
        if role == "execute" and path.text in ("-", "/dev/stdin") and stdin is not None:
            took = True
            said = _run_code(shell, program.language or "other", path._replace(text=stdin), [], call, None)
        took = took or role == "execute"  # Its code stands in a file.
        if not role.startswith("code:"):
            continue
        took = True
        text, rest = path, operands
        option = next((option for option in call.options if option.value is path), None)
        if option is not None and role == "code:shell" and len(option.name) == 2 and _is_more_options(program, option):
            text, rest = (operands[0], operands[1:]) if operands else (path, [])
        if text.text == "-" and stdin is not None:
            said = _run_code(shell, role[5:], text._replace(text=stdin), [], call, None)
            continue
        where = shell
        if option is not None and program.takes_arguments and rest:
            where = shell.apart()
            where.environment.variables["0"] = rest[0].text
        said = _run_code(where, role[5:], text, [operand.text for operand in rest[1:]], call, stdin)
    language = program.language if program.stdin.startswith("code:") else ""
    if program.script and not took:
        file = next((operand for operand in operands if operand.text != "-"), None)
        if file is not None and "-s" not in {option.name for option in call.options}:
            _run_file(shell, language, file, [operand.text for operand in operands[1:]], stdin)
            return UNKNOWN
    if program.stdin == "sent" and program.language and stdin is not None and is_settled(stdin):
        shell.code(program.language, stdin, Argument(stdin, *shell.here))
    if language and not took and stdin is not None and not call.rest:
        said = _run_code(shell, language, Argument(stdin, *shell.here), [operand.text for operand in operands], call, None)
    return said


def _is_more_options(program: Program, option: Option) -> bool:
    """Whether what stands as the option's value are further options, and the code follows: `bash -cx CODE`, `sh -c -- CODE`."""
    value = option.value
    if value is None:
        return False
    within = option.place.text != option.name and value.start == option.place.start
    return program.script and (within or is_option(value.text))


def _run_code(shell: Context, language: str, place: Argument, arguments: list[str], call: Call, stdin: str | None) -> str:
    text = place.text
    if language == "awk":
        given = [option.value.text.partition("=") for option in call.options if option.name in _AWK_VARIABLE and option.value is not None]
        text = "".join(f'BEGIN {{ {name} = "{value}" }}\n' for name, _, value in given) + text
    return shell.code(language, text, place, arguments if language == "shell" else None, stdin)


def _run_file(shell: Context, language: str, file: Argument, arguments: list[str], stdin: str | None) -> None:
    content = stdin if stdin is not None and file.text in _FLOWS_IN else shell.file_content(file.text)
    if UNSETTLED.search(file.text):
        level = ("dangerous", "remote-code") if taint_of(file.text) == "network" else ("unknown", "unsettled")
        shell.report(*level, "which file it runs is known only at run time", file)
    elif content in (UNKNOWN, SECRET, PERSONAL):
        if shell.environment.fetched:
            shell.report("unknown", "remote-code", f"`{shown(file.text)}` may be what was just fetched from the network", file)
        if file.text.startswith((*SHARED_FOLDERS, "/dev/fd/")):
            shell.report("unknown", "unsettled", f"runs `{shown(file.text)}`, which anybody may have put there", file)
        shell.report("caution", "", f"runs the code in `{shown(file.text)}`", file)
    else:
        shell.code(language or "shell", content, file, arguments if language in ("", "shell") else None)


def _follow_inner(shell: Context, call: Call, stdin: str | None) -> str:
    """The program that a wrapper starts."""
    program = call.program
    inner = shell.apart()
    rest = list(call.rest)
    if program.inner_assigns:
        for operand in call.operands:
            name, equals, value = operand.text.partition("=")
            if equals:
                inner.environment.variables[name] = value
                inner.assigned |= {name, operand.text}
    if program.privileged:
        inner.environment.privileged = True
    if program.inner_text:
        place = Argument("", rest[0].start, rest[-1].end)
        text = " ".join(argument.text for argument in rest)
        if UNSETTLED.search(text):
            if not UNSETTLED.sub("", text).strip() or taint_of(text) in ("network", "decoded"):
                return inner.code("shell", text, place, stdin=stdin)
            shell.report("caution", "", "a part of the command it runs is known only at run time", place)
        return inner.shell_text(text, place, stdin=stdin)
    if program.inner_remote:
        inner.environment.files = {}
    inner.environment.functions = {}
    return inner.dispatch(rest, stdin)
