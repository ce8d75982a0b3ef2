"""What code in Perl, Ruby, JavaScript, PHP, Lua, R and Julia does: calls found among its tokens, with constants followed in order.

No grammar of any of them: names, calls, strings and their joining are understood, the rest is passed over. Whatever runs or loads code in
a way that the table does not know is `dynamic`.
"""

from __future__ import annotations

from luthier.guard.risk.inline.calls import perform
from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.results import Invocation, variable
from luthier.guard.risk.inline.script_brackets import STOPPERS, Brackets
from luthier.guard.risk.inline.script_reader import OPENERS, Place, TooDeep, plain
from luthier.guard.risk.inline.script_tokens import Token
from luthier.guard.risk.inline.texts import Ref, Thing, Value, add, concat, element_of, is_constant, repeat, taint, text_of
from luthier.guard.values.symbols import UNKNOWN

MAX_SCRIPT = 50_000
_MAX_DEPTH = 40
# Words in front of an operand that change nothing about what it reaches.
_PREFIXES = frozenset(
    [
        "new",
        "await",
        "return",
        "my",
        "our",
        "local",
        "var",
        "let",
        "const",
        "function",
        "async",
        "not",
        "do",
        "then",
        "else",
        "elseif",
        "elsif",
        "begin",
        "in",
        "of",
        "typeof",
        "void",
        "throw",
        "yield",
        "import",
        "export",
        "default",
        "delete",
        "static",
        "public",
        "local",
        "begin",
        "rescue",
        "ensure",
        "echo",
        "defer",
        "go",
    ]
)
_LOOPS = frozenset(["while", "until", "for", "foreach", "loop", "forever", "repeat"])


def script(language: str, code: str, findings: Findings) -> None:
    """Notes the effects of code in one of the languages of `SYNTAXES`; what is over the bounds gives `dynamic`."""
    if len(code) > MAX_SCRIPT:
        findings.add("dynamic", (), 0, len(code))
        return
    try:
        _Reader(language, code, findings).read()
    except (TooDeep, RecursionError):
        findings.add("dynamic", (), 0, len(code))


