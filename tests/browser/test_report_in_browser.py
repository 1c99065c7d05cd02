"""report.html as a reader meets it: in a real browser, with a keyboard, in the dark, on paper."""

import base64
import json

import pytest
from small_evaluation import make_attack, make_evaluation
from small_study import SCHEMA, make_generator, make_small_plan, run_seeded

from fedsynth_common.schema import BooleanColumn, CategoricalColumn, NumericColumn, Schema
from fedsynth_release.report import write_report
from fedsynth_server.study.export import export

pytestmark = pytest.mark.slow

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A coordinator's report, one with an evaluation, one of 48 columns, and a hostile one."""
    place = tmp_path_factory.mktemp("pages")
    plan = make_small_plan("both", study="browser")
    outcome = run_seeded(plan)
    export(plan, outcome, place / "small")
    write_report(place / "small", place / "plain.html")
    write_report(
        place / "small",
        place / "full.html",
        evaluation=make_evaluation(SCHEMA),
        history=outcome.history(),
    )
    for name, schema in (("wide", wide()), ("hostile", hostile())):
        (place / name).mkdir()
        make_generator(schema, study=HOSTILE).save(place / name)
        evaluation = make_evaluation(schema, notes=(HOSTILE,), attacks=(make_attack(),) * 5)
        write_report(place / name, place / f"{name}.html", evaluation=evaluation)
    return place


def wide():
    numbers = [NumericColumn(name=f"n{i}", minimum=0, maximum=99.5, decimals=1) for i in range(24)]
    labels = tuple(f"category {k}" for k in range(30))
    return Schema(
        name="wide",
        columns=(
            *numbers,
            *(CategoricalColumn(name=f"c{i}", categories=labels) for i in range(24)),
        ),
    )


def hostile():
    return Schema(
        name=HOSTILE,
        columns=(
            CategoricalColumn(name=HOSTILE, description=HOSTILE, categories=(HOSTILE, "b")),
            BooleanColumn(name="</style>", true=HOSTILE + "t", false=HOSTILE + "f"),
        ),
    )


def shown(browser, path, dark=False, media="", width=1280, unfolded=True):
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme], "media": media})
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # of the page before
    browser.get(path.as_uri())
    if unfolded:
        browser.execute_script("for (const e of document.querySelectorAll('.fold')) e.open = true")


