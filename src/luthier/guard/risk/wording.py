"""What the wording of a call warns of, whichever program it is: options that start programs or pass by checks, verbs of loss."""

from __future__ import annotations

import re

from luthier.guard.risk.context import FETCHED_AND_RUN, Context
from luthier.guard.risk.facts import Argument, Call, Option, is_option, spec_of
from luthier.guard.risk.hosts import OWN_HOST, PUBLIC_ADDRESS
from luthier.guard.risk.lexicon import REHEARSES, lexicon
from luthier.guard.risk.paths import names_hidden_in_shared
from luthier.guard.values.symbols import SECRET, shown

# Names of options whose value a program runs.
_STARTS = re.compile(
    r"--?(?:[\w-]+-)?(?:exec|execute|cmd|command|pre|hook|editor|pager|rsh|diff-cmd|diff3-cmd|merge-cmd|editor-cmd|wrapper|launcher|"
    r"preprocessor|askpass|on-[\w-]+|post-[\w-]+|pre-[\w-]+|helper|shell-command|interpreter|use-compress-program|proxy-command)"
)
# Names of options that go past what would stop the program.
_PASSES_BY = re.compile(
    r"--(?:bypass-[\w-]+|ignore-immutable|dangerously[\w-]*|unsafe[\w-]*|insecure[\w-]*|skip-(?:verif|check|auth|ssl|tls|sig|secur)[\w-]*|"
    r"allow-(?:unsafe|backwards|untrusted|unauthenticated|insecure|root|downgrade|empty|remote|host)[\w-]*|no-(?:check|verify|gpg|sign|ssl|tls|auth|"
    r"password|preserve-root|sandbox|protection|backup|safety|prompt-before)[\w-]*|disable-(?:ssl|tls|verif|check|auth|sandbox|secur|protect|"
    r"host|web-security|sign|firewall|hook)[\w-]*|yes-i-[\w-]*|i-know-[\w-]*|really-[\w-]*|force-[\w-]*delete[\w-]*|accept-any[\w-]*|"
    r"trust-(?:all|any|every)[\w-]*|privileged|destructive|purge[\w-]*|wipe[\w-]*|erase[\w-]*|zap[\w-]*|overwrite-all[\w-]*)"
)
_SAYS_SO = re.compile(r"--(?:bypass-|dangerously|unsafe-allow|yes-i-|i-know-|really-|destructive|trust-(?:all|any))")
# Options that protect, and values that turn them off.
_PROTECTS = re.compile(
    r"--?(?:[\w-]*(?:auth|verify|tls|ssl|secur|firewall|protect|password|encrypt|sandbox|gpg|signature|selinux|host-key|certificate|csrf|cors|audit)[\w-]*)"
)
_OFF = frozenset(("none", "off", "false", "no", "disabled", "disable", "0", "never", "anonymous", "skip", "insecure"))
# What a plain program name with options never holds.
_MORE = re.compile(r"[;|&`<>\n]|\$\(|^\s*(?:\S*/)?(?:ba|da|z|k)?sh\s|\b(?:curl|wget|nc|python3?|perl|ruby|node)\s")
_FOREIGN = re.compile(rf"(?:.*[=\s'\"])?(?:\w+://)?{PUBLIC_ADDRESS}(?:[:/].*)?|.*=?http://(?!{OWN_HOST}).*", re.DOTALL)
_ADDRESS = re.compile(rf"(?<![\d.]){PUBLIC_ADDRESS}(?![\d.])")
_OWN = re.compile(r"(?:^|[ /@])(?:localhost|127\.|\[::1|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)")
_DATA_FILE = re.compile(
    r"[@<=](?!http)[^\s@<;]*\.(?:csv|tsv|xlsx?|docx?|pdf|sql|db|sqlite3?|dump|bak|tar|tgz|gz|zip|7z|xz|bz2|zst|pem|key|kdbx|env|log|pcap|core|parquet|mbox|pst|ovpn|ppk)"
    r"(?:\.gz|\.zst|\.xz)?(?:;|$)",
    re.IGNORECASE,
)
_BARE_WORDS = re.compile(r"[a-z][a-z:_.-]*")
_REBUILDS = re.compile(
    r"(?:^|\s)(?:db|migrate|database|schema|migrations?|doctrine:(?:database|schema)|ecto)[:._ -]?(?:drop|reset|fresh|purge|wipe|refresh|"
    r"truncate|setup|recreate|nuke|clear|force)(?::\w+)?\b|(?:^|\s)(?:sqlflush|reset_db|flush|dropdb|force-reset|db-reset)(?:\s|$)"
)
_FORCED = spec_of("--force|-f|--yes|-y|--no-input|--noinput|--force-reset|--accept-data-loss|--overwrite")
_EVERY_ADDRESS = re.compile(r"(?:^|[=/@])(?:0\.0\.0\.0|\[::\])(?::\d+)?(?:/|$)")
_BARE = re.compile(r"-{0,2}[a-z][a-z-]*")
_PIECES = re.compile(r"[-:._/]+")