class _Reader(Brackets):
    """Evaluates expressions as far as constants reach."""

    def read(self) -> Value:
        """Everything to the end; gives the last value."""
        found: Value = None
        while self.position < len(self.tokens):
            before = self.position
            found = self.expression()
            if self.position == before:
                self.position += 1
        return found

    def expression(self) -> Value:
        """Operands with operators between them; stops at a comma, a closing bracket, a semicolon or a line's end."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise TooDeep
        left = self.operand()
        while True:
            token = self.peek()
            if token.kind == "name" and token.text == "x" and self.language == "perl":
                self.position += 1
                left = repeat(left, self.operand())
                continue
            if token.kind != "operator" or token.text in _ENDERS or token.text in OPENERS:
                break
            self.position += 1
            self.skip_lines()
            left = self._operated(token.text, left)
        self.depth -= 1
        return left

    def _operated(self, operator: str, left: Value) -> Value:
        if operator in ("+=", ".=") and isinstance(left, Place):
            value = (
                add(left.value, self.expression())
                if operator == "+=" and self.language != "perl"
                else concat(left.value, self.expression())
            )
            self.names[left.name] = value
            return value
        if operator in ("=", "||=", ":=") or (operator == "<" and self.peek().text == "-" and self.language == "r"):
            if operator == "<":
                self.position += 1
            value = plain(self.expression())
            self._assign(left, value)
            return value
        if operator == "=>" and isinstance(left, Place):
            # A function's parameter is what its method works on, or an item of it.
            self.names[left.name] = self.subject
            return self.expression()
        if operator == "=>" and isinstance(left, tuple):
            for place in left:
                if isinstance(place, Place):
                    self.names[place.name] = self.subject
            return self.expression()
        left = plain(left)
        right = plain(self.operand())
        if operator in self.syntax.joiners:
            return add(left, right) if operator == "+" else concat(left, right)
        if operator == "*":
            return repeat(left, right)
        if operator in ("||", "?", ":", "&&"):
            return right if operator == ":" and left == right else taint((left, right))
        return taint((left, right))

    def _assign(self, target: Value, value: Value) -> None:
        if isinstance(target, Place):
            self.names[target.name] = value
        elif isinstance(target, dict):
            for key, name in target.items():
                if isinstance(key, str):
                    place = name.name if isinstance(name, Place) else key
                    self.names[place] = self.attribute(value, key)
        elif isinstance(target, tuple):
            items = value if isinstance(value, tuple) and len(value) == len(target) else (taint((value,)),) * len(target)
            for place, item in zip(target, items, strict=True):
                if isinstance(place, Place):
                    self.names[place.name] = item
        elif isinstance(target, Thing) and target.kind == "variable" and target.text in _LOADERS:
            self.findings.add("danger:tool-hijack", (f"sets {target.text} for the programs it starts",), self.offset, self.offset + 1)

    def operand(self) -> Value:
        """One value with what hangs on it."""
        if self.language == "javascript" and self.peek().text == "import" and self.peek(1).text not in ("(", "."):
            return self.bind_imports()
        token = self._past_prefixes()
        self.position += token.kind != "operator"
        if token.kind in ("text", "template", "shell", "words", "number"):
            return self._postfix(self.literal(token), token)
        if token.kind in ("name", "variable"):
            return self._named(token)
        if token.kind == "operator":
            return self._marked(token)
        if token.kind == "replacement":
            self.findings.add("code", (self.language, token.text), self.offset + token.start, self.offset + token.end)
        return UNKNOWN

    def _past_prefixes(self) -> Token:
        """The token that an operand starts with: signs and words in front of it are passed."""
        token = self.peek()
        while (
            token.kind == "line"
            or (token.kind == "operator" and token.text in _SIGNS and not self._is_sign(token))
            or (token.kind == "name" and token.text in _PREFIXES and not self._is_own(token))
        ):
            self.position += 1
            token = self.peek()
        if (
            token.kind == "name"
            and token.text in ("import", "delete", "do", "local")
            and self.peek(1).text == "("
            and token.text not in self.table.calls
        ):
            self.position += 1
            token = self.peek()
        return token

    def _marked(self, token: Token) -> Value:
        """An operand that starts with an operator: a bracket, a symbol, a negative number."""
        if self._is_sign(token):
            self.position += 2
            last = self.tokens[self.position - 1]
            if token.text == ":":
                return last.text
            number = self.literal(last)
            return -number if isinstance(number, int) else UNKNOWN
        if token.text in OPENERS:
            return self._postfix(self.group(), token)
        if token.text == "<" and self.language == "perl":
            return self.angle()
        if token.text not in _ENDERS:
            self.position += 1
        return UNKNOWN

    def _is_own(self, token: Token) -> bool:
        """Whether a word that usually changes nothing stands for itself here: a member, a call, Perl's `do FILE`."""
        following = self.peek(1)
        return following.text in (".", "(", "=") or (
            token.text == "do" and self.language == "perl" and following.kind in ("text", "variable")
        )

    def _is_sign(self, token: Token) -> bool:
        """Whether an operator belongs to the operand: the minus of a number, the colon of a Ruby symbol."""
        following = self.peek(1)
        if following.start != token.end:
            return False
        return (token.text == "-" and following.kind == "number") or (
            token.text == ":" and self.language == "ruby" and following.kind in ("name", "text")
        )

    def _named(self, token: Token) -> Value:
        name = token.text.replace("::", ".")
        if token.kind == "variable":
            name = name.lstrip("".join(self.syntax.sigils)).strip("{}")
            if token.text.startswith("$") and self.language in ("perl", "php", "ruby"):
                name = name or token.text
            calls = token.text.startswith("&") and not token.text.startswith("&$")
            value: Value = Ref(name) if calls else Place(name, self.names.get(name, self.global_value(token, name)))
        else:
            if not self.syntax.case:
                name = name.lower()
            if name in _LOOPS:
                self.loops += 1
            if name == "fork" and (self.loops or any(other.text in _LOOPS for other in self.tokens[self.position : self.position + 4])):
                self.findings.add("danger:resources", ("starts processes without end",), self.offset + token.start, self.offset + token.end)
            value = Place(name, self.names[name]) if name in self.names else self.reference(name)
        return self._postfix(value, token)

    def _postfix(self, value: Value, first: Token) -> Value:
        """Members, indexes and calls behind a value."""
        for _ in range(2000):
            token = self.peek()
            if token.kind == "operator" and self._is_member(token):
                self.position += 1
                self.skip_lines()
                name = self.peek()
                if name.kind in ("name", "variable") and not (name.kind == "variable" and self.language == "php"):
                    self.position += 1
                    value = self.attribute(value, name.text.lstrip(self.syntax.sigils).replace("::", "."))
                elif name.text in ("(", "[", "{"):
                    continue
                else:
                    self.position += 1
                    value = Thing("dynamic") if name.kind == "variable" else UNKNOWN
            elif token.kind == "operator" and token.text == "(" and self._touches():
                self._work_on(value)
                value = self.call(value, self.arguments(), first)
            elif token.kind == "operator" and token.text in ("[", "{") and self._touches() and self._indexes(value, token, first):
                value = self._index(value)
            elif token.kind in ("text", "template") and self.language in ("lua", "javascript") and isinstance(plain(value), Ref):
                self.position += 1
                value = self.call(value, ([self.literal(token)], {}), first)
            elif self._is_command(value, token):
                value = self.call(value, self.bare_arguments(), first)
            else:
                break
            if self.language == "ruby":
                self.block(value)
        return self._bare_call(value, first)

    def _work_on(self, function: Value) -> None:
        """Remembers what a method works on, for the functions among its arguments."""
        inner = plain(function)
        if isinstance(inner, Ref) and inner.receiver is not None:
            receiver = plain(inner.receiver)
            self.subject = element_of(receiver) if isinstance(receiver, tuple) else receiver
        elif isinstance(inner, Ref) and inner.name.endswith(".then"):
            self.subject = Ref(inner.name.removesuffix(".then"))

    def _bare_call(self, value: Value, first: Token) -> Value:
        """A call without any argument, where the language allows it without brackets."""
        inner = plain(value)
        if isinstance(inner, Ref) and self.syntax.commands and self.language != "php":
            known = self.table.calls.get(inner.name) or self.method(inner)
            if known is not None and (inner.receiver is not None or not known.deeds or inner.name in ("unlink", "exec", "system")):
                return self.call(inner, ([], {}), first)
        return value

    def _touches(self) -> bool:
        """Whether a bracket stands directly behind what comes before it; `print (1)` is a call too."""
        token = self.peek()
        before = self.tokens[self.position - 1]
        return before.end == token.start or (token.text == "(" and before.kind == "name" and before.text not in STOPPERS)

    def _is_member(self, token: Token) -> bool:
        if token.text == ".":
            return "." not in self.syntax.joiners and self.peek(1).kind in ("name", "line")
        if token.text == ":" and self.language == "lua":
            return self.peek(1).kind == "name"
        if token.text == "&" and self.language == "ruby":
            return self.peek(1).text == "."
        return token.text in ("->", "::", "?.")

    def _indexes(self, value: Value, token: Token, first: Token) -> bool:
        if token.text == "[":
            return True
        return self.language == "perl" and first.kind == "variable"

    def _index(self, value: Value) -> Value:
        self.position += 1
        inner = self.items("]")[0] if self.peek(1).text not in ("}",) or self.peek().kind != "name" else [self.take().text, self.take()][:1]
        key = plain(inner[0]) if inner else UNKNOWN
        if isinstance(key, Ref):
            key = key.name
        if isinstance(inner[0] if inner else None, Place) and self.language == "perl" and key == UNKNOWN:
            key = inner[0].name if isinstance(inner[0], Place) else key
        base = plain(value)
        if isinstance(base, Thing) and base.kind == "environ":
            return variable(text_of(key))
        if isinstance(base, tuple) and isinstance(key, int) and -len(base) <= key < len(base):
            return base[key]
        if isinstance(base, dict) and isinstance(key, str | int):
            return plain(base.get(key, UNKNOWN))
        if isinstance(base, Ref) or (self.language == "javascript" and not isinstance(base, str | tuple)):
            if isinstance(base, Ref) and f"{base.name}.[]" in self.table.calls:
                return perform(self.table.calls[f"{base.name}.[]"], Invocation([key]), self.findings, self.offset, self.offset + 1)
            if isinstance(key, str) and is_constant(key):
                return self.attribute(base, key)
            return Thing("dynamic") if isinstance(base, Ref) else taint((base,))
        return taint((base,))

    def _is_command(self, value: Value, token: Token) -> bool:
        """Whether a call without brackets begins, as `system "ls"`."""
        inner = plain(value)
        if not self.syntax.commands or not isinstance(inner, Ref):
            return False
        if inner.name not in self.table.calls and self.method(inner) is None:
            return False
        if token.kind == "name":
            return token.text not in STOPPERS and token.text not in ("x", "eq", "ne", "lt", "gt", "cmp", "as", "is")
        if token.kind == "operator":
            return (
                token.text in ("[", "\\", "@", "-", "<")
                or (token.text in ("*", "&", ":", "::") and self.language == "ruby")
                or (token.text == "{" and inner.name in ("print", "map", "grep"))
            )
        return token.kind in ("text", "shell", "words", "number", "variable")


_LOADERS = frozenset(
    ["LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "GIT_SSH_COMMAND", "NODE_OPTIONS", "PERL5OPT", "RUBYOPT", "PYTHONSTARTUP"]
)
_ENDERS = frozenset((",", ";", ")", "]", "}"))
_SIGNS = frozenset(
    (
        "\\",
        "!",
        "-",
        "~",
        "@",
        "&",
        "*",
        "...",
        "%",
        "$",
        "+",
        "|",
        "^",
        "/",
        "?",
        ":",
        ".",
        ">",
        "=",
        "#",
        "'",
        '"',
        "`",
        "->",
        "=>",
        "::",
        "||",
        "&&",
        "..",
    )
)
