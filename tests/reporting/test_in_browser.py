"""Pages as Chromium shows them: what a reader can do with them, and that they need nothing else."""

import shutil

import pytest

from rwejax.reporting.from_run import report
from rwejax.searching.result import read_result
from tests.reporting import runs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
FRONT = "Bokeh.documents.map((each) => each.get_model_by_name('front')).find((each) => each)"
POINTS = f"""() => {FRONT}.renderers.filter((each) => each.view.filter.booleans).map((each) => (
    {{shape: each.glyph.marker?.value, shown: each.view.filter.booleans, data: each.data_source.data}}
)).filter((each) => each.shape)"""
PLACE = f"""([x, y]) => {{
    const view = Bokeh.index.get_by_id({FRONT}.id), corner = view.el.getBoundingClientRect();
    return [corner.x + view.frame.x_scale.compute(x), corner.y + view.frame.y_scale.compute(y)];
}}"""


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Drawings take a while, and other tests look at them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for kind in ("search", "training"):
            monkeypatch.setattr(f"rwejax.reporting.{kind}_report.draw_networks", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Opens a page; what it has said and asked for since comes with it."""
    said = []

    def open_page(path):
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.set_default_timeout(120_000)
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        assert path.stat().st_size < 3e6
        return page, said

    return open_page


@pytest.fixture(scope="module")
def search(opened, tmp_path_factory):
    folder = runs.search(tmp_path_factory.mktemp("search") / "run")
    page, said = opened(report(folder))
    return page, said, read_result(folder)


def points(page, shape):
    """Of all groups of a shape: the columns, and which of their points are shown."""
    return [(each["data"], each["shown"]) for each in page.evaluate(POINTS) if each["shape"] == shape]


def limit(page, thousandths):
    """Moves the knob."""
    set_value = "(each, value) => { each.value = value; each.dispatchEvent(new Event('input')); }"
    page.locator("input[name=limit]").evaluate(set_value, thousandths)


def values(column):
    return [column[key] for key in sorted(column, key=int)] if isinstance(column, dict) else column


def test_pointing_at_a_network_says_what_is_known_of_it(search):
    page, _, result = search
    row = result.pick("error")
    page.locator("#figure-front").scroll_into_view_if_needed()
    place = page.evaluate(PLACE, [result.evaluations[row].macs / 1e6, result.outcome.error[row]])
    page.mouse.move(*place)
    tooltip = page.locator(".bk-Tooltip:visible", has_text=result.evaluations[row].architecture).first
    tooltip.wait_for()
    text = " ".join(tooltip.evaluate("(each) => each.shadowRoot.textContent").split())
    assert f"{result.outcome.error[row]:.1f} ± {result.outcome.standard_error[row]:.1f}" in text
    assert f"{result.forecast.error[row]:.1f} ± {result.forecast.std[row]:.1f}" in text
    assert f"{result.evaluations[row].macs / 1e6:.3f}" in text
    page.mouse.move(0, 0)


def test_choosing_an_axis_moves_the_points(search):
    page, _, result = search
    page.select_option("select[name=y]", "loo_error")
    title = page.evaluate(f"{FRONT}.left[0].axis_label")
    assert title == "leave-one-out error (%), lower is better"
    [(front, _), (knee, _)] = [each for each in points(page, "circle") if len(values(each[0]["x"])) < 12][-2:]
    expected = [result.evaluations[row].scores["loo_error"] for row in result.front]
    assert values(front["y"]) == pytest.approx(expected)
    assert values(knee["y"]) == pytest.approx([result.evaluations[result.pick()].scores["loo_error"]])
    page.select_option("select[name=y]", "trained_error")
    assert values(points(page, "circle")[-2][0]["y"]) == pytest.approx(result.outcome.error[result.front])


def test_a_limit_hides_the_networks_that_cost_more(search):
    page, _, result = search
    page.select_option("select[name=cost]", "params")
    limit(page, 500)
    most = float(page.locator("output").inner_text())
    sizes = [result.evaluations[row].params / 1e3 for row in result.front]
    assert min(sizes) <= most < max(sizes)
    _, shown = points(page, "circle")[-2]
    assert shown == [size <= most for size in sizes]
    limit(page, 1000)
    assert all(all(shown) for shape in ("circle", "x", "square") for _, shown in points(page, shape))


def test_it_fits_a_phone_and_the_dark(search):
    page, _, _ = search
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.emulate_media(color_scheme="dark")
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    page.emulate_media(color_scheme="light")
    assert colours != page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )


def test_a_training_shows_its_classes_and_mistakes(opened, tmp_path):
    page, said = opened(report(runs.training(tmp_path / "run")))
    assert "70.00 ± 4.58 % of 100 test images" in page.locator(".verdict").inner_text()
    assert page.locator("#mistakes img").count() == 24
    assert page.locator("#classes .bars").inner_text().count("<b>bold</b>") == 1
    assert page.locator(".bokeh canvas").count() >= 3
    assert said == []


def test_several_searches_are_beside_each_other(opened, search, tmp_path):
    result = search[2]
    other = shutil.copytree(result.run_dir, tmp_path / "other")
    page, said = opened(report([result.run_dir, other], tmp_path / "both.html"))
    assert page.locator("#runs tbody tr").count() == 2
    assert page.locator("#runs a").count() == 2
    assert page.locator(".bokeh canvas").count() >= 2
    assert said == []