def judge_wording(shell: Context, call: Call, place: Argument, ruled: bool) -> None:
    """Reports what the words of a call warn of, whichever program it is; `ruled` says that a rule has spoken of it."""
    for option in call.options:
        _judge_option(shell, call, option)
    _judge_operands(shell, call)
    if call.name in lexicon().uploaders:
        _judge_uploads(shell, call)
    _judge_set(shell, call)
    _judge_migrations(shell, call)
    _judge_open_address(shell, call)
    if not call.program.is_listed:
        _judge_unlisted(shell, call, place)
    elif call.program.level == "caution" and not ruled and not call.program.operands and not call.program.runs_project:
        _judge_deleting(shell, call)


def _judge_operands(shell: Context, call: Call) -> None:
    """Code that a tool is handed, files that lie hidden, and credentials among its words."""
    if call.name not in lexicon().tellers:
        for argument in _words(call):
            if FETCHED_AND_RUN.search(argument.text):
                shell.report("dangerous", "remote-code", f"is handed `{shown(argument.text)}`, which runs what it fetches", argument)
    reaches = _reaches(call)
    for operand in call.operands:
        if names_hidden_in_shared(operand.text):
            shell.report("dangerous", "obfuscation", f"`{shown(operand.text)}` lies hidden in a folder where anybody can put it", operand)
        if reaches and SECRET in operand.text:
            shell.report("dangerous", "exfiltration", "sends credentials over the network", operand)


def _judge_set(shell: Context, call: Call) -> None:
    """A setting whose value leads to a host that may be anybody's."""
    if not {operand.text.lower() for operand in call.operands[:3]} & lexicon().settings:
        return
    found = next((operand for operand in call.operands if _FOREIGN.fullmatch(operand.text)), None)
    if found is not None:
        level = "dangerous" if _ADDRESS.search(found.text) else "unknown"
        shell.report(level, "tool-hijack", f"sets `{shown(found.text)}`, a place that may belong to somebody else", found)


def _judge_migrations(shell: Context, call: Call) -> None:
    """A framework told to drop or rebuild a database: `rails db:drop`, `prisma migrate reset`, `artisan migrate:fresh`."""
    words = [operand.text.lower() for operand in call.operands[:5] if _BARE_WORDS.fullmatch(operand.text.lower())]
    text = " ".join(words)
    if _REBUILDS.search(text):
        forced = call.has(_FORCED) is not None
        shell.report("dangerous" if forced else "unknown", "cloud", "drops or rebuilds a database", call.operands[0])
    elif "push" in words[:2] and call.name != "git" and call.has(_FORCED) is not None:
        shell.report("unknown", "shared-history", "overwrites what others see", call.operands[0])


