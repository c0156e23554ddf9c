"""The report in a browser: opened from disk, clicked, resized to a phone, printed, dark, and for screen readers."""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ledgers import HOSTILE, Synthetic, build

from analysis import report

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1200, "height": 900}
STUDIES = ("main", "alpha", "max_lr", "downstream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install lr-path-switching[test]")
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Without its sandbox: in a container, or as root, it has none, and these pages are our own.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def folder(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    def make(root: Path) -> None:
        build(root, STUDIES, Synthetic(setting={"corpus": HOSTILE}))
        build(root, ["headline"], Synthetic(setting={"corpus": HOSTILE, "stream": "chronological"}))
        report.build("synthetic", root)

    return once("browser", make) / "synthetic"


class Opened:
    """A page from disk, what it asked for, and what it complained of."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, accept_downloads=True, **({"viewport": DESKTOP} | options))
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def explore(self, figure: str) -> Any:
        """Open a figure's interactive twin."""
        self.page.locator(f"button[data-name={figure}]").click()
        twin = self.page.locator(f"#twin-{figure}")
        twin.locator(".main-svg").first.wait_for()
        return twin

    def drawn(self, figure: str) -> list[dict[str, Any]]:
        """The twin's traces, as drawn."""
        script = f"""JSON.stringify(document.querySelector("#twin-{figure} .js-plotly-plot").data.map(
            trace => ({{name: trace.name, x: trace.x, y: trace.y, axis: trace.xaxis}})))"""
        traces: list[dict[str, Any]] = json.loads(self.page.evaluate(script))
        return traces


@pytest.fixture
def opened(browser: Any, folder: Path) -> Iterator[Opened]:
    one = Opened(browser, folder / "report.html")
    yield one
    assert one.complaints == []
    one.context.close()


def test_it_opens_from_disk_and_asks_for_nothing_but_its_own_folder(opened: Opened, folder: Path) -> None:
    assert opened.page.locator("h2").first.inner_text() == "Abstract"
    opened.explore("pareto")
    assert set(opened.asked) == {(folder / name).as_uri() for name in ("report.html", "plotly.min.js")}


def test_the_contents_lead_to_every_section(opened: Opened) -> None:
    links = opened.page.locator("nav.contents ol a")
    targets = [links.nth(i).get_attribute("href") for i in range(links.count())]
    assert len(targets) > 8
    for target in targets:
        assert opened.page.locator(f"[id='{target[1:]}'] h2").count() == 1, target


def test_a_table_sorts_by_a_click_and_by_the_keyboard(opened: Opened) -> None:
    table = opened.page.locator("[aria-label='Table main'] table")
    head = table.locator("th", has_text="PPL v4")
    place = table.locator("th").all_inner_texts().index("PPL v4")

    def column() -> list[float]:
        cells = table.locator(f"tbody tr td:nth-child({place + 1})").all_inner_texts()
        return [float(cell.split()[0]) for cell in cells]

    before = column()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(before)
    assert column() != before
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == sorted(before, reverse=True)


def test_recipe_seed_and_version_are_chosen(opened: Opened) -> None:
    twin = opened.explore("max_lr")
    assert {trace["name"] for trace in opened.drawn("max_lr")} == {"PTFS", "CPT", "path switching"}
    assert len({trace["axis"] for trace in opened.drawn("max_lr")}) == 4
    twin.get_by_label("CPT").uncheck()
    assert {trace["name"] for trace in opened.drawn("max_lr")} == {"PTFS", "path switching"}
    twin.get_by_label("Version").select_option("3")
    assert {trace["axis"] for trace in opened.drawn("max_lr")} == {"x"}
    mean = opened.drawn("max_lr")
    twin.get_by_label("Seeds").select_option("1")
    assert [trace["y"] for trace in opened.drawn("max_lr")] != [trace["y"] for trace in mean]
    twin.get_by_label("Seeds").select_option("all")
    assert len(opened.drawn("max_lr")) == 2 * 3


def test_another_version_of_a_figure_that_shows_one(opened: Opened) -> None:
    twin = opened.explore("pareto")
    last = opened.drawn("pareto")
    twin.get_by_label("Version").select_option("2")
    other = opened.drawn("pareto")
    assert len(other) == len(last)
    assert [trace["y"] for trace in other] != [trace["y"] for trace in last]


def test_hovering_says_the_value_and_zooming_moves_the_axes(opened: Opened) -> None:
    twin = opened.explore("alpha")
    point = twin.locator(".scatterlayer .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = twin.locator(".hoverlayer .hovertext").text_content()
    assert "95 % interval" in said
    assert "n: 3" in said
    reach = "JSON.stringify(document.querySelector('#twin-alpha .js-plotly-plot')._fullLayout.yaxis.range)"
    whole = json.loads(opened.page.evaluate(reach))
    twin.get_by_role("button", name="Zoom in").press("Enter")
    closer = json.loads(opened.page.evaluate(reach))
    assert closer[1] - closer[0] == pytest.approx(0.6 * (whole[1] - whole[0]))
    twin.get_by_role("button", name="Reset").click()
    assert json.loads(opened.page.evaluate(reach)) == pytest.approx(whole)


def test_the_interactive_figure_shows_the_numbers_of_the_csv_file(opened: Opened, folder: Path) -> None:
    opened.explore("alpha")
    shown = sorted(y for trace in opened.drawn("alpha") for y in trace["y"])
    with opened.page.expect_download() as download:
        opened.page.get_by_text("Data of alpha (CSV)").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines == (folder / "figures" / "alpha.csv").read_text().splitlines()
    names = lines[0].replace('"PPL, mean of versions 2 to 4"', "PPL").split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    assert shown == pytest.approx(sorted(float(row["PPL"]) for row in rows if row["seed"] == "mean"), rel=1e-5)


def test_values_are_there_as_a_table_too(opened: Opened) -> None:
    twin = opened.explore("alpha")
    twin.get_by_text("Values as a table").click()
    twin.locator("tbody tr").first.wait_for()
    assert twin.locator("tbody tr").count() == sum(len(trace["y"]) for trace in opened.drawn("alpha"))


@pytest.mark.parametrize("name", ["report.html", "claims/M1_beats.html", "recipes/path_switching.html"])
def test_a_phone_needs_no_sideways_scroll(browser: Any, folder: Path, name: str) -> None:
    one = Opened(browser, folder / name, viewport=PHONE, has_touch=True)
    if name == "report.html":
        for figure in ("pareto", "ppl_by_version", "forgetting", "downstream"):
            one.explore(figure)
    wide = one.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    if name == "report.html":
        # A still figure keeps letters that can be read, and scrolls by itself.
        assert one.page.locator("#figure-pareto img").bounding_box()["width"] > PHONE["width"]
    one.context.close()


def test_resizing_stacks_the_panels(opened: Opened) -> None:
    opened.explore("ppl_by_version")
    domain = "document.querySelector('#twin-ppl_by_version .js-plotly-plot')._fullLayout.xaxis2.domain[0]"
    assert opened.page.evaluate(domain) > 0.2
    opened.page.set_viewport_size(PHONE)
    opened.page.wait_for_function(f"{domain} === 0")


def test_dark_mode_follows_the_system_and_the_switch(browser: Any, folder: Path) -> None:
    light, dark = "rgb(255, 255, 255)", "rgb(22, 24, 27)"
    paper = "getComputedStyle(document.body).backgroundColor"
    one = Opened(browser, folder / "report.html", color_scheme="dark")
    assert one.page.evaluate(paper) == dark
    switch = one.page.locator("#theme")
    switch.click()
    assert (switch.inner_text(), one.page.evaluate(paper)) == ("Colours: dark", dark)
    switch.click()
    assert (switch.inner_text(), one.page.evaluate(paper)) == ("Colours: light", light)
    one.page.emulate_media(media="print", color_scheme="dark")
    switch.evaluate("button => button.click()")
    assert one.page.evaluate(paper) == light  # on paper, always
    one.context.close()


def test_printed_it_is_whole_and_without_its_buttons(opened: Opened) -> None:
    opened.explore("pareto")
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("#twin-pareto").is_visible()
    assert not opened.page.locator("#theme").is_visible()
    assert opened.page.locator("#figure-pareto img").is_visible()
    paper = opened.page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", paper)) > 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "claims/M1_beats.html", "recipes/cpt.html"])
def test_axe_finds_nothing(browser: Any, folder: Path, name: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    one = Opened(browser, folder / name, color_scheme=scheme)
    if name == "report.html":
        for figure in ("pareto", "forgetting"):
            one.explore(figure)
        one.page.locator("#twin-pareto").get_by_text("Values as a table").click()
        for details in one.page.locator("#figure-pareto details.provenance summary").all():
            details.click()
    found = Axe().run(one.page).response["violations"]
    assert [(each["id"], each["impact"], each["nodes"][0]["html"][:200]) for each in found] == []
    one.context.close()


def test_without_its_library_a_page_says_so_and_is_still_read(browser: Any, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "report.html", tmp_path)
    one = Opened(browser, tmp_path / "report.html")
    one.page.locator("button[data-name=pareto]").click()
    one.page.get_by_text("plotly.min.js is not beside this page").wait_for()
    assert one.page.locator("#figure-pareto img").is_visible()
    one.context.close()


def test_all_can_be_reached_by_the_keyboard(opened: Opened) -> None:
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.className") == "skip"
    button = opened.page.locator("button[data-name=pareto]")
    button.focus()
    opened.page.keyboard.press("Enter")
    twin = opened.page.locator("#twin-pareto")
    twin.locator(".main-svg").first.wait_for()
    opened.page.keyboard.press("Tab")  # data, PDF, then the first choice
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.type") == "checkbox"
    before = len(opened.drawn("pareto"))
    opened.page.keyboard.press("Space")
    assert len(opened.drawn("pareto")) < before


def test_every_link_of_every_page_leads_somewhere(folder: Path) -> None:
    for page in (folder / "report.html", *sorted(folder.glob("claims/*")), *sorted(folder.glob("recipes/*"))):
        text = page.read_text()
        links = re.findall(r"""(?:href|src)="((?!data:)[^"]+)\"""", text)
        assert links, page.name
        for link in links:
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.is_file(), (page.name, link)
            if anchor:
                assert f'id="{anchor}"' in target.read_text(), (page.name, link)
