"""Which definition a call means: what the text tells is an edge, what is only called alike is none."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent

import pytest

from luthier.data.synthesize.reading.scopes import subclasses
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.retrieval.records import Layout, Package, SourceFile
from luthier.retrieval.repository.layout import packages_of
from maker_parts import material


def called(user: str, files: dict[str, str], *more: SourceFile, layout: Layout = Layout()) -> list[str]:  # noqa: B008
    """The definitions that the definition `user` calls, with their files."""
    made = replace(material({path: dedent(text) for path, text in files.items()}), layout=layout)
    if more:
        made = replace(made, files=(*made.files, *more))
    structure = Structure(made)
    chunk = next(chunk for chunk in made.chunks if spoken(chunk) == user)
    return [f"{spoken(one)} {one.path}" for one in structure.callees(chunk)]


BOX = """
    class Box:
        def flush_all(self):
            self.rewind(1)
            return self

        def rewind(self, steps):
            return steps

    def open_box(path):
        return Box()
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # What an unknown value is sent may be anything's.
        ("tape = vendor.open(path)\ntape.flush_all()", []),
        ("path.flush_all()", []),
        ("vendor.open_box(path)", []),
        ("open_box(path)", ["open_box box.py"]),
        ("open_box = vendor.opener\nopen_box(path)", []),
        ("for open_box in path:\n    open_box()", []),
        ("box.open_box(path)", ["open_box box.py"]),
        ("one = box.Box()\none.flush_all()", ["Box box.py", "Box.flush_all box.py"]),
        ("one = box.Box()\none = path.one()\none.flush_all()", ["Box box.py"]),
        ("one = box.Box().size()\none.flush_all()", ["Box box.py"]),
        ("box.Box.rewind(path, 1)", ["Box.rewind box.py"]),
        ("from box import Box as Crate\n    Crate()", ["Box box.py"]),
    ],
)
def test_python_names_imports_and_constructors(body: str, expected: list[str]) -> None:
    code = "import vendor\nimport box\nfrom box import open_box\n\n\ndef use(path):\n" + "".join(
        f"    {line}\n" for line in body.split("\n")
    )
    assert called("use", {"box.py": BOX, "tape.py": code}) == expected


def test_python_self_is_the_class_at_hand_and_those_that_it_derives_from() -> None:
    crate = """
        from box import Box
        from vendor import Chest

        class Crate(Box):
            def __init__(self):
                self.stamp = print

            def send(self):
                self.flush_all()
                super().rewind(2)
                self.stamp()

            def stamp(self):
                return 1

        class Trunk(Chest):
            def send(self):
                self.flush_all()

        class Mixed(Box, Chest):
            def send(self):
                self.flush_all()
    """
    files = {"box.py": BOX, "crate.py": crate}
    assert called("Crate.send", files) == ["Box.flush_all box.py", "Box.rewind box.py"]
    assert called("Trunk.send", files) == []
    # The unknown one may be what answers.
    assert called("Mixed.send", files) == []


def test_python_follows_what_a_package_hands_on_and_no_namesake_of_a_library() -> None:
    files = {
        "src/pack/__init__.py": "from .inner import weigh\n",
        "src/pack/inner.py": "def weigh(load):\n    return load\n",
        "tools/string.py": "def capwords(text):\n    return text\n",
        "src/use.py": "import string\nfrom pack import weigh\n\n\ndef use(load):\n    weigh(load)\n    string.capwords(load)\n",
    }
    assert called("use", files) == ["weigh src/pack/inner.py"]


def test_python_a_name_that_a_star_may_replace_is_in_doubt() -> None:
    code = "def weigh(load):\n    return load\n\n\n{star}\n\n\ndef use(load):\n    return weigh(load)\n"
    assert called("use", {"a.py": code.format(star="LIMIT = 1")}) == ["weigh a.py"]
    assert called("use", {"a.py": code.format(star="from _fast import *")}) == []