def requests(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    return {event["params"]["request"]["url"].split("#")[0] for event in sent}


PAGES = ["plain", "full", "wide", "hostile"]


@pytest.mark.parametrize("name", PAGES)
def test_it_opens_quietly_and_asks_for_nothing(browser, pages, name):
    path = pages / f"{name}.html"
    shown(browser, path)
    assert browser.get_log("browser") == []
    assert requests(browser) <= {path.as_uri(), "data:,"}
    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.execute_script("return document.images.length") == 0


@pytest.mark.parametrize("name", PAGES)
def test_every_drawing_is_drawn(browser, pages, name):
    shown(browser, pages / f"{name}.html")
    sizes = browser.execute_script(
        """return [...document.querySelectorAll('svg')].map(svg => {
        const marks = [...svg.querySelectorAll('rect, path, circle, polyline')];
        const some = marks.filter(m => { const b = m.getBoundingClientRect();
                                         return b.width > 0 || b.height > 0 });
        const box = svg.getBoundingClientRect();
        return [box.width, box.height, some.length] })"""
    )
    columns = {"plain": 4, "full": 4, "wide": 48, "hostile": 2}[name]
    assert len(sizes) > columns
    assert all(width > 50 and height > 20 and marks for width, height, marks in sizes)


LINES = """
return [...document.querySelectorAll('#training svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  return [svg.getAttribute('aria-label'), [...svg.querySelectorAll('polyline')].map(line => {
    const b = line.getBoundingClientRect(), s = getComputedStyle(line);
    const inside = b.left >= box.left && b.right <= box.right && b.top >= box.top
                   && b.bottom <= box.bottom;
    return [inside, b.width, line.getTotalLength(), s.stroke, s.strokeDasharray] })] })
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_training_of_a_study_is_drawn(browser, pages, dark):
    """Four panels; each line crosses its panel, lies inside it, and is unlike its neighbour."""
    shown(browser, pages / "full.html", dark=dark)
    panels = browser.execute_script(LINES)
    assert [len(lines) for _, lines in panels] == [1, 2, 1, 2]
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    for label, lines in panels:
        assert " from " in label
        for inside, wide, length, colour, _ in lines:
            assert inside
            assert length >= wide > 20
            assert colour not in ("none", background)
        assert len({dashes for *_, dashes in lines}) == len(lines)
    assert all(lines[0][1] > 300 for label, lines in panels if "refit" not in label)
    shown(browser, pages / "plain.html")
    assert browser.execute_script(LINES) == []


def test_a_wide_table_opens_within_two_seconds(browser, pages):
    path = pages / "wide.html"
    assert path.stat().st_size < 5_000_000
    timing = "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd"
    taken = []
    while len(taken) < 10 and min(taken, default=9999) >= 2000:  # a busy machine is not the page
        shown(browser, path)
        taken.append(browser.execute_script(timing))
    assert 0 < min(taken) < 2000


def test_the_keyboard_reaches_every_section(browser, pages):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    shown(browser, pages / "full.html")

    def press(key):
        ActionChains(browser).send_keys(key).perform()
        return browser.execute_script(
            "const e = document.activeElement; return [e.tagName, e.getAttribute('href') || e.id]"
        )

    assert press(Keys.TAB) == ["A", "#main"]
    assert browser.execute_script("return document.activeElement.getBoundingClientRect().x") >= 0
    assert press(Keys.ENTER) == ["MAIN", "main"]
    shown(browser, pages / "full.html")
    press(Keys.TAB)
    sections = browser.execute_script(
        "return [...document.querySelectorAll('section')].map(s => s.id)"
    )
    reached = [press(Keys.TAB)[1].removeprefix("#") for _ in sections]
    assert reached == sections
    press(Keys.ENTER)
    assert browser.execute_script("return location.hash") == f"#{sections[-1]}"
    top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
    assert browser.execute_script(top, sections[-1]) < 1000


def test_tables_behind_drawings_open_by_keyboard(browser, pages):
    from selenium.webdriver.common.keys import Keys

    shown(browser, pages / "full.html")
    summary = browser.find_element("css selector", "article details > summary")
    summary.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.querySelector('article details').open")


CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function rgb(color) { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; }
function level(c) { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
  return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
  return .2126 * r + .7152 * g + .0722 * b; }
function behind(e) { while (e) { const c = rgb(getComputedStyle(e).backgroundColor);
  if (c[3] === 255) return c; e = e.parentElement } return [255, 255, 255, 255]; }
const all = 'p, li, td, th, a, h1, h2, h3, .light, figcaption, summary, svg .tick';
return [...document.querySelectorAll(all)]
  .filter(e => e.textContent.trim()).map(e => { const s = getComputedStyle(e);
    const a = level(rgb(e.closest('svg') ? s.fill : s.color)), b = level(behind(e));
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName, e.textContent] });
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_is_readable_in_the_readers_colours(browser, pages, dark):
    """Contrast of at least 4.5 : 1, as WCAG 2.2 asks for in 1.4.3 (level AA)."""
    shown(browser, pages / "full.html", dark=dark)
    measured = browser.execute_script(CONTRAST)
    assert len(measured) > 100
    assert [entry for entry in measured if entry[0] < 4.5] == []
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_of_a_narrow_window(browser, pages, name):
    shown(browser, pages / f"{name}.html", width=380)
    wide, room = browser.execute_script(
        "const e = document.scrollingElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert wide <= room


CLIPPED = """
return [...document.querySelectorAll('svg text')].filter(text => {
  const box = text.ownerSVGElement.getBoundingClientRect(), b = text.getBoundingClientRect();
  return b.width && (b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1
                     || b.bottom > box.bottom + 1) }).map(text => text.textContent)
"""


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", PAGES)
def test_no_label_is_clipped(browser, pages, name, width):
    shown(browser, pages / f"{name}.html", width=width)
    assert browser.execute_script(CLIPPED) == []


@pytest.mark.parametrize("name", ["plain", "full"])
def test_the_first_page_comes_first_and_the_rest_is_folded(browser, pages, name):
    shown(browser, pages / f"{name}.html", unfolded=False)
    words = browser.execute_script("return document.getElementById('first').innerText")
    for expected in ("Privacy", "Quality", "You must not use them to", "relied on least"):
        assert expected in words
    assert browser.execute_script("return document.querySelectorAll('.fold[open]').length") == 0
    tall = browser.execute_script("return document.documentElement.scrollHeight")
    assert tall < 3000
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    paper = base64.b64decode(printed["data"])
    assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") <= 3


def test_it_prints(browser, pages):
    shown(browser, pages / "full.html", dark=True, media="print")
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert browser.execute_script(style, "nav", "display") == "none"
    assert browser.execute_script(style, "body", "backgroundColor") == "rgb(255, 255, 255)"
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    paper = base64.b64decode(printed["data"])
    assert paper.startswith(b"%PDF")
    assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") >= 2
