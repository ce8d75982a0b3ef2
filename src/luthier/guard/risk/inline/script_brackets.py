"""What stands in brackets of scripting languages, and lists of arguments with or without them."""

from __future__ import annotations

import re
from abc import abstractmethod

from luthier.guard.risk.inline.script_calls import Calls
from luthier.guard.risk.inline.script_reader import OPENERS, Place, plain
from luthier.guard.risk.inline.texts import Ref, Value, element_of, text_of
from luthier.guard.values.symbols import NETWORK, STAR, UNKNOWN

# Words that end a list of arguments without brackets.
STOPPERS = frozenset(["if", "unless", "while", "until", "for", "foreach", "and", "or", "do", "then", "end", "else", "rescue"])


class Brackets(Calls):
    """Reads lists, tables and arguments."""

    @abstractmethod
    def expression(self) -> Value:
        """Operands with operators between them."""

    def angle(self) -> Value:
        """Perl's `<FH>` and `<*.c>`."""
        start = self.take()
        parts = []
        for _ in range(12):
            token = self.take()
            if token.kind == "end" or token.text == ">":
                break
            parts.append(token.text)
        pattern = "".join(parts)
        if "*" in pattern or "?" in pattern or "/" in pattern:
            return (re.sub(r"\*+", STAR, pattern),)
        del start
        return NETWORK if "sock" in pattern.lower() else UNKNOWN

    def group(self) -> Value:
        """What stands in brackets: a single value in parentheses, a list, or a table of options."""
        opener = self.take().text
        closer = OPENERS[opener]
        items, table_of, is_table = self.items(closer)
        if is_table:
            return table_of if self.peek().text == "=" else {key: plain(item) for key, item in table_of.items()}
        if opener == "[":
            return tuple(plain(item) if self.peek().text != "=" else item for item in items)
        if opener == "(":
            return plain(items[0]) if len(items) == 1 and self.peek().text != "=>" else tuple(items)
        if self.peek().text == "=" and items:
            return {item.name: item for item in items if isinstance(item, Place)}
        return plain(items[-1]) if items else None

    def items(self, closer: str) -> tuple[list[Value], dict[Value, Value], bool]:
        """Expressions up to `closer`, which is passed; `key => value` and `key: value` go into a table."""
        items: list[Value] = []
        pairs: dict[Value, Value] = {}
        while True:
            token = self.peek()
            if token.kind == "end":
                break
            if token.kind == "operator" and token.text in (")", "]", "}"):
                self.position += 1
                break
            if token.kind == "line" or (token.kind == "operator" and token.text in (",", ";")):
                self.position += 1
                continue
            if self._pair(pairs):
                continue
            before = self.position
            items.append(self.expression())
            self._each(items[-1])
            if self.is_operator("=>", ":") and not self._pair_after(items, pairs):
                self.position += 1
            if self.position == before:
                self.position += 1
        del closer
        return items, pairs, bool(pairs) and not items

    def _each(self, left: Value) -> None:
        """The variable of a loop over a list: `foreach (list as $x)`, `for (const x of list)`."""
        word = self.peek()
        if word.kind != "name" or word.text not in ("as", "of"):
            return
        self.position += 1
        target, source = (self.expression(), left) if word.text == "as" else (left, self.expression())
        if isinstance(target, Place):
            self.names[target.name] = element_of(plain(source))

    def _pair(self, pairs: dict[Value, Value]) -> bool:
        """`key: value`, `key => value` or `key = value` with a plain key."""
        key, mark = self.peek(), self.peek(1)
        marks = ("=>", ":") if self.language not in ("r", "julia", "lua") else ("=", "=>")
        if (
            key.kind in ("name", "text", "number")
            and mark.kind == "operator"
            and mark.text in marks
            and not (self.language == "javascript" and mark.text == "=>")
        ):
            self.position += 2
            pairs[key.text] = self.expression()
            return True
        return False

    def _pair_after(self, items: list[Value], pairs: dict[Value, Value]) -> bool:
        if self.is_operator("=>") and self.language in ("perl", "ruby", "php"):
            self.position += 1
            key = plain(items.pop())
            pairs[text_of(key)] = plain(self.expression())
            return True
        return False

    def arguments(self) -> tuple[list[Value], dict[str, Value]]:
        self.position += 1
        items, pairs, _ = self.items(")")
        arguments = [item if isinstance(item, dict) else plain(item) for item in items]
        return arguments, {text_of(key): plain(item) for key, item in pairs.items()}

    def bare_arguments(self) -> tuple[list[Value], dict[str, Value]]:
        items: list[Value] = []
        pairs: dict[Value, Value] = {}
        # `print STDERR "x"`: a handle stands before the list without a comma.
        if (
            self.peek().kind == "name"
            and self.peek().text.isupper()
            and self.peek(1).kind in ("text", "variable")
            and self.language == "perl"
        ):
            self.position += 1
            return [UNKNOWN], self.bare_arguments()[1]
        while True:
            token = self.peek()
            if (
                token.kind in ("line", "end")
                or (token.kind == "operator" and token.text in (")", "]", "}", ";"))
                or (token.kind == "name" and token.text in STOPPERS)
            ):
                break
            if not self._pair(pairs):
                before = self.position
                item = plain(self.expression())
                items.append(item)
                if self.is_operator("=>"):
                    self._pair_after(items, pairs)
                if self.position == before:
                    self.position += 1
            if not self.is_operator(","):
                break
            self.position += 1
            self.skip_lines()
        return items, {text_of(key): plain(item) for key, item in pairs.items()}

    def bind_imports(self) -> Value:
        """JavaScript's `import {a as b} from "module"`: binds the names."""
        self.position += 1
        names: list[str] = []
        whole = True
        for _ in range(80):
            token = self.take()
            if token.kind in ("text", "end"):
                break
            if token.text == "{":
                whole = False
            elif token.text == "as" and names:
                alias = self.take().text
                names[-1] = f"{names[-1]} {alias}"
            elif token.kind == "name" and token.text != "from":
                names.append(token.text)
        module = Ref(token.text.removeprefix("node:").replace("/", "."))
        for name in names:
            inner, _, alias = name.partition(" ")
            self.names[alias or inner] = module if whole or inner == "default" else self.attribute(module, inner)
        return UNKNOWN

    def block(self, value: Value) -> None:
        """A Ruby block's parameter is an element of what its method works on."""
        token = self.peek()
        if not (token.text in ("{", "do") and self.peek(1).text == "|"):
            return
        inner = plain(value)
        items = inner.receiver if isinstance(inner, Ref) and inner.receiver is not None else inner
        element = element_of(items)
        self.position += 2
        for _ in range(8):
            name = self.take()
            if name.text == "|" or name.kind == "end":
                break
            if name.kind == "name":
                self.names[name.text] = element
        if token.text == "{":
            self.items("}")