GO = """
    package shop

    import "example.com/shop/paint"

    type Cart struct{}

    func New() (*Cart, error) { return &Cart{}, nil }

    func (c *Cart) SetOutput(w Writer) {}

    func (c *Cart) Run() { c.SetOutput(nil) }

    func weigh(load int) int { return load }

    func use(given *Cart, flags *vendor.FlagSet, weigh func(int) int) {
        weigh(1)
        flags.SetOutput(nil)
        paint.Mix()
        made, err := New()
        made.Run()
        given.parts.SetOutput(nil)
    }

    func typed(given *Cart) {
        given.SetOutput(nil)
        weigh(2)
        for _, given := range given.all() {
            given.Run()
        }
    }

    func plain(given *Cart) {
        given.SetOutput(nil)
        weigh(2)
    }
"""


def test_go_receivers_parameters_and_packages() -> None:
    files = {"cart.go": GO, "paint/mix.go": "package paint\n\nfunc Mix() {}\n", "other/mix.go": "package other\n\nfunc weigh() {}\n"}
    module = SourceFile("go.mod", "gomod", "module example.com/shop\n", "MIT")
    assert called("Cart.Run", files, module) == ["Cart.SetOutput cart.go"]
    assert called("use", files, module) == ["Mix paint/mix.go", "New cart.go", "Cart.Run cart.go"]
    assert called("plain", files, module) == ["Cart.SetOutput cart.go", "weigh cart.go"]
    # One name with two types in a function is in doubt.
    assert called("typed", files, module) == ["weigh cart.go"]
    assert "Mix paint/mix.go" not in called("use", files)


OPTION = "let getExn = x => x\n\nlet map = (x, f) => f(x)\n\nlet size = 3\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("let use = x => x->Belt.Option.getExn", []),
        ("let use = x => x->Option.getExn", ["Option.getExn src/Option.res"]),
        ("let use = x => Js.Option.map(x, y => y)", []),
        ("open Belt\nlet use = x => x->Option.getExn", []),
        ("open Option\nlet use = x => x->getExn", ["Option.getExn src/Option.res"]),
        ("open Vendor\nlet use = x => x->getExn", []),
        ("module O = Option\nlet use = x => O.getExn(x)", ["Option.getExn src/Option.res"]),
        ("module O = Vendor.Option\nlet use = x => O.getExn(x)", []),
        ("let use = (x, getExn) => getExn(x)", []),
        ("open Option\nlet use = (x, getExn) => getExn(x)", []),
        ("open Option\nlet use = x => switch x {\n  | Some(getExn) => getExn(x)\n  | None => x\n}", []),
        ("module Make = (Option: Type) => {\n  let use = x => Option.getExn(x)\n}", []),
        ("let help = x => x\nlet use = x => help(x)", ["Use.help src/Use.res"]),
        ("let use = x => help(x)\nlet help = x => x", []),
        ("let help = x => x\nopen Vendor\nlet use = x => help(x)", []),
        ("let use = x => x.getExn(1)", []),
    ],
)
def test_rescript_paths_opens_and_what_hides_them(code: str, expected: list[str]) -> None:
    user = "Use.Make.use" if "Make" in code else "Use.use"
    assert called(user, {"src/Option.res": OPTION, "src/Use.res": code}) == expected


def test_rescript_modules_are_those_of_the_same_package() -> None:
    files = {"one/src/Option.res": OPTION, "two/src/Use.res": "let use = x => x->Option.getExn\n"}
    configs = [SourceFile(f"{place}/rescript.json", "json", "{}", "MIT") for place in ("one", "two")]
    assert called("Use.use", files, *configs) == []
    assert called("Use.use", files) == ["Option.getExn one/src/Option.res"]


def test_scripts_imports_this_and_new() -> None:
    ring = """
        export class Ring {
          push(value) { return this.grow(value) }
          grow(value) { return value }
        }

        export function make() { return 1 }
    """
    use = """
        import { Ring, make as build } from './ring'
        import { make } from 'vendor'

        export function use(other) {
          const ring = new Ring()
          ring.push(1)
          other.grow(2)
          build()
          make()
        }
    """
    files = {"src/ring.ts": ring, "src/use.ts": use}
    assert called("use", files) == ["Ring src/ring.ts", "Ring.push src/ring.ts", "make src/ring.ts"]
    assert called("Ring.push", files) == ["Ring.grow src/ring.ts"]


