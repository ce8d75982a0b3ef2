"""What leaves this machine: files and credentials that a program sends, and what flows into it."""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument, Call
from luthier.guard.risk.hosts import PUBLIC_ADDRESS, host_of, is_own_host
from luthier.guard.risk.lexicon import lexicon
from luthier.guard.risk.roles import all_allowed, hosts_of
from luthier.guard.values.symbols import HOME, PASSWORD, PERSONAL, SECRET, UNKNOWN, is_settled, shown, taint_of

# A header by which a request shows who sends it: what tokens are for.
_AUTHORISES = re.compile(r"(?:proxy-)?authorization:|(?:x-|private-)?[\w-]*(?:token|key)\s*:|cookie:", re.IGNORECASE)
# Programs that hand what flows in to a host as it is, to no account of one's own.
_OPEN_SENDERS = frozenset(
    (
        *("nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "cryptcat", "socat", "telnet", "curl", "curlie", "wget", "http", "https"),
        *("xh", "ftp", "lftp", "tftp", "websocat", "wscat", "mail", "mailx", "mutt", "sendmail", "msmtp", "swaks", "openssl"),
    )
)
_RAW_SENDERS = frozenset(("nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "cryptcat", "telnet", "ftp", "lftp", "tftp"))
# A host that no name speaks for, outside the ranges of one's own.
_ADDRESS = re.compile(rf"(?:[^@]*@)?{PUBLIC_ADDRESS}")
_OTHERS_FILES = ("/srv/", "/var/", "/etc/", "/home/", "/root/", "/opt/", "/data/", "/mnt/", "/media/", "/backup")
_ATTACHED_FILE = re.compile(r"(?:[\w.-]*=?)?[@<](?!-)([^;,]+)")


def judge_sent(shell: Context, role: str, path: Argument, call: Call) -> None:
    """Reports what leaves for a host: `path` is sent to one (`send`), or names the one that is talked to (`host`)."""
    text = path.text
    if role == "send":
        file = _ATTACHED_FILE.match(text)
        attached = re.sub(r"^~(?=/)", HOME, file[1] if file else text)  # The tool itself may read a tilde.
        shell.harm("send", path._replace(text=attached))
        if attached.startswith(("/", HOME)) and is_settled(attached) and not _stays(shell, call):
            level = "dangerous" if attached.startswith(_OTHERS_FILES) else "unknown"
            shell.report(level, "exfiltration", f"whether the receiver may have `{shown(attached)}` is not known", path)
        text += shell.file_content(attached).replace(UNKNOWN, "")
    if role == "send" and PERSONAL in text:
        shell.report("dangerous", "exfiltration", "sends accounts, a home folder or a whole database to another machine", path)
    lent = PASSWORD in text and not _AUTHORISES.match(text)
    if SECRET in text or (role == "send" and lent and not all_allowed(shell, call)):
        shell.report("dangerous", "exfiltration", "sends credentials over the network", path)


def _stays(shell: Context, call: Call) -> bool:
    """Whether all the hosts of a call are this machine, machines of one's own network, or allowed ones."""
    hosts = hosts_of(call)
    return bool(hosts) and all(shell.is_allowed(host.text) or is_own_host(host_of(host.text)) for host in hosts)


def judge_flow_out(shell: Context, call: Call, stdin: str | None) -> None:
    """Credentials that flow into a program that sends what it reads."""
    if stdin is None or all_allowed(shell, call):
        return
    if PERSONAL in stdin and call.name in _OPEN_SENDERS and (call.program.stdin == "sent" or _reads_stdin(call)):
        shell.report("dangerous", "exfiltration", "sends accounts, a home folder or a whole database to another machine")
    if call.name in lexicon().uploaders and not is_settled(stdin) and _reads_stdin(call) and not _stays(shell, call):
        shell.report("unknown", "exfiltration", "whether the receiver may have what flows in is not known")
    if call.name in _RAW_SENDERS and not is_settled(stdin) and not _stays(shell, call) and hosts_of(call):
        shell.report("dangerous", "exfiltration", "sends what only the run knows to another machine as it is")
    if not is_settled(stdin) and call.name in ("ssh", "autossh") and any(_ADDRESS.fullmatch(host.text) for host in hosts_of(call)):
        shell.report("dangerous", "exfiltration", "sends what only the run knows to a machine without a name")
    if taint_of(stdin) != "secret":
        return
    if call.program.stdin == "sent" or (call.program.network and (call.program.stdin or _reads_stdin(call))):
        shell.report("dangerous", "exfiltration", "sends credentials over the network")


def _reads_stdin(call: Call) -> bool:
    return any(option.value is not None and option.value.text in ("-", "@-", "@/dev/stdin") for option in call.options) or any(
        operand.text == "-" for operand in call.operands
    )
