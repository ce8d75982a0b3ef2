"""Command languages that do not exist: made up afresh for a few turns, or kept through the whole text as a dialect."""

from __future__ import annotations

from random import Random

from recipes.starter.names import invented, word
from recipes.starter.requests import Intent, intents

DIALECTS = ("brax", "tolin", "quemo", "sardi")


def flag(random: Random) -> str:
    letter = random.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIKLMNPRSTUVX")
    return random.choice((f"-{letter}", f"-{letter}", f"-{letter}{random.choice('abcdefghilnprstvxz')}", f"--{word(random)}"))


def argument(random: Random, role: str) -> str:
    """How one role stands in a command: bare, quoted, behind a flag, with something stuck to it."""
    slot = "{" + role + "}"
    kind = random.random()
    if kind < 0.46:
        return slot
    if kind < 0.62:
        return random.choice((f"'{slot}'", f'"{slot}"'))
    if kind < 0.76:
        return f"{flag(random)} {slot}"
    if kind < 0.84:
        return f"--{word(random)}={slot}"
    stuck = (
        "-n{}",
        "{}/",
        "./{}",
        "+{}",
        "@{}",
        "{}:",
        ":{}",
        "*.{}",
        "{}.new",
        "key={}",
        "'*.{}'",
        "({})",
        "/{}/",
        "{},",
        "s/{}/",
        "<{}",
        "'{}p'",
        "-{}",
        "{}%",
    )
    return random.choice(stuck).replace("{}", slot)


def verb(random: Random) -> str:
    short = "".join(random.choice("abcdefghiklmnoprstuvwxz") for _ in range(random.choice((2, 2, 3, 4))))
    return random.choice((short, short, invented(random), invented(random, 1), f"{invented(random, 1)} {word(random)}"))


def draw_command(random: Random, intent: Intent) -> str:
    """A command's shape for an intent, with `{role}` where names go, each role at least once."""
    roles = [role for role, _ in intent.roles]
    if random.random() < 0.4:
        random.shuffle(roles)
    if len(roles) > 1 and random.random() < 0.25:
        # Two names with one sign between them and no space, as in user@host.
        first, second = roles.pop(), roles.pop()
        joined = "{" + first + "}" + random.choice("@:/=,+.") + "{" + second + "}"
        parts = [verb(random), *(argument(random, role) for role in roles), joined]
        return " ".join(parts if random.random() < 0.5 else [parts[0], joined, *parts[1:-1]])
    parts = [verb(random)]
    parts += [flag(random) for _ in range(random.choice((0, 0, 1, 1, 2)))]
    for position, role in enumerate(roles):
        if position and random.random() < 0.22:
            parts += random.choice((["|", verb(random)], [">"], [">>"], ["&&", verb(random)], [";", verb(random)], ["--"], ["="], [":"]))
        parts.append(argument(random, role))
    if random.random() < 0.12:
        parts += [random.choice(("|", "&&")), verb(random), argument(random, random.choice(roles))]
    if random.random() < 0.12:
        parts += random.choice((["|", verb(random), flag(random)], [flag(random)], ["2>", "null"], [r"\;"], ["{}", "+"]))
    return " ".join(parts)


def fill(shape: str, slots: dict[str, str]) -> str:
    for role, name in slots.items():
        shape = shape.replace("{" + role + "}", name)
    return shape


def other_shape(random: Random, intent: Intent) -> str:
    """An answer's shape that is no command line: a call, a record, a sentence, an arrow."""
    roles = [role for role, _ in intent.roles]
    random.shuffle(roles)
    name = invented(random)
    kind = random.randrange(6)
    if kind == 0:
        return f"{name}(" + ", ".join(f'"{{{role}}}"' for role in roles) + ")"
    if kind == 1:
        return "{" + ", ".join(f'"{word(random)}": "{{{role}}}"' for role in roles) + "}"
    if kind == 2:
        return "\n".join(f"{word(random)}: {{{role}}}" for role in roles)
    if kind == 3:
        return f"{name} " + f" {random.choice(('->', '=>', '|', ',', '/', 'to', 'and', 'with'))} ".join(f"{{{role}}}" for role in roles)
    if kind == 4:
        return f"<{name}>" + "".join(f"<{role}>{{{role}}}</{role}>" for role in roles) + f"</{name}>"
    return f"the {word(random)} {{" + f"}} {random.choice(('goes to', 'is for', 'uses', 'needs'))} {{".join(roles) + "}."


def dialect_shape(dialect: str, intent: Intent) -> str:
    """The shape that a dialect always gives to an intent."""
    return draw_command(Random(f"{dialect}/{intent.action}"), intent)


def dialect_table() -> dict[str, dict[str, str]]:
    return {dialect: {intent.action: dialect_shape(dialect, intent) for intent in intents()} for dialect in DIALECTS}
