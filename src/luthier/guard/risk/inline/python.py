"""What Python code does: its tree from `ast`, read in order with constants followed; the code is never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.python_calls import Function
from luthier.guard.risk.inline.python_expressions import Expressions, OverBudget, items_of
from luthier.guard.risk.inline.python_specials import SPECIAL, THING_METHODS
from luthier.guard.risk.inline.results import Invocation
from luthier.guard.risk.inline.texts import Ref, Value, merge, taint
from luthier.guard.values.symbols import UNKNOWN

MAX_PYTHON = 20_000
_MAX_INLINED = 4
# What alone makes the parser warn: an escape, or a number with a keyword right behind it.
_MAY_WARN = re.compile(r"\\|[0-9a-fA-F](?:and|else|for|if|in|is|or|not)")
_REFUSALS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def python(code: str, findings: Findings) -> None:
    """Notes the effects of Python code; what does not parse, or is over the bounds, gives `dynamic`."""
    tree = _parse(code)
    if tree is None:
        findings.add("dynamic", (), 0, len(code))
        return
    reader = _Reader(findings, code)
    try:
        reader.body(tree.body)
        reader.leftover()
    except (OverBudget, RecursionError):
        findings.add("dynamic", (), 0, len(code))


def _parse(code: str) -> ast.Module | None:
    if len(code) > MAX_PYTHON:
        return None
    try:
        if _MAY_WARN.search(code):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(code)
        return ast.parse(code)
    except _REFUSALS:
        return None


class _Reader(Expressions):
    """Statements in order; branches are both read, loops over constants are unrolled."""

    special = SPECIAL
    thing_methods = THING_METHODS

    def __init__(self, findings: Findings, code: str) -> None:
        super().__init__(findings, code)
        self.length = len(code)
        self.functions: list[Function] = []
        self.results: list[Value] = []

    def body(self, statements: list[ast.stmt]) -> None:
        """Reads statements one after another."""
        for statement in statements:
            self.steps += 1
            worker = _STATEMENTS.get(type(statement))
            self.depth += 1
            if worker is not None:
                worker(self, statement)
            else:
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.expr):
                        self.value(child)
            self.depth -= 1

    def leftover(self) -> None:
        """Reads the functions that nothing called: something else may."""
        for function in self.functions:
            if not function.followed:
                self.run_function(function, Invocation([]))

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Function:
        """A function as a value."""
        function = Function(node)
        self.functions.append(function)
        return function

    def run_function(self, function: Function, given: Invocation) -> Value:
        """Reads the body with the arguments bound."""
        function.followed = True
        if self.nesting >= _MAX_INLINED:
            return UNKNOWN
        node = function.node
        scope: dict[str, Value] = {}
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        for name, default in zip(names[::-1], node.args.defaults[::-1], strict=False):
            scope[name] = self.value(default)
        for parameter, fallback in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            scope[parameter.arg] = UNKNOWN if fallback is None else self.value(fallback)
        for position, name in enumerate(names):
            if position < len(given.arguments):
                scope[name] = given.arguments[position]
            else:
                scope[name] = given.options.get(name, scope.get(name, UNKNOWN))
        if node.args.vararg is not None:
            scope[node.args.vararg.arg] = tuple(given.arguments[len(names) :])
        if node.args.kwarg is not None:
            scope[node.args.kwarg.arg] = dict(given.options)
        self.scopes.append(scope)
        self.nesting += 1
        if isinstance(node, ast.Lambda):
            found = self.value(node.body)
        else:
            self.results.append(None)
            self.body(node.body)
            found = self.results.pop()
        self.nesting -= 1
        self.scopes.pop()
        return found

    def run_text(self, code: str, expression: bool) -> Value:
        """Reads constant code in the names at hand, as `exec` and `eval` do."""
        tree = _parse(code.strip() if expression else code) if self.nesting < _MAX_INLINED else None
        if tree is None:
            return UNKNOWN
        before, self.fixed_span = self.fixed_span, self.fixed_span or (self.start, self.end)
        self.nesting += 1
        found: Value = UNKNOWN
        if expression and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            found = self.value(tree.body[0].value)
        else:
            self.body(tree.body)
        self.nesting -= 1
        self.fixed_span = before
        return found

    def branches(self, *bodies: list[ast.stmt]) -> None:
        """Reads each body from the same names; what differs afterwards is unknown."""
        before = self.scopes[-1]
        ends = []
        for body in bodies:
            self.scopes[-1] = dict(before)
            self.body(body)
            ends.append(self.scopes[-1])
        names = {name for end in ends for name in end}
        merged: dict[str, Value] = {}
        for name in names:
            # A name that one way does not bind has the value of the other way there.
            values = [end[name] for end in ends if name in end]
            whole = values[0]
            for value in values[1:]:
                whole = merge(whole, value)
            merged[name] = whole
        self.scopes[-1] = merged

    def forget(self, statements: list[ast.stmt]) -> None:
        """Whatever a loop assigns may hold anything when its next turn begins."""
        for statement in statements:
            for node in ast.walk(statement):
                self.steps += 1
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self.scopes[-1][node.id] = taint((self.scopes[-1].get(node.id),))


def _assign(reader: _Reader, node: ast.Assign) -> None:
    value = reader.value(node.value)
    for target in node.targets:
        reader.bind(target, value)


def _annotate(reader: _Reader, node: ast.AnnAssign) -> None:
    if node.value is not None:
        reader.bind(node.target, reader.value(node.value))


def _augment(reader: _Reader, node: ast.AugAssign) -> None:
    target = node.target
    if isinstance(target, ast.Name):
        left = ast.Name(target.id, ast.Load(), lineno=target.lineno, col_offset=target.col_offset)
        reader.bind(target, reader.binary(ast.BinOp(left, node.op, node.value, lineno=node.lineno, col_offset=node.col_offset)))
    else:
        reader.value(node.value)


def _import(reader: _Reader, node: ast.Import) -> None:
    for alias in node.names:
        if alias.asname:
            reader.scopes[-1][alias.asname] = reader.name(alias.name)
        else:
            root = alias.name.split(".")[0]
            reader.scopes[-1][root] = Ref(root)


def _import_from(reader: _Reader, node: ast.ImportFrom) -> None:
    module = node.module or ""
    for alias in node.names:
        if alias.name == "*":
            # Every name the table has of that module.
            for full in (*reader.table.calls, *reader.table.names, *(f"{module}.{name}" for name in _STARRED.get(module, ()))):
                head, _, tail = full.rpartition(".")
                if head == module:
                    reader.scopes[-1][tail] = reader.name(full)
        else:
            reader.scopes[-1][alias.asname or alias.name] = reader.name(f"{module}.{alias.name}")


_STARRED = {
    "subprocess": ("run", "Popen", "call", "check_call", "check_output"),
    "os": ("chmod", "walk", "fork", "getenv", "environ", "path", "scandir", "putenv"),
    "pathlib": ("Path",),
    "shutil": (),
}


def _if(reader: _Reader, node: ast.If) -> None:
    reader.value(node.test)
    reader.branches(node.body, node.orelse)


def _for(reader: _Reader, node: ast.For | ast.AsyncFor) -> None:
    iterable = reader.value(node.iter)
    items = items_of(iterable)
    reader.loops += 1
    if len(items) <= 1:
        reader.forget(node.body)
    for item in items:
        reader.bind(node.target, item)
        reader.body(node.body)
    reader.loops -= 1
    reader.body(node.orelse)


def _while(reader: _Reader, node: ast.While) -> None:
    reader.loops += 1
    test = reader.value(node.test)
    reader.forget(node.body)
    if (
        isinstance(test, bool | int)
        and test
        and not any(isinstance(inner, ast.Break | ast.Return) for inner in ast.walk(node))
        and _grows(node)
    ):
        reader.findings.add("danger:resources", ("fills the memory or the process table without end",), 0, reader.length)
    reader.body(node.body)
    reader.loops -= 1
    reader.body(node.orelse)


def _grows(node: ast.While) -> bool:
    """Whether an endless loop keeps more and more: large items in a list, a text that doubles, processes or threads."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr in ("append", "extend") and any(
                isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult) for part in ast.walk(inner)
            ):
                return True
            if inner.func.attr in ("Popen", "start"):
                return True
        if isinstance(inner, ast.AugAssign) and isinstance(inner.op, ast.Add | ast.Mult) and isinstance(inner.target, ast.Name):
            doubles = any(isinstance(part, ast.Name) and part.id == inner.target.id for part in ast.walk(inner.value))
            large = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult) for part in ast.walk(inner.value))
            if doubles or large:
                return True
    return False


