"""Ways round that dress a command's own words: its name, its flags and its target; each a function from a seed to text or nothing."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from guard_cases.seeds import Seed

Way = Callable[[Seed], str | None]

# «h» stands for the program's name, «r» for the rest of the command, «a» and «b» for the name in two pieces, «u» for its upper case.
_NAMES = {
    "backslash in front": r"\«h»«r»",
    "backslash inside": r"«a»\«b»«r»",
    "empty single quotes": "«a»''«b»«r»",
    "empty double quotes": '«a»""«b»«r»',
    "double quotes": '"«h»"«r»',
    "single quotes": "'«h»'«r»",
    "split quotes": "\"«a»\"'«b»'«r»",
    "one quoted letter": "'«a»'«b»«r»",
    "ANSI-C plain": "$'«h»'«r»",
    "ANSI-C in part": "$'«a»'«b»«r»",
    "locale quotes": '$"«h»"«r»',
    "variable": "x=«h»; $x«r»",
    "variable in braces": "x=«h»; ${x}«r»",
    "variable quoted": 'x=«h»; "$x"«r»',
    "two variables": "x=«a»; y=«b»; $x$y«r»",
    "exported variable": "export x=«h»; $x«r»",
    "declared variable": "declare -r x=«h»; $x«r»",
    "appended variable": "x=«a»; x+=«b»; $x«r»",
    "chained variables": "x=«h»; y=$x; z=${y}; $z«r»",
    "printf -v": "printf -v x '%s%s' '«a»' '«b»'; $x«r»",
    "read from a here-string": "read -r x <<< '«h»'; $x«r»",
    "mapfile": "mapfile -t x <<< '«h»'; ${x[0]}«r»",
    "default value": "${nothing:-«h»}«r»",
    "assigned default": ': "${x:=«h»}"; $x«r»',
    "alternative value": "x=1; ${x:+«h»}«r»",
    "prefix cut": "x=zz«h»; ${x#zz}«r»",
    "suffix cut": "x=«h»zz; ${x%zz}«r»",
    "replaced letters": "x=«a»_«b»; ${x/_/}«r»",
    "substring from the end": "x=zz«h»; ${x:2}«r»",
    "lower case": "x=«u»; ${x,,}«r»",
    "operator @L": "x=«u»; ${x@L}«r»",
    "indirect": "n=t; t=«h»; ${!n}«r»",
    "name reference": "declare -n n=t; t=«h»; $n«r»",
    "array element": "x=(zz «h»); ${x[1]}«r»",
    "associative array": "declare -A x=([k]=«h»); ${x[k]}«r»",
    "empty parameter inside": "«a»$@«b»«r»",
    "quoted empty parameter inside": '«a»"$@"«b»«r»',
    "unset variable inside": "«a»${nothing}«b»«r»",
    "empty substitution inside": "«a»$()«b»«r»",
    "empty backticks inside": "«a»``«b»«r»",
    "printf": "$(printf '%s%s' '«a»' '«b»')«r»",
    "printf, whole name": "$(printf «h»)«r»",
    "echo": "$(echo «h»)«r»",
    "echo without newline": "$(echo -n «a»)«b»«r»",
    "echo in backticks": "`echo «h»`«r»",
    "nested substitution": "$(echo $(echo «h»))«r»",
    "here-document name": "$(cat <<E\n«h»\nE\n)«r»",
    "case by tr": "$(tr A-Z a-z <<< «u»)«r»",
    "cut name": "$(cut -c3- <<< zz«h»)«r»",
    "sed name": "$(sed s/_// <<< '«a»_«b»')«r»",
    "command -v": "$(command -v «h»)«r»",
    "which": "$(which «h»)«r»",
    "absolute path": "«d»/«h»«r»",
    "absolute path in /usr": "/usr«d»/«h»«r»",
    "doubled slashes": "/«d»//«h»«r»",
    "dots in the path": "/usr/../«d»/./«h»«r»",
    "path in a variable": "p=«d»; $p/«h»«r»",
    "path quoted": '"«d»/«h»"«r»',
    "path in pieces": "/b''in/../«d»/«a»\\«b»«r»",
    "glob in the folder": "/*«f»/«h»«r»",
    "glob class in the name": "«d»/[«a»]«b»«r»",
    "glob class at the second letter": "«d»/«a»[«e»]«c»«r»",
    "assignment in front": "A=1 B=2 «h»«r»",
    "quoted assignment in front": "A='x y' B=\"$HOME\" «h»«r»",
    "redirection in front": ">/dev/null «h»«r»",
    "input redirection in front": "</dev/null «h»«r»",
    "two redirections in front": "2>&1 >/tmp/out «h»«r»",
    "continuation inside the name": "«a»\\\n«b»«r»",
    "cd to the program": "cd «d» && ./«h»«r»",
    "PATH set first": "PATH=«d»:$PATH «h»«r»",
    "hash -p": "hash -p «d»/«h» xyz; xyz«r»",
    "alias": "shopt -s expand_aliases\nalias xyz='«h»'\nxyz«r»",
    "function of the name": 'xyz() { «h» "$@"; }\nxyz«r»',
}
_LETTERS = {
    "a": "\u0430",
    "c": "\u0441",
    "e": "\u0435",
    "o": "\u043e",
    "p": "\u0440",
    "i": "\u0456",
    "s": "\u0455",
    "d": "\u0501",
    "m": "\u043c",
}
_LETTERS |= {"h": "\u04bb", "k": "\u043a", "u": "\u03c5", "t": "\u0442", "n": "\u0578", "f": "\u0493", "w": "\u051d"}


def _named(template: str) -> Way:
    def way(seed: Seed) -> str | None:
        head = seed.head
        if not head or (("«d»" in template or "which" in template) and not seed.is_program):
            return None
        if "«h»" in template and "command -v" in template and not seed.is_program:
            return None
        parts = {
            "h": head,
            "r": seed.rest,
            "a": head[:1],
            "b": head[1:],
            "c": head[2:],
            "e": head[1:2],
            "u": head.upper(),
            "d": seed.folder,
            "f": seed.folder[2:],
        }
        return re.sub("«(.)»", lambda found: parts[found[1]], template)

    return way


def _encoded(code: str) -> Way:
    """The name with each letter written as `code` formats its number."""

    def way(seed: Seed) -> str | None:
        return "$'" + "".join(code % ord(letter) for letter in seed.head) + "'" + seed.rest if seed.head else None

    return way


def _printed(code: str) -> Way:
    def way(seed: Seed) -> str | None:
        return "$(printf '" + "".join(code % ord(letter) for letter in seed.head) + "')" + seed.rest if seed.head else None

    return way


def _first_letter_encoded(seed: Seed) -> str | None:
    return f"$'\\x{ord(seed.head[0]):02x}{seed.head[1:]}'{seed.rest}" if seed.head and seed.head[1] not in "0123456789abcdef" else None


def _expanded_escapes(seed: Seed) -> str | None:
    return "x='" + "".join(f"\\x{ord(letter):02x}" for letter in seed.head) + "'; ${x@E}" + seed.rest if seed.head else None


def _substring(seed: Seed) -> str | None:
    return f"x=zz{seed.head}zz; ${{x:2:{len(seed.head)}}}{seed.rest}" if seed.head else None


def _substring_by_sum(seed: Seed) -> str | None:
    return f"x=zz{seed.head}zz; ${{x:1+1:{len(seed.head)}}}{seed.rest}" if seed.head else None


def _last_letters(seed: Seed) -> str | None:
    return f"x=zz{seed.head}; ${{x: -{len(seed.head)}}}{seed.rest}" if seed.head else None


def _reversed(seed: Seed) -> str | None:
    return f"$(rev <<< '{seed.head[::-1]}'){seed.rest}" if seed.head else None


def _rotated(seed: Seed) -> str | None:
    return f"$(tr a-z n-za-m <<< {codecs.encode(seed.head, 'rot13')}){seed.rest}" if seed.head else None


def _letters_array(seed: Seed) -> str | None:
    letters = "".join(f"${{x[{index}]}}" for index in range(len(seed.head)))
    return f"x=({' '.join(seed.head)}); {letters}{seed.rest}" if seed.head else None


def _words(make: Callable[[list[str]], str | None], *, literal: bool = True) -> Way:
    def way(seed: Seed) -> str | None:
        words = seed.literal_words if literal else seed.words
        return make(words) if len(words) > 1 else None

    return way


def _of_target(make: Callable[[str, str], str]) -> Way:
    """A way for the last word, where it is an absolute path of more than the root."""

    def way(seed: Seed) -> str | None:
        words = seed.literal_words
        return make(" ".join(words[:-1]), words[-1]) if words and re.fullmatch(r"/[\w./-]{2,}", words[-1]) else None

    return way


def _flags_apart(words: list[str]) -> str | None:
    apart = [f"-{letter}" for word in words for letter in (word[1:] if _is_cluster(words, word) else "")]
    return " ".join([words[0], *apart, *(word for word in words[1:] if not _is_cluster(words, word))]) if apart else None


def _flags_reversed(words: list[str]) -> str | None:
    if not any(_is_cluster(words, word) for word in words):
        return None
    return " ".join("-" + word[:0:-1] if _is_cluster(words, word) else word for word in words)


# Only where every letter is a flag without an argument may a cluster be taken apart or turned round.
_PLAIN_CLUSTERS = {("rm", "-rf")}
_FLAGS_LAST = frozenset({"rm", "chmod", "chown", "shred", "truncate"})
_TAKES_END_OF_FLAGS = frozenset({"rm", "chmod", "chown", "cat", "truncate", "shred", "dropdb"})
_LONG = {
    ("rm", "-rf"): "--recursive --force",
    ("chmod", "-R"): "--recursive",
    ("chown", "-R"): "--recursive",
    ("truncate", "-s"): "--size",
    ("iptables", "-F"): "--flush",
    ("git", "--force"): "-f",
    ("docker", "-af"): "--all --force",
    ("usermod", "-aG"): "--append --groups",
    ("fallocate", "-l"): "--length",
    ("shutdown", "-h"): "--poweroff",
    ("shred", "-u"): "--remove",
    ("curl", "-T"): "--upload-file",
}
_SHORTENED = {"--recursive": "--recu", "--force": "--forc", "--size": "--siz", "--append": "--app", "--remove": "--rem", "--flush": "--flu"}


def _is_cluster(words: list[str], word: str) -> bool:
    return (words[0], word) in _PLAIN_CLUSTERS


def _flags_long(words: list[str]) -> str | None:
    long = [_LONG.get((words[0], word), word) for word in words]
    return " ".join(long) if long != words else None


def _flags_shortened(words: list[str]) -> str | None:
    text = _flags_long(words)
    if not text or words[0] not in {"rm", "chmod", "chown", "truncate", "usermod", "shred"}:
        return None
    return re.sub(r"--\w+", lambda found: _SHORTENED.get(found[0], found[0]), text)


def _flags_last(words: list[str]) -> str | None:
    if words[0] not in _FLAGS_LAST or words[1] in {"-s"}:
        return None
    flags = [word for word in words[1:] if word.startswith("-")]
    return " ".join([words[0], *(word for word in words[1:] if word not in flags), *flags]) if flags else None


def _end_of_flags(words: list[str]) -> str | None:
    if words[0] not in _TAKES_END_OF_FLAGS:
        return None
    at = next((index for index, word in enumerate(words) if index and not word.startswith("-") and words[index - 1] != "-s"), len(words))
    return " ".join([*words[:at], "--", *words[at:]])


def _by_old_folder(seed: Seed) -> str | None:
    words = seed.literal_words
    return f"cd {words[-1]}; cd -; {' '.join(words[:-1])} $OLDPWD" if words and re.fullmatch(r"/[a-z]+", words[-1]) else None


def _home_written_out(seed: Seed) -> str | None:
    return re.sub(r"~(?=/|\s|$)", "$HOME", seed.text) if re.search(r"~(?=/|\s|$)", seed.text) else None


def _home_in_braces(seed: Seed) -> str | None:
    return re.sub(r"~(?=/|\s|$)", '"${HOME}"', seed.text) if re.search(r"~(?=/|\s|$)", seed.text) else None


def _home_by_cd(seed: Seed) -> str | None:
    return "cd; " + re.sub(r"~(?=/|\s|$)", '"$PWD"', seed.text) if re.search(r"~(?=/|\s|$)", seed.text) else None


def _look_alike(seed: Seed) -> str | None:
    at = next((index for index, letter in enumerate(seed.head) if letter in _LETTERS), None)
    return None if at is None else f"{seed.head[:at]}{_LETTERS[seed.head[at]]}{seed.head[at + 1 :]}{seed.rest}"


def _full_width(seed: Seed) -> str | None:
    return "".join(chr(ord(letter) + 0xFEE0) for letter in seed.head) + seed.rest if seed.head else None


def _with_letter(letter: str, *, inside: bool = True) -> Way:
    def way(seed: Seed) -> str | None:
        head = f"{seed.head[:1]}{letter}{seed.head[1:]}" if inside else f"{letter}{seed.head}"
        return head + seed.rest if seed.head else None

    return way


def _wide_blanks(seed: Seed) -> str | None:
    return seed.text.replace(" ", "\u00a0") if seed.words else None


# Texts that bash would not run as the seed: a guard must not pass them as the harmless thing they seem, nor as safe.
LOOK_ALIKES: dict[str, Way] = {
    "Cyrillic letter": _look_alike,
    "full-width letters": _full_width,
    "zero-width space": _with_letter("\u200b"),
    "zero-width joiner": _with_letter("\u200d"),
    "word joiner": _with_letter("\u2060"),
    "soft hyphen": _with_letter("\u00ad"),
    "combining mark": _with_letter("\u0301"),
    "byte order mark": _with_letter("\ufeff", inside=False),
    "right-to-left override": _with_letter("\u202e", inside=False),
    "no-break spaces": _wide_blanks,
}

WORDS: dict[str, Way] = {
    **{name: _named(template) for name, template in _NAMES.items()},
    "ANSI-C hexadecimal": _encoded("\\x%02x"),
    "ANSI-C octal": _encoded("\\%03o"),
    "ANSI-C Unicode": _encoded("\\u%04x"),
    "ANSI-C first letter": _first_letter_encoded,
    "operator @E": _expanded_escapes,
    "printf hexadecimal": _printed("\\x%02x"),
    "printf octal": _printed("\\%03o"),
    "substring": _substring,
    "substring by a sum": _substring_by_sum,
    "last letters": _last_letters,
    "reversed name": _reversed,
    "rotated name": _rotated,
    "letters in an array": _letters_array,
    "brace expansion": _words(lambda words: "{" + ",".join(words) + "}"),
    "brace expansion of the flags": _words(lambda words: f"{words[0]} {{{','.join(words[1:])}}}" if len(words) > 2 else None),
    "array": _words(lambda words: f'x=({" ".join(words)}); "${{x[@]}}"', literal=False),
    "positional parameters": _words(lambda words: f'set -- {" ".join(words)}; "$@"', literal=False),
    "whole command in a variable": _words(lambda words: f"x='{' '.join(words)}'; $x"),
    "read into an array": _words(lambda words: f"read -ra x <<< '{' '.join(words)}'; \"${{x[@]}}\""),
    "IFS as blank": _words("${IFS}".join),
    "IFS in the plain": _words(lambda words: "$IFS".join(words) if all(not word[0].isalnum() for word in words[1:]) else None),
    "IFS set": _words(lambda words: f"IFS=,; x={','.join(words)}; $x"),
    "quoted words": _words(lambda words: " ".join(f"'{word}'" for word in words)),
    "double-quoted words": _words(lambda words: " ".join(f'"{word}"' for word in words)),
    "split words": _words(lambda words: " ".join(f"{word[:1]}''{word[1:]}" for word in words)),
    "ANSI-C words": _words(lambda words: " ".join("$'" + "".join(f"\\x{ord(letter):02x}" for letter in word) + "'" for word in words)),
    "flags and target in variables": _words(lambda words: f"f='{' '.join(words[1:-1])}' t={words[-1]}; {words[0]} $f $t"),
    "flags apart": _words(_flags_apart, literal=False),
    "flags reversed": _words(_flags_reversed, literal=False),
    "flags long or short": _words(_flags_long, literal=False),
    "flags shortened": _words(_flags_shortened, literal=False),
    "flags last": _words(_flags_last, literal=False),
    "end of flags": _words(_end_of_flags, literal=False),
    "target in a variable": _of_target(lambda first, last: f't={last}; {first} "$t"'),
    "target in two pieces": _of_target(lambda first, last: f'x={last[:2]}; y={last[2:]}; {first} "$x$y"'),
    "target by substitution": _of_target(lambda first, last: f'{first} "$(echo {last})"'),
    "target by a glob": _of_target(lambda first, last: f"{first} {last[:-1]}[{last[-1]}]"),
    "target in ANSI-C": _of_target(lambda first, last: f"{first} $'\\x2f{last[1:]}'"),
    "target with dots": _of_target(lambda first, last: f"{first} /usr/..{last}"),
    "target with doubled slashes": _of_target(lambda first, last: f"{first} /{last.replace('/', '//')}"),
    "target from the working folder": _of_target(
        lambda first, last: f"cd {last.rsplit('/', 1)[0] or '/'} && {first} ./{last.rsplit('/', 1)[1]}"
    ),
    "target by OLDPWD": _by_old_folder,
    "home written out": _home_written_out,
    "home in braces": _home_in_braces,
    "home by cd": _home_by_cd,
}
