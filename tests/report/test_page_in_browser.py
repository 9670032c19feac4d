"""The page in headless Chromium: no errors, and the landscape does what it is told."""

import base64
import dataclasses
import pathlib
import re
import shutil

import pytest
from made_run import CONFIG, write_run

from kdfunc.analysis.figures import style
from kdfunc.report import page
from kdfunc.runs.directory import RunDirectory

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="there is no chromium or no chromedriver"
)
CHART = "run1-all-chart"
RESULTS = pathlib.Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def browser():
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of a run, which no test changes."""
    run = write_run(tmp_path_factory.mktemp("page") / "digits-lenet-published")
    return page.write([run], run.path / "report.html")


@pytest.fixture
def opened(browser, written):
    """A function of the theme the reader prefers and the width: opens the page."""

    def open_page(theme="light", width=1280, path=written):
        prefers = {"name": "prefers-color-scheme", "value": theme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [prefers]})
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get(path.as_uri())
        wait(browser, "return document.querySelectorAll('.main-svg').length > 0")
        return browser

    return open_page


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(condition))


def click(browser, selector):
    script = "document.querySelector(arguments[0]).click()"
    browser.execute_script(script, selector)


def control(call, kind=""):
    return f"[data-chart='{CHART}'][data-call='{call}']{kind}"


def state(browser, expression):
    return browser.execute_script(
        f"const chart = document.getElementById('{CHART}'); return {expression}"
    )


PLACES = "chart.data.filter(t => t.mode === 'markers+text').map(t => [...t.x])"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_loads_without_errors_in_the_readers_theme(opened, theme):
    browser = opened(theme)
    assert browser.get_log("browser") == []
    drawn = "return [...document.querySelectorAll('.js-plotly-plot')].every("
    assert browser.execute_script(drawn + "c => c.querySelector('.trace'))")
    colors = "const s = getComputedStyle(document.body); return [s.color, s."
    text, ground = browser.execute_script(colors + "backgroundColor]")
    bright = [int(color[4:].split(",")[0]) > 128 for color in (text, ground)]
    assert bright == [theme == "dark", theme == "light"]
    label = "return getComputedStyle(document.querySelector('.xtick text')).fill"
    assert browser.execute_script(label) == text
    # The button names what it does.
    named = "return document.querySelector('#theme').textContent"
    other = {"light": "Dark theme", "dark": "Light theme"}
    assert browser.execute_script(named) == other[theme]
    click(browser, "#theme")
    assert browser.execute_script(colors + "backgroundColor]")[1] != ground
    assert browser.execute_script(named) != other[theme]


def test_the_landscape_plays_the_training(opened):
    browser = opened()
    end = state(browser, PLACES)
    slider = "document.querySelector('.play input[data-chart=\"run1-all-chart\"]')"
    assert browser.execute_script(f"return {slider}.value") == "3"
    browser.execute_script(
        f"{slider}.value = 1; {slider}.dispatchEvent(new Event('input'))"
    )
    wait(browser, f"return {slider}.closest('.play').innerText.trim().endsWith('1')")
    assert state(browser, PLACES) != end
    click(browser, control("animate", ":is(button)"))
    wait(browser, f"return {slider}.value === '3'")
    assert state(browser, PLACES) == end
    assert browser.get_log("browser") == []


def test_the_landscape_hides_families_and_changes_maps(opened):
    browser = opened()
    shown = f"document.querySelectorAll('#{CHART} .scatterlayer .trace').length"
    before = browser.execute_script(f"return {shown}")
    click(browser, control("restyle"))
    wait(browser, f"return {shown} < {before}")
    view = "chart.layout.xaxis.range.slice()"
    tsne = state(browser, view)
    click(browser, control("relayout", "[value=MDS]"))
    told = f"document.querySelector('#{CHART} .annotation')?.textContent || ''"
    wait(browser, f"return /^[0-9.]+: root mean square/.test({told})")
    wait(
        browser,
        f"return document.getElementById('{CHART}').layout.xaxis.range[0] > {tsne[1]}",
    )
    assert browser.execute_script(f"return {shown}") < before  # still hidden
    click(browser, control("restyle"))
    wait(browser, f"return {shown} === {before}")
    assert state(browser, view) != tsne
    assert browser.get_log("browser") == []


def test_marks_name_model_and_epoch(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    browser = opened()
    selector = f"#{CHART} .scatterlayer .trace:last-of-type .points path"
    mark = browser.find_elements("css selector", selector)[0]
    at_once = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    browser.execute_script(at_once, mark)
    ActionChains(browser).move_to_element(mark).perform()
    wait(browser, f"return document.querySelector('#{CHART} .hoverlayer text')")
    texts = browser.execute_script(
        f"return document.querySelector('#{CHART} .hoverlayer').textContent"
    )
    assert re.search(
        r"(base|independent|student-alpha|dynamic-range|pruned-)[\d.a-z-]*.*, epoch \d",
        texts,
    )


def test_controls_are_reached_by_the_keyboard(opened):
    from selenium.webdriver.common.keys import Keys

    browser = opened()
    box = browser.find_element("css selector", control("restyle"))
    browser.execute_script("arguments[0].focus()", box)
    box.send_keys(Keys.SPACE)
    wait(
        browser,
        f"return document.getElementById('{CHART}').data.some(t => !(t.visible ?? 1))",
    )


def test_a_phone_scrolls_tables_not_the_page(opened):
    browser = opened(width=390)
    width = "return document.documentElement.scrollWidth"
    assert browser.execute_script(width) <= 390
    assert browser.get_log("browser") == []


def test_a_phone_shows_pictures_large_enough_to_be_read(opened, full_run):
    folder = full_run.path / "figures"
    folder.mkdir()
    axes = style.blank_figure(style.PAGE, 3).add_subplot()
    axes.set_title("A picture")
    style.save(axes.figure, folder / "agreement_by_class")
    browser = opened(width=390, path=page.write([full_run], full_run.path / "a.html"))
    picture = browser.find_element("css selector", ".picture img")
    # Of so many pixels, of 160 to the inch, the figure's type of 8 points is 10 here.
    assert picture.size["width"] * 8 / 72 / style.PAGE >= 10
    width = "return document.documentElement.scrollWidth"
    assert browser.execute_script(width) <= 390


def test_charts_are_as_wide_as_their_places(opened):
    wider = """return [...document.querySelectorAll(".js-plotly-plot")].filter(
        chart => chart.querySelector(".main-svg").clientWidth > chart.clientWidth
    ).map(chart => chart.id)"""
    for width in (1280, 390):
        wait(opened(width=width), f"return (() => {{ {wider} }})().length === 0")


OUTSIDE = """
const cut = [];
for (const chart of document.querySelectorAll(".js-plotly-plot")) {
  const frame = chart.getBoundingClientRect();
  for (const text of chart.querySelectorAll("text")) {
    const box = text.getBoundingClientRect();
    if (!box.width || getComputedStyle(text).visibility !== "visible") continue;
    if (box.left < frame.left - 1 || box.right > frame.right + 1)
      cut.push([chart.id, text.textContent]);
  }
}
return cut"""
CROWDED = """
const found = [];
for (const chart of document.querySelectorAll(".js-plotly-plot")) {
  const texts = [...chart.querySelectorAll(".xtick text")];
  const ticks = texts.map(t => t.getBoundingClientRect());
  ticks.sort((a, b) => a.left - b.left);
  ticks.slice(1).forEach((box, i) => {
    if (box.left < ticks[i].right && box.top < ticks[i].bottom) found.push(chart.id);
  });
}
return found"""
COVERED = """
const found = [];
for (const chart of document.querySelectorAll(".map .js-plotly-plot")) {
  const texts = [...chart.querySelectorAll(".textpoint text")].filter(t =>
    getComputedStyle(t).visibility === "visible" && t.textContent.trim());
  if (!texts.length) found.push([chart.id, "no labels"]);
  const boxes = texts.map(t => t.getBoundingClientRect());
  boxes.forEach((a, i) => boxes.slice(0, i).forEach((b, j) => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      found.push([texts[i].textContent, texts[j].textContent]);
  }));
}
return found"""
CONTRAST = """
const light = c => {
  const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(color) && color !== "transparent") return color;
  }
};
const poor = [];
for (const element of document.querySelectorAll("main *, header *, nav *, footer *")) {
  const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !element.offsetWidth || element.closest("svg, .mark, .skip")) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(style.color), light(ground(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5)
    poor.push([element.className, element.textContent]);
}
return poor"""


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_no_text_of_a_chart_is_cut_or_crowded(opened, theme, width):
    browser = opened(theme, width)
    wait(browser, "return document.querySelectorAll('.main-svg[viewBox]').length > 0")
    assert browser.execute_script(OUTSIDE) == []
    assert browser.execute_script(CROWDED) == []
    assert browser.execute_script(COVERED) == []
    slider = "document.querySelector('.play input[data-chart=\"run1-all-chart\"]')"
    browser.execute_script(
        f"{slider}.value = 1; {slider}.dispatchEvent(new Event('input'))"
    )
    wait(browser, f"return {slider}.closest('.play').innerText.trim().endsWith('1')")
    wait(browser, f"return (() => {{ {COVERED} }})().length === 0")


def test_labels_keep_clear_of_marks_of_other_models(opened, tmp_path):
    run = RunDirectory(RESULTS / "cifar10-mobilenet-published")
    browser = opened(path=page.write([run], tmp_path / "report.html"))
    texts = (
        "return [...document.querySelectorAll('#run1-pruning-chart .textpoint text')]"
    )
    wait(browser, f"{texts}.some(text => text.style.translate)")
    shown = browser.execute_script(
        f"""{texts}.map(text => {{
          const box = text.getBoundingClientRect();
          const others = [...document.querySelectorAll("#run1-pruning-chart .point")]
            .filter(mark => mark.__data__ !== text.__data__)
            .map(mark => mark.getBoundingClientRect())
            .filter(mark => mark.width > 8 && mark.left < box.right &&
              box.left < mark.right && mark.top < box.bottom && box.top < mark.bottom);
          const seen = box.width && text.style.visibility !== "hidden";
          return [seen ? text.textContent : "", others.length];
        }})"""
    )
    assert {name for name, _ in shown} >= {"B", "P10", "P30, P50", "P70", "P90"}
    assert [name for name, covered in shown if covered] == []


def test_every_section_is_reached_from_the_top(opened):
    """No name of a section is cut off by the edge of the window."""
    hidden = """const frame = document.querySelector("nav").getBoundingClientRect();
    return [...document.querySelectorAll("nav a")].filter(
      link => link.getBoundingClientRect().right > frame.right + 1).length"""
    for width in (1280, 900):
        assert opened(width=width).execute_script(hidden) == 0


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)]
)
def test_text_stands_out_from_its_ground(opened, theme, width):
    assert opened(theme, width).execute_script(CONTRAST) == []


def test_on_paper_it_is_white_short_and_legible(opened):
    browser = opened("dark")
    wait(browser, "return document.querySelectorAll('.main-svg[viewBox]').length > 0")
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 8
    size = {"width": 703, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        ground = "return getComputedStyle(document.body).backgroundColor"
        assert browser.execute_script(ground) == "rgb(255, 255, 255)"
        small = """return [...document.querySelectorAll("main *")].filter(e =>
            e.checkVisibility() && e.childNodes[0]?.nodeType === 3 &&
            e.textContent.trim() && !e.closest("svg") &&
            parseFloat(getComputedStyle(e).fontSize) < 8 * 96 / 72 - 0.1
        ).map(e => e.tagName + e.className + e.textContent.slice(0, 40))"""
        assert browser.execute_script(small) == []
        # A chart is never drawn larger than it was, as when a phone prints.
        larger = """return [...document.querySelectorAll(".js-plotly-plot")].filter(c =>
            getComputedStyle(c).maxWidth !== c._fullLayout.width + "px").length"""
        assert browser.execute_script(larger) == 0
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_runs_are_sorted_by_a_click(browser, full_run, tmp_path):
    other = write_run(tmp_path / "other", dataclasses.replace(CONFIG, epochs=2))
    path = page.write([full_run, other], tmp_path / "all.html")
    browser.get(path.as_uri())
    first = "return document.querySelector('#overview tbody th').textContent"
    assert browser.execute_script(first) == full_run.path.name
    click(browser, "#overview th:first-child button")
    click(browser, "#overview th:first-child button")
    assert browser.execute_script(first) == "other"
    click(browser, "#overview th:nth-child(3) button")
    assert browser.execute_script(first) == full_run.path.name
    sort = "return document.querySelector('th[aria-sort]').getAttribute('aria-sort')"
    assert browser.execute_script(sort) == "descending"
