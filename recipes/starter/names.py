"""Names, numbers and paths drawn at random, so that copying them pays and remembering them does not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

ONSETS = [
    "b",
    "bl",
    "br",
    "c",
    "ch",
    "cl",
    "cr",
    "d",
    "dr",
    "f",
    "fl",
    "fr",
    "g",
    "gl",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "pr",
    "qu",
    "r",
    "s",
    "sc",
    "sh",
    "sk",
    "sl",
    "sn",
    "sp",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "y",
    "z",
]
VOWELS = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ai", "ea", "ee", "ia", "io", "oa", "oo", "ou"]
CODAS = ["", "", "", "b", "ck", "d", "g", "k", "l", "ld", "m", "n", "nd", "ng", "nt", "p", "r", "rk", "rt", "s", "sh", "st", "t", "x"]
TOP_FOLDERS = ["home", "usr", "var", "etc", "opt", "tmp", "srv", "mnt", "data", "media", "usr/local", "var/log", "var/lib"]
DOMAIN_ENDINGS = ["com", "org", "net", "io", "dev", "local", "example", "internal", "test"]


@cache
def words() -> dict[str, list[str]]:
    """The groups of `words.txt`: group name to its words, in file order."""
    groups: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(": ")
            groups[name] = rest.split()
    return groups


def invented(random: Random, syllables: int = 0) -> str:
    """A pronounceable word that is in no dictionary, of one to three syllables unless told how many."""
    count = syllables or random.choice((1, 2, 2, 2, 3))
    return "".join(random.choice(ONSETS) + random.choice(VOWELS) + random.choice(CODAS) for _ in range(count))


def word(random: Random) -> str:
    """One word: invented about half the time, otherwise from the list."""
    if random.random() < 0.45:
        return invented(random)
    return random.choice(words()[random.choice(("things", "things", "work", "work", "qualities", "doing"))])


def stem(random: Random) -> str:
    """The name of a file or folder without its ending."""
    kind = random.random()
    if kind < 0.62:
        return word(random)
    if kind < 0.80:
        return word(random) + random.choice("__--.") + word(random)
    if kind < 0.90:
        return word(random) + random.choice(("", "_", "-", "-v")) + str(random.randrange(1, 100))
    if kind < 0.94:
        return word(random) + random.choice("_-") + date(random)
    return random.choice((word(random).capitalize(), word(random).upper(), word(random) + word(random).capitalize()))


def ending(random: Random) -> str:
    return random.choice(words()["endings"])


def file(random: Random) -> str:
    name = f"{stem(random)}.{ending(random)}"
    kind = random.random()
    if kind < 0.70:
        return name
    if kind < 0.85:
        return f"{word(random)}/{name}"
    return path(random) + "/" + name


def archive(random: Random) -> str:
    return stem(random) + random.choice((".tar.gz", ".tgz", ".zip", ".tar", ".tar.bz2", ".tar.xz", ".7z", ".gz"))


def path(random: Random) -> str:
    tail = "/".join(stem(random) if random.random() < 0.3 else word(random) for _ in range(random.choice((1, 1, 2))))
    start = random.choice(("/" + random.choice(TOP_FOLDERS), "~", ".", "..", "/" + word(random), word(random)))
    return f"{start}/{tail}"


def folder(random: Random) -> str:
    kind = random.random()
    if kind < 0.55:
        return stem(random)
    return path(random) + ("/" if kind > 0.93 else "")


def number(random: Random) -> str:
    return str(random.choice((random.randrange(1, 10), random.randrange(1, 100), random.randrange(1, 100), random.randrange(1000))))


def size(random: Random) -> str:
    return number(random) + random.choice(("M", "G", "k", "K", "MB", "GB", "kB"))


def port(random: Random) -> str:
    return str(random.choice((22, 80, 443, 3000, 5432, 8000, 8080, random.randrange(1000, 65536), random.randrange(1000, 65536))))


def process_number(random: Random) -> str:
    return str(random.randrange(2, 65536))


def host(random: Random) -> str:
    kind = random.random()
    if kind < 0.45:
        return f"{word(random)}.{random.choice(DOMAIN_ENDINGS)}"
    if kind < 0.65:
        return ".".join(str(random.randrange(1, 255)) for _ in range(4))
    if kind < 0.85:
        return f"{word(random)}{random.choice(('', '-', '-0'))}{random.randrange(1, 30)}"
    return f"{word(random)}.{word(random)}.{random.choice(DOMAIN_ENDINGS)}"


def user(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(words()["people"])
    return invented(random, 2) + random.choice(("", "", str(random.randrange(100))))


def group(random: Random) -> str:
    return random.choice((word(random), invented(random), "staff", "www-data", random.choice(words()["work"]) + "s"))


def branch(random: Random) -> str:
    kind = random.random()
    if kind < 0.5:
        return f"{random.choice(('feature', 'fix', 'hotfix', 'release', 'topic', word(random)))}/{stem(random)}"
    return random.choice((stem(random), f"{word(random)}-{word(random)}", f"v{number(random)}.{random.randrange(20)}"))


def package(random: Random) -> str:
    kind = random.random()
    if kind < 0.35:
        return invented(random)
    return random.choice(
        (
            random.choice(words()["services"]),
            f"lib{word(random)}",
            f"{word(random)}-{word(random)}",
            f"python3-{word(random)}",
            word(random) + str(random.randrange(10)),
        )
    )


def service(random: Random) -> str:
    return random.choice((random.choice(words()["services"]), word(random), f"{word(random)}-{word(random)}", invented(random) + "d"))


def pattern(random: Random) -> str:
    kind = random.random()
    if kind < 0.6:
        return random.choice((word(random), word(random), word(random).upper(), word(random).capitalize()))
    if kind < 0.8:
        return f"{word(random)} {word(random)}"
    return random.choice((f"^{word(random)}", f"{word(random)}$", f"{word(random)}_{word(random)}", f"{word(random)}={number(random)}"))


def glob(random: Random) -> str:
    return random.choice((f"*.{ending(random)}", f"{word(random)}*", f"*{word(random)}*", f"{word(random)}-*.{ending(random)}"))


def text(random: Random) -> str:
    return " ".join(word(random) for _ in range(random.choice((1, 2, 3, 3, 4))))


def mode(random: Random) -> str:
    if random.random() < 0.6:
        return "".join(str(random.choice((0, 4, 5, 6, 7))) for _ in range(3))
    return random.choice(("u", "g", "o", "a", "ug", "go", "")) + random.choice("+-=") + random.choice(("r", "w", "x", "rw", "rx", "rwx"))


def date(random: Random) -> str:
    return f"{random.randrange(1990, 2040)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}"


def clock(random: Random) -> str:
    return f"{random.randrange(24):02d}:{random.randrange(60):02d}"


def url(random: Random) -> str:
    tail = random.choice((file(random), word(random), f"{word(random)}/{word(random)}", archive(random)))
    return f"{random.choice(('https', 'https', 'http'))}://{host(random)}/{tail.lstrip('/')}"


def remote(random: Random) -> str:
    return random.choice(("origin", "upstream", word(random), invented(random)))


def variable(random: Random) -> str:
    return random.choice((word(random).upper(), f"{word(random)}_{word(random)}".upper()))


def commit(random: Random) -> str:
    return "".join(random.choice("0123456789abcdef") for _ in range(random.choice((7, 7, 8))))


MAKERS = {
    "file": file, "archive": archive, "folder": folder, "path": path, "number": number, "size": size, "port": port, "pid": process_number,
    "host": host, "user": user, "group": group, "branch": branch, "package": package, "service": service, "pattern": pattern,
    "glob": glob, "text": text, "mode": mode, "date": date, "clock": clock, "url": url, "remote": remote, "variable": variable,
    "commit": commit, "ending": ending, "word": word, "stem": stem,
}  # fmt: skip
