"""One program with its arguments, judged by what is known of it: base level, rules, roles of its operands, what it starts and prints."""

from __future__ import annotations

import re
from functools import partial

from luthier.guard.risk import searches
from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import UNSAID, Argument, Call, Option, Program, is_option, programs, read_call, spec_of
from luthier.guard.risk.flows import content_of, printed_by
from luthier.guard.risk.names import program_name
from luthier.guard.risk.paths import zones_of
from luthier.guard.risk.roles import all_allowed, roles_of
from luthier.guard.risk.rules import ANY_PROGRAM, Situation
from luthier.guard.risk.values import (
    CWD,
    ENDLESS,
    HOME,
    NETWORK,
    PASSWORD,
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
# A header by which a request shows who sends it: what tokens are for.
_AUTHORISES = re.compile(r"(?:proxy-)?authorization:|(?:x-|private-)?[\w-]*(?:token|key)\s*:|cookie:", re.IGNORECASE)
_OWN_MODE = re.compile(r"0?[4-7]00|(?:go|og|g|o)(?:-[rwx]+|=)(?:,(?:g|o|u)[-+=][rwx]*)*")
_SECRET_ZONES = frozenset(("credentials", "accounts", "binaries"))
# Options with which a program that only reads elsewhere changes a file after all.
_CHANGES = spec_of("--in-place|--inplace|--overwrite|--write|--fix|--apply|--update-all|--exec|--delete|--save")
_WRITES = spec_of("--output|--output-file|--outfile|--out|--output-dir|--log-file")
_AWK_VARIABLE = ("-v", "--assign")
# Programs that keep all that they read before they write.
_KEEPING = frozenset(("tail", "sort", "tac", "shuf", "sponge", "gsort", "gtail", "rev"))
# Programs that hand what flows in to a host as it is, to no account of one's own.
_OPEN_SENDERS = frozenset(
    (
        *("nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "cryptcat", "socat", "telnet", "curl", "curlie", "wget", "http", "https"),
        *("xh", "ftp", "lftp", "tftp", "websocat", "wscat", "mail", "mailx", "mutt", "sendmail", "msmtp", "swaks", "openssl"),
    )
)
# Files that are what flows in.
_FLOWS_IN = frozenset(("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
# So many words of a program that nobody knows are tried as the start of another one.
_MOST_STARTED = 9
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "csh", "tcsh", "su", "login"))
_GIVEN_CODE = spec_of("-c|--command|-n|--version")
_ATTACHED_FILE = re.compile(r"(?:[\w.-]*=?)?[@<](?!-)([^;,]+)")


# What flows into these from the network lies on the disk afterwards.
_UNPACKERS = frozenset(("tar", "bsdtar", "gtar", "cpio", "unzip", "bsdcpio", "pax", "tee", "dd", "sponge"))


def run(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """Judges a program and returns what it prints, as far as that is known."""
    shell.findings.step()
    name = program_name(shell, arguments, stdin)
    if name is None:
        return UNKNOWN
    call = read_call(name, arguments[1:])
    program = call.program
    if (program.is_listed or name in shell.settings.rules) and _only_tells(program, call, arguments):
        return UNKNOWN
    if name in _UNPACKERS and stdin is not None and taint_of(stdin) == "network":
        shell.environment.fetched.append(name)
    paths = roles_of(call)
    _judge_rules(shell, name, call, arguments[0], paths, stdin)
    content = content_of(shell, name, call, paths, stdin)
    for role, path in paths:
        _judge_path(shell, "truncate" if role == "write" and content == "" else role, path, call, content)
    _judge_flow_out(shell, call, stdin)
    if name in _KEEPING and any(ENDLESS in text for text in (stdin or "", *(shell.file_content(path.text) for _, path in paths))):
        shell.report("dangerous", "resources", "keeps in memory what has no end", arguments[0])
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
        shell.report("caution", "", f"`{shown(name)}` runs the project's own code", place)
    elif program.level == "safe" and program.inner is None and _changes_something(call):
        shell.report("caution", "", f"`{shown(name)}` is told to change something", place)
    elif program.level == "caution":
        shell.report("caution", "", f"`{shown(program.name)}` changes something", place)


def _changes_something(call: Call) -> bool:
    option = call.has(_WRITES)
    to_file = option is not None and option.value is not None and re.search(r"[/.]", option.value.text) is not None
    return to_file or call.has(_CHANGES) is not None


def _judge_rules(shell: Context, name: str, call: Call, place: Argument, paths: list[tuple[str, Argument]], stdin: str | None) -> None:
    rules = shell.settings.rules
    own, general = rules.get(name, ()), rules.get(ANY_PROGRAM, ())
    if not own and not (general and shell.assigned):
        return
    situation = Situation(
        stdin,
        shell.assigned,
        shell.environment.privileged,
        shell.environment.cwd,
        tuple(path for _, path in paths),
    )
    for rule in (*own, *general):
        if rule.environment and not shell.assigned:
            continue
        found = rule.applies(call, situation)
        if found is not None:
            shell.report(rule.level, rule.danger, rule.reason, found if found.start >= 0 else place)


def _judge_path(shell: Context, role: str, path: Argument, call: Call, content: str) -> None:
    if role in ("send", "host"):
        _judge_sent(shell, role, path, call)
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
        shell.harm(role, path, call.is_tree() or role == "move", content)
        if role in ("write", "append", "truncate") and path.text not in ("-", "/dev/null", "/dev/stdout"):
            if ENDLESS in content and not path.text.startswith("/dev/"):
                shell.report("dangerous", "resources", f"writes to `{shown(path.text)}` without an end", path)
            shell.report("caution", "", f"writes `{shown(path.text)}`", path)


def _judge_sent(shell: Context, role: str, path: Argument, call: Call) -> None:
    text = path.text
    if role == "send":
        file = _ATTACHED_FILE.match(text)
        attached = re.sub(r"^~(?=/)", HOME, file[1] if file else text)  # The tool itself may read a tilde.
        shell.harm("send", path._replace(text=attached))
        text += shell.file_content(attached).replace(UNKNOWN, "")
    if role == "send" and PERSONAL in text:
        shell.report("dangerous", "exfiltration", "sends accounts, a home folder or a whole database to another machine", path)
    lent = PASSWORD in text and not _AUTHORISES.match(text)
    if SECRET in text or (role == "send" and lent and not all_allowed(shell, call)):
        shell.report("dangerous", "exfiltration", "sends credentials over the network", path)


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


def _judge_flow_out(shell: Context, call: Call, stdin: str | None) -> None:
    """Credentials that flow into a program that sends what it reads."""
    if stdin is None or all_allowed(shell, call):
        return
    if PERSONAL in stdin and call.name in _OPEN_SENDERS and (call.program.stdin == "sent" or _reads_stdin(call)):
        shell.report("dangerous", "exfiltration", "sends accounts, a home folder or a whole database to another machine")
    if taint_of(stdin) != "secret":
        return
    if call.program.stdin == "sent" or (call.program.network and (call.program.stdin or _reads_stdin(call))):
        shell.report("dangerous", "exfiltration", "sends credentials over the network")


def _reads_stdin(call: Call) -> bool:
    return any(option.value is not None and option.value.text in ("-", "@-", "@/dev/stdin") for option in call.options) or any(
        operand.text == "-" for operand in call.operands
    )


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
    return within or (program.script and is_option(value.text))


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
