"""Values for the slots of the grammar: names, numbers, paths, hosts, each from a training half or a held-out half."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

POOLS_FILE = Path(__file__).with_name("pools.toml")
_HELD_OUT_EVERY = 3  # every third word and every third number is never seen in training

_PLAIN_TEXT = ("txt", "txt", "log", "md", "dat")
_ANY_FILE = ("txt", "md", "csv", "json", "yaml", "log", "py", "sh", "html", "pdf", "png", "jpg", "js", "conf", "sql", "xml", "docx", "mp3")
_CODE = ("py", "py", "js", "ts", "go", "rs", "c", "md", "html", "css", "yaml", "java")
_ROOTS = ("/var/log", "/srv", "/opt", "/mnt", "/data", "/etc", "/home", "/usr/local", "/var/lib", "/media")
_FOLDER_MODES = ("700", "711", "750", "755", "770", "775")
_MODES = ("600", "640", "644", "660", "664", "700", "750", "755", "770", "775", "400", "440", "444", "500", "550", "555")
_KNOWN_PORTS = ("22", "80", "443", "3000", "3306", "5432", "6379", "8000", "8080", "8443", "9090")
_BRANCH_KINDS = ("feature", "feature", "fix", "bugfix", "hotfix", "chore", "docs")


@cache
def pool(name: str, held_out: bool) -> tuple[str, ...]:
    """The words of one list in `pools.toml`: those for training, or those kept for held-out rows."""
    text = tomllib.loads(POOLS_FILE.read_text(encoding="utf-8"))[name]
    words = [" ".join(entry.split()) for entry in text.split("|")] if "|" in text else text.split()
    unique = list(dict.fromkeys(words))
    return tuple(word for index, word in enumerate(unique) if (index % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out)


def _pick(random: Random, name: str, held_out: bool) -> str:
    return random.choice(pool(name, held_out))


def _pair(random: Random, name: str, separator: str, held_out: bool) -> str:
    """Two different words of one list, as in `src/tests`."""
    return separator.join(random.sample(pool(name, held_out), 2))


def _number(random: Random, low: int, high: int, held_out: bool) -> str:
    allowed = [n for n in range(low, high + 1) if (n % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out]
    return str(random.choice(allowed))


def _stem(random: Random, held_out: bool) -> str:
    stem = _pick(random, "stems", held_out)
    form = random.random()
    if form < 0.72:
        return stem
    if form < 0.84:
        return f"{stem}{random.choice('-_')}{_number(random, 1, 99, held_out)}"
    return _pair(random, "stems", random.choice("-_"), held_out)


def _file(*suffixes: str) -> Callable[[Random, bool], str]:
    return lambda random, held_out: f"{_stem(random, held_out)}.{random.choice(suffixes)}"


def _code(random: Random, held_out: bool) -> str:
    folder = f"{_pick(random, 'directories', held_out)}/" if random.random() < 0.35 else ""
    return folder + _file(*_CODE)(random, held_out)


def _folder(random: Random, held_out: bool) -> str:
    name = _pick(random, "directories", held_out)
    form = random.random()
    if form < 0.6:
        return name
    if form < 0.8:
        return f"{name}{random.choice('-_')}{_number(random, 1, 99, held_out)}"
    return f"{name}{random.choice('-_')}{_pick(random, 'stems', held_out)}"


def _absolute(random: Random, held_out: bool) -> str:
    return f"{random.choice(_ROOTS)}/{_pick(random, 'directories', held_out)}"


def _directory(random: Random, held_out: bool) -> str:
    form = random.random()
    if form < 0.6:
        return _pick(random, "directories", held_out)
    if form < 0.88:
        return _pair(random, "directories", "/", held_out)
    return _absolute(random, held_out)


def _address(random: Random, held_out: bool) -> str:
    last = _number(random, 2, 250, held_out)
    if random.random() < 0.5:
        return f"192.168.{_number(random, 0, 60, held_out)}.{last}"
    return f"10.{_number(random, 0, 30, held_out)}.{_number(random, 0, 60, held_out)}.{last}"


def _full_name(random: Random, held_out: bool) -> str:
    return f"{_pick(random, 'host_labels', held_out)}.{random.choice(pool('domains', False) + pool('domains', True))}"


def _host(random: Random, held_out: bool) -> str:
    form = random.random()
    if form < 0.25:
        return _address(random, held_out)
    if form < 0.5:
        return _pick(random, "host_labels", held_out)
    return _full_name(random, held_out)


def _site(random: Random, held_out: bool) -> str:
    scheme = "http" if random.random() < 0.15 else "https"
    return f"{scheme}://{_full_name(random, held_out)}"


def _file_url(random: Random, held_out: bool) -> str:
    folder = f"{_pick(random, 'url_folders', held_out)}/" if random.random() < 0.5 else ""
    return f"{_site(random, held_out)}/{folder}{_pick(random, 'url_files', held_out)}"


def _api_url(random: Random, held_out: bool) -> str:
    folder = f"{_pick(random, 'url_folders', held_out)}/" if random.random() < 0.5 else ""
    return f"{_site(random, held_out)}/{folder}{_pick(random, 'url_folders', held_out)}"


def _url(random: Random, held_out: bool) -> str:
    return random.choice((_site, _file_url, _api_url))(random, held_out)


def _repository(random: Random, held_out: bool) -> str:
    owner = _pick(random, "users" if random.random() < 0.5 else "groups", held_out)
    name = f"{_pick(random, 'stems', held_out)}.git"
    domain = random.choice(("git.example.com", "git.example.org", "code.example.net", "git.lan"))
    return f"git@{domain}:{owner}/{name}" if random.random() < 0.3 else f"https://{domain}/{owner}/{name}"


def _branch(random: Random, held_out: bool) -> str:
    form = random.random()
    if form < 0.25:
        return _pick(random, "branch_plain", held_out)
    if form < 0.5:
        return f"{random.choice(_BRANCH_KINDS)}/{_pick(random, 'branch_words', held_out)}"
    if form < 0.75:
        return f"{random.choice(_BRANCH_KINDS)}/{_pair(random, 'branch_words', '-', held_out)}"
    return _pair(random, "branch_words", "-", held_out)


def _commit(random: Random, held_out: bool) -> str:
    # A letter first and a digit after it: never mistaken for a number, and never an English word.
    del held_out
    return random.choice("abcdef") + random.choice("0123456789") + "".join(random.choice("0123456789abcdef") for _ in range(5))


def _version(random: Random, held_out: bool) -> str:
    parts = (random.randint(0, 9), _number(random, 0, 30, held_out), random.randint(0, 12))
    return ".".join(map(str, parts))


def _message(random: Random, held_out: bool) -> str:
    return f"{_pick(random, 'message_verbs', held_out)} {_pick(random, 'message_objects', held_out)}"


def _package_file(random: Random, held_out: bool) -> str:
    if random.random() < 0.5:
        return f"{_stem(random, held_out)}.deb"
    return f"{_pick(random, 'apt_packages', held_out)}_{_version(random, held_out)}_amd64.deb"


def _requirements(random: Random, held_out: bool) -> str:
    stem = _pick(random, "stems", held_out)
    return random.choice((f"requirements/{stem}.txt", f"requirements-{stem}.txt", f"{stem}-requirements.txt"))


def _port(random: Random, held_out: bool) -> str:
    return random.choice(_KNOWN_PORTS) if not held_out and random.random() < 0.3 else _number(random, 1024, 9999, held_out)


def _from_pool(name: str) -> Callable[[Random, bool], str]:
    return lambda random, held_out: _pick(random, name, held_out)


def _from_range(low: int, high: int) -> Callable[[Random, bool], str]:
    return lambda random, held_out: _number(random, low, high, held_out)


def _closed(*values: str) -> Callable[[Random, bool], str]:
    return lambda random, held_out: random.choice(values)


MAKERS: dict[str, Callable[[Random, bool], str]] = {
    "file": _file(*_ANY_FILE),
    "text": _file(*_PLAIN_TEXT),
    "csv": _file("csv"),
    "log": _file("log"),
    "code": _code,
    "script": _file("sh"),
    "tgz": _file("tar.gz"),
    "txz": _file("tar.xz"),
    "tbz": _file("tar.bz2"),
    "tar": _file("tar"),
    "zip": _file("zip"),
    "gz": _file("log.gz", "txt.gz", "csv.gz", "sql.gz"),
    "deb": _package_file,
    "req": _requirements,
    "dir": _directory,
    "folder": _folder,
    "absdir": _absolute,
    "ext": _from_pool("extensions"),
    "word": _from_pool("patterns"),
    "topic": _from_pool("topics"),
    "user": _from_pool("users"),
    "group": _from_pool("groups"),
    "host": _host,
    "fqdn": _full_name,
    "ip": _address,
    "url": _url,
    "fileurl": _file_url,
    "apiurl": _api_url,
    "repo": _repository,
    "cmd": _from_pool("remote_commands"),
    "proc": _from_pool("processes"),
    "service": _from_pool("services"),
    "apt": _from_pool("apt_packages"),
    "pip": _from_pool("pip_packages"),
    "npm": _from_pool("npm_packages"),
    "task": _from_pool("script_tasks"),
    "ver": _version,
    "branch": _branch,
    "tag": lambda random, held_out: f"v{_version(random, held_out)}",
    "commit": _commit,
    "remote": _from_pool("remotes"),
    "message": _message,
    "n": _from_range(3, 120),
    "k": _closed("2", "3", "4", "5", "6", "7", "8", "9"),
    "col": _closed("1", "2", "3", "4", "5", "6", "7", "8", "9"),
    "from": _from_range(1, 199),
    "to": _from_range(200, 999),
    "pid": _from_range(120, 32000),
    "port": _port,
    "mode": _closed(*_MODES),
    "dirmode": _closed(*_FOLDER_MODES),
}


def with_suffix_of(name: str, model: str) -> str:
    """The file name with the other name's last suffix: a copy of `a.csv` is a `.csv` too."""
    return f"{name.rpartition('.')[0]}.{model.rpartition('.')[2]}"


def draw(kind: str, random: Random, held_out: bool) -> str:
    """A value of the kind; with `held_out` its words and numbers come from the half that training never shows."""
    return MAKERS[kind](random, held_out)
