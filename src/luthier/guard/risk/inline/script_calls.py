"""Calls in scripting languages: what they do by the table, and those that call what they are given."""

from __future__ import annotations

from luthier.guard.risk.inline.calls import Call, perform
from luthier.guard.risk.inline.results import Invocation
from luthier.guard.risk.inline.script_reader import Cursor, plain
from luthier.guard.risk.inline.script_tokens import Token
from luthier.guard.risk.inline.texts import Ref, Thing, Value, is_constant, taint, text_of, words_of
from luthier.guard.values.symbols import UNKNOWN


class Calls(Cursor):
    """Follows calls."""

    def method(self, function: Ref) -> Call | None:
        """What the table has of a method; None where it has nothing."""
        if function.receiver is None:
            return None
        name = function.name.removeprefix("@.")
        receiver = function.receiver
        if isinstance(receiver, Thing):
            return self.table.calls.get(f"@{receiver.kind}.{name}") or self.table.calls.get(f"@any.{name}")
        return self.table.calls.get(f"@any.{name}") or (
            self.table.calls.get(f"@unknown.{name}") if not isinstance(receiver, tuple) else None
        )

    def call(self, function: Value, given: tuple[list[Value], dict[str, Value]], first: Token) -> Value:
        """What a call does and gives."""
        function = plain(function)
        start, end = self.offset + first.start, self.offset + self.tokens[min(self.position, len(self.tokens)) - 1].end
        arguments, options = given
        arguments = [
            argument for item in arguments for argument in (item if isinstance(item, tuple) and self.language == "perl" else (item,))
        ]
        invocation = Invocation(list(arguments), options)
        if isinstance(function, Thing) and function.kind == "dynamic":
            self.findings.add("dynamic", (), start, end)
            return UNKNOWN
        if isinstance(function, str) and (first.kind in ("variable", "text") or first.text == "{") and self.language in ("php", "perl"):
            if not is_constant(function):
                self.findings.add("dynamic", (), start, end)
                return UNKNOWN
            function = Ref(function.lower() if self.language == "php" else function)
        if not isinstance(function, Ref):
            return taint((function, *arguments))
        if function.receiver is not None:
            return self._call_method(function, invocation, start, end)
        if function.name == "require" and self.language == "perl" and (not arguments or isinstance(arguments[0], Ref | int)):
            # A module by its name, or a version.
            return UNKNOWN
        known = self.table.calls.get(function.name)
        if known is None:
            return self._unknown_call(function, arguments, start, end)
        if known.gives[:1] == ("apply",):
            return self._apply(arguments, first)
        return perform(known, invocation, self.findings, start, end)

    def _apply(self, arguments: list[Value], first: Token) -> Value:
        """A function that calls the one it is given by name."""
        name = text_of(arguments[0].name if isinstance(arguments[0], Ref) else arguments[0]) if arguments else UNKNOWN
        if not is_constant(name):
            name = next((text_of(item) for item in arguments[1:] if isinstance(item, str) and item.lower() in self.table.calls), name)
        rest = [item for argument in arguments[1:] for item in (argument if isinstance(argument, tuple) else (argument,))]
        return self.call(
            Ref(name.lstrip(":").lower() if self.language == "php" else name.lstrip(":")) if is_constant(name) else Thing("dynamic"),
            (rest, {}),
            first,
        )

    def _unknown_call(self, function: Ref, arguments: list[Value], start: int, end: int) -> Value:
        for position, argument in enumerate(arguments):
            inner = self.table.calls.get(argument.name) if isinstance(argument, Ref) and argument.receiver is None else None
            if inner is not None and inner.deeds:
                rest = [item for other in arguments[position + 1 :] for item in (other if isinstance(other, tuple) else (other,))]
                perform(inner, Invocation(rest), self.findings, start, end)
        if "constructor.constructor" in function.name:
            self.findings.add("code", (self.language, text_of(arguments[0]) if arguments else UNKNOWN), start, end)
        return taint(arguments)

    def _call_method(self, function: Ref, given: Invocation, start: int, end: int) -> Value:
        name, receiver = function.name.removeprefix("@."), function.receiver
        given.receiver = receiver
        self.subject = receiver
        if name == "constructor" or name.endswith(".constructor"):
            self.findings.add("code", (self.language, text_of(given.arguments[0]) if given.arguments else UNKNOWN), start, end)
        if name in ("call", "apply", "bind") and isinstance(receiver, Ref) and receiver.receiver is None and given.arguments:
            rest = given.arguments if self.language == "ruby" else given.arguments[1:]
            return self.call(
                receiver,
                (list(words_of(rest[0])) if name == "apply" and rest else rest, {}),
                Token("name", "", start - self.offset, end - self.offset),
            )
        known = self.method(function)
        if known is None:
            for argument in given.arguments:
                if isinstance(argument, Ref) and argument.name in self.table.calls and argument.receiver is None:
                    perform(
                        self.table.calls[argument.name],
                        Invocation(list(receiver) if isinstance(receiver, tuple) else [receiver]),
                        self.findings,
                        start,
                        end,
                    )
            return receiver if isinstance(receiver, Thing) else taint((receiver, *given.arguments))
        call = (
            self.table.calls.get(f"@{receiver.kind}.{name}" if isinstance(receiver, Thing) else "")
            or self.table.calls.get(f"@any.{name}")
            or self.table.calls.get(f"@unknown.{name}")
        )
        if call is None:
            return UNKNOWN
        if call.gives[:1] == ("apply",):
            return self._apply(given.arguments, Token("name", "", start - self.offset, end - self.offset))
        return perform(call, given, self.findings, start, end)
