"""Every page of runs in Chromium: drawn without complaint, readable in both colour schemes, no wider than the window, found by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from luthier.core.events import EventLog
from luthier.report import page as report
from pages_visitor import Visit
from serve_pages import TOKEN, run_writer

pytestmark = pytest.mark.system

PATHS = ("/ui/runs", "/ui/runs/whole", "/ui/runs/whole/data", "/ui/runs/whole/evaluation", "/ui/runs/whole/answers", "/ui/runs/whole/files")
PATHS += (
    "/ui/compare",
    "/ui/compare?run=whole&run=other",
    "/ui/new",
    "/ui/new?way=text",
    "/ui/playground",
    "/ui/sources",
    "/ui/search",
    "/ui/jobs",
)
PATHS += ("/ui/review/whole", "/ui/review/whole?judge=ann")
# As long as a file system takes it, and without a place to break.
LONG = "x" * 200
LONG_PATHS = (
    "/ui/runs",
    f"/ui/runs/{LONG}",
    f"/ui/runs/{LONG}/files",
    "/ui/compare",
    f"/ui/compare?run=whole&run={LONG}",
    f"/ui/review/{LONG}",
)
# Of each text that is seen: its colour against what lies behind it, by WCAG 2.2 (1.4.3): 4.5 to 1, 3 to 1 where it is large.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const channel = (value) => { const part = value / 255; return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; };
  const light = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('.heard, .skip, title, option')) continue;
    const style = getComputedStyle(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [high, low] = [light(colour), light(behind(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    const words = `${element.tagName}.${element.getAttribute('class')}: ${walker.currentNode.data.trim().slice(0, 40)}`;
    if (ratio < (isLarge ? 3 : 4.5)) found.add(`${ratio.toFixed(2)} ${words}`);
  }
  return [...found];
}"""


