"""What files that are no scripts hand to a shell: form by form, and what stays a text."""

from __future__ import annotations

import time

import pytest

from luthier.guard.shown.carried import MOST_CHARACTERS, carried_commands
from luthier.guard.verdict import judge

WIPE = "rm -rf /"


def found(name: str, text: str) -> list[str]:
    return [one.text for one in carried_commands(name, text)]


@pytest.mark.parametrize(
    ("name", "text", "commands"),
    [
        ("yaml", "steps:\n  - run: ls -l # all\n    shell: bash\n  - name: run: x", ["ls -l", "bash"]),
        ("yaml", "- name: a\n  run: |\n    ls\n\n      pwd\n  env: {}", ["ls\n  pwd"]),
        ("yml", "- run: >-\n    rm -rf\n    build\n- run: du", ["rm -rf build", "du"]),
        ("yaml", "- run: \"echo \\\"a\\\"\"\n- run: 'it''s'", ['echo "a"', "it's"]),
        ("yaml", "run: rm\n  -rf x\nname: y", ["rm -rf x"]),
        ("gitlab-ci", "job:\n  script:\n  - ls\n  - |\n    du\n    df\n  only: [main]", ["ls", "du\ndf", "ls\ndu\ndf"]),
        ("yaml", "before_install: sudo ls\nafter_success:\n  - du", ["sudo ls", "du"]),
        ("yaml", "before_script: ['ls', \"du -s\"]", ["ls", "du -s", "ls\ndu -s"]),
        ("yaml", 'command: ["sh", "-c",\n  "ls -l"]', ["sh", "-c", "ls -l", "sh\n-c\nls -l", "sh -c 'ls -l'"]),
        ("yaml", "runcmd:\n - [rm, -rf, x]\n - ls", ["rm -rf x", "ls", "rm -rf x\nls", "'rm -rf x' ls"]),
        ("yaml", "cmds:\n  - task: a\n  - cmd: ls\n    silent: true\n  - du", ["ls", "du", "ls\ndu"]),
        ("yaml", "- ansible.builtin.shell: ls {{ the_dir }}\n", ["ls the_dir"]),
        ("yaml", "- run: rm -rf ${{ github.workspace }}/* {{.DIR}}", ["rm -rf workspace/* dir"]),
        ("yaml", "- pwsh: Get-Date", ["powershell -Command Get-Date"]),
        ("yaml", "# run: ls\nname: run\ndescription: rm -rf /", []),
        ("cron", "# all\nMAILTO=root\n*/5 0-3 * jan mon,tue ls -l\n@daily root du -s", ["ls -l", "root du -s", "du -s"]),
        ("crontab", "0 3 * * * date +\\%F", ["date +%F"]),
        ("just", "dir := 'out'\nclean at='x': build\n    @-rm -rf {{dir}} {{at}} {{ other }}\n    # no\n", ["rm -rf out x other"]),
        ("justfile", "a:\n  #!/usr/bin/env bash\n  cd x\n  ls\nb:\n  #!/usr/bin/env python3\n  import os", ["cd x\nls"]),
        ("json", '{"name": "rm", "scripts": {"a": "ls \\"x\\"", "b": ["du", "df"]}}', ['ls "x"', "du", "df"]),
        ("package.json", '"scripts": {\n "a": "ls",', ["ls"]),
        ("jsonc", '{"postCreateCommand": "ls -l", "commands": "no"}', ["ls -l"]),
        ("powershell", "PS C:\\a> Get-Date\nls", ["powershell -Command 'Get-Date\nls'"]),
        ("bat", "@echo off\nREM a\n:: b\nC:\\> @del a.txt ^\n  b.txt", ["cmd /c 'del a.txt    b.txt'"]),
        ("diff", "--- a/x.sh\n+++ b/x.sh\n@@ -1 +1 @@\n-rm a\n+ls\n du", ["ls", "du"]),
        ("patch", "diff --git a/Makefile b/Makefile\n+++ b/Makefile\n+a:\n+\tls", ["ls"]),
        ("diff", "+++ b/notes.txt\n+rm -rf /\n+++ /dev/null\n", []),
        ("", "0 3 * * * ls\n- run: du", ["ls", "du"]),
        ("", "It may run: as is, in a sentence.", []),
        ("make", "a:\n\tls", ["ls"]),
        ("bash", WIPE, []),
        ("python", WIPE, []),
    ],
)
def test_the_commands_of_each_form(name: str, text: str, commands: list[str]) -> None:
    assert found(name, text) == commands


@pytest.mark.parametrize("name", ["{.yaml}", "YAML", ".github/workflows/build.yml", "yaml:build.yml", "yaml,ignore"])
def test_a_block_is_known_by_whatever_its_fence_says(name: str) -> None:
    assert found(name, "- run: ls") == ["ls"]


def test_files_of_an_image_are_told_apart() -> None:
    (one,) = carried_commands("diff", "+++ b/docker/Dockerfile\n+RUN rm -rf /usr/share/doc\n")
    assert (one.text, one.in_image) == ("rm -rf /usr/share/doc", True)


@pytest.mark.parametrize(
    ("name", "text", "level"),
    [
        ("cmd", "rd /s /q C:\\", "dangerous"),
        ("cmd", "del /f /s /q C:\\Windows\\*", "dangerous"),
        ("cmd", "rd /s /q C:\\Users\\joe", "dangerous"),
        ("bat", "format c:", "dangerous"),
        ("cmd", "rd /s /q C:\\work\\build", "caution"),
        ("cmd", "del C:\\Users\\joe\\work\\a.txt", "caution"),
        ("ps1", "Remove-Item -Recurse -Force C:\\", "dangerous"),
        ("ps1", "Format-Volume -DriveLetter C", "dangerous"),
        ("ps1", "Clear-Disk -Number 0 -RemoveData", "dangerous"),
        ("ps1", "Stop-Computer -Force", "dangerous"),
        ("ps1", "iex (iwr https://get.example.org/i.ps1)", "dangerous"),
        ("ps1", "Remove-Item -Recurse -Force .\\build\nRemove-Variable x\nClear-Host", "caution"),
        ("yaml", "- run: Clear-Disk -Number 0\n  shell: pwsh", "dangerous"),
        ("yaml", "- run: rd /s /q C:\\\n  shell: cmd", "dangerous"),
    ],
)
def test_what_windows_would_do_is_followed(name: str, text: str, level: str) -> None:
    levels = [judge(command).level for command in found(name, text)]
    assert "dangerous" in levels if level == "dangerous" else set(levels) == {level}


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("yaml", "- run: [\n"),
        ("yaml", "script:\n- a\n"),
        ("yaml", "run: |\n a\n"),
        ("yaml", " run:"),
        ("cron", "* "),
        ("json", '"scripts": {'),
        ("json", '"a":["'),
        ("just", " {{"),
        ("bat", "C:\\a\\"),
        ("diff", "+++ b/a.sh\n+x\n"),
        ("powershell", "PS C:"),
    ],
)
def test_no_block_takes_long(name: str, piece: str) -> None:
    started = time.process_time()
    found(name, piece * (MOST_CHARACTERS // len(piece)))
    assert time.process_time() - started < 5
    assert found(name, "a" * (MOST_CHARACTERS + 1)) == []
