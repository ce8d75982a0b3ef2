"""Questions that structure or doc answers."""

from __future__ import annotations

from luthier.data.synthesize.makers.question import make
from maker_parts import APP, BUTTON, CART, reasons, rows


def _answers(files: dict[str, str]) -> list[str]:
    return [answer for _, answer in rows(make, files)]


def test_parameters_results_and_errors_come_from_doc_and_signature() -> None:
    answers = _answers({"src/cart.py": CART})
    assert (
        "`Cart.total` (`src/cart.py:4-17`) documents 2 parameters:\n\n"
        "- `currency: str`: ISO code, which decides how many digits are kept.\n"
        "- `discount: float = 0.0`: Share taken off before tax." in answers
    )
    assert any("returns: Whole cents, rounded half up." in answer and "declared to return `int`" in answer for answer in answers)
    errors = next(answer for answer in answers if "ValueError" in answer)
    assert "- `ValueError`: If some line was priced otherwise." in errors
    assert "- `TypeError`, with the message `a line is priced in another currency` (line 15)" in errors


def test_members_defaults_and_bindings_of_rescript() -> None:
    answers = _answers({"src/Button.res": BUTTON})
    assert "`Button.size` (`src/Button.res:1`) has 2 constructors:\n\n- `Small`\n- `Large(int)`" in answers
    assert any("- `~size: size`, `Small` by default\n- `~onClick`, optional without a default" in answer for answer in answers)
    reverse = next((request, answer) for request, answer in rows(make, {"src/Button.res": BUTTON}) if "`width`" in request)
    assert "`Button.width`" in reverse[1]
    assert "`Button.setWidth`" in reverse[1]


def test_who_uses_what_crosses_files() -> None:
    answers = _answers({"src/Button.res": BUTTON, "src/App.res": APP})
    assert (
        "`Button.join` (`src/Button.res:3-4`) is used by:\n\n- `App.make` (`src/App.res:1-7`)\n- `Button.make` (`src/Button.res:10-18`)"
        in answers
    )


def test_subclasses_are_listed_with_their_places() -> None:
    code = "class Crate:\n    size = 1\n\n\nclass Barrel(Crate):\n    size = 2\n\n\nclass Sack(Crate):\n    size = 3\n"
    assert any(
        "2 classes derive from `Crate` (`src/a.py:1-2`)" in answer and "`Sack` (`src/a.py:9-10`)" in answer
        for answer in _answers({"src/a.py": code})
    )


def test_parameters_of_which_nothing_is_said_are_turned_down() -> None:
    code = 'def carry(crate, way):\n    """Carries.\n\n    :param crate: the crate\n    :param way: way\n    """\n    return crate\n'
    assert "thin_parameters" in reasons(make, {"src/a.py": code})
    assert rows(make, {"src/a.py": code}) == []


_GIVEN = "package flags\n\n// Set holds flags.\ntype Set struct{{ n int }}\n\n{methods}"


def _go(*names: str) -> str:
    return _GIVEN.format(methods="\n\n".join(f"func (s *Set) {name}(n int) int {{\n\treturn n + s.n\n}}" for name in names))


def test_methods_of_a_type_in_several_files_are_told_by_file() -> None:
    found = rows(make, {"flags/int.go": _go("Int", "IntP", "IntVar"), "flags/bool.go": _go("Bool", "BoolP", "BoolVar")})
    told = [(request, answer) for request, answer in found if "public methods" in answer]
    assert len(told) == 2
    for request, answer in told:
        path = "flags/int.go" if "`IntP" in answer or " IntP(" in answer else "flags/bool.go"
        assert f"`{path}`" in request
        assert answer.startswith(f"`{path}` defines 3 public methods of `Set`:")


def test_a_file_is_called_by_its_path_and_what_the_language_calls_is_not_offered() -> None:
    code = "def weigh(a):\n    return a\n\n\ndef carry(a):\n    return a\n\n\ndef stack(a):\n    return a\n"
    (answer,) = (answer for answer in _answers({"store/util.py": code}) if "public" in answer)
    assert answer.startswith("`store/util.py` has 3 public functions:")
    body = "".join(f"    def {name}(self):\n        return self\n\n" for name in ("__init__", "__enter__", "close"))
    assert not any("public" in answer for answer in _answers({"store/util.py": f"class Door:\n{body}"}))


def test_a_name_of_several_definitions_is_asked_for_with_its_file() -> None:
    code = "def made(number, name='a', size=3):\n    return number\n\n\ndef {user}(number):\n    return made(number)\n\n\n"
    files = {f"src/{file}.py": code.format(user=f"{file}_one") + code.format(user=f"{file}_two") for file in ("left", "right")}
    files = {path: text.replace("def made", "def made", 1) for path, text in files.items()}
    asked = [request for request, _ in rows(make, files) if "`made`" in request]
    assert asked
    assert all("src/left.py" in request or "src/right.py" in request for request in asked)


def test_a_later_definition_of_rescript_hides_the_earlier() -> None:
    code = (
        '@send external item: (t, int) => t = "item"\n@send external first: t => t = "first"\n'
        "let item = (t, n) => item(t, n + 1)\nlet last = t => first(t)\n"
    )
    (answer,) = (answer for answer in _answers({"src/Set.res": code}) if "public functions" in answer)
    assert "3 public functions" in answer
    assert answer.count("item") == 1 + answer.count("item(t")