def _try(reader: _Reader, node: ast.Try) -> None:
    reader.body(node.body)
    for handler in node.handlers:
        reader.branches([], handler.body)
    reader.body(node.orelse)
    reader.body(node.finalbody)


def _with(reader: _Reader, node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        value = reader.value(item.context_expr)
        if item.optional_vars is not None:
            reader.bind(item.optional_vars, value)
    reader.body(node.body)


def _function(reader: _Reader, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    function: Value = reader.define(node)
    for decorator in node.decorator_list:
        reader.call(reader.value(decorator), Invocation([function]))
    reader.scopes[-1][node.name] = function


def _class(reader: _Reader, node: ast.ClassDef) -> None:
    for base in node.bases:
        reader.value(base)
    for statement in node.body:
        # What unpickling would run.
        if isinstance(statement, ast.FunctionDef) and statement.name == "__reduce__":
            reader.findings.add("dynamic", (), 0, reader.length)
    reader.scopes.append({})
    reader.body(node.body)
    for value in reader.scopes.pop().values():
        reader.keep_away(value)
    reader.scopes[-1][node.name] = UNKNOWN


def _return(reader: _Reader, node: ast.Return) -> None:
    value = None if node.value is None else reader.value(node.value)
    if reader.results:
        known = reader.results[-1]
        reader.results[-1] = value if known is None else merge(known, value)


def _match(reader: _Reader, node: ast.Match) -> None:
    reader.value(node.subject)
    reader.branches(*(case.body for case in node.cases))


_STATEMENTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotate,
    ast.AugAssign: _augment,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Return: _return,
    ast.Match: _match,
}
