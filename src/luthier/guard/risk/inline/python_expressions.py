"""Expressions of Python, evaluated as far as constants reach; nothing of the code is ever run."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import islice

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.python_calls import Caller, namespace
from luthier.guard.risk.inline.python_methods import format_percent, subscript
from luthier.guard.risk.inline.results import Invocation
from luthier.guard.risk.inline.texts import MAX_TEXT, Ref, Thing, Value, add, concat, is_constant, join_path, merge, repeat, taint, text_of
from luthier.guard.values.symbols import UNKNOWN

# A one-liner takes some hundred steps; loops over constants are followed until the budget ends.
MAX_STEPS = 12_000
MAX_DEPTH = 50
_MAX_ITEMS = 2000
_BUILTINS = frozenset(
    [
        "open",
        "exec",
        "eval",
        "compile",
        "print",
        "__import__",
        "getattr",
        "globals",
        "locals",
        "vars",
        "chr",
        "unichr",
        "ord",
        "int",
        "bytes",
        "bytearray",
        "str",
        "list",
        "tuple",
        "set",
        "sorted",
        "iter",
        "frozenset",
        "reversed",
        "range",
        "xrange",
        "map",
        "filter",
        "dict",
        "execfile",
        "file",
        "exit",
        "quit",
    ]
)


class OverBudget(Exception):
    """The code is deeper or longer than is followed."""


class Expressions(Caller):
    """The values of expressions in the scopes at hand."""

    def __init__(self, findings: Findings, code: str) -> None:
        super().__init__(findings)
        self.scopes: list[dict[str, Value]] = [{}]
        self.steps = 0
        self.depth = 0
        self.fixed_span: tuple[int, int] | None = None
        self.locate(code)

    def locate(self, code: str) -> None:
        """Prepares offsets for the positions of a tree, which are lines and UTF-8 bytes."""
        self.lines: list[bytes] | None = None
        self.line_starts = [0]
        if "\n" in code or "\r" in code:
            position = 0
            text = code.replace("\r\n", "\n\0").replace("\r", "\n")
            while (position := text.find("\n", position) + 1) > 0:
                # A line that ended in two characters starts one later.
                self.line_starts.append(position + 1 if text[position : position + 1] == "\0" and code[position - 1] == "\r" else position)
        if not code.isascii():
            ends = [*self.line_starts[1:], len(code)]
            self.lines = [code[a:b].encode("utf-8", "surrogatepass") for a, b in zip(self.line_starts, ends, strict=True)]

    def _offset(self, line: int, column: int) -> int:
        index = min(line - 1, len(self.line_starts) - 1)
        if self.lines is not None:
            column = len(self.lines[index][:column].decode("utf-8", "ignore"))
        return self.line_starts[index] + column

    def lookup(self, name: str) -> Value:
        """The value of a name, or a reference to the builtin or module that bears it."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name == "__builtins__":
            return Thing("names", "")
        if name in _BUILTINS or name in self.table.roots:
            return self.name(name)
        return UNKNOWN

    def bind(self, target: ast.expr, value: Value) -> None:
        """`target = value`."""
        if isinstance(target, ast.Name):
            self.scopes[-1][target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            items = value if isinstance(value, tuple) and len(value) == len(target.elts) else (taint((value,)),) * len(target.elts)
            for element, item in zip(target.elts, items, strict=True):
                self.bind(element, item)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, taint((value,)))
        elif isinstance(target, ast.Subscript):
            base, key = self.value(target.value), self.value(target.slice)
            if isinstance(base, Thing) and base.kind == "environ":
                self.set_variable(key)
            elif isinstance(base, dict) and isinstance(key, str | int):
                base[key] = value
        elif isinstance(target, ast.Attribute):
            self.value(target.value)
            self.keep_away(value)

    def value(self, node: ast.expr) -> Value:
        """What an expression gives; what it does is noted."""
        self.steps += 1
        if self.steps > MAX_STEPS or self.depth > MAX_DEPTH:
            raise OverBudget
        worker = _WORKERS.get(type(node))
        self.depth += 1
        if worker is not None:
            found = worker(self, node)
        else:
            found = taint([self.value(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)])
        self.depth -= 1
        return found

    def joined(self, node: ast.JoinedStr) -> Value:
        """An f-string."""
        text: Value = ""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                inner = self.value(part.value)
                text = concat(text, inner if part.format_spec is None and part.conversion in (-1, 115) else taint((inner,)))
            else:
                text = concat(text, self.value(part))
        return text

    def called(self, node: ast.Call) -> Value:
        """A call with its arguments."""
        function = self.value(node.func)
        arguments: list[Value] = []
        for argument in node.args:
            item = self.value(argument.value if isinstance(argument, ast.Starred) else argument)
            if isinstance(argument, ast.Starred) and isinstance(item, tuple):
                arguments.extend(item[:_MAX_ITEMS])
            else:
                arguments.append(item)
        options: dict[str, Value] = {}
        for keyword in node.keywords:
            item = self.value(keyword.value)
            if keyword.arg is not None:
                options[keyword.arg] = item
            elif isinstance(item, dict):
                options.update({str(key): entry for key, entry in item.items()})
        self._grow(node, function, arguments)
        before = self.start, self.end
        if self.fixed_span is not None:
            self.start, self.end = self.fixed_span
        else:
            self.start = self._offset(node.lineno, node.col_offset)
            self.end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        found = self.call(function, Invocation(arguments, options))
        self.start, self.end = before
        return found

    def _grow(self, node: ast.Call, function: Value, arguments: list[Value]) -> None:
        """Follows a list that is built item by item."""
        if (
            isinstance(function, Ref)
            and isinstance(function.receiver, tuple)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            name, items = node.func.value.id, function.receiver
            if function.name in ("@.append", "@.extend", "@.insert") and arguments:
                new = arguments[-1] if function.name == "@.extend" and isinstance(arguments[-1], tuple) else (arguments[-1],)
                self._rebind(name, items + new if len(items) < _MAX_ITEMS else UNKNOWN)
            elif function.name == "@.reverse":
                self._rebind(name, items[::-1])
            elif function.name in ("@.sort", "@.pop", "@.remove", "@.clear"):
                self._rebind(name, UNKNOWN)

    def _rebind(self, name: str, value: Value) -> None:
        for scope in reversed(self.scopes):
            if name in scope:
                scope[name] = value
                return

    def binary(self, node: ast.BinOp) -> Value:
        """An operator; a long chain of `+` is followed without recursion."""
        chain: list[ast.BinOp] = [node]
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        found = self.value(chain[-1].left)
        for part in reversed(chain):
            self.steps += 1
            found = _operate(part.op, found, self.value(part.right))
        return found

    def subscripted(self, node: ast.Subscript) -> Value:
        """`base[index]`."""
        base = self.value(node.value)
        index: Value
        if isinstance(node.slice, ast.Slice):
            bounds = [None if part is None else self.value(part) for part in (node.slice.lower, node.slice.upper, node.slice.step)]
            if not all(bound is None or isinstance(bound, int) for bound in bounds):
                return taint((base,))
            index = slice(*bounds)
        else:
            index = self.value(node.slice)
        if isinstance(base, Thing):
            if base.kind == "environ":
                return self.environment(index)
            if base.kind == "names":
                return namespace(self, base, index)
            return taint((base,))
        if isinstance(base, Ref) and base.receiver is None and base.name == "sys.modules":
            return Ref(index) if isinstance(index, str) and is_constant(index) else Thing("dynamic")
        return subscript(base, index)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        """A comprehension, with every item of constant iterables."""
        self.scopes.append({})
        results: list[Value] = []
        self.loops += 1
        self._comprehend(node, list(node.generators), results)
        self.loops -= 1
        self.scopes.pop()
        return tuple(results)

    def _comprehend(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, generators: list[ast.comprehension], results: list[Value]
    ) -> None:
        if not generators:
            if len(results) < _MAX_ITEMS:
                if isinstance(node, ast.DictComp):
                    results.append((self.value(node.key), self.value(node.value)))
                else:
                    results.append(self.value(node.elt))
            return
        first = generators[0]
        for item in items_of(self.value(first.iter)):
            self.bind(first.target, item)
            for condition in first.ifs:
                self.value(condition)
            self._comprehend(node, generators[1:], results)

    def choice(self, node: ast.IfExp) -> Value:
        """`a if test else b`."""
        test = self.value(node.test)
        first, second = self.value(node.body), self.value(node.orelse)
        if isinstance(test, bool | int):
            return first if test else second
        return merge(first, second)

    def mapping(self, node: ast.Dict) -> Value:
        """A dict of what has constant keys."""
        found: dict[Value, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name, content = None if key is None else self.value(key), self.value(item)
            if isinstance(name, str | bytes | int | float):
                found[name] = content
            elif key is None and isinstance(content, dict):
                found.update(content)
            else:
                found[taint((name,))] = content
        return found


def items_of(value: Value) -> tuple[Value, ...]:
    """What a loop over `value` sees; one unknown item where that is not known."""
    if isinstance(value, str) and is_constant(value):
        return tuple(islice(value, _MAX_ITEMS))
    if isinstance(value, bytes | tuple):
        return tuple(value[:_MAX_ITEMS])
    if isinstance(value, dict):
        return tuple(value)
    return (taint((value,)),)


def _operate(operator: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(operator, ast.Add):
        return add(left, right)
    if isinstance(operator, ast.Mult):
        return repeat(left, right)
    if isinstance(operator, ast.Mod) and isinstance(left, str):
        return format_percent(left, right)
    if isinstance(operator, ast.Div) and (
        (isinstance(left, Thing) and left.kind == "path") or (isinstance(right, Thing) and right.kind == "path")
    ):
        return Thing("path", join_path((text_of(left), right)))
    worker = _ARITHMETIC.get(type(operator))
    if worker is not None and isinstance(left, int) and isinstance(right, int) and left.bit_length() < 256 and right.bit_length() < 256:
        try:
            return worker(left, right)
        except ZeroDivisionError:
            return UNKNOWN
    return taint((left, right))


_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], Value]] = {
    ast.Sub: lambda a, b: a - b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.BitXor: lambda a, b: a ^ b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.LShift: lambda a, b: a << b if 0 <= b < 256 else UNKNOWN,
    ast.RShift: lambda a, b: a >> b if 0 <= b < 256 else UNKNOWN,
    ast.Pow: lambda a, b: a**b if abs(a) < 1 << 16 and 0 <= b < 16 else UNKNOWN,
}


