"""Exercises in copying: say it again, say part of it, say it with one change."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from recipes.starter import names

Turns = list[tuple[str, str]]
# What to do, and what draws a name before and after it.
Edit = tuple[str, Callable[[Random], tuple[str, str]]]


def things(random: Random, count: int) -> list[str]:
    """`count` different names, all of one sort or of any."""
    maker = random.choice(list(names.MAKERS.values()))
    mixed = random.random() < 0.4
    found: list[str] = []
    while len(found) < count:
        name = (random.choice(list(names.MAKERS.values())) if mixed else maker)(random)
        if name not in found or random.random() < 0.1:
            found.append(name)
    return found


def again(random: Random) -> Turns:
    """Repeat one thing, or several, as they are or between other signs."""
    items = things(random, random.choice((1, 2, 3, 4, 5)))
    sign = random.choice((" ", ", ", "\n", " | ", "/", ";"))
    given = sign.join(items)
    kind = random.randrange(5)
    if kind == 0:
        return [(f"{random.choice(('Repeat', 'Say', 'Copy', 'Write', 'Echo'))}{random.choice((': ', ' ', chr(10)))}{given}", given)]
    if kind == 1:
        return [(f"Backwards: {given}", sign.join(reversed(items)))]
    if kind == 2:
        return [(f"Twice: {given}", given + sign + given)]
    if kind == 3:
        other = random.choice((" ", ", ", "\n", " + "))
        return [(f"Join with {other!r}: {given}", other.join(items))]
    return [(f"One per line: {given}", "\n".join(items))]


def pick(random: Random) -> Turns:
    """Name one of a list by its place, its neighbour or its beginning."""
    items = things(random, random.choice((2, 3, 4)))
    place = random.randrange(len(items))
    given = ", ".join(items)
    ordinal = ("first", "second", "third", "fourth")[place]
    kind = random.randrange(4)
    if kind == 0:
        return [(f"The {ordinal} of {given}", items[place])]
    if kind == 1:
        return [(f"{given}\nThe last?", items[-1]), ("The first?", items[0])]
    if kind == 2 and place + 1 < len(items):
        return [(f"{given}\nWhat comes after {items[place]}?", items[place + 1])]
    return [(f"Without {items[place]}: {given}", ", ".join(item for number, item in enumerate(items) if number != place))]


def table(random: Random) -> Turns:
    """Keys and values, then questions for some of the keys."""
    keys = [names.word(random) for _ in range(random.choice((2, 3, 4)))]
    pairs = dict(zip(keys, things(random, len(keys)), strict=True))
    asked = random.sample(list(pairs), min(len(pairs), random.choice((1, 2))))
    sign = random.choice((": ", " = ", " -> ", " is "))
    text = random.choice(("\n", "; ", ", ")).join(f"{key}{sign}{value}" for key, value in pairs.items())
    turns = [(f"{key}?", pairs[key]) for key in asked]
    return [(f"{text}\n{turns[0][0]}", turns[0][1]), *turns[1:]]


def edit(random: Random) -> Turns:
    """One small change to a name; the same change is shown for two other names, or is said in words."""
    change, made = EDITS[random.randrange(len(EDITS))](random)
    pairs = [made(random) for _ in range(random.choice((1, 2, 3)))]
    if random.random() < 0.5:
        return [(f"{change} {before}" if change else before, after) for before, after in pairs]
    lines = "\n".join(f"{before} => {after}" for before, after in pairs)
    before, after = made(random)
    return [(f"{lines}\n{before} =>", after)]


def _named(change: str, draw: Callable[[Random], str], after: Callable[[str], str]) -> Edit:
    """An edit that depends on nothing but the name."""

    def made(random: Random) -> tuple[str, str]:
        name = draw(random)
        return name, after(name)

    return change, made


def _file_name(random: Random) -> str:
    return f"{names.stem(random)}.{names.ending(random)}"


def _quote(random: Random) -> Edit:
    sign = random.choice(("'", '"', "`", "*", "%", "/", "**"))
    return _named(f"Put {sign} around", lambda other: things(other, 1)[0], lambda name: f"{sign}{name}{sign}")


def _before(random: Random) -> Edit:
    start = random.choice((f"{names.word(random)}/", f"-{names.invented(random, 1)} ", f"{names.word(random)}=", "./", "~/", "*.", "--"))
    return _named(f"Put {start.strip()} before", names.stem, lambda name: start + name)


def _after(random: Random) -> Edit:
    tails = (f".{names.ending(random)}", f"-{names.word(random)}", "/", f"/{names.word(random)}", f" {names.invented(random, 1)}", ".bak")
    tail = random.choice(tails)
    return _named(f"Put {tail.strip()} after", names.stem, lambda name: name + tail)


def _ending(random: Random) -> Edit:
    new = names.ending(random)

    def made(other: Random) -> tuple[str, str]:
        name = names.word(other)
        return f"{name}.{names.ending(other)}", f"{name}.{new}"

    return f"Make it .{new}:", made


def _base(random: Random) -> Edit:
    def made(other: Random) -> tuple[str, str]:
        where, name = names.path(other), _file_name(other)
        return f"{where}/{name}", name

    return "Only the name of", made


def _where(random: Random) -> Edit:
    def made(other: Random) -> tuple[str, str]:
        where, name = names.path(other), _file_name(other)
        return f"{where}/{name}", where

    return "Only the folder of", made


def _bare(random: Random) -> Edit:
    def made(other: Random) -> tuple[str, str]:
        name = names.stem(other)
        return f"{name}.{names.ending(other)}", name

    return "Without its ending:", made


def _swap(random: Random) -> Edit:
    sign = random.choice((" ", ":", "/", "=", " to ", ", ", "@"))

    def made(other: Random) -> tuple[str, str]:
        first, second = names.word(other), names.stem(other)
        return first + sign + second, second + sign + first

    return "Swap", made


def _fill(random: Random) -> Edit:
    start, tail = names.invented(random, 1), names.invented(random, 1)
    shape = random.choice((f"{start} _ {tail}", f"{start} '_' > {tail}", f"{start}/_/{tail}", f"{start} _ | {tail} _", f"{start}(_)"))
    return _named(f"Fill {shape} with", lambda other: names.word(other) + str(other.randrange(10)), lambda name: shape.replace("_", name))


EDITS = (_quote, _before, _after, _ending, _base, _where, _bare, _swap, _fill)


def draw_copying(random: Random) -> Turns:
    return random.choice((again, again, pick, table, table, edit, edit, edit))(random)


def plain_copy(random: Random) -> str:
    """Text without turns in which a line of names comes back: the first thing the model is to learn."""
    line = random.choice((" ", ", ", "/", "\n")).join(things(random, random.choice((2, 3, 4, 6))))
    return random.choice(("\n", " = ", " ; ")).join([line] * random.choice((2, 2, 3)))
