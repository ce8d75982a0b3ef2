"""Functions of Python whose meaning hangs on more than a table can say: `exec`, `getattr`, `open`, paths, lists of files."""

from __future__ import annotations

from luthier.guard.risk.inline.decode import decoded, is_codec
from luthier.guard.risk.inline.python_calls import MAX_CALL_DEPTH, Caller, Special, namespace
from luthier.guard.risk.inline.python_methods import make_translation, method
from luthier.guard.risk.inline.results import Invocation, contents
from luthier.guard.risk.inline.texts import Ref, Thing, Value, expand_home, glob, is_constant, join_path, keep, taint, text_of
from luthier.guard.values.symbols import SECRET, STAR, UNKNOWN

# Bits of a file's mode that let it run as its owner.
_SET_ID_BITS = 0o6000


def _evaluate(caller: Caller, given: Invocation, expression: bool) -> Value:
    code = given.arguments[0] if given.arguments else given.options.get("source", UNKNOWN)
    text = text_of(code)
    caller.note("code", "python", text)
    return caller.run_text(text, expression) if is_constant(text) else taint((text,))


def _compile(caller: Caller, given: Invocation) -> Value:
    return Thing("code", text_of(given.arguments[0]) if given.arguments else UNKNOWN)


def _print(caller: Caller, given: Invocation) -> Value:
    if "file" in given.options:
        target = given.options["file"]
        if not (isinstance(target, Ref) and target.name == "sys.stdout"):
            return None
    separator, end = given.options.get("sep", " "), given.options.get("end", "\n")
    texts = [text_of(argument) for argument in given.arguments]
    caller.note("print", keep(text_of(separator).join(texts) + text_of(end), *texts)[:5000])
    return None


def _write_out(caller: Caller, given: Invocation) -> Value:
    caller.note("print", text_of(given.arguments[0])[:5000] if given.arguments else UNKNOWN)
    return None


def _import(caller: Caller, given: Invocation) -> Value:
    name = given.arguments[0] if given.arguments else given.options.get("name", UNKNOWN)
    if not isinstance(name, str) or not is_constant(name):
        return Thing("dynamic")
    return Ref(name if "fromlist" in given.options or len(given.arguments) > 3 else name.split(".")[0])


def _import_module(caller: Caller, given: Invocation) -> Value:
    name = given.arguments[0] if given.arguments else UNKNOWN
    return Ref(str(name)) if isinstance(name, str) and is_constant(name) else Thing("dynamic")


def _getattr(caller: Caller, given: Invocation) -> Value:
    if len(given.arguments) < 2:
        return UNKNOWN
    base, name = given.arguments[0], given.arguments[1]
    if isinstance(name, str) and is_constant(name):
        return caller.attribute(base, str(name))
    return Thing("dynamic")


def _dynamic(caller: Caller, given: Invocation) -> Value:
    return Thing("dynamic")


def _names(caller: Caller, given: Invocation) -> Value:
    base = given.arguments[0] if given.arguments else None
    return Thing("names", base.name if isinstance(base, Ref) else "")


def _path(caller: Caller, given: Invocation) -> Value:
    return Thing("path", join_path(given.arguments) or ".")


def _home(caller: Caller, given: Invocation) -> Value:
    return Thing("path", expand_home("~"))


def _path_join(caller: Caller, given: Invocation) -> Value:
    return Thing("path", join_path((text_of(given.receiver), *given.arguments)))


def _path_glob(caller: Caller, given: Invocation) -> Value:
    pattern = glob(given.arguments[0]) if given.arguments else STAR
    return (Thing("path", join_path((text_of(given.receiver), pattern))),)


def _path_iterate(caller: Caller, given: Invocation) -> Value:
    return (Thing("path", join_path((text_of(given.receiver), STAR))),)


def _path_read(caller: Caller, given: Invocation) -> Value:
    path = text_of(given.receiver)
    caller.note("read", path)
    return contents(path)


def _path_open(caller: Caller, given: Invocation) -> Value:
    return caller.open(Invocation([given.receiver, *given.arguments], given.options))


def _path_mode(caller: Caller, given: Invocation) -> Value:
    return _chmod(caller, Invocation([given.receiver, *given.arguments], given.options))


def _walk(caller: Caller, given: Invocation) -> Value:
    top = text_of(given.arguments[0]) if given.arguments else "."
    return ((top, (STAR,), (STAR,)),)