def _constant(evaluator: Expressions, node: ast.Constant) -> Value:
    value = node.value
    if isinstance(value, str | bytes):
        return value if len(value) <= MAX_TEXT else UNKNOWN
    return value if value is None or isinstance(value, int | float) else UNKNOWN


def _unary(evaluator: Expressions, node: ast.UnaryOp) -> Value:
    value = evaluator.value(node.operand)
    if isinstance(value, int | float) and isinstance(node.op, ast.USub):
        return -value
    if isinstance(value, bool | int) and isinstance(node.op, ast.Not):
        return not value
    return taint((value,))


def _any_of(evaluator: Expressions, node: ast.BoolOp) -> Value:
    values = [evaluator.value(part) for part in node.values]
    known = isinstance(values[0], bool | int | str) and (not isinstance(values[0], str) or is_constant(values[0]))
    if known and len(values) == 2:
        return values[0] if bool(values[0]) is isinstance(node.op, ast.Or) else values[1]
    return merge(values[0], values[1]) if len(values) == 2 else taint(values)


def _walrus(evaluator: Expressions, node: ast.NamedExpr) -> Value:
    value = evaluator.value(node.value)
    evaluator.bind(node.target, value)
    return value


def _elements(evaluator: Expressions, node: ast.List | ast.Tuple | ast.Set) -> Value:
    items: list[Value] = []
    for element in node.elts:
        item = evaluator.value(element.value if isinstance(element, ast.Starred) else element)
        if isinstance(element, ast.Starred) and isinstance(item, tuple):
            items.extend(item[:_MAX_ITEMS])
        else:
            items.append(item)
    return tuple(items)


_WORKERS: dict[type[ast.expr], Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: lambda evaluator, node: evaluator.lookup(node.id),
    ast.Attribute: lambda evaluator, node: evaluator.attribute(evaluator.value(node.value), node.attr),
    ast.Call: Expressions.called,
    ast.BinOp: Expressions.binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _any_of,
    ast.JoinedStr: Expressions.joined,
    ast.Subscript: Expressions.subscripted,
    ast.List: _elements,
    ast.Tuple: _elements,
    ast.Set: _elements,
    ast.Dict: Expressions.mapping,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.DictComp: Expressions.comprehension,
    ast.IfExp: Expressions.choice,
    ast.Lambda: lambda evaluator, node: evaluator.define(node),
    ast.NamedExpr: _walrus,
    ast.Await: lambda evaluator, node: evaluator.value(node.value),
}