def test_callees_beyond_those_listed_are_named() -> None:
    steps = "".join(f"def step_{letter}(a):\n    return a\n\n\n" for letter in "abcdefghij")
    code = steps + "def whole(a):\n" + "".join(f"    step_{letter}(a)\n" for letter in "abcdefghij") + "    return a\n"
    (answer,) = (answer for answer in _answers({"src/a.py": code}) if "`whole`" in answer and "calls these" in answer)
    assert answer.endswith("It also calls `step_i` and `step_j`.")


def test_errors_that_are_not_listed_are_spoken_of() -> None:
    known = '    if number > 9:\n        raise ValueError("the number is too large")\n'
    code = f"def carry(number):\n{known}{{more}}    return number\n"
    (alone,) = (answer for answer in _answers({"src/a.py": code.format(more="")}) if "itself raises" in answer)
    made = '    if number < 0:\n        raise ValueError("no number: %r" % number)\n'
    (both,) = (answer for answer in _answers({"src/a.py": code.format(more=made)}) if "itself raises" in answer)
    assert "others too" in both
    assert "others too" not in alone


def test_a_property_is_called_one_and_a_list_that_would_be_cut_short_is_not_made() -> None:
    parts = "".join(f"    @property\n    def {name}(self):\n        return self._{name}\n\n" for name in ("depth", "width", "load"))
    (answer,) = (answer for answer in _answers({"src/a.py": f"class Ship:\n{parts}"}) if "public methods" in answer)
    assert "- `depth`, a property" in answer
    many = "".join(f"def step_{number}(load):\n    return load\n\n\n" for number in range(60))
    assert not [answer for answer in _answers({"src/b.py": many}) if "public functions" in answer]
    assert "many_members" in reasons(make, {"src/b.py": many})


def test_what_a_test_defines_is_no_part_that_code_relies_on() -> None:
    code = "def sail(a):\n    return hoist(a) + anchor(a) + rig(a)\n\n\ndef hoist(a):\n    return a\n\n\ndef rig(a):\n    return a\n"
    files = {"src/a.py": f"from tests.helper import anchor\n\n\n{code}", "tests/helper.py": "def anchor(a):\n    return a\n"}
    assert not [answer for answer in _answers(files) if "calls these" in answer and "tests/helper.py" in answer]


def test_members_of_two_inner_types_are_not_one() -> None:
    inner = "".join(
        f'module {name} = {{\n  type t\n  @get external {first}: t => int = "depth"\n}}\n'
        for name, first in (("Ship", "deep"), ("Quay", "low"))
    )
    found = [(request, answer) for request, answer in rows(make, {"src/Sea.res": inner}) if "property `depth`" in request]
    assert len(found) == 2
    assert all(("Sea.Ship.t" in request) is ("Sea.Ship.deep" in answer) for request, answer in found)
    assert all(answer.count("of type") == 1 for _, answer in found)


def test_what_a_class_of_ruby_offers_is_named_by_what_it_is_called_on() -> None:
    ring = """class Ring
  # Builds a ring from the values of a list, as large as that is.
  def self.from(values)
    new(values.size)
  end

  def initialize(size = 16, quiet: false)
    @size = size
  end

  # Adds a value behind the newest one and drops the oldest.
  #
  # @param value [Object] what is kept from now on
  # @param quiet [Boolean] whether no listener hears of it
  def push(value, quiet: false)
    @values << value
  end

  private

  def drop
    @values.shift
  end
end
"""
    answers = [answer for _, answer in rows(make, {"lib/ring.rb": ring})]
    assert (
        "`Ring` (`lib/ring.rb`) has 3 public methods:\n\n"
        "- `.from`: Builds a ring from the values of a list, as large as that is.\n"
        "- `.new(size = 16, quiet: false)`\n"
        "- `#push`: Adds a value behind the newest one and drops the oldest."
    ) in answers
    assert any(
        answer.startswith("`Ring#push` (`lib/ring.rb:11-17`) documents 2 parameters:")
        and answer.endswith("- `quiet: false`: Whether no listener hears of it (`Boolean`).")
        for answer in answers
    )


LABEL = """/** Show the text of a field, in the colour of the form it stands in. */
let make = (~text) => text

let size = (text: string) => Js.String.length(text)

let shout = text => Js.String.toUpperCase(text)
"""


def test_an_overview_shows_what_each_function_takes() -> None:
    answer = next(answer for answer in _answers({"src/Label.res": LABEL}) if "has 3 public functions" in answer)
    assert "- `size = (text: string) => ...`\n- `shout = text => ...`" in answer


def test_modules_of_one_name_are_told_apart_by_their_files() -> None:
    files = {"one/src/Label.res": LABEL, "two/src/Label.res": LABEL.replace("shout", "cry")}
    asked = [request for request, answer in rows(make, files) if "public functions" in answer]
    assert len(asked) == 2
    assert all(f"{place}/src/Label.res" in request for place, request in zip(("one", "two"), asked, strict=True))


def test_what_several_files_bind_is_asked_of_one() -> None:
    bound = '@module("node:fs") external read: string => string = "readFileSync"\n'
    asked = [request for request, _ in rows(make, {"src/Fs.res": bound}) if "readFileSync" in request]
    assert len(asked) == 1
    assert "src/Fs.res" not in asked[0]
    asked = [request for request, _ in rows(make, {"src/Fs.res": bound, "src/Files.res": bound}) if "readFileSync" in request]
    assert sorted("src/Fs.res" in request for request in asked) == [False, True]
    assert all("src/F" in request for request in asked)
