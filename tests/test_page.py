"""The page to pass on: one HTML file with everything in it, as a browser shows and prints it."""

import re
import shutil
from pathlib import Path

import pytest
from support.launched import start_with
from support.simulated import STEMS

WIDTHS = (400, 1400)  # pixels, of a telephone and of a screen
A4_HEIGHT = 1010  # pixels of 1/96 inch, less the margins of the page
pytestmark = pytest.mark.timeout(900)  # the notebook is executed once
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def page(launcher, archive, tmp_path_factory) -> Path:
    """The page on small simulations, of one length of training alone."""
    folder = tmp_path_factory.mktemp("page")
    folders = ("--simulations", archive, "--figures", folder / "figures")
    words = ("--report", "--epochs", 4, *folders)
    process = start_with(launcher, folder, *words, program="utils.plots.__main__").ended()
    (made,) = (folder / "figures").iterdir()
    assert process.output.read_text() == f"page: {made / 'report.html'}\n"
    return made / "report.html"


def test_the_page_holds_everything_and_no_code(page):
    text = page.read_text()
    assert "from utils.plots" not in text
    assert text.count('src="data:image/png;base64,') == 8
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', text)
    for word in ("import(", "@import", "url(http"):
        assert word not in text
    order = ["linear reaches", "train them with: ", ">physics</th>", ">hardware</th>"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "epochs 4" in text
    assert "epochs 1," not in text


def test_the_notebook_behind_it_runs_headless(page):
    """Every cell was executed; the pictures are in the folder in all formats."""
    names = {path.name for path in page.parent.iterdir()} - {page.name}
    assert names == {f"{stem}.{ending}" for stem in STEMS for ending in ("pdf", "svg", "png")}
    svg = (page.parent / "figure1-accuracy-against-learning-rate.svg").read_text()
    assert "learning rate" in svg
    assert b"/Type0" in page.with_name("weights.pdf").read_bytes()  # TrueType, not outlines
    assert page.parent.name.isdigit()
    assert len(page.parent.name) == 14
    for words in (
        "cannot be read",
        "figures/figure2.sh",
        "Drawn: 63 networks of task Digits",
        "3 of them are of the original scripts",
        "n = 3 to 6",
    ):
        assert words in page.read_text()


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_it_without_errors_or_requests(page, browser, width):
    shown = browser.new_page(viewport={"width": width, "height": 900})
    errors, requests = [], []
    shown.on("console", lambda message: errors.append(message.text))
    shown.on("pageerror", lambda error: errors.append(str(error)))
    shown.on("request", lambda request: requests.append(request.url))
    shown.goto(page.as_uri())
    assert errors == []
    assert [url for url in requests if not url.startswith("data:")] == [page.as_uri()]
    pictures = shown.evaluate(
        "[...document.images].map(i => [i.naturalWidth > 0, i.getBoundingClientRect().right])"
    )
    assert len(pictures) == 8
    assert all(is_there and right <= width for is_there, right in pictures)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    sizes = shown.evaluate(
        "[...document.querySelectorAll('p, pre')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    shown.close()


def test_no_picture_is_cut_in_print(page, browser):
    printed = browser.new_page(viewport={"width": 718, "height": A4_HEIGHT})  # A4 less margins
    printed.emulate_media(media="print")
    printed.goto(page.as_uri())
    pictures = printed.evaluate(
        "[...document.images].map(i => [i.getBoundingClientRect().height, i.offsetWidth,"
        " getComputedStyle(i).breakInside])"
    )
    for height, width, breaks in pictures:
        assert height < A4_HEIGHT
        assert width <= 718
        assert breaks == "avoid"
    assert printed.pdf(format="A4").startswith(b"%PDF")
    printed.close()