def test_other_languages_take_the_file_the_type_and_a_named_type() -> None:
    rust = """
        struct Ring {}

        impl Ring {
            fn new() -> Ring { Ring {} }
            fn push(&self) { self.grow(); }
            fn grow(&self) {}
        }

        fn weigh() {}

        fn used(other: Vendor) {
            let ring = Ring::new();
            ring.push();
            other.grow();
            weigh();
        }
    """
    assert called("used", {"src/ring.rs": rust}) == ["Ring::new src/ring.rs", "Ring::push src/ring.rs", "weigh src/ring.rs"]
    assert called("Ring::push", {"src/ring.rs": rust}) == ["Ring::grow src/ring.rs"]
    ruby = """
        class Ring
          def push(value)
            grow(value)
            other.shrink(value)
          end

          def grow(value)
            value
          end

          def shrink(value)
            value
          end
        end
    """
    assert called("Ring#push", {"lib/ring.rb": ruby}) == ["Ring#grow lib/ring.rb"]


def test_a_class_derives_from_the_one_that_its_file_names() -> None:
    files = {
        "box.py": BOX,
        "crate.py": "from box import Box\n\n\nclass Crate(Box):\n    pass\n",
        "chest.py": "import vendor\n\n\nclass Chest(vendor.Box):\n    pass\n",
    }
    found = subclasses(Structure(material({path: dedent(text) for path, text in files.items()})))
    assert {place: [one.name for one in classes] for place, classes in found.items()} == {("box.py", "Box"): ["Crate"]}


def laid_out(files: dict[str, str], *unread: str) -> Layout:
    """The layout of `files`, among which the modules `unread` were left out."""
    return Layout(packages_of(files), frozenset(unread))


SEND = """import json
from json import loads
import codec


def send(thing):
    json.dumps(thing)
    loads(thing)
    codec.pack(thing)
"""
JSON = "def dumps(thing):\n    return thing\n\n\ndef loads(thing):\n    return thing\n"
CODEC = "def pack(thing):\n    return thing\n"
PYTHON = {"app/send.py": SEND, "app/json.py": JSON, "app/codec.py": CODEC}


@pytest.mark.parametrize(
    ("more", "layout", "expected"),
    [
        # A folder of scripts: a name of the standard library is that all the same.
        ({}, Layout(), ["pack app/codec.py"]),
        # A package, also where its `__init__.py` is empty and so none of the files that are read.
        ({"app/__init__.py": "x = 1\n"}, Layout(), []),
        ({}, Layout(unread=frozenset(("app/__init__.py",))), []),
        # A folder in a package, and one whose files are imported, or import each other, as parts of one.
        ({}, Layout(unread=frozenset(("__init__.py",))), ["pack app/codec.py"]),
        ({"main.py": "import app.send\n"}, Layout(), []),
        ({"main.py": "from app import codec\n"}, Layout(), []),
        ({"main.py": "import app.vendor\n"}, Layout(), ["pack app/codec.py"]),
        ({"app/other.py": "from . import codec\n"}, Layout(), []),
        # Around a package stand the modules that it may import; a lone file elsewhere is none of them.
        ({"app/__init__.py": "x = 1\n", "codec.py": CODEC.replace("thing", "x")}, Layout(), ["pack codec.py"]),
        ({"app/__init__.py": "x = 1\n", "tools/codec.py": CODEC.replace("thing", "x")}, Layout(), []),
        # A module that is there and was not read is none of another folder.
        ({"app/__init__.py": "x = 1\n", "src/codec.py": CODEC.replace("thing", "x")}, Layout(unread=frozenset(("codec.py",))), []),
        # The standard library itself means its own modules.
        (
            {f"app/{name}.py": "x = 1\n" for name in ("abc", "codecs", "io", "os")},
            Layout(),
            ["dumps app/json.py", "loads app/json.py", "pack app/codec.py"],
        ),
    ],
)
def test_python_absolute_imports(more: dict[str, str], layout: Layout, expected: list[str]) -> None:
    assert called("send", {**PYTHON, **more}, layout=layout) == expected


