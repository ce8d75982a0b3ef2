"""The report in a real browser: it is drawn, says nothing on the console, and asks for nothing."""

from __future__ import annotations

import importlib.util
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.core.events import EventLog
from luthier.report import page

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
BUILDER = Path(__file__).parents[1] / "unit" / "report" / "run_folder.py"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--v=0",
)  # fmt: skip
DARK = ("--blink-settings=preferredColorScheme=0",)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("report_run_folder", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = module.write_run(tmp_path_factory.mktemp("runs") / "run")
    page.run(folder, EventLog(None))
    return Path(folder.report_html)


def _open(arguments: tuple[str, ...], target: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *arguments, target.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)


def _pixels(path: Path) -> Iterator[bytes]:
    """The rows of an 8-bit PNG without interlacing, each as its bytes."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    position, packed = 8, b""
    width = height = channels = 0
    while position < len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        body = content[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            packed += body
        position += 12 + length
    flat, size = zlib.decompress(packed), width * channels
    before = bytes(size)
    for row in range(height):
        start = row * (size + 1)
        before = _unfilter(flat[start], bytearray(flat[start + 1 : start + 1 + size]), before, channels)
        yield before


def _unfilter(kind: int, line: bytearray, above: bytes, channels: int) -> bytes:
    """One row of a PNG with its filter taken off (PNG specification, section 9)."""
    for index in range(len(line)):
        left = line[index - channels] if index >= channels else 0
        corner = above[index - channels] if index >= channels else 0
        if kind == 4:
            guess = left + above[index] - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - above[index]), 1, above[index]), (abs(guess - corner), 2, corner))
            line[index] = (line[index] + nearest[2]) & 255
        else:
            line[index] = (line[index] + (0, left, above[index], (left + above[index]) // 2)[kind]) & 255
    return bytes(line)


@pytest.mark.parametrize(("width", "height", "extra", "is_dark"), [(1400, 900, (), False), (1400, 900, DARK, True), (390, 800, (), False)])
def test_the_page_is_drawn_in_its_colours(
    report: Path, tmp_path: Path, width: int, height: int, extra: tuple[str, ...], is_dark: bool
) -> None:
    shot = tmp_path / "shot.png"
    _open((f"--screenshot={shot}", f"--window-size={width},{height}", *extra), report, tmp_path / "profile")

    rows = list(_pixels(shot))
    assert len(rows) == height
    background = rows[0][:3]
    assert (sum(background) < 3 * 64) == is_dark
    drawn = sum(row[:3] * (len(row) // 3) != row for row in rows)
    assert drawn > height / 3, "most of the page is blank"


def test_the_browser_shows_the_text_and_complains_of_nothing(report: Path, tmp_path: Path) -> None:
    done = _open(("--dump-dom",), report, tmp_path / "profile")

    assert "Tuned beats base + shots by +45 points exact match" in done.stdout
    assert done.stdout.count("<article") == 20
    assert "CONSOLE" not in done.stderr
    assert not re.findall(r'(?:src|href)="https?:', done.stdout)


PAGES = ("report.html", "report/commands-tuned.html", "report/safety-base.html", "report/retention-tuned.html")


def _measured(report: Path, page_name: str, tmp_path: Path, width: int, script: str, place: str = "") -> str:
    """What `script` says in a copy of the page, opened in a frame of `width` pixels at `place`; the report itself may run no script."""
    source = report.parent / page_name
    copy = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", source.read_text(encoding="utf-8"))
    target = tmp_path / "copy.html"
    # At the page's load its place in the address is known to the style sheet.
    tell = f"<script>addEventListener('load', () => {{ document.documentElement.dataset.told = {script} }})</script>"
    target.write_text(copy.replace("</body>", f"{tell}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    collect = 'onload="document.title = this.contentDocument.documentElement.dataset.told"'
    frame.write_text(
        f'<iframe width="{width}" height="800" style="border:0" {collect} src="{target.name}{place}"></iframe>', encoding="utf-8"
    )
    # Chromium's own window is no narrower than 500 pixels, and the frame must be whole in it.
    flags = ("--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=5000", "--window-size=1400,900")
    done = _open(flags, frame, tmp_path / "profile")
    found = re.search(r"<title>([^<]*)</title>", done.stdout)
    assert found is not None, done.stdout[:500]
    assert "CONSOLE" not in done.stderr
    return found.group(1)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("page_name", PAGES)
def test_nothing_is_wider_than_the_window(report: Path, tmp_path: Path, page_name: str, width: int) -> None:
    script = "document.documentElement.scrollWidth - window.innerWidth"
    assert int(_measured(report, page_name, tmp_path, width, script)) <= 0


def test_a_figure_s_link_shows_the_rows_behind_it_alone(report: Path, tmp_path: Path) -> None:
    """Without a script: the place in the address and the style sheet do it."""
    script = "[...document.querySelectorAll('.rows > article')].filter(row => row.offsetParent).length"
    assert _measured(report, "report/commands-tuned.html", tmp_path, 900, script) == "200"
    found = re.search(r'href="report/commands-tuned\.html(#exact_match\.missed)">(\d+) missed', report.read_text(encoding="utf-8"))
    assert found is not None
    assert _measured(report, "report/commands-tuned.html", tmp_path, 900, script, found[1]) == found[2] == "80"
    notice = "getComputedStyle(document.getElementById('exact_match.missed')).display"
    assert _measured(report, "report/commands-tuned.html", tmp_path, 900, notice, found[1]) == "block"


def test_pages_of_generations_are_shown_without_complaint(report: Path, tmp_path: Path) -> None:
    for page_name in PAGES[1:]:
        done = _open(("--dump-dom",), report.parent / page_name, tmp_path / "profile")
        assert "<article" in done.stdout
        assert "CONSOLE" not in done.stderr
        assert not re.findall(r'(?:src|href)="https?:', done.stdout)