def _scan(caller: Caller, given: Invocation) -> Value:
    return (Thing("entry", join_path((text_of(given.arguments[0]) if given.arguments else ".", STAR))),)


def _chmod(caller: Caller, given: Invocation) -> Value:
    path = text_of(given.arguments[0]) if given.arguments else text_of(given.options.get("path", UNKNOWN))
    mode = given.arguments[1] if len(given.arguments) > 1 else given.options.get("mode")
    caller.note("permissions", path)
    if isinstance(mode, int) and mode & _SET_ID_BITS:
        caller.note("danger:privilege", "lets a file run with its owner's rights")
    return None


def _fork(caller: Caller, given: Invocation) -> Value:
    if caller.loops:
        caller.note("danger:resources", "starts processes without end")
    return UNKNOWN


def _codec(caller: Caller, given: Invocation) -> Value:
    codec = given.arguments[1] if len(given.arguments) > 1 else given.options.get("encoding", "utf-8")
    value = given.arguments[0] if given.arguments else UNKNOWN
    if isinstance(codec, str) and is_codec(codec):
        return decoded(codec, value, as_text=codec.lower().startswith(("rot", "unicode")))
    return value


def _chr(caller: Caller, given: Invocation) -> Value:
    value = given.arguments[0] if given.arguments else UNKNOWN
    return chr(value) if isinstance(value, int) and 0 <= value < 0x110000 else taint((value,))


def _ord(caller: Caller, given: Invocation) -> Value:
    value = given.arguments[0] if given.arguments else UNKNOWN
    return (
        ord(value) if isinstance(value, str) and len(value) == 1 else value[0] if isinstance(value, bytes) and len(value) == 1 else UNKNOWN
    )


def _integer(caller: Caller, given: Invocation) -> Value:
    value = given.arguments[0] if given.arguments else 0
    base = given.arguments[1] if len(given.arguments) > 1 else 10
    if isinstance(value, str) and len(value) < 100 and isinstance(base, int) and is_constant(value):
        try:
            return int(value, base)
        except ValueError:
            return UNKNOWN
    return value if isinstance(value, int) else taint((value,))


def _bytes(caller: Caller, given: Invocation) -> Value:
    value = given.arguments[0] if given.arguments else b""
    if isinstance(value, tuple) and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        return bytes(item for item in value if isinstance(item, int))
    if isinstance(value, int) and value > 1 << 33:
        caller.note("danger:resources", "fills the memory")
    return value if isinstance(value, bytes) else method(value, "encode", []) if isinstance(value, str) else taint((value,))


def _text(caller: Caller, given: Invocation) -> Value:
    return text_of(given.arguments[0]) if given.arguments else ""


def _sequence(caller: Caller, given: Invocation) -> Value:
    value = given.arguments[0] if given.arguments else ()
    if isinstance(value, str) and is_constant(value):
        return tuple(value[:5000])
    if isinstance(value, bytes):
        return tuple(value[:5000])
    return value if isinstance(value, tuple | str) else tuple(value) if isinstance(value, dict) else taint((value,))


def _reversed(caller: Caller, given: Invocation) -> Value:
    value = _sequence(caller, given)
    return value[::-1] if isinstance(value, tuple) else value


def _range(caller: Caller, given: Invocation) -> Value:
    if 0 < len(given.arguments) < 4 and all(isinstance(item, int) for item in given.arguments):
        numbers = [item for item in given.arguments if isinstance(item, int)]
        if len(numbers) < 3 or numbers[2]:
            steps = range(*numbers)
            # `len` refuses a range beyond the machine's word.
            return tuple(steps) if abs(numbers[-1] if len(numbers) == 1 else numbers[1] - numbers[0]) <= 1000 else UNKNOWN
    return UNKNOWN


def _map(caller: Caller, given: Invocation) -> Value:
    if len(given.arguments) < 2:
        return UNKNOWN
    function, items = given.arguments[0], given.arguments[1]
    if isinstance(items, str | bytes):
        items = _sequence(caller, Invocation([items]))
    if not isinstance(items, tuple) or not items:
        items = (taint((items,)),)
    if caller.nesting >= MAX_CALL_DEPTH:
        return UNKNOWN
    caller.nesting += 1
    results = tuple(caller.call(function, Invocation([item])) for item in items[:1000])
    caller.nesting -= 1
    return results


def _partial(caller: Caller, given: Invocation) -> Value:
    caller.hand_over(given)
    return Thing("partial")