def test_python_dotted_modules_are_imported_from_where_packages_stand() -> None:
    user = "from shop.cart import pay\n\n\ndef use():\n    pay()\n"
    cart = {"shop/__init__.py": "x = 1\n", "shop/cart.py": "def pay():\n    pass\n"}
    files = {"tools/use.py": user, **{f"other/{path}": text for path, text in cart.items()}}
    assert called("use", files) == []
    assert called("use", files, layout=Layout((Package("other", "python", ""),))) == ["pay other/shop/cart.py"]
    assert called("use", {"tools/use.py": user, **{f"tools/{path}": text for path, text in cart.items()}}) == ["pay tools/shop/cart.py"]


APP = "let use = x => x->Option.getExn\n"


@pytest.mark.parametrize(
    ("code", "config", "other", "expected"),
    [
        (APP, {}, {}, []),
        (APP, {"dependencies": ["@org/base-lib"]}, {}, ["Option.getExn base/src/Option.res"]),
        (APP, {"bs-dev-dependencies": ["@org/base-lib"]}, {}, ["Option.getExn base/src/Option.res"]),
        (APP, {"dependencies": ["@org/other"]}, {}, []),
        # Behind a namespace a module is reached by that alone, or where it is opened.
        (APP, {"dependencies": ["@org/base-lib"]}, {"namespace": True}, []),
        (
            APP.replace("Option", "OrgBaseLib.Option"),
            {"dependencies": ["@org/base-lib"]},
            {"namespace": True},
            ["Option.getExn base/src/Option.res"],
        ),
        (
            APP.replace("Option", "Base.Option"),
            {"dependencies": ["@org/base-lib"]},
            {"namespace": "base"},
            ["Option.getExn base/src/Option.res"],
        ),
        (APP.replace("Option", "Base.Option"), {}, {"namespace": "base"}, []),
        (f"open Base\n{APP}", {"dependencies": ["@org/base-lib"]}, {"namespace": "base"}, ["Option.getExn base/src/Option.res"]),
        (
            APP,
            {"dependencies": ["@org/base-lib"], "bsc-flags": ["-open Base"]},
            {"namespace": "base"},
            ["Option.getExn base/src/Option.res"],
        ),
        (APP.replace("Option", "OrgBaseLib.Option"), {"dependencies": ["@org/base-lib"]}, {}, []),
    ],
)
@pytest.mark.parametrize("name", ["rescript.json", "bsconfig.json"])
def test_rescript_modules_of_packages_that_are_listed(
    code: str, config: dict[str, object], other: dict[str, object], expected: list[str], name: str
) -> None:
    manifests = {
        f"app/{name}": f"// The app.\n{json.dumps({'name': 'app', **config})[:-1]},}}",
        f"base/{name}": json.dumps({"name": "@org/base-lib", **other}),
    }
    files = {"app/src/Use.res": code, "base/src/Option.res": OPTION}
    assert called("Use.use", files, layout=laid_out(manifests)) == expected


def test_rescript_own_module_comes_first_also_where_it_was_not_read() -> None:
    manifests = {
        "app/rescript.json": '{"name": "app", "dependencies": ["base", "more"]}',
        "base/rescript.json": '{"name": "base"}',
        "more/rescript.json": '{"name": "more"}',
    }
    files = {"app/src/Use.res": APP, "base/src/Option.res": OPTION}
    assert called("Use.use", files, layout=laid_out(manifests)) == ["Option.getExn base/src/Option.res"]
    assert called("Use.use", files, layout=laid_out(manifests, "app/src/Option.res")) == []
    # Two that are listed hold it.
    assert called("Use.use", {**files, "more/src/Option.res": OPTION.replace("3", "4")}, layout=laid_out(manifests)) == []


def test_go_imports_of_nested_modules() -> None:
    files = {"cart.go": GO, "paint/mix.go": "package paint\n\nfunc Mix() {}\n"}
    manifests = {"go.mod": "module example.com/shop\n"}
    assert "Mix paint/mix.go" in called("use", files, layout=laid_out(manifests))
    # The folder is a module of another name, and the path that of a published one.
    assert "Mix paint/mix.go" not in called("use", files, layout=laid_out({**manifests, "paint/go.mod": "module example.com/brush\n"}))