# Colours are measured above: axe takes `color` for that of a chart's text, whose colour is its `fill`.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], "rules": {"color-contrast": {"enabled": False}}}
EMPTY = ("/ui/runs", "/ui/compare", "/ui/sources", "/ui/search", "/ui/jobs", "/ui/playground")
# Where the keyboard is: its name, and whether it is in the window and marked by more than a colour of its text.
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const isMarked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const isInside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const name = (one.getAttribute('aria-label') || one.textContent || one.name || one.id).trim().slice(0, 40);
  return { name, tag: one.tagName, isSeen: (isMarked || one.matches('iframe')) && isInside };
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs, the first with its report."""
    place = tmp_path_factory.mktemp("runs")
    report.run(run_writer()(place / "whole"), EventLog(None))
    run_writer()(place / "other")
    return place


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)])
def test_every_page_is_readable_and_complains_of_nothing(visit: Visit, place: Path, scheme: str, width: int) -> None:
    visitor = visit(place, color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    for path in PATHS:
        page = visitor.open(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate(CONTRAST) == [], path
    assert visitor.complaints == []


@pytest.mark.parametrize("width", [1280, 400])
def test_a_name_that_does_not_end_makes_no_page_wider(visit: Visit, tmp_path: Path, width: int) -> None:
    for name in ("whole", LONG):
        run_writer()(tmp_path / name)
    visitor = visit(tmp_path, viewport={"width": width, "height": 900})
    for path in LONG_PATHS:
        page = visitor.open(path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        # Nor does it push what stands beside it out of sight.
        wide = page.evaluate("[...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth + 1).length")
        assert wide == 0, path


def test_nobody_is_kept_from_using_a_page_as_far_as_a_program_can_tell(visit: Visit, place: Path, tmp_path: Path) -> None:
    for visitor, paths in ((visit(place), PATHS), (visit(tmp_path), EMPTY)):
        for path in paths:
            page = visitor.open(path)
            found = Axe().run(page, options=RULES)
            assert not found.response["violations"], f"{path}: {found.generate_report()}"


def test_what_is_focused_is_seen_and_keys_reach_everything(visit: Visit, place: Path) -> None:
    visitor = visit(place)
    for path in PATHS:
        page = visitor.open(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        # What a page puts the keyboard in at once is left, and the page begun from its top.
        page.evaluate(
            "document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"
        )
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            told = page.evaluate(FOCUSED)
            if told is None:
                break
            assert told["isSeen"], f"{path}: {told}"
            reached.append(told["name"])
        assert reached[0] == "Skip to the content", path
        assert len(reached) > 9, path


def test_an_empty_server_says_what_to_do_first(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(tmp_path)
    for path in ("/ui/runs", "/ui/compare", "/ui/search", "/ui/jobs"):
        ways = visitor.open(path).locator("main .absent a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
        assert set(ways) & {"/ui/new", "/ui/sources"}, path
    assert "Name a folder or a repository" in visitor.open("/ui/sources").locator("main .absent").inner_text()


def test_a_session_that_has_ended_leads_to_the_sign_in_and_back(visit: Visit, place: Path) -> None:
    visitor = visit(place)
    page = visitor.open("/ui/new")
    page.get_by_label("Rows", exact=True).fill("rows.jsonl")
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    expect(page.get_by_role("status").first).to_contain_text("what was sent last was not taken")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="New run").wait_for()


def test_the_first_page_is_reached_and_left_by_keyboard(visit: Visit, place: Path) -> None:
    visitor = visit(place, signed_in=False)
    page = visitor.open("/ui/runs?q=who")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type("a wrong token")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "not the server’s token" in page.get_by_role("alert").inner_text()
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Runs", exact=True).wait_for()
    assert page.url.endswith("/ui/runs?q=who")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("button", name="Sign out").press("Enter")
    page.get_by_role("heading", name="Sign in").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Sign in").wait_for()
    # Chromium tells on the console of each answer that is an error; the wrong token's is one.
    assert [told for told in visitor.complaints if "401" not in told] == []


def test_a_report_is_shown_where_it_can_do_nothing_and_its_links_work(visit: Visit, place: Path) -> None:
    html = place / "whole" / "report.html"
    told = html.read_text(encoding="utf-8")
    planted = "<script>document.title = 'ran'</script><img src=/ui/static/icon.svg onerror=\"document.title='ran'\">"
    planted += "<form action=/ui/sign-out method=post><button>go</button></form>"
    try:
        html.write_text(told.replace("</body>", f"{planted}</body>"), encoding="utf-8")
        visitor = visit(place)
        page = visitor.open("/ui/runs/whole/files/report.html")
        assert page.title().endswith("– Luthier report")
        page.get_by_role("button", name="go").click()
        page.wait_for_timeout(200)
        assert page.url.endswith("report.html")
        page.locator("a[href^='report/commands-tuned.html']").first.click()
        page.get_by_role("heading", name="Tuned").wait_for()
        assert "/files/report/commands-tuned.html" in page.url
        assert visitor.complaints, "the browser says what it did not run"
    finally:
        html.write_text(told, encoding="utf-8")


def test_runs_are_marked_and_compared(visit: Visit, place: Path) -> None:
    visitor = visit(place)
    page = visitor.open("/ui/runs")
    page.get_by_label("Compare whole").check()
    page.get_by_label("Compare other").check()
    page.get_by_role("button", name="Compare those marked").click()
    page.get_by_role("heading", name="2 runs beside each other").wait_for()
    assert page.locator("figure.chart path.line").count() >= 2
    assert visitor.complaints == []


def test_a_file_is_taken(visit: Visit, place: Path) -> None:
    visitor = visit(place, accept_downloads=True)
    page = visitor.open("/ui/runs/whole/files")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="resolved.yaml").click()
    assert Path(waiting.value.path()).read_bytes() == (place / "whole" / "resolved.yaml").read_bytes()
    assert waiting.value.suggested_filename == "resolved.yaml"
