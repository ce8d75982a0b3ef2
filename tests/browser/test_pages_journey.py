"""From a folder to an answer about it in Chromium, with a server and a training that are real: taken in, searched, trained, asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pages_visitor import Visit, Visitor
from serving import UNHURRIED, Server, serving

pytestmark = [pytest.mark.system, pytest.mark.slow]

# A busy machine is slow, not wrong.
WORK_MILLISECONDS = 240_000
_PUMP = '''"""The pump."""

LOW_CM = 12


def start_pump(level_cm: int) -> bool:
    """Starts the pump where the level is high."""
    return level_cm > LOW_CM
'''
# What Chromium itself says of a form that is sent back with what is wrong in it.
_SENT_BACK = re.compile(r"Failed to load resource: the server responded with a status of 422")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("journey")
    (folder / "harbour").mkdir()
    (folder / "harbour" / "README.md").write_text("# Harbour\n\n## Alarm\n\nThe alarm rings when the level rises above 80 cm.\n")
    (folder / "harbour" / "pump.py").write_text(_PUMP)
    row = '{{"instruction": "show the last {0} lines of server.log", "output": "tail -n {0} server.log"}}\n'
    (folder / "rows.jsonl").write_text("".join(row.format(number) for number in range(1, 25)))
    with serving(folder, *UNHURRIED) as found:
        yield found


def sign_in(visitor: Visitor, server: Server) -> Page:
    page = visitor.page
    page.goto(f"{server.url}/ui/")
    page.get_by_label("Token").fill(server.token)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()
    return page


def check(visitor: Visitor) -> None:
    """Nobody is kept from using the page, as far as a program can tell, and the browser complains of nothing."""
    found = Axe().run(visitor.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    assert not found.response["violations"], found.generate_report()
    levels = [int(tag[1]) for tag in visitor.page.locator("h1, h2, h3, h4").evaluate_all("all => all.map((one) => one.tagName)")]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels)), levels
    assert [told for told in visitor.complaints if not _SENT_BACK.search(told)] == []


def test_from_a_folder_to_an_answer_about_it(visit: Visit, server: Server) -> None:
    visitor = visit(signed_in=False, url=server.url)
    page = sign_in(visitor, server)

    # A place that may not be read is told at its field; a folder is taken in.
    page.get_by_role("link", name="Sources", exact=True).click()
    page.get_by_label("Folder or address").fill("/etc")
    page.get_by_role("button", name="Take in").click()
    expect(page.get_by_label("Folder or address")).to_have_accessible_description(re.compile("folders are not read there"))
    expect(page.locator("#problems")).to_be_focused()
    check(visitor)
    page.get_by_label("Folder or address").fill(str(server.folder / "harbour"))
    page.get_by_role("button", name="Take in").click()
    expect(page.locator("#job .badge")).to_have_text("done", timeout=WORK_MILLISECONDS)
    check(visitor)
    page.get_by_role("link", name="See the source").click()
    expect(page.get_by_role("heading", name="harbour", level=1)).to_be_visible()
    check(visitor)

    # It is found with its place.
    page.get_by_label("Search in it").fill("when does the alarm ring?")
    page.keyboard.press("Enter")
    first = page.locator("article.piece").first
    expect(first).to_contain_text("README.md")
    expect(first).to_contain_text("rises above 80 cm")
    check(visitor)

    # A wrong value is shown at its field first, and what was given is kept.
    page.get_by_role("link", name="New run").click()
    check(visitor)
    page.get_by_label("Rows", exact=True).fill(str(server.folder / "rows.jsonl"))
    page.get_by_label("Kind of rows").fill("alpaca")
    page.get_by_label("run_name", exact=True).fill("tiny")
    page.get_by_label("max_steps", exact=True).fill("3")
    page.get_by_label("learning_rate", exact=True).fill("fast")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_label("learning_rate", exact=True)).to_have_accessible_description(re.compile("a number is meant"))
    expect(page.get_by_label("run_name", exact=True)).to_have_value("tiny")
    check(visitor)
    page.locator("#problems a").click()
    expect(page.get_by_label("learning_rate", exact=True)).to_be_focused()
    page.get_by_label("learning_rate", exact=True).fill("1e-3")
    page.get_by_role("group", name="The run").get_by_label("sequence_len").fill("256")
    page.locator("summary", has_text="Number formats").click()
    page.get_by_label("bf16", exact=True).select_option("false")
    page.locator("summary", has_text="When training logs").click()
    page.get_by_label("logging_steps", exact=True).fill("1")

    # What it would take is told before it is begun, and what was filled in stands there still.
    page.get_by_role("button", name="Check and plan").click(timeout=WORK_MILLISECONDS)
    plan = page.locator("#preview")
    expect(plan).to_be_focused(timeout=WORK_MILLISECONDS)
    expect(plan).to_contain_text("3 steps at most")
    expect(plan.get_by_role("table", name="Memory while it trains")).to_contain_text(re.compile(r"adapter\s*\d+\.\d [kM]B"))
    expect(page.get_by_label("logging_steps", exact=True)).to_have_value("1")
    check(visitor)
    plan.get_by_role("button", name="Start the run").click()

    # It is followed to its end, and its curve is drawn.
    expect(page.get_by_role("heading", name="run tiny", level=1)).to_be_visible()
    expect(page.locator("#job .badge")).to_have_text(re.compile("done|failed"), timeout=WORK_MILLISECONDS)
    assert "failed" not in page.locator("#job .badge").inner_text(), page.locator("#job").inner_text()
    check(visitor)
    page.get_by_role("link", name="See the run").click()
    expect(page.locator("svg .line").first).to_be_attached()
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("link", name="run tiny")).to_be_visible()
    check(visitor)

    # Base and tuned answer beside each other, with what they were shown and what the guard says.
    page.get_by_role("link", name="Playground").click()
    check(visitor)
    page.get_by_label("Question").fill("When does the alarm ring?")
    page.get_by_label("Model", exact=True).select_option("base")
    page.get_by_label("Beside it").select_option("tiny")
    page.locator("summary", has_text="Length").click()
    page.get_by_label("Longest answer").fill("24")
    page.get_by_role("button", name="Ask").click()
    cards = page.locator("#answers article.said:not(.coming)")
    expect(cards).to_have_count(2, timeout=WORK_MILLISECONDS)
    for card, name in ((cards.nth(0), "starter"), (cards.nth(1), "tiny")):
        expect(card.get_by_role("heading", level=3).first).to_have_text(name)
        expect(card).to_contain_text(re.compile("may run|is to be asked first|is not to be run|No command in it to judge"))
        expect(card).to_contain_text(re.compile(r"\d+ tokens, after \d+ of the question"))
        card.locator("summary").click()
        expect(card.locator("article.piece").first).to_contain_text(re.compile(r"README\.md lines \d+ to \d+"))
    check(visitor)


def test_the_playground_answers_without_a_script(visit: Visit, server: Server) -> None:
    visitor = visit(signed_in=False, url=server.url, java_script_enabled=False)
    page = sign_in(visitor, server)
    page.get_by_role("link", name="Playground").click()
    page.get_by_label("Question").fill("list files")
    page.get_by_label("Beside it").select_option("base")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answers article.said")).to_have_count(2, timeout=WORK_MILLISECONDS)
    expect(page.get_by_label("Question")).to_have_value("list files")