SCALE = "package {package};\n\npublic class Scale {{\n    static int weigh(int one) {{\n        return one;\n    }}\n}}\n"
DESK = "package org.desk;\n\n{imports}\npublic class Desk {{\n    int bill(int one) {{\n        return Scale.weigh(one) * 3;\n    }}\n}}\n"


@pytest.mark.parametrize(
    ("imports", "package", "is_meant"),
    [
        ("import org.scale.Scale;", "org.scale", True),
        ("import vendor.tools.Scale;", "org.scale", False),
        ("import org.scale.*;", "org.scale", True),
        ("import vendor.tools.*;", "org.scale", False),
        ("", "org.desk", True),
        ("", "org.scale", False),
        ("import vendor.tools.Scale;", "org.desk", False),
    ],
)
def test_java_types_by_their_packages(imports: str, package: str, is_meant: bool) -> None:
    files = {"main/org/desk/Desk.java": DESK.format(imports=imports), "more/org/scale/Scale.java": SCALE.format(package=package)}
    assert called("Desk.bill", files) == (["Scale.weigh more/org/scale/Scale.java"] if is_meant else [])


RING = "pub struct Ring {}\n\nimpl Ring {\n    pub fn new() -> Ring { Ring {} }\n}\n"


@pytest.mark.parametrize(
    ("use", "is_meant"),
    [
        ("use crate::ring::Ring;", True),
        ("mod ring;\nuse ring::{Full, Ring};", True),
        ("use vendor::Ring;", False),
        ("use std::sync::Ring;", False),
        ("use vendor::Other as Ring;", False),
        ("use crate::ring::Ring as Round;", False),
    ],
)
def test_rust_types_by_their_crates(use: str, is_meant: bool) -> None:
    files = {"src/ring.rs": RING, "src/main.rs": f"{use}\n\nfn used() {{\n    Ring::new();\n}}\n"}
    assert called("used", files) == (["Ring::new src/ring.rs"] if is_meant else [])


@pytest.mark.parametrize(("dependencies", "is_meant"), [("", False), ('[dependencies]\nring-core = { path = "../core" }\n', True)])
def test_rust_types_of_crates_that_are_listed(dependencies: str, is_meant: bool) -> None:
    files = {"core/src/lib.rs": RING, "app/src/main.rs": "use ring_core::Ring;\n\nfn used() {\n    Ring::new();\n}\n"}
    manifests = {"core/Cargo.toml": '[package]\nname = "ring-core"\n', "app/Cargo.toml": f'[package]\nname = "app"\n\n{dependencies}'}
    assert called("used", files, layout=laid_out(manifests)) == (["Ring::new core/src/lib.rs"] if is_meant else [])


@pytest.mark.parametrize(
    ("include", "is_meant"),
    [('"ring.h"', True), ('"../include/ring.h"', True), ('"include/ring.h"', True), ('"vendor/ring.h"', False), ("<ring.h>", False)],
)
def test_c_functions_by_the_headers_that_are_included(include: str, is_meant: bool) -> None:
    files = {
        "include/ring.h": "int ring_push(int one);\n\nint ring_pop(void);\n",
        "include/ring.c": "int ring_push(int one)\n{\n    return one;\n}\n",
        "src/use.c": f"#include {include}\n\nint use(void)\n{{\n    return ring_push(1);\n}}\n",
    }
    assert called("use", files) == (["ring_push include/ring.c"] if is_meant else [])


def test_ruby_constants_are_looked_for_from_the_inside_out() -> None:
    codec = "module Shop\n  class Codec\n    def self.pack(one)\n      one\n    end\n  end\nend\n"
    use = "{head}\n  def self.use(one)\n    Codec.pack(one)\n  end\nend\n"
    assert called("Shop.use", {"lib/codec.rb": codec, "lib/use.rb": use.format(head="module Shop")}) == ["Shop::Codec.pack lib/codec.rb"]
    assert called("Other.use", {"lib/codec.rb": codec, "lib/use.rb": use.format(head="module Other")}) == []
    # Another gem of the source is not what a gem's constants are looked for in.
    two = {"a/lib/codec.rb": codec, "b/lib/use.rb": use.format(head="module Shop")}
    assert called("Shop.use", two, *(SourceFile(f"{gem}/{gem}.gemspec", "ruby", "x = 1\n", "MIT") for gem in "ab")) == []
