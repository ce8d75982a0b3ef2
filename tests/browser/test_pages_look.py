"""Every page of runs in Chromium: drawn without complaint, readable in both colour schemes, no wider than the window, found by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from luthier.core.events import EventLog
from luthier.report import page as report
from pages_visitor import Visit
from serve_pages import TOKEN, run_writer

pytestmark = pytest.mark.system

PATHS = ("/ui/runs", "/ui/runs/whole", "/ui/runs/whole/data", "/ui/runs/whole/evaluation", "/ui/runs/whole/answers", "/ui/runs/whole/files")
PATHS += ("/ui/compare", "/ui/compare?run=whole&run=other")
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
