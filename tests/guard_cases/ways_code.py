"""Ways round by inline code of other programs, by options and settings that run a command, and by encodings."""

from __future__ import annotations

import base64
import codecs
import gzip
import shlex
from collections.abc import Callable

from guard_cases.seeds import Seed
from guard_cases.templates import Way, filled, when

_INTERPRETERS = {
    "python -c": "python3 -c 'import os; os.system(«j»)'",
    "python -c, import hidden": "python3 -c '__import__(\"os\").system(«j»)'",
    "python -c, name in pieces": 'python3 -c \'getattr(__import__("o"+"s"), "sys"+"tem")(«j»)\'',
    "python -c, exec": 'python3 -c \'exec("import os"); exec("os.popen(c).read()", dict(globals(), c=«j»))\'',
    "python -c, subprocess": "python -c 'import subprocess as s; s.call(«j», shell=True)'",
    "python with flags": "python3 -I -S -c 'from os import system as f; f(«j»)'",
    "python here-document": "python3 <<'PY'\nimport subprocess\nsubprocess.run(«j», shell=True)\nPY",
    "python from a pipe": "echo 'import os; os.system(«j»)' | python3 -",
    "perl -e": "perl -e 'system(«p»)'",
    "perl exec": "perl -we 'exec «p»'",
    "perl qx": "perl -e '$x = «p»; print qx($x)'",
    "perl BEGIN": "perl -ne 'BEGIN { system «p» } print' /dev/null",
    "ruby": "ruby -e 'system(«j»)'",
    "ruby exec": "ruby -e 'exec «j»'",
    "node": "node -e 'require(\"child_process\").execSync(«j»)'",
    "node spawn": 'node -e \'require("node:child_process").spawnSync(«j», {shell: true, stdio: "inherit"})\'',
    "php": "php -r 'system(«j»);'",
    "php shell_exec": "php -r 'echo shell_exec(«j»);'",
    "lua": "lua -e 'os.execute(«j»)'",
    "Rscript": "Rscript -e 'system(«j»)'",
    "julia": 'julia -e \'run(Cmd(["sh", "-c", «j»]))\'',
    "tclsh": "tclsh <<'T'\nexec sh -c {«t»} >@stdout\nT",
    "expect": "expect -c 'spawn sh -c {«t»}; expect eof'",
    "osascript": "osascript -e 'do shell script «j»'",
    "pwsh": "pwsh -c 'bash -c «j»'",
    "awk system": "awk 'BEGIN { system(«j») }'",
    "awk print to sh": "awk 'BEGIN { print «j» | \"sh\" }'",
    "awk getline": "awk 'BEGIN { «j» | getline x }'",
    "awk variable": "awk -v c=«q» 'BEGIN { system(c) }'",
    "awk of its input": "echo «q» | awk '{ system($0) }'",
    "mawk": "mawk 'BEGIN { c = «j»; system(c) }'",
    "tar checkpoint": "tar cf /dev/null /dev/null --checkpoint=1 --checkpoint-action=exec=«q»",
    "tar checkpoint, flags apart": "tar --checkpoint=1 --checkpoint-action exec=«q» -cf /dev/null /etc/hostname",
    "tar compressor": "tar -I «s» -cf /tmp/x.tar /etc/hostname",
    "tar --to-command": "tar xf x.tar --to-command=«q»",
    "vim -c": "vim -c «x» -c ':q!'",
    "vim +": "vim -es +«x» +'q!' /dev/null",
    "nvim headless": "nvim --headless -c «x» -c 'q!'",
    "ex": "ex -s /dev/null <<'X'\n!«t»\nq!\nX",
    "ed": "ed -s <<'X'\n!«t»\nq\nX",
    "emacs": "emacs -Q --batch --eval '(shell-command «j»)'",
    "sed e": "echo «q» | sed e",
    "sed 1e": "echo x | sed «e»",
    "git alias": "git -c alias.x=«b» x",
    "git pager": "git -c core.pager=«q» -p log",
    "git sshCommand": "git -c core.sshCommand=«q» fetch git@host:r",
    "git fsmonitor": "git -c core.fsmonitor=«q» status",
    "GIT_SSH_COMMAND": "GIT_SSH_COMMAND=«q» git fetch git@host:r",
    "GIT_EXTERNAL_DIFF": "GIT_EXTERNAL_DIFF=«q» git diff",
    "PAGER": "PAGER=«s» man ls",
    "EDITOR": "EDITOR=«s» git commit",
    "LESSOPEN": "LESSOPEN=«o» less /etc/hostname",
    "git submodule foreach": "git submodule foreach «q»",
    "git rebase -x": "git rebase -x «q» HEAD~1",
    "git filter-branch": "git filter-branch -f --tree-filter «q» HEAD",
    "ssh ProxyCommand": "ssh -o ProxyCommand=«q» host",
    "ssh LocalCommand": "ssh -o PermitLocalCommand=yes -o LocalCommand=«q» host",
    "rsync -e": "rsync -e «s» x host:",
    "make by stdin": "make -f - <<'M'\nall:\n\t@«m»\nM",
    "make from echo": "printf 'x:\\n\\t%s\\n' «n» | make -f -",
    "make --eval": "make --eval='x:;@«m»' x",
    "gdb shell": "gdb -batch -ex «g»",
    "sqlite .shell": "sqlite3 :memory: '.shell «t»'",
    "psql": "psql -c '\\! «t»'",
    "mysql": "mysql -e '\\! «t»'",
    "less": "less +'!«t»' /etc/hostname",
    "man -P": "man -P «s» ls",
    "zip -TT": "zip -q /tmp/x.zip /etc/hostname -T -TT «s»",
    "m4": "m4 <<'X'\nsyscmd(`«t»')\nX",
    "dc": "dc -e '!«t»'",
    "docker exec": "docker exec db sh -c «q»",
    "kubectl exec": "kubectl exec pod/db -- sh -c «q»",
    "docker on the host": "docker run --rm --privileged -v /:/h alpine chroot /h sh -c «q»",
    "npm exec": "npm exec -c «q»",
    "cmake": "cat > x.cmake <<'X'\nexecute_process(COMMAND sh -c [[«t»]])\nX\ncmake -P x.cmake",
    "crontab": "echo '* * * * * «t»' | crontab -",
    "bashrc": "echo «q» >> ~/.bashrc",
    "BASH_ENV": "echo «q» > /tmp/x; BASH_ENV=/tmp/x bash -c :",
}


