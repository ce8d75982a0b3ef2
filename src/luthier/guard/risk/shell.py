"""A shell that follows a text without running it: order, branches, loops, functions, pipes and redirections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from luthier.guard.risk import builtins, calls, inlined
from luthier.guard.risk.assignments import judge_assignment
from luthier.guard.risk.context import Context
from luthier.guard.risk.environment import Environment
from luthier.guard.risk.expand import Expander
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.loops import asks_too_often, is_endless, makes_files, never_waits, spawns, starts_too_many
from luthier.guard.risk.overwriting import emptied_before_read
from luthier.guard.risk.redirects import judge_written
from luthier.guard.risk.subscripts import EVALUATING, judge_subscript, judge_subscripts
from luthier.guard.syntax.nodes import (
    Assignment,
    Command,
    Compound,
    Pipeline,
    Process,
    Redirect,
    Script,
    ShellSyntaxError,
    Simple,
    Word,
)
from luthier.guard.syntax.parser import parse
from luthier.guard.values.symbols import ENDLESS, LOCAL, NUMBER, UNKNOWN, shown

# Rounds of a loop over words that are written out, one by one; a longer list is followed as unknown.
MOST_ROUNDS = 16
_STARTUP_LINE = re.compile(
    r"\s*(?:#.*|(?:export\s+)?[A-Za-z_]\w*=\S.*|alias\s+[\w.-]+=.*|(?:source|\.)\s+\S+|eval\s+\"\$\(\w[\w./-]*(?:\s+[\w.-]+)*\)\"|"
    r"(?:shopt|setopt|set|bind|complete|compdef|autoload|bindkey|umask)\s.*|\[.*|if .*|fi|)"
)
# Variables that make every program run or trust something else.
_HIJACKING = frozenset(
    ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PROMPT_COMMAND", "BASH_ENV", "ENV", "DYLD_INSERT_LIBRARIES", "GIT_SSH_COMMAND")
)


class Shell(Context):
    """Follows statements in one environment. Flows are text; `None` as a flow in is the terminal."""

    def script(self, script: Script, stdin: str | None = None) -> str:
        """What a list of statements prints, as far as it is known."""
        printed = [self.pipeline(pipeline, stdin) for pipeline in script.pipelines]
        return printed[0] if len(printed) == 1 else "".join(printed)

    def pipeline(self, pipeline: Pipeline, stdin: str | None) -> str:
        """What the last program of a pipeline prints."""
        if (target := emptied_before_read(pipeline)) is not None:
            self.report("dangerous", "truncation", "empties a file before it is read", Argument("", target.start, target.end))
        outer = self.in_background
        self.in_background = outer or pipeline.after == "&" or len(pipeline.commands) > 1
        flow = stdin
        for command in pipeline.commands:
            where = self if len(pipeline.commands) == 1 else self.apart()
            flow = where.command(command, flow)
        self.in_background = outer
        if pipeline.after in ("&&", "||"):
            self.environment.may_be_elsewhere = False
        return flow or ""

    def command(self, command: Command, stdin: str | None) -> str:
        """What one command prints."""
        self.findings.step()
        self.here = (command.start, command.end)
        if isinstance(command, Simple):
            return self._simple(command, stdin)
        inner = self.apart() if command.form in ("(", "coproc") else self
        entered, outputs = inner._redirected(command.redirects, stdin)
        printed = inner._compound(command, entered)
        return judge_written(inner, outputs, printed)

    def apart(self) -> Shell:
        """A subshell."""
        return Shell(
            self.settings,
            self.findings,
            self.environment.copy(),
            self.span,
            self.depth,
            self.calls,
            self.in_background,
            self.assigned,
            self.here,
        )

    # Words.

    def _expander(self, stdin: str | None = None) -> Expander:
        def run(body: Script, spans_hold: bool) -> str:
            self.findings.step()
            inner = self.apart()
            if not spans_hold:
                inner.span = inner.span or self.here
            said = inner.script(body, stdin)
            if ENDLESS in said:
                self.report("dangerous", "resources", "keeps in memory what has no end")
            return said.replace(LOCAL, UNKNOWN)

        def connect(process: Process) -> str:
            inner = self.apart()
            path = f"/dev/fd/{63 + len(self.environment.files)}"
            self.environment.files[path] = inner.script(process.body, None) if process.direction == "<" else ""
            if process.direction == ">":
                self.environment.sinks[path] = process
            return path

        def evaluate(text: str) -> str:
            return self.shell_text(f': "{text.replace(chr(34), "")}"', Argument("", *self.here))

        return Expander(self.environment, run, connect, self.findings.step, evaluate)

    def _arguments(self, words: Sequence[Word | Assignment], expander: Expander) -> list[Argument]:
        arguments: list[Argument] = []
        for word in words:
            if isinstance(word, Word):
                arguments += [Argument(text, word.start, word.end) for text in expander.fields(word)]
            else:
                arguments.append(Argument(f"{word.name}={self._assigned(word, expander)}", *self.here))
        return arguments

    def _assigned(self, assignment: Assignment, expander: Expander) -> str:
        """Sets a variable; its value as one text."""
        variables = self.environment.variables
        if assignment.items is not None:
            values = [field for word in assignment.items for field in expander.fields(word)]
            before = variables.get(assignment.name, [])
            variables[assignment.name] = ([before] if isinstance(before, str) else before) + values if assignment.appends else values
            return " ".join(values)
        value = expander.text(assignment.value) if assignment.value is not None else ""
        if "$(" in assignment.index or "`" in assignment.index:
            self.shell_text(f': "{assignment.index.strip("[]")}"', Argument("", *self.here), shares=True)
        if assignment.indexed:
            variables[assignment.name] = UNKNOWN
        elif assignment.appends:
            before = variables.get(assignment.name, "")
            variables[assignment.name] = before + value if isinstance(before, str) else [*before, value]
        else:
            variables[assignment.name] = value
        judge_assignment(self, assignment.name, value)
        judge_subscript(self, value, Argument("", *self.here))
        return value

    # Simple commands.

    def _simple(self, simple: Simple, stdin: str | None) -> str:
        expander = self._expander(stdin)
        if not simple.words:
            for assignment in simple.assignments:
                self._assigned(assignment, expander)
            entered, outputs = self._redirected(simple.redirects, stdin)
            return judge_written(self, outputs, "")
        shell = self
        if simple.assignments:
            shell = self.apart()  # They hold for this program alone.
            shell.assigned = self.assigned | {assignment.name for assignment in simple.assignments}
        arguments = self._arguments(simple.words, expander)
        if shell is not self:
            for assignment in simple.assignments:
                value = shell._assigned(assignment, expander)
                shell.assigned |= {f"{assignment.name}={value}"}
        entered, outputs = shell._redirected(simple.redirects, stdin)
        here = self.here
        printed = shell.dispatch(arguments, entered) if arguments else ""
        self.here = here
        left = judge_written(shell, outputs, printed)
        for path in list(self.environment.sinks):  # Nobody saw what the program wrote to these.
            shell.remember(path, UNKNOWN)
        return left

    def dispatch(self, arguments: list[Argument], stdin: str | None) -> str:
        """Follows one program with its arguments, as far as programs within programs are followed."""
        with self.findings.within() as is_followed:
            if not is_followed:
                self.report("unknown", "obfuscation", "programs start programs deeper than is followed", arguments[0])
                return UNKNOWN
            return self._dispatch(arguments, stdin)

    def _dispatch(self, arguments: list[Argument], stdin: str | None) -> str:
        name = arguments[0].text
        if (body := self.environment.functions.get(name)) is not None:
            return self._call_function(name, body, arguments, stdin)
        if (alias := self.environment.aliases.get(name)) is not None and name not in self.calls:
            inner = self.apart()
            inner.calls = (*self.calls, name)
            return inner.shell_text(" ".join([alias, *(_quoted(argument.text) for argument in arguments[1:])]), arguments[0], shares=True)
        if (builtin := builtins.BUILTINS.get(name)) is not None:
            calls.judge_builtin(self, arguments, stdin)
            if name in EVALUATING:
                judge_subscripts(self, arguments)
            return builtin(self, arguments, stdin)
        return calls.run(self, arguments, stdin)

    def _call_function(self, name: str, body: Command, arguments: list[Argument], stdin: str | None) -> str:
        if name in self.calls:
            if self.in_background:
                self.report("dangerous", "resources", f"the function `{shown(name)}` starts itself again and again", arguments[0])
            return UNKNOWN
        outer_calls, outer_arguments = self.calls, self.environment.arguments
        self.calls = (*outer_calls, name)
        self.environment.arguments = [argument.text for argument in arguments[1:]]
        background, self.in_background = self.in_background, False
        printed = self.command(body, stdin)
        self.in_background = background
        self.calls, self.environment.arguments = outer_calls, outer_arguments
        return printed

    # Redirections.

    def _redirected(self, redirects: Iterable[Redirect], stdin: str | None) -> tuple[str | None, list[tuple[Redirect, Argument]]]:
        """The flow in after the redirections, and the files that are written."""
        outputs: list[tuple[Redirect, Argument]] = []
        for redirect in redirects:
            expander = self._expander(stdin)
            operator = redirect.operator
            if operator in ("<<", "<<-"):
                text = expander.text(redirect.body) if redirect.body is not None else ""
                stdin = self._entered(redirect, text, stdin)
                continue
            fields = expander.fields(redirect.target)
            target = Argument(fields[0] if len(fields) == 1 else UNKNOWN, redirect.target.start, redirect.target.end)
            if operator == "<<<":
                stdin = self._entered(redirect, expander.text(redirect.target) + "\n", stdin)
            elif operator == "<":
                self.harm("read", target)
                content = self.file_content(target.text)
                is_file = content == UNKNOWN and not target.text.startswith("/dev/fd/")
                stdin = self._entered(redirect, LOCAL if is_file else content, stdin)
            elif operator == "<>":
                outputs.append((redirect, target))
                self.harm("read", target)
            elif operator not in ("<&", ">&") or not re.fullmatch(r"\d*-?", target.text):
                outputs.append((redirect, target))
        return stdin, outputs

    def _entered(self, redirect: Redirect, text: str, stdin: str | None) -> str | None:
        """The flow in after `text` was put on a descriptor, which also has a name as a file."""
        if redirect.descriptor in ("", "0"):
            return text
        for folder in ("/dev/fd", "/proc/self/fd"):
            self.remember(f"{folder}/{redirect.descriptor}", text)
        return stdin

    def remember(self, path: str, content: str, appends: bool = False) -> None:
        """Notes what was written to `path`; where a process waits there, it is followed with that."""
        Context.remember(self, path, content, appends)
        if self.environment.sinks and (process := self.environment.sinks.pop(path, None)) is not None:
            self.apart().script(process.body, content)

    def _is_plain_setup(self, content: str) -> bool:
        """Whether lines for a shell's start only set variables, aliases and the like, harmless ones."""
        if not all(_STARTUP_LINE.fullmatch(line) for line in content.splitlines()) or len(content) > 4096:
            return False
        if any(re.search(rf"\b{name}=", content) for name in _HIJACKING) or re.search(r"alias\s+(?:sudo|ls|cd|ssh|git|su)=", content):
            return False
        content = "\n".join(line for line in content.splitlines() if not line.lstrip().startswith("eval "))
        inner = Shell(self.settings, self.findings.apart(), Environment(), (0, 0), self.depth + 1)
        for name, value in re.findall(r"alias\s+([\w.-]+)='?\"?([^'\"\n]*)", content):
            inner.shell_text(value, Argument(name, 0, 0))
        inner.shell_text(content.replace(UNKNOWN, "x"), Argument("", 0, 0))
        worst = inner.findings.worst
        return worst is None or worst.level in ("safe", "caution")

    # Code in code.

    def shell_text(
        self, text: str, place: Argument, arguments: list[str] | None = None, shares: bool = False, stdin: str | None = None
    ) -> str:
        """Follows a shell text that stands in a word."""
        inner = self if shares else self.apart()
        outer = (inner.span, inner.depth, inner.here, inner.in_background)
        inner.span = inner.span or ((place.start, place.end) if place.start >= 0 else self.here)
        inner.depth += 1
        if not shares:
            inner.environment.functions = {
                name: body for name, body in inner.environment.functions.items() if name in inner.environment.exported
            }
        if arguments is not None:
            inner.environment.arguments = arguments
        if len(text) > 4096:  # Parsed anew by each `eval` of an `eval`, which costs more than what it expands to.
            self.findings.step(characters=4 * len(text))
        try:
            if inner.depth > 16:
                raise ShellSyntaxError("nested too deep", 0)
            printed = inner.script(parse(text), stdin)
        except ShellSyntaxError as error:
            self.report("unknown", "unsettled", f"code in it does not parse: {error}", place)
            printed = UNKNOWN
        inner.span, inner.depth, inner.here, inner.in_background = outer
        return printed

    def inline(self, language: str, text: str, place: Argument, stdin: str | None) -> str:
        """Follows code of another language, with what flows into it; what it prints."""
        return inlined.follow(self, language, text, place, stdin)

    # Compound commands.

    def _compound(self, command: Compound, stdin: str | None) -> str:
        form = command.form
        if form in ("(", "{", "coproc"):
            return self.script(command.bodies[0], stdin)
        if form == "function":
            self.environment.functions[command.name] = command.bodies[0].pipelines[0].commands[0]
            if command.name in builtins.BUILTINS or command.name in ("sudo", "ssh", "git", "rm", "ls"):
                self.report("caution", "tool-hijack", f"`{shown(command.name)}` becomes something else", None)
            return ""
        if form == "if":
            return self._branches(command.bodies, stdin)
        if form in ("while", "until"):
            if is_endless(command):
                self.report("dangerous", "resources", "starts programs or fills a file in a loop without an end")
            elif never_waits(command):
                self.report("unknown", "resources", "a loop without an end, in which nothing waits")
            return self._repeated([command.bodies[0], command.bodies[1]], stdin)
        if form.startswith(("for", "select")):
            return self._for(command, stdin)
        expander = self._expander(stdin)
        for word in command.words:
            text = expander.text(word)
            if form == "[[":
                judge_subscript(self, text, Argument("", word.start, word.end))
        if form == "case":
            return self._join([self._branch([body], stdin) for body in command.bodies] + [(self.environment.copy(), "")])
        return ""

    def _branches(self, bodies: Sequence[Script], stdin: str | None) -> str:
        """`if`: conditions are run in order, of the branches one."""
        results = []
        for index in range(0, len(bodies) - 1, 2):
            self.script(bodies[index], stdin)
            results.append(self._branch([bodies[index + 1]], stdin))
        results.append(self._branch([bodies[-1]], stdin) if len(bodies) % 2 else (self.environment.copy(), ""))
        return self._join(results)

    def _branch(self, bodies: Sequence[Script], stdin: str | None) -> tuple[Environment, str]:
        inner = self.apart()
        return inner.environment, "".join([inner.script(body, stdin) for body in bodies])

    def _join(self, results: list[tuple[Environment, str]]) -> str:
        self.environment.join([environment for environment, _ in results])
        printed = {text for _, text in results if text}
        return printed.pop() if len(printed) == 1 else (UNKNOWN if printed else "")

    def _repeated(self, bodies: Sequence[Script], stdin: str | None) -> str:
        """A loop of unknown length: once as it stands, and once more with all that it changed unknown."""
        before = dict(self.environment.variables)
        printed = "".join([self.script(body, stdin) for body in bodies])
        changed = [name for name, value in self.environment.variables.items() if before.get(name) != value]
        if changed:
            for name in changed:
                value = self.environment.variables[name]
                is_number = isinstance(value, str) and (value.isdigit() or value == NUMBER)
                self.environment.variables[name] = NUMBER if is_number else UNKNOWN
            for body in bodies:
                self.script(body, stdin)
        return printed

    def _for(self, command: Compound, stdin: str | None) -> str:
        expander = self._expander(stdin)
        if starts_too_many(command):
            self.report("dangerous", "resources", "starts very many programs at once")
        if asks_too_often(command):
            self.report("unknown", "resources", "asks another machine very many times")
        if command.form == "for ((":
            body = command.bodies[0]
            if (spawns(body) or makes_files(body)) and expander.text(command.words[0]).replace(" ", "").split(";")[1:2] == [""]:
                self.report("dangerous", "resources", "starts programs in a loop without an end")
            for name in re.findall(r"[A-Za-z_]\w*", expander.text(command.words[0])):
                self.environment.variables[name] = NUMBER
            return self._repeated(command.bodies, stdin)
        if command.form.endswith(" in"):
            values = [field for word in command.words for field in expander.fields(word)]
        else:
            values = self.environment.arguments if self.environment.arguments is not None else [UNKNOWN]
        if command.form.startswith("select") or len(values) > MOST_ROUNDS:
            values = [*values[:MOST_ROUNDS], UNKNOWN]
        printed = []
        for value in values:
            self.environment.variables[command.name] = value
            printed.append("".join([self.script(body, stdin) for body in command.bodies]))
        return "".join(printed)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
