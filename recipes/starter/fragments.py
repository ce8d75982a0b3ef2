"""Small pieces of code, configuration, tables and prose in which a name that was given once is used again."""

from __future__ import annotations

import json
from random import Random

from recipes.starter import names

SENTENCES = [
    "The file {a} is kept in {d}. To read {a}, go to {d} first.",
    "{u} moved {a} to {d}. After that, {d} held {a} and {b}.",
    "There are two folders, {d} and {e}. {a} is in {d}, and {b} is in {e}. So {d} has {a}, and {e} has {b}.",
    "{u} asked for {b}, but only {a} was found. {u} then opened {a}.",
    "The service {s} listens on port {p}. When {s} stops, port {p} is free again.",
    "First {u} made {d}. Then {u} wrote {a} there, {n} lines long. All {n} lines of {a} were about {w}.",
    "A {w} is not a {v}. Ask for a {v} and you do not get a {w}.",
    "{h} is the host of {s}. Connect to {h} as {u}, and look at {s}.",
    "Between {a} and {b} there is one difference: {a} has {n} lines, and {b} has none.",
    "If {a} is missing, {s} does not start. Put {a} back, then start {s}.",
    "{u} owns {a}. Nobody but {u} may write to {a}; {v} may read it.",
    "To rename {a}, say the old name, {a}, and then the new name, {b}.",
    "The branch {w} comes from {v}. Merge {w} into {v} when it is ready.",
    "{n} files ending in {x} take {z}. Without the {x} files, {z} would be free.",
]


def cast(random: Random) -> dict[str, str]:
    """One name of each sort that the pieces below use."""
    return {
        "a": names.file(random), "b": names.file(random), "d": names.folder(random), "e": names.path(random), "u": names.user(random),
        "s": names.service(random), "p": names.port(random), "n": names.number(random), "w": names.word(random), "v": names.word(random),
        "h": names.host(random), "x": names.ending(random), "z": names.size(random),
    }  # fmt: skip


def prose(random: Random) -> str:
    return " ".join(random.choice(SENTENCES).format(**cast(random)) for _ in range(random.choice((1, 2, 2))))


def python(random: Random) -> str:
    c = cast(random)
    w, v = (names.invented(random), names.word(random))
    return random.choice(
        (
            f'def {w}({v}, {c["w"]}={c["n"]}):\n    """Return the {v} of {c["w"]}."""\n    for item in {v}:\n'
            f'        if item == {c["w"]}:\n            return item\n    return {c["w"]}\n\nprint({w}("{c["a"]}"))\n',
            f'{w} = "{c["a"]}"\nwith open({w}) as {v}:\n    {c["w"]} = {v}.read()\nprint(len({c["w"]}), {w})\n',
            f"class {w.capitalize()}:\n    def __init__(self, {v}, {c['w']}):\n        self.{v} = {v}\n        self.{c['w']} = {c['w']}\n\n"
            f"{w} = {w.capitalize()}({c['n']}, '{c['h']}')\nassert {w}.{v} == {c['n']}\n",
            f"{v} = [{c['n']}, {c['p']}, {names.number(random)}]\n{w} = {{'{c['u']}': {v}[0], '{c['s']}': {v}[1]}}\n"
            f"assert {w}['{c['u']}'] == {c['n']} and {w}['{c['s']}'] == {c['p']}\n",
        )
    )


def record(random: Random) -> str:
    """The same few fields twice: as JSON and as lines, or the other way round."""
    makers = list(names.MAKERS)
    kinds = random.sample(makers, random.choice((2, 3, 4)))
    fields = {names.word(random) if random.random() < 0.4 else kind: names.MAKERS[kind](random) for kind in kinds}
    forms = [
        json.dumps(fields),
        json.dumps(fields, indent=2),
        "\n".join(f"{key}: {value}" for key, value in fields.items()),
        "\n".join(f"{key} = {value}" for key, value in fields.items()),
        "\n".join(f"- {key}: `{value}`" for key, value in fields.items()),
        "".join(f"<{key}>{value}</{key}>" for key, value in fields.items()),
        "| " + " | ".join(fields) + " |\n| " + " | ".join(fields.values()) + " |",
    ]
    random.shuffle(forms)
    return "\n\n".join(forms[: random.choice((2, 2, 3))]) + "\n"


def script(random: Random) -> str:
    """Lines in the manner of a shell's script, with invented programs: assignments, uses, quotes, pipes, comments."""
    c = cast(random)
    one, two, key = names.invented(random, 1), names.invented(random, 1), names.variable(random)
    return random.choice(
        (
            f'#!/bin/{one}\n# {c["w"]} {c["v"]}\n{key}="{c["a"]}"\n'
            f'{one} -{random.choice("abcdef")} "${key}" | {two} > {c["b"]}\n{two} {c["b"]} && {one} {c["a"]}\n',
            f"$ {one} {c['d']}\n{c['a']}\n{c['b']}\n$ {two} --{c['w']} {c['a']}\n$ {one} {c['d']}\n{c['b']}\n",
            f"{one} {c['u']}@{c['h']}:{c['e']} {c['d']}/\n{two} -{random.choice('pqrst')} {c['p']} {c['u']}@{c['h']} '{one} {c['a']}'\n",
            f"for {c['w']} in {c['a']} {c['b']}; do {one} ${c['w']}; done\n# {one} {c['a']}; {one} {c['b']}\n",
            f"{one} {c['e']} -{c['w']} '*.{c['x']}' -{c['v']} +{c['z']} | {two} -n {c['n']}\n"
            f"{one} {c['e']} -{c['w']} '*.{c['x']}' ! -{c['v']} +{c['z']}\n",
        )
    )


def log(random: Random) -> str:
    c = cast(random)
    day = names.date(random)
    lines = [
        f"{day} {names.clock(random)} {c['s']}[{c['p']}]: {text}"
        for text in (
            f"started by {c['u']}",
            f"reading {c['a']}",
            f"no {c['b']} on {c['h']}",
            f"wrote {c['n']} lines to {c['d']}",
            f"closed {c['a']}",
        )
    ]
    return "\n".join(lines[: random.choice((3, 4, 5))]) + "\n"


def table(random: Random) -> str:
    """A small table, and then one column or one row of it said again."""
    rows = [(names.stem(random), names.number(random), names.ending(random)) for _ in range(random.choice((3, 4)))]
    sign = random.choice((",", ";", "\t", " | "))
    body = "name,count,kind".replace(",", sign) + "\n" + "\n".join(sign.join(row) for row in rows)
    row = random.choice(rows)
    tail = random.choice(
        (
            f"names: {', '.join(r[0] for r in rows)}",
            f"{row[0]} has count {row[1]} and kind {row[2]}",
            f"counts: {' '.join(r[1] for r in rows)}",
        )
    )
    return f"{body}\n\n{tail}\n"


def markdown(random: Random) -> str:
    c = cast(random)
    return (
        f"# {c['w']}\n\n{prose(random)}\n\n* **{c['s']}**: see `{c['a']}`\n* **{c['u']}**: see `{c['b']}`\n\n"
        f"```\n{c['s']} --{c['w']} {c['a']}\n```\n\n[{c['w']}](https://{c['h']}/{c['w']})\n"
    )


MAKERS = (prose, prose, python, record, record, script, log, table, markdown)


def draw_fragment(random: Random) -> str:
    return random.choice(MAKERS)(random)