def _fits_single_quotes(seed: Seed) -> bool:
    """Whether the text can stand inside single quotes and inside another language's string without harm."""
    return not set("'\\\n!{}") & set(seed.text)


def _encoded(template: str, encode: Callable[[str], str]) -> Way:
    return lambda seed: template.replace("«c»", encode(seed.text))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _zipped(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _escapes(code: str) -> Callable[[str], str]:
    return lambda text: "".join(code % byte for byte in text.encode())


_ENCODED: dict[str, Way] = {
    "base64 by echo": _encoded("echo «c» | base64 -d | sh", _base64),
    "base64, long flag": _encoded("printf %s «c» | base64 --decode | bash", _base64),
    "base64 by here-string": _encoded("base64 -d <<< «c» | sh", _base64),
    "base64 in sh -c": _encoded('bash -c "$(echo «c» | base64 -d)"', _base64),
    "base64 in eval": _encoded("eval \"$(base64 -d <<< '«c»')\"", _base64),
    "base64 in a process substitution": _encoded("bash <(base64 -d <<< «c»)", _base64),
    "base64 in a variable": _encoded('x=«c»; eval "$(echo $x | base64 -d)"', _base64),
    "base64 by openssl": _encoded("echo «c» | openssl base64 -d -A | sh", _base64),
    "base64 in Python": _encoded("python3 -c 'import base64, os; os.system(base64.b64decode(\"«c»\").decode())'", _base64),
    "base64 in Perl": _encoded("perl -MMIME::Base64 -e 'system(decode_base64(\"«c»\"))'", _base64),
    "base64 in Node": _encoded('node -e \'require("child_process").execSync(Buffer.from("«c»", "base64").toString())\'', _base64),
    "base64 twice": _encoded("echo «c» | base64 -d | base64 -d | sh", lambda text: _base64(_base64(text))),
    "gzip": _encoded("echo «c» | base64 -d | gunzip | sh", _zipped),
    "gzip by zcat": _encoded("base64 -d <<< «c» | zcat | bash", _zipped),
    "hexadecimal by xxd": _encoded("echo «c» | xxd -r -p | sh", lambda text: text.encode().hex()),
    "hexadecimal by printf": _encoded("printf '«c»' | sh", _escapes("\\x%02x")),
    "hexadecimal by echo -e": _encoded("echo -e '«c»' | bash", _escapes("\\x%02x")),
    "hexadecimal in Perl": _encoded('perl -e \'print pack("H*", "«c»")\' | sh', lambda text: text.encode().hex()),
    "hexadecimal in Python": _encoded(
        "python3 -c 'exec(bytes.fromhex(\"«c»\"))'", lambda text: f"import os; os.system({text!r})".encode().hex()
    ),
    "octal by printf %b": _encoded("printf '%b' '«c»' | sh", _escapes("\\0%03o")),
    "ANSI-C whole": _encoded("eval $'«c»'", _escapes("\\x%02x")),
    "ANSI-C in sh -c": _encoded("bash -c $'«c»'", _escapes("\\%03o")),
    "reversed": _encoded("echo «c» | rev | sh", lambda text: shlex.quote(text[::-1])),
    "reversed by here-string": _encoded('eval "$(rev <<< «c»)"', lambda text: shlex.quote(text[::-1])),
    "rotated": _encoded("echo «c» | tr A-Za-z N-ZA-Mn-za-m | sh", lambda text: shlex.quote(codecs.encode(text, "rot13"))),
    "letters replaced by sed": _encoded("echo «c» | sed s/@//g | sh", lambda text: shlex.quote("@".join(text))),
    "letters deleted by tr": _encoded("tr -d @ <<< «c» | bash", lambda text: shlex.quote("@".join(text))),
    "characters in Python": _encoded(
        "python3 -c 'import os; os.system(\"\".join(map(chr, [«c»])))'", lambda text: ", ".join(map(str, map(ord, text)))
    ),
}


CODE: dict[str, Way] = {
    **{name: when(_fits_single_quotes, filled(template)) for name, template in _INTERPRETERS.items()},
    **_ENCODED,
}
