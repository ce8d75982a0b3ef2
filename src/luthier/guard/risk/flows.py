"""What flows into and out of a program: what it reads, copies and prints, as far as that is known."""

from __future__ import annotations

from luthier.guard.risk.amounts import TOO_MUCH, limit_of
from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument, Call, is_option, spec_of
from luthier.guard.risk.outputs import changed_flow, printed
from luthier.guard.risk.paths import zones_of
from luthier.guard.risk.roles import hosts_of, roles_of
from luthier.guard.values.symbols import CLASS, DECODED, ENDLESS, GLOB, PERSONAL, SECRET, STAR, TRUSTED, UNKNOWN

_SETUP_PROGRAMS = frozenset(
    ("ssh-agent", "dircolors", "gdircolors", "lesspipe", "lesspipe.sh", "resize", "keychain", "register-python-argcomplete", "path_helper")
)
_SETUP_WORDS = frozenset(
    (
        "init",
        "hook",
        "completion",
        "completions",
        "shellenv",
        "shell.bash",
        "shell.zsh",
        "shell.posix",
        "activate",
        "docker-env",
        "env",
        "shell-init",
    )
)
_SETUP_OPTION = spec_of("--alias|--shellenv|--completion")
# What programs print of which the data files say so.
_PRINTED = {"secret": SECRET, "data": PERSONAL}
_PERSONAL_PLACES = frozenset(("home", "homes", "documents", "root", "system", "accounts", "data"))
_TO_NOTHING = spec_of("-s=0|--size=0")
_FOLDER = spec_of("-P|--directory-prefix|--output-dir")


def printed_by(shell: Context, name: str, call: Call, arguments: list[Argument], stdin: str | None) -> str:
    """What the program prints; what it fetches or copies into files is noted."""
    program = call.program
    if (
        program.network
        and (program.stdout != "network" or _writes_file(shell, call))
        and not all(map(shell.is_allowed, (host.text for host in hosts_of(call))))
    ):
        shell.environment.fetched.append(name)
    if program.stdout == "network":
        return shell.fetched(hosts_of(call)) if not _writes_file(shell, call) else ""
    if program.stdout in _PRINTED:
        return _PRINTED[program.stdout]
    if program.stdout == "decoded":
        known = printed(name, call, arguments[1:], _read(shell, call, stdin))
        return known if known is not None else changed_flow(_read(shell, call, stdin)).replace(UNKNOWN, DECODED)
    if _prints_setup(call):
        return TRUSTED
    if program.stdout == "files":
        return _listed(call)
    if name in ("echo", "printf", "which", "basename", "dirname", "realpath", "readlink", "mktemp", "seq"):
        return printed(name, call, arguments[1:], "") or ""
    if program.stdout != "stdin" and name not in ("rev", "tr", "cut", "xxd", "base64", "base32"):
        known = printed(name, call, arguments[1:], "")
        return UNKNOWN if known is None else known
    flow = _read(shell, call, stdin)
    for role, path in roles_of(call):
        if role in ("write", "append", "truncate"):
            shell.remember(path.text, flow, role == "append")
    known = printed(name, call, arguments[1:], flow)
    return changed_flow(flow) if known is None else known


def _prints_setup(call: Call) -> bool:
    """Whether a known program prints what a shell reads at its start: `ssh-agent -s`, `kubectl completion zsh`."""
    if not call.program.is_listed or call.program.script:
        return False
    if call.name in _SETUP_PROGRAMS:
        return True
    return any(operand.text in _SETUP_WORDS for operand in call.operands[:2]) or call.has(_SETUP_OPTION) is not None


def _writes_file(shell: Context, call: Call) -> bool:
    """Whether what is fetched goes to a file, which then is remembered to hold it."""
    content = shell.fetched(hosts_of(call))
    folder = call.has(_FOLDER)
    inside = folder.value if folder is not None else None
    target = next((path for role, path in roles_of(call) if role == "write" and path is not inside), None)
    if target is not None and target.text not in ("-", "/dev/stdout"):
        shell.remember(target.text, content)
        return True
    remote = call.has(spec_of("-O|--remote-name|--remote-name-all")) if call.name == "curl" else call.name in ("wget", "aria2c", "axel")
    if remote and not (target is not None):
        for host in hosts_of(call):
            name = host.text.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1] or "index.html"
            shell.remember(f"{inside.text}/{name}" if inside is not None else name, content)
        return True
    return False


def _read(shell: Context, call: Call, stdin: str | None) -> str:
    """What a filter reads: its files, else the flow in; of what has no end no more than `dd count=1` lets through."""
    files = [path for role, path in roles_of(call) if role == "read" and path.text != "-"]
    if any(_is_personal(shell, call, path) for path in files):
        return PERSONAL
    flow = "".join([shell.file_content(path.text) for path in files]) if files else UNKNOWN if stdin is None else stdin
    limit = limit_of(call.name, call)
    return flow.replace(ENDLESS, UNKNOWN) if limit is not None and limit < TOO_MUCH else flow


def _is_personal(shell: Context, call: Call, path: Argument) -> bool:
    """Whether a whole home, or all of what somebody keeps there, is read."""
    return call.is_tree() and not _PERSONAL_PLACES.isdisjoint(zones_of(path.text, shell.environment.cwd))


# Programs that print what lies in a folder without the folder's name.
_NAMES_ALONE = frozenset(("ls", "gls", "dir", "vdir", "exa", "eza", "lsd"))


def _listed(call: Call) -> str:
    """Names that a listing prints: what its operands say, or all names of the working folder."""
    operands = [operand.text for operand in call.own_operands() if not is_option(operand.text)]
    if not operands or (call.name in _NAMES_ALONE and len(operands) == 1 and not GLOB.search(operands[0])):
        return STAR  # Names without their folder.
    return "\n".join(operand if GLOB.search(operand) else f"{operand.rstrip('/')}/{CLASS}{STAR}" for operand in operands)


def content_of(shell: Context, name: str, call: Call, paths: list[tuple[str, Argument]], stdin: str | None) -> str:
    """What a program that copies would write: of its first file, or of the flow in."""
    if call.program.stdout != "stdin" and name not in ("cp", "install", "dd", "mv", "ln", "sponge", "truncate", "gtruncate"):
        return UNKNOWN
    if name in ("truncate", "gtruncate"):
        return "" if call.has(_TO_NOTHING) is not None else UNKNOWN
    source = next((path for role, path in paths if role == "read"), None)
    content = shell.file_content(source.text) if source is not None else stdin if stdin is not None else UNKNOWN
    limit = limit_of(name, call)
    return content.replace(ENDLESS, UNKNOWN) if limit is not None and limit < TOO_MUCH else content