def _put_variable(caller: Caller, given: Invocation) -> Value:
    for value in given.arguments[:1]:
        for key in value if isinstance(value, dict) else (value,):
            caller.set_variable(key)
    for key in given.options:
        caller.set_variable(key)
    return None


def _read_file(caller: Caller, given: Invocation) -> Value:
    return text_of(given.receiver)


def _variable(caller: Caller, given: Invocation) -> Value:
    return caller.environment(given.arguments[0] if given.arguments else UNKNOWN)


def _all_variables(caller: Caller, given: Invocation) -> Value:
    return SECRET


def _maketrans(caller: Caller, given: Invocation) -> Value:
    return make_translation(given.arguments)


SPECIAL: dict[str, Special] = {
    **dict.fromkeys(
        ("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"), Caller.run
    ),
    **dict.fromkeys(
        ("open", "io.open", "codecs.open", "gzip.open", "bz2.open", "os.fdopen", "file", "tarfile.open", "zipfile.ZipFile"), Caller.open
    ),
    "exec": lambda caller, given: _evaluate(caller, given, False),
    "eval": lambda caller, given: _evaluate(caller, given, True),
    "compile": _compile,
    "execfile": lambda caller, given: caller.note("argv", "python3", *[text_of(value) for value in given.arguments[:1]]),
    "print": _print,
    **dict.fromkeys(("sys.stdout.write", "sys.stdout.buffer.write", "pprint.pprint", "sys.stdout.writelines", "rich.print"), _write_out),
    "__import__": _import,
    **dict.fromkeys(("importlib.import_module", "importlib.__import__", "pydoc.locate", "pkgutil.resolve_name"), _import_module),
    **dict.fromkeys(("getattr", "inspect.getattr_static"), _getattr),
    **dict.fromkeys(("operator.methodcaller", "operator.attrgetter"), _dynamic),
    **dict.fromkeys(("globals", "locals", "vars"), _names),
    **dict.fromkeys(("pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath", "path.Path"), _path),
    "pathlib.Path.home": _home,
    **dict.fromkeys(("os.walk", "os.fwalk"), _walk),
    "os.scandir": _scan,
    "os.chmod": _chmod,
    **dict.fromkeys(("os.fork", "os.forkpty"), _fork),
    **dict.fromkeys(("codecs.decode", "codecs.encode"), _codec),
    "chr": _chr,
    "unichr": _chr,
    "ord": _ord,
    "int": _integer,
    **dict.fromkeys(("bytes", "bytearray"), _bytes),
    "str": _text,
    **dict.fromkeys(("list", "tuple", "set", "sorted", "iter", "frozenset"), _sequence),
    "reversed": _reversed,
    **dict.fromkeys(("range", "xrange"), _range),
    **dict.fromkeys(("map", "filter", "itertools.starmap"), _map),
    **dict.fromkeys(("functools.partial", "atexit.register", "threading.Thread", "threading.Timer", "multiprocessing.Process"), _partial),
    "os.putenv": _put_variable,
    "os.getenv": _variable,
    "os.getenvb": _variable,
    **dict.fromkeys(("str.maketrans", "string.maketrans", "bytes.maketrans"), _maketrans),
    "dict": lambda caller, given: taint(given.arguments) if given.arguments else dict(given.options),
}
THING_METHODS: dict[str, Special] = {
    "path.open": _path_open,
    "path.chmod": _path_mode,
    **dict.fromkeys(("path.read_text", "path.read_bytes"), _path_read),
    **dict.fromkeys(("path.joinpath", "path.with_name", "path.with_suffix"), _path_join),
    **dict.fromkeys(("path.glob", "path.rglob"), _path_glob),
    "path.iterdir": _path_iterate,
    "path.walk": lambda caller, given: _walk(caller, Invocation([given.receiver])),
    **dict.fromkeys(
        ("file.read", "file.readlines", "file.readline", "process.read", "process.communicate", "process.readlines"), _read_file
    ),
    **dict.fromkeys(("environ.get", "environ.pop", "environ.__getitem__"), _variable),
    **dict.fromkeys(("environ.copy", "environ.items", "environ.values"), _all_variables),
    **dict.fromkeys(("environ.update", "environ.setdefault", "environ.__setitem__"), _put_variable),
    **dict.fromkeys(
        ("names.get", "names.__getitem__", "names.pop"),
        lambda caller, given: namespace(caller, given.receiver, given.arguments[0] if given.arguments else None),
    ),
}
