"""ReScript's `external` declarations: which JavaScript each stands for, and how that is said.

The attributes are read by the language's manual, section Interop: `@val` a global, `@module` an import, `@send` a method of the first
argument, `@get` and `@set` a property of it, `@get_index` and `@set_index` an entry, `@new` a constructor, `@scope` the object on the way,
`@variadic` a last array spread out, `@return(nullable)` null and undefined as `None`, `@return(null_to_opt)` and
`@return(undefined_to_opt)` the one of them; a name with `%` is the compiler's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from luthier.data.synthesize.brackets import closing, split_top
from luthier.data.synthesize.reading.signatures import declared_type
from luthier.data.synthesize.wording import listed, ticked
from luthier.retrieval.records import Chunk

_EXTERNAL = re.compile(r"\bexternal\s+\\?\"?(?P<name>[a-z_]\w*)\"?\s*:\s*(?P<rest>.+)", re.DOTALL)
_TARGET = re.compile(r"=\s*(?:\"(?P<text>[^\"]*)\"|`(?P<raw>[^`]*)`)\s*$")
_ATTRIBUTE = re.compile(r"@(?P<name>(?:bs\.|mel\.)?[a-z_]+(?:\.[a-z]+)?)\s*(?P<open>\()?")


@dataclass(frozen=True, slots=True)
class Binding:
    """One `external`: its name, its type, the JavaScript name `target`, and its attributes with what stands in their brackets."""

    name: str
    type: str
    target: str
    attributes: tuple[tuple[str, str], ...]

    @property
    def is_function(self) -> bool:
        """Whether its type is an arrow."""
        return len(split_top(self.type, "=>")) > 1

    @property
    def takes(self) -> tuple[str, ...]:
        """The types of its arguments in their order, with the labels (`~name: type`); fixed ones (`@as(...) _`) and unit are left out."""
        sides = split_top(self.type, "=>")[:-1]
        found = list[str]()
        for side in sides:
            is_tuple = side.startswith("(") and closing(side, 0) == len(side) - 1
            found += split_top(side[1:-1], ",") if is_tuple else [side]
        return tuple(one for one in found if one not in ("unit", ".") and not re.fullmatch(r"(?:@as\(.*\)\s*)_", one, re.DOTALL))

    @property
    def gives(self) -> str:
        """The type of its result, or of its value."""
        return split_top(self.type, "=>")[-1] if self.type else ""

    def has(self, *names: str) -> bool:
        """Whether one of the attributes `names` stands before it."""
        return any(name in names for name, _ in self.attributes)

    def argument(self, name: str) -> str:
        """What stands in the brackets of an attribute; empty where it has none."""
        return next((argument for attribute, argument in self.attributes if attribute == name), "")

    @property
    def is_compilers(self) -> bool:
        """Whether it names a primitive of the compiler and no JavaScript."""
        return self.target.startswith(("%", "#"))

    @property
    def path(self) -> str:
        """The JavaScript name with its scope, such as `globalThis.crypto.subtle`."""
        scope: list[str] = re.findall(r"\"([^\"]+)\"", self.argument("scope"))
        return ".".join([*scope, *([] if self.target in ("", "default") else [self.target])]) or self.target

    @property
    def module(self) -> str:
        """The JavaScript module that it imports from; empty where it imports none."""
        said = self.argument("module")
        named = re.search(r"from:\s*\"([^\"]+)\"", said) or re.search(r"\"([^\"]+)\"", said)
        return named[1] if named else ""


def read_binding(chunk: Chunk) -> Binding | None:
    """The binding that a ReScript chunk declares; None where it is no `external`."""
    if chunk.language != "rescript" or "external" not in chunk.text:
        return None
    text = re.sub(r"/\*.*?\*/", " ", chunk.text, flags=re.DOTALL)
    text = re.sub(r"(?m)(^|\s)//.*$", " ", text)
    found = _EXTERNAL.search(text)
    if not found or found["name"] != chunk.name:
        return None
    target = _TARGET.search(found["rest"].strip())
    kind = declared_type(found["rest"])
    if not target or not kind:
        return None
    name = target["text"] if target["text"] is not None else target["raw"]
    return Binding(chunk.name, kind, name or chunk.name, tuple(_attributes(text[: found.start()])))


def declared_value_type(chunk: Chunk) -> str:
    """The type that stands behind the name of a ReScript value; empty where none does."""
    text = chunk.signature if "external" not in chunk.signature else chunk.text
    found = re.search(rf"\b(?:let|external)\s+(?:rec\s+)?{re.escape(chunk.name)}\s*:\s*(?P<rest>.+)", text, re.DOTALL)
    return declared_type(found["rest"]) if found else ""


def _attributes(head: str) -> list[tuple[str, str]]:
    found, at = list[tuple[str, str]](), 0
    while match := _ATTRIBUTE.search(head, at):
        name = match["name"].removeprefix("bs.").removeprefix("mel.")
        end = closing(head, match.end() - 1) if match["open"] else -1
        found.append((name, head[match.end() : end] if end > 0 else ""))
        at = end + 1 if end > 0 else match.end()
    return found


# What each directive of `@return` makes a `None` of.
_NONE_OF = {
    "nullable": "a null or undefined result",
    "null_undefined_to_opt": "a null or undefined result",
    "null_to_opt": "a null result",
    "undefined_to_opt": "an undefined result",
}
_ROLES = ("val", "send", "get", "set", "get_index", "set_index", "new", "obj")
_PROPERTIES = {
    "get": "the property {name} of its argument, which it reads",
    "set": "the property {name} of its first argument, which it sets to its second",
    "get_index": "an entry of its first argument, which it reads by index or key",
    "set_index": "an entry of its first argument, which it sets by index or key",
    "obj": "a JavaScript object built from its labelled arguments",
}


def stands_for(binding: Binding) -> str:
    """What a binding stands for in JavaScript, as a noun phrase: "the method `slice` of its first argument". Empty where not known."""
    name, plain = ticked(binding.path), ticked(binding.target)
    source = f" of the JavaScript module {ticked(binding.module)}" if binding.module else ""
    role = next((role for role in _PROPERTIES if binding.has(role)), "")
    if binding.target == "%identity":
        what = "the compiler's identity, which changes the type and not the value"
    elif binding.is_compilers:
        what = f"the compiler primitive {plain}"
    elif binding.has("send"):
        reached = f", reached through its property {ticked(binding.path.rpartition('.')[0])}" if binding.has("scope") else ""
        what = f"the method {plain} of its first argument{reached}"
    elif role:
        what = _PROPERTIES[role].replace("{name}", plain)
    elif binding.has("new"):
        what = f"the constructor {name}{source}"
    elif binding.module and binding.path == "default":
        what = f"the default export{source}"
    elif binding.module:
        what = f"the {'function' if binding.is_function else 'value'} {name}{source}"
    elif binding.has("val", "scope"):
        what = f"the global {'function' if binding.is_function else 'value'} {name}"
    else:
        what = ""
    return what


def fixed_arguments(binding: Binding) -> list[str]:
    """The values that the binding passes itself, as they are written: `"open"` of `@as("open") _`."""
    return [value.strip() for value in re.findall(r"@as\(((?:[^()`]|`[^`]*`)*)\)\s*_(?=\s*[,)])", binding.type)]


def same_javascript(one: Binding, other: Binding) -> bool:
    """Whether two bindings become the same JavaScript: same name and import, reached the same way, with the same fixed arguments."""
    return (one.path, one.module, fixed_arguments(one)) == (other.path, other.module, fixed_arguments(other)) and all(
        one.has(role) == other.has(role) for role in _ROLES
    )


def is_plain(binding: Binding) -> bool:
    """Whether the declaration follows from the name alone: same name or a setter's, no import, no scope, no special attribute."""
    is_same = binding.target == binding.name or (binding.has("set") and binding.name.lower() == f"set{binding.target.lower()}")
    return is_same and not binding.module and not binding.has("scope", "new") and not traits(binding) and not binding.is_compilers


