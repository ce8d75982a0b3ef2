"""What a call means in the other languages: what the same file, or the same type, defines once, and what a type's name before it says."""

from __future__ import annotations

import re

from luthier.data.synthesize.brackets import closing
from luthier.data.synthesize.reading.calls.imported import included, means
from luthier.data.synthesize.reading.calls.sources import Mention, Sources, only
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

_OWN = frozenset(("self", "this", "Self"))
# Languages in which a bare name may be a method of the type at hand.
_BARE_METHODS = frozenset(("java", "csharp", "cpp", "kotlin", "swift", "scala", "dart", "ruby"))
_TYPES = ("class", "type", "module")


class Nearby:
    """The meaning of calls in languages that have no reader of their own here."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._types: dict[tuple[str, str], list[Chunk]] = {}
        self._headers: dict[str, list[str]] = {}
        self._meant: dict[tuple[str, str, str, str], bool] = {}
        for path in sources.paths():
            for chunk in sources.chunks(path):
                if chunk.kind in _TYPES:
                    self._types.setdefault((chunk.language, chunk.name), []).append(chunk)

    def target(self, user: Chunk, mention: Mention) -> Chunk | None:
        """The definition that a call means; None where the text does not tell, or where it stands elsewhere."""
        if mention.is_open or len(mention.before) > 1:
            return None
        name = mention.name
        if not mention.before:
            if self._is_bound(user, name):
                return None
            return self._bare(user, name) or self._included(user, name) or (self._type(user, name) if name[:1].isupper() else None)
        (head,) = mention.before
        if head in _OWN:
            return self._of_type(user.path, user.scope, name) if user.scope else None
        if head[:1].isupper() or not self._is_bound(user, head):
            owner = self._type(user, head)
            return self._of_type(owner.path, owner.full_name, name) if owner else None
        owner = self._type(user, self._declared(user, head))
        return self._of_type(owner.path, owner.full_name, name) if owner else None

    def _of_type(self, path: str, scope: str, name: str) -> Chunk | None:
        """The one method of a type; several of a name are overloads, of which the text does not tell one."""
        found = self._sources.named(path, scope, name)
        return only([one for one in found if one.kind in CODE_KINDS]) if len(found) == 1 else None

    def _bare(self, user: Chunk, name: str) -> Chunk | None:
        """What a bare name means in its own file: a method of the type at hand, else what stands in the same scope or at the top."""
        all_of_name = [one for one in self._sources.chunks(user.path) if one.name == name]
        for scope in dict.fromkeys((user.scope, "")):
            found = [one for one in all_of_name if one.scope == scope]
            if len(found) > 1:
                return None
            if found and (found[0].kind != "method" or user.language in _BARE_METHODS):
                return found[0] if found[0].kind in (*CODE_KINDS, "class") else None
        # `new Ring()` of a class within the class at hand.
        return (
            only([one for one in all_of_name if one.kind == "class" and one.scope == user.scope.split(".")[0]])
            if len(all_of_name) == 1
            else None
        )

    def _included(self, user: Chunk, name: str) -> Chunk | None:
        """A function of C that a header which the file includes declares, defined once in the source."""
        if user.language not in ("c", "cpp"):
            return None
        if user.path not in self._headers:
            self._headers[user.path] = included(self._sources, user.path)
        headers = [path for path in self._headers[user.path] if self._sources.named(path, "", name)]
        if len(headers) != 1:
            return None
        stem = headers[0].rpartition(".")[0]
        found = [one for ending in (".c", ".cc", ".cpp") for one in self._sources.named(f"{stem}{ending}", "", name) if one.body.strip()]
        return only(found) or only([one for one in self._sources.named(headers[0], "", name) if one.kind in CODE_KINDS])

    def _type(self, user: Chunk, name: str) -> Chunk | None:
        """The type of a name: of the same file, or the only one of the source where the file's imports or its place tell of it."""
        found = self._types.get((user.language, name), []) if name else []
        own = [one for one in found if one.path == user.path]
        if own or len(found) != 1:
            return only(own)
        (one,) = found
        key = (user.path, user.full_name, one.path, one.full_name)
        if key not in self._meant:
            self._meant[key] = means(self._sources, user, one)
        return one if self._meant[key] else None

    def _declared(self, user: Chunk, name: str) -> str:
        """The type of a variable that one constructor sets, or that is declared with a type; empty where the text does not tell."""
        code, word = self._sources.own_code(user), re.escape(name)
        kinds = re.findall(rf"\b([A-Z]\w*)[ \t]*[&*]?[ \t]+{word}\s*[=,;):{{(]", code)
        kinds += re.findall(rf"(?<![\w.]){word}\s*:\s*&?(?:mut\s+)?([A-Z]\w*)\s*[,)=]", code)
        made = re.findall(rf"(?<![\w.]){word}\s*=\s*(?:new\s+([A-Z]\w*)\s*\(|([A-Z]\w*)(?:\.|::)new\b|(.))", code)
        if kinds:
            return kinds[0] if len(set(kinds)) == 1 and len(kinds) == 1 else ""
        names = [one[0] or one[1] for one in made]
        if len(names) != 1 or not names[0]:
            return ""
        call = re.search(rf"(?<![\w.]){word}\s*=\s*(?:new\s+)?{names[0]}(?:(?:\.|::)new)?\s*(?P<open>\()?", code)
        end = closing(code, call.end() - 1) if call and call["open"] else -1
        return "" if end > 0 and code[end + 1 : end + 2] in (".", "?") else names[0]

    def _is_bound(self, user: Chunk, name: str) -> bool:
        """Whether a definition sets or declares a name itself, as a parameter or a variable."""
        code, word = self._sources.own_code(user), re.escape(name)
        at = code.find(user.name)
        rest = code[at + len(user.name) :] if at >= 0 else code
        return (
            re.search(
                rf"(?<![\w.:>]){word}\s*(?::(?!:)|=(?!=)|<-)|[(,|]\s*(?:[\w:<>*&\[\]]+[ \t*&]+)?{word}\s*[,)|=]|"
                rf"\b(?:let|var|val|auto|local|mut|for|fn|def|my)\s+[^=\n;]*\b{word}\b|\b[A-Z]\w*[ \t*&]+{word}\s*[=;,)]",
                rest,
            )
            is not None
        )
