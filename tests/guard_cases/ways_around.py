"""Ways round that leave the command whole and run it by something else: wrappers, shells, substitutions, flow and layout."""

from __future__ import annotations

import shlex

from guard_cases.seeds import Seed
from guard_cases.templates import Way, filled, when

# In front of a program; the rest of a pipeline stays outside.
_PREFIXES = {
    "env": "env «t»",
    "env, empty": "env -i PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/root «t»",
    "env with an assignment": "env -u LANG A=1 «t»",
    "command": "command «t»",
    "command -p": "command -p «t»",
    "builtin command": "builtin command «t»",
    "exec": "exec «t»",
    "exec -a": "exec -a ls «t»",
    "sudo": "sudo «t»",
    "sudo with flags": "sudo -n -E -u root -- «t»",
    "sudo with an assignment": "sudo A=1 «t»",
    "doas": "doas -u root «t»",
    "pkexec": "pkexec «t»",
    "run0": "run0 «t»",
    "nice": "nice «t»",
    "nice with a number": "nice -n 19 «t»",
    "nice, old form": "nice -19 «t»",
    "timeout": "timeout 30 «t»",
    "timeout with flags": "timeout -k 5s --signal=KILL 1h «t»",
    "nohup": "nohup «t»",
    "setsid": "setsid -w «t»",
    "stdbuf": "stdbuf -i0 -oL -e 0 «t»",
    "ionice": "ionice -c 3 «t»",
    "chrt": "chrt -o 0 «t»",
    "taskset": "taskset -c 0 «t»",
    "prlimit": "prlimit --nofile=1024 «t»",
    "setpriv": "setpriv --no-new-privs «t»",
    "chroot": "chroot / «t»",
    "unshare": "unshare -r «t»",
    "nsenter": "nsenter -t 1 -m «t»",
    "flock": "flock /tmp/lock «t»",
    "time": "time «t»",
    "time -p": "time -p «t»",
    "time, the program": "/usr/bin/time -v -o /dev/null «t»",
    "strace": "strace -f -o /dev/null «t»",
    "ltrace": "ltrace -o /dev/null «t»",
    "gdb": "gdb -batch -ex run --args «t»",
    "catchsegv": "catchsegv «t»",
    "busybox": "busybox «t»",
    "toybox": "toybox «t»",
    "xargs without input": "xargs «t» </dev/null",
    "watch": "watch -n 1 «t»",
    "systemd-run": "systemd-run --wait --pipe «t»",
    "runuser": "runuser -u root -- «t»",
    "dbus-run-session": "dbus-run-session -- «t»",
    "caffeinate": "caffeinate -i «t»",
    "chronic": "chronic «t»",
    "unbuffer": "unbuffer «t»",
    "torsocks": "torsocks «t»",
    "proxychains": "proxychains4 -q «t»",
    "faketime": "faketime yesterday «t»",
    "firejail": "firejail --noprofile «t»",
    "ssh, words": "ssh root@host «t»",
    "sshpass": "sshpass -p x ssh host «t»",
    "setarch": "setarch -R «t»",
    "choom": "choom -n 500 -- «t»",
    "uv run": "uv run «t»",
    "direnv": "direnv exec . «t»",
    "three wrappers": "sudo env A=1 nice -n 5 «t»",
    "five wrappers": "sudo -H nohup setsid ionice -c3 timeout 9 «t»",
    "wrapper by its path": "/usr/bin/env /usr/bin/nice «t»",
    "wrapper hidden": "e''nv \\nice «t»",
    "coproc": "coproc «t»",
    "negated": "! «t»",
    "loader": "/lib64/ld-linux-x86-64.so.2 «f»/«h»«r»",
    "busybox by its path": "/bin/busybox «t»",
    "entr": "ls | entr «t»",
    "git bisect run": "git bisect run «t»",
    "start-stop-daemon": "start-stop-daemon --start --exec «f»/«h» --«r»",
    "command in an array call": 'x=(env); "${x[@]}" «t»',
    "function that runs its arguments": 'run() { "$@"; }; run «t»',
}
# For commands of plain words.
_PLAIN = {
    "xargs": "echo «l» | xargs «i»",
    "xargs -I": "echo «l» | xargs -I{} «i» {}",
    "xargs -0": "printf '%s\\0' «l» | xargs -0 -n 1 «i»",
    "xargs from a here-string": "xargs «i» <<< «l»",
    "xargs of the whole": "echo «t» | xargs env",
    "find -exec": "find / -maxdepth 0 -exec «t» \\;",
    "find -execdir": "find / -maxdepth 0 -execdir «t» ';'",
    "parallel": "parallel «i» ::: «l»",
    "parallel from a pipe": "echo «l» | parallel -j2 «i» {}",
    "eval of words": "eval «t»",
    "eval of two strings": "eval '«h»' '«r»'",
    "sh -c with arguments": 'sh -c \'"$0" "$@"\' «t»',
    "sh -c with numbers": "bash -c '$1 ${@:2}' _ «t»",
    "while read": 'echo «l» | while read -r x; do «i» "$x"; done',
    "for over the target": 'for x in «l»; do «i» "$x"; done',
    "function with an argument": 'f() { «i» "$1"; }; f «l»',
    "function keyword": 'function f { «i» "$@"; }; f «l»',
    "sudo -s": "sudo -s «t»",
    "tree by echo and sh": "echo «t» | sh",
    "alias with arguments": "shopt -s expand_aliases\nalias x='«i»'\nx «l»",
}
# For a last word that is a path.
_PATHS = {
    "find -exec +": "find «l» -maxdepth 0 -exec «i» {} +",
    "find -print to xargs": "find «l» -maxdepth 0 -print0 | xargs -0 «i»",
}
# Around any command.
SHELLS = {
    "sh -c": "sh -c «q»",
    "bash -c": "bash -c «q»",
    "bash with flags": "bash --norc -ec «q»",
    "bash -lc": "bash -lc «d»",
    "dash": "dash -c «q»",
    "zsh": "zsh -c «q»",
    "ksh": "ksh -c «q»",
    "sh by its path": "/bin/sh -c «q»",
    "sh hidden": "s''h -c «q»",
    "busybox sh": "busybox sh -c «q»",
    "eval": "eval «q»",
    "eval twice": "eval eval «q»",
    "eval of a variable": 'x=«q»; eval "$x"',
    "sh of a variable": 'x=«q»; sh -c "$x"',
    "sudo sh -c": "sudo sh -c «q»",
    "env -i sh -c": 'env -i PATH="$PATH" HOME=/root bash -c «q»',
    "timeout bash -c": "timeout 10 bash -c «q»",
    "xargs sh -c": "echo x | xargs -I{} sh -c «q»",
    "find -exec sh -c": "find / -maxdepth 0 -exec bash -c «q» \\;",
    "parallel, quoted": "parallel ::: «q»",
    "watch, quoted": "watch -n 1 «q»",
    "ssh, quoted": "ssh -o BatchMode=yes -p 2222 root@host «q»",
    "ssh bash -s": "ssh host bash -s <<< «q»",
    "su -c": "su -c «q» root",
    "su, login": "su - root -c «q»",
    "sg": "sg root -c «q»",
    "script": "script -qec «q» /dev/null",
    "flock -c": "flock /tmp/lock -c «q»",
    "tmux": "tmux new-session -d «q»",
    "screen": "screen -dm bash -c «q»",
    "at": "echo «q» | at now",
    "batch": "batch <<< «q»",
    "here-string": "bash <<< «q»",
    "here-string to sh -s": "sh -s <<< «q»",
    "here-document": "bash <<EOF\n«t»\nEOF",
    "quoted here-document": "sh <<'EOF'\n«t»\nEOF",
    "indented here-document": "sh <<-'EOF'\n\t«t»\n\tEOF",
    "here-document by cat": "cat <<'EOF' | bash\n«t»\nEOF",
    "here-document on descriptor 3": "bash /dev/fd/3 3<<'EOF'\n«t»\nEOF",
    "echo to sh": "echo «q» | sh",
    "printf to bash": "printf '%s\\n' «q» | bash",
    "echo through cat and tee": "echo «q» | cat | tee /dev/null | sh",
    "echo to bash /dev/stdin": "echo «q» | bash /dev/stdin",
    "process substitution": "bash <(echo «q»)",
    "source of a process substitution": "source <(echo «q»)",
    "dot of stdin": ". /dev/stdin <<< «q»",
    "output process substitution": "echo «q» > >(sh)",
    "tee to a process substitution": "echo «q» | tee >(bash) >/dev/null",
    "file, then run": "echo «q» > /tmp/x.sh; sh /tmp/x.sh",
    "file by here-document, then run": "cat > /tmp/x.sh <<'EOF'\n«t»\nEOF\nchmod +x /tmp/x.sh && /tmp/x.sh",
    "file, then sourced": "printf '%s\\n' «q» > /tmp/x.sh && . /tmp/x.sh",
    "substitution": "echo $(«t»)",
    "substitution in quotes": 'echo "now: $(«t»)"',
    "substitution assigned": "x=$(«t»)",
    "substitution as the command": "$(«t»)",
    "substitution in a default": ': "${x:=$(«t»)}"',
    "substitution in arithmetic": "echo $((1 + $(«t» >/dev/null; echo 1)))",
    "substitution in a test": "[[ -z $(«t») ]]",
    "substitution in a case": 'case "$(«t»)" in *) ;; esac',
    "substitution in a loop list": "for x in $(«t»); do :; done",
    "substitution in an index": "a[$(«t» >/dev/null; echo 0)]=1",
    "substitution in a here-document": "cat <<EOF\n$(«t»)\nEOF",
    "substitution in a here-string": 'cat <<< "$(«t»)"',
    "substitution as input": "cat < <(«t»)",
    "substitution as output": "echo > >(«t»)",
    "substitution in an assignment prefix": "A=$(«t») true",
    "diff of substitutions": "diff <(«t») <(true)",
    "backticks": "echo `«t»`",
    "subshell": "(«t»)",
    "group": "{ «t»; }",
    "groups in groups": "{ ( { ( «t» ) } ) }",
    "many subshells": "( ( ( ( ( ( ( ( ( ( «t» ) ) ) ) ) ) ) ) ) )",
    "if condition": "if «t»\nthen :; fi",
    "then": "if true; then «t»\nfi",
    "else": "if false; then :; else «t»\nfi",
    "elif": "if false; then :; elif «t»\nthen :; fi",
    "while": "while true; do «t»\nbreak; done",
    "while condition": "while «t»\ndo break; done",
    "until": "until false; do «t»\nbreak; done",
    "for": "for x in 1; do «t»\ndone",
    "for in numbers": "for ((i = 0; i < 1; i++)); do «t»\ndone",
    "case": "case x in a) ;; *) «t»\n;; esac",
    "select": "select x in a; do «t»\nbreak; done <<< 1",
    "semicolon": "ls; «t»",
    "and": "true && «t»",
    "or": "false || «t»",
    "pipe": "echo y | «t»",
    "background": "sleep 1 & «t»",
    "newline": "ls\n«t»",
    "in the middle": "pwd; «t»\necho done",
    "to the background": "( «t» ) >/dev/null 2>&1 & disown",
    "after arithmetic": "((1)) && «t»",
    "after a test": "[ 1 -eq 1 ] && [[ a = a ]] && «t»",
    "function": "f() { «t»\n}; f",
    "function of a subshell": "f() ( «t»\n); f",
    "function called ls": "ls() { «t»\n}; ls -la",
    "function in a function": "f() { g() { «t»\n}; g; }; f",
    "function exported": "f() { «t»\n}; export -f f; bash -c f",
    "alias of all": "shopt -s expand_aliases\nalias ll=«q»\nll",
    "trap EXIT": "trap «q» EXIT",
    "trap 0": "trap -- «d» 0; exit",
    "trap DEBUG": "trap «q» DEBUG; ls",
    "trap ERR": "trap «q» ERR; false",
    "PROMPT_COMMAND": "PROMPT_COMMAND=«q»",
    "coproc group": "coproc X { «t»\n}",
    "redirected group": "{ «t»\n} >/dev/null 2>&1",
    "exec redirect first": "exec 3>&1; «t»",
    "set -e first": "set -euo pipefail; «t»",
    "shebang": "#!/bin/bash\n«t»",
    "leading blanks": " \t  «t»",
    "leading newlines": "\n\n\n«t»\n\n",
    "trailing comment": "«t» # harmless",
    "comment before": "# list the files\n«t»",
    "continuation before": "\\\n«t»",
    "separators": ":;:;«t»",
    "far to the right": "ls;" + " " * 3000 + "«t»",
    "far below": "ls" + "\n" * 5000 + "«t»",
    "padding of 10 kB in arguments": "echo " + "a" * 10_000 + "; «t»",
    "padding of 60 kB in words": ": " + "word " * 12_000 + "; «t»",
    "padding of 300 kB in a comment before": "# " + "x" * 300_000 + "\n«t»",
    "padding of 300 kB in a comment after": "«t» # " + "x" * 300_000,
    "padding of 40 kB in an assignment": "X=" + "x" * 40_000 + "; «t»",
    "padding of 100 kB in quotes": "echo '" + "rm -r " * 16_000 + "' >/dev/null; «t»",
    "a thousand commands before": "true && " * 1_000 + "«t»",
    "a thousand lines before": "echo line\n" * 1_000 + "«t»",
    "a long here-document before": "cat <<'EOF'\n" + "line of text\n" * 5_000 + "EOF\n«t»",
}