def _judge_open_address(shell: Context, call: Call) -> None:
    """A program that nothing is known of, or one that serves a desktop, told to listen on every address."""
    if call.program.is_listed:
        return
    for argument in (*call.operands, *(option.place for option in call.options), *(o.value for o in call.options if o.value is not None)):
        if _EVERY_ADDRESS.search(argument.text):
            shell.report("unknown", "exposure", f"`{shown(call.name)}` listens on every address", argument)
            return


def _words(call: Call) -> list[Argument]:
    return [*call.operands, *(option.value for option in call.options if option.value is not None)]


def _reaches(call: Call) -> bool:
    return call.program.network or call.name in lexicon().tools


def _judge_uploads(shell: Context, call: Call) -> None:
    """Files of data that are sent to a host that is not one's own."""
    if _OWN.search(" ".join(operand.text for operand in call.operands)):
        return
    for argument in _words(call):
        if _DATA_FILE.search(argument.text):
            shell.report("unknown", "exfiltration", f"whether the receiver may have `{shown(argument.text)}` is not known", argument)


def _judge_option(shell: Context, call: Call, option: Option) -> None:
    name, value = option.name, option.value
    if _PROTECTS.fullmatch(name) and value is not None and value.text.lower() in _OFF:
        shell.report("unknown", "tool-hijack", f"`{shown(name)}` is turned off", option.place)
    if _PASSES_BY.fullmatch(name):
        shell.report(
            "dangerous" if _SAYS_SO.match(name) else "unknown", "tool-hijack", f"`{shown(name)}` goes past what would stop it", option.place
        )
    if value is None:
        return
    if names_hidden_in_shared(value.text):
        shell.report("dangerous", "obfuscation", f"`{shown(value.text)}` lies hidden in a folder where anybody can put it", value)
    if (
        _STARTS.fullmatch(name)
        and name not in call.program.options
        and (_MORE.search(value.text) or value.text.startswith(("/tmp/", "/dev/shm/")))
    ):
        shell.report("unknown", "tool-hijack", f"`{shown(name)}` has it run `{shown(value.text)}`", value)
    if SECRET in value.text and _reaches(call):
        shell.report("dangerous", "exfiltration", "sends credentials over the network", value)


def _judge_deleting(shell: Context, call: Call) -> None:
    """A program without a rule for it whose subcommand or option is a verb of loss."""
    if call.has(REHEARSES) is not None:
        return
    for argument in (*call.operands[:2], *(option.place for option in call.options)):
        text = argument.text.partition("=")[0].lower()
        if _BARE.fullmatch(text) and set(_PIECES.split(text)) & lexicon().deletes:
            shell.report("unknown", "unsettled", f"`{shown(call.name)}` is told to `{shown(text.strip('-'))}`", argument)
            return


def _judge_unlisted(shell: Context, call: Call, place: Argument) -> None:
    """A program of which nothing is known, told by its own words to take something away."""
    known = lexicon()
    lossy = known.deletes | known.losses
    said = [operand for operand in call.operands[:2] if not is_option(operand.text)]
    for argument in (*said, *(option.place for option in call.options)):
        text, _, value = argument.text.lower().partition("=")
        # An option is mostly about a thing, `--log-format`: its first piece and its value say what is done.
        pieces = set(_PIECES.split(text)) if argument in said else {*_PIECES.split(text.lstrip("-"))[:1], text.lstrip("-"), value}
        if pieces & lossy and "/" not in text.strip("/"):
            shell.report(
                "unknown", "unsettled", f"nothing is known of `{shown(call.name)}`, and it is told to `{shown(text.strip('-/'))}`", argument
            )
            return
    if set(_PIECES.split(call.name.lower())) & (known.deletes | {"quit", "kill", "shutdown", "wipe"}):
        shell.report("unknown", "unsettled", f"nothing is known of `{shown(call.name)}`, whose name speaks of a loss", place)