def owner_type(binding: Binding, module: str) -> str:
    """The type of the first argument as others would name it: `t` of module `Date` is `Date.t`."""
    first = re.sub(r"^~\w+:\s*", "", binding.takes[0]) if binding.takes else ""
    return f"{module}.t" if re.match(r"(?:T\.)?t\b(?!_)", first) else first


def written_as(binding: Binding) -> str:
    """The JavaScript that a call of the binding becomes, such as `` `array.slice(start, end)` ``; empty where names would be invented."""
    takes = binding.takes
    names = [match[1] if (match := re.match(r"~(\w+)", one)) else "" for one in takes]
    if binding.has("send") and takes and not binding.has("variadic", "scope") and "@" not in binding.type:
        rest = ", ".join(names[1:]) if all(names[1:]) else "..."
        return ticked(f"{_receiver(takes[0])}.{binding.target}({rest})")
    if binding.has("get") and takes:
        return ticked(f"{_receiver(takes[0])}.{binding.target}")
    if binding.has("set") and takes:
        return ticked(f"{_receiver(takes[0])}.{binding.target} = value")
    if binding.has("new"):
        return ticked(f"new {binding.path}({'...' if takes else ''})")
    return ""


def _receiver(kind: str) -> str:
    """A variable for a value of a type: the type's own last name in lower case, `object` for `t` and the like."""
    found = re.match(r"(?:\w+\.)*([a-z]\w*)", kind)
    name = found[1] if found else "object"
    if name in ("t", "T") or len(name) < 3:
        module = re.match(r"(?:\w+\.)*([A-Z]\w*)\.t\b", kind)
        return module[1].split("__")[-1][0].lower() + module[1].split("__")[-1][1:] if module and len(module[1]) > 1 else "object"
    return name.removesuffix("_like").removeprefix("t_")