def _nested(depth: int, shell: str) -> Way:
    def way(seed: Seed) -> str | None:
        text = seed.text
        for _ in range(depth):
            text = f"{shell} {shlex.quote(text)}"
        return text

    return way


def _mixed_nesting(seed: Seed) -> str | None:
    inner = f"bash -lc {shlex.quote(f'eval {seed.quoted}')}"
    return f"sudo env A=1 sh -c {shlex.quote(inner)}"


def _carriage_returns(seed: Seed) -> str | None:
    return f"echo one\r\n{seed.text} ;\r\necho two\r\n"


def _tabs(seed: Seed) -> str | None:
    return seed.text.replace(" ", "\t\t") if seed.words else None


def _blanks(seed: Seed) -> str | None:
    return seed.text.replace(" ", "    ") if seed.words else None


def _continued(seed: Seed) -> str | None:
    return seed.text.replace(" ", " \\\n    ") if seed.words else None


AROUND: dict[str, Way] = {
    **{name: when(lambda seed: seed.is_program, filled(template)) for name, template in _PREFIXES.items()},
    **{name: when(lambda seed: seed.is_program and len(seed.words) > 1, filled(template)) for name, template in _PLAIN.items()},
    **{
        name: when(lambda seed: bool(seed.literal_words) and seed.literal_words[-1].startswith("/"), filled(template))
        for name, template in _PATHS.items()
    },
    "env -S": when(lambda seed: seed.is_program and len(seed.literal_words) > 1, filled("env -S '«t»'")),
    **{name: filled(template) for name, template in SHELLS.items()},
    "two shells": _nested(2, "sh -c"),
    "three shells": _nested(3, "bash -c"),
    "six shells": _nested(6, "sh -c"),
    "mixed nesting": _mixed_nesting,
    "carriage returns": _carriage_returns,
    "tabs": _tabs,
    "wide blanks": _blanks,
    "continuation between words": _continued,
}
