"""Requests with their answers: records, questions, other words, and command languages that do not exist."""

from __future__ import annotations

import json
from random import Random

from recipes.starter.commands import DIALECTS, dialect_shape, draw_command, fill, other_shape
from recipes.starter.copying import Turns
from recipes.starter.names import invented
from recipes.starter.requests import Intent, draw_request, intents, phrase

SYSTEM = "You are helpful."


def dialect(random: Random) -> tuple[str, Turns]:
    """A request answered in one of the kept dialects: the shape is remembered, the names are copied."""
    name = random.choice(DIALECTS)
    turns = []
    for _ in range(random.choice((1, 1, 2))):
        request = draw_request(random)
        turns.append((request.sentence, fill(dialect_shape(name, request.intent), request.slots)))
    return f"Answer in {name}.", turns


def fresh(random: Random) -> tuple[str, Turns]:
    """A language made up for this text: two or three requests with answers, in turns, in which the last ones must follow the first."""
    chosen = random.sample(intents(), random.choice((1, 1, 2)))
    shapes = {intent.action: (draw_command if random.random() < 0.75 else other_shape)(random, intent) for intent in chosen}
    order = chosen * random.choice((2, 3) if len(chosen) == 1 else (2, 2))
    if random.random() < 0.5:
        random.shuffle(order)
    requests = [draw_request(random, intent) for intent in order]
    turns = [(request.sentence, fill(shapes[request.intent.action], request.slots)) for request in requests]
    return random.choice((SYSTEM, f"Answer in {invented(random)}.")), turns


def listed(random: Random) -> tuple[str, Turns]:
    """The same as lines of one question: request, arrow, answer, and then a request without its answer."""
    intent = random.choice(intents())
    shape = (draw_command if random.random() < 0.7 else other_shape)(random, intent)
    requests = [draw_request(random, intent) for _ in range(random.choice((2, 3)))]
    sign = random.choice((" => ", " -> ", "\n", ": "))
    lines = [request.sentence + sign + fill(shape, request.slots) for request in requests]
    last = draw_request(random, intent)
    return SYSTEM, [("\n".join([*lines, last.sentence + sign.rstrip(" ")]), fill(shape, last.slots))]


def described(random: Random) -> tuple[str, Turns]:
    """The shape is said with its roles' names, then filled for one or two requests."""
    intent = random.choice(intents())
    shape = (draw_command if random.random() < 0.7 else other_shape)(random, intent)
    blank = fill(shape, {role: role.upper() for role, _ in intent.roles})
    turns = [
        (request.sentence, fill(shape, request.slots)) for request in (draw_request(random, intent) for _ in range(random.choice((1, 2))))
    ]
    return f"To {intent.action.replace('_', ' ')}, say {blank}", turns


def record(random: Random) -> tuple[str, Turns]:
    """The request as a record, a form or a call, with fixed names for action and roles."""
    request = draw_request(random)
    action, slots = request.intent.action, request.slots
    kind = random.randrange(3)
    if kind == 0:
        return "Answer with JSON.", [(request.sentence, json.dumps({"action": action, **slots}))]
    if kind == 1:
        return "Fill the form.", [
            (request.sentence, "\n".join([f"action: {action}", *(f"{role}: {name}" for role, name in slots.items())]))
        ]
    return "Answer with a call.", [(request.sentence, f"{action}({', '.join(f'{role}={name!r}' for role, name in slots.items())})")]


def question(random: Random) -> tuple[str, Turns]:
    """Questions about the names in a request."""
    request = draw_request(random)
    roles = random.sample(list(request.slots), min(len(request.slots), random.choice((1, 2))))
    turns = [(random.choice(("Which {}?", "What is the {}?", "{}?")).format(role), request.slots[role]) for role in roles]
    return SYSTEM, [(f"{request.sentence}\n{turns[0][0]}", turns[0][1]), *turns[1:]]


def reworded(random: Random) -> tuple[str, Turns]:
    """The same request in other words."""
    request = draw_request(random)
    return "Say it in other words.", [(request.sentence, phrase(random, request.intent, request.slots))]


def same(random: Random) -> tuple[str, Turns]:
    """Do two sentences ask for the same thing? The second often differs in one name or in what is to be done."""
    request = draw_request(random)
    second: Intent = request.intent
    slots = dict(request.slots)
    chance = random.random()
    if chance < 0.35:
        role = random.choice(list(slots))
        slots[role] = draw_request(random, second).slots[role]
    elif chance < 0.5:
        kinds = sorted(kind for _, kind in second.roles)
        others = [intent for intent in intents() if intent is not second and sorted(kind for _, kind in intent.roles) == kinds]
        if others:
            second = random.choice(others)
            free = list(request.slots.values())
            slots = dict(zip((role for role, _ in second.roles), free, strict=True))
    answer = "yes" if second is request.intent and slots == request.slots else "no"
    return "Same?", [(f"{request.sentence}\n{phrase(random, second, slots)}", answer)]
