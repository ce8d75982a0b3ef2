"""Commands of tldr pages with their marks filled in: both forms of each option, and plausible words for the placeholders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

ALTERNATION = re.compile(r"\{\{\[([^|\]]*)\|([^\]]*)\]\}\}")
PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
DEVICES = re.compile(r"/dev/(sd|hd|vd|nvme|disk|mmcblk)[A-Za-z0-9]*")
# What a page calls a thing, and what somebody would write there.
WORDS = {
    "path/to": "work",
    "username": "alice",
    "user": "alice",
    "password": "hunter2",
    "hostname": "host.example.com",
    "host": "host.example.com",
    "ip_address": "192.0.2.7",
    "url": "https://example.com/page",
    "port": "8080",
    "number": "5",
    "count": "5",
    "integer": "5",
    "pid": "4242",
    "process_id": "4242",
    "command": "ls",
    "program": "ls",
    "n": "5",
    "branch_name": "topic",
    "package": "requests",
    "package_name": "requests",
    "regex": "a.*b",
    "search_pattern": "needle",
    "seconds": "10",
    "permissions": "u+x",
}


def _filled(found: re.Match[str]) -> str:
    text = found[1].split("|")[0].strip()
    if text in WORDS:
        return WORDS[text]
    words = [word for word in text.split() if word != "..."]
    if len(words) > 1 and not all("/" in word or word[-1].isdigit() for word in words):
        words = ["_".join(words)]  # A description of a thing, which stands for one word.
    text = " ".join(words).replace("path/to/", "work/")
    text = DEVICES.sub("/dev/sdb1", text)
    return re.sub(r"[^\w./:=@,~%+ -]", "_", text)


def expanded(command: str) -> list[str]:
    """The command with the short forms of its options and with the long ones, without what is the same twice."""
    forms = [PLACEHOLDER.sub(_filled, ALTERNATION.sub(rf"\{form}", command)) for form in (1, 2)]
    return list(dict.fromkeys(forms))


def pages(path: Path) -> Iterator[tuple[str, str]]:
    """Each form of each page's command with the page's description."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            for form in expanded(row["command"]):
                yield form, row["description"]