def traits(binding: Binding) -> list[str]:
    """Whole sentences on what the attributes change: spread arrays, nullable results, fixed arguments, optional ones, deprecation."""
    said = list[str]()
    if binding.has("variadic"):
        said.append("`@variadic` spreads its last argument, an array, into separate JavaScript arguments.")
    directive = binding.argument("return").strip()
    if directive in _NONE_OF:
        said.append(f"`@return({directive})` turns {_NONE_OF[directive]} into `None`.")
    if fixed := [ticked(value) for value in fixed_arguments(binding)]:
        noun, verb = ("arguments", "are") if len(fixed) > 1 else ("argument", "is")
        said.append(f"The fixed {noun} {listed(fixed)} {verb} passed by the binding, not by the caller.")
    # Of an argument that is a function itself the caller gives none of the arguments.
    optional = [match[1] for one in binding.takes if (match := re.match(r"~(\w+)\s*:.*=\s*\?$", one, re.DOTALL))]
    if optional:
        said.append(f"{listed([f'`~{name}`' for name in optional])} {'are' if len(optional) > 1 else 'is'} optional.")
    if binding.has("deprecated"):
        reason = re.search(r"\"([^\"]+)\"", binding.argument("deprecated"))
        said.append(f"It is deprecated: {reason[1].rstrip('.')}." if reason else "It is deprecated.")
    return said


def typed(binding: Binding) -> str:
    """How it is called, in a sentence's words: `takes `~from: string` and gives `bool``."""
    takes = [ticked(re.sub(r"@as\([^)]*\)\s*", "", one)) for one in binding.takes]
    if not binding.is_function:
        return f"has the type {ticked(binding.gives)}"
    given = "gives nothing back (`unit`)" if binding.gives == "unit" else f"gives back {ticked(binding.gives)}"
    return f"takes {listed(takes)} and {given}" if takes else f"takes no argument and {given}"
