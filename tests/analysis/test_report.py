"""The report of a synthetic scale: complete, the same every time, and safe with any name."""

import base64
import errno
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ledgers import HOSTILE, Synthetic, build, seal
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text
from rich.console import Console
from stops import die, killed, left_long_ago

from analysis import names, report
from analysis.figures.chart import MEAN, Chart, categories
from analysis.findings import abstract
from analysis.formats import escape_markdown, file_name
from analysis.frames import View, load
from analysis.registries import STUDIES, Plot
from analysis.terminal import summary
from analysis.verdicts import judge
from repro.common.errors import UserError

PLOTS = {one.name: one for study in STUDIES.values() for one in study.shows if isinstance(one, Plot)}
ROOT = Path(__file__).resolve().parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def terminal_text(root: Path, width: int) -> str:
    """What a terminal shows at the end."""
    view = load(root, "synthetic").primary()
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(summary(view, judge(view), root / "synthetic" / "report.html"))
    return console.export_text()


@pytest.fixture(scope="module")
def primary(whole) -> View:
    return load(whole.parent, "synthetic").primary()


@pytest.fixture(scope="module")
def figures(primary) -> dict[str, Chart]:
    """Of every study, by their names."""
    return {plot.name: plot.make(primary) for plot in PLOTS.values()}


@pytest.fixture(scope="module")
def headline(tmp_path_factory) -> Path:
    """One study, one seed: what the main job of the README leaves."""
    root = tmp_path_factory.mktemp("headline")
    build(root, ["headline"], Synthetic(seeds=(0,)))
    report.build("synthetic", root)
    return root / "synthetic"


@pytest.mark.parametrize("studies", ["headline", pytest.param("drawn", marks=pytest.mark.slow)])
def test_redrawing_gives_the_same_bytes(request, studies, tmp_path):
    whole = shutil.copytree(request.getfixturevalue(studies), tmp_path / "synthetic")
    before = contents(whole)
    for path in whole.rglob("*.*"):
        if path.parent.name != "data":
            path.unlink()
    # Another process, with another hash seed, another working directory and another matplotlib configuration.
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\naxes.facecolor: red\nfont.size: 20\n")
    done = subprocess.run(
        [sys.executable, "-m", "analysis.report", "scale=synthetic", f"root={whole.parent}"],
        cwd=whole,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    after = contents(whole)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == []


def test_every_figure_and_table_is_there_in_every_form(whole):
    drawn = {path.name for path in (whole / "figures").iterdir()}
    assert {f"{plot.name}.{kind}" for plot in PLOTS.values() for kind in ("png", "pdf", "csv")} <= drawn
    made = {path.name for path in (whole / "tables").iterdir()}
    studies = {*STUDIES} - {"pilot_for_advice"} | {"study_pilot_for_advice"}  # shown with the code of a user's own
    names = {*studies, "recovery", "cost", "forgetting", "scorecard", "claim_parts", "spent", "seeds", "numerics"}
    assert {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")} <= made
    assert {"ppl_by_version_setting2.png", "headline_setting2.csv"} <= drawn | made


@pytest.mark.slow
def test_every_figure_can_be_drawn(drawn):
    assert [path.name for path in (drawn / "figures").iterdir() if path.stat().st_size == 0] == []


def test_the_html_needs_nothing_from_outside(whole):
    """One file is whole: style, script and figures are in it. What it links to is of its own folder (a browser's test
    has what it asks for), and what runs is what its own policy names by hash."""
    page = (whole / "report.html").read_text()
    links = re.findall(r"""(?:src|href)\s*=\s*["']((?!data:|#)[^"']*)""", page)
    assert [link for link in links if not (whole / link).is_file()] == []
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("data:image/png;base64,") == len(list((whole / "figures").glob("*.png")))
    assert page.count("<img") == page.count('alt="') - page.count('alt=""')
    (script,) = re.findall(r"<script data-library[^>]*>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'self' file:\"" in page
    assert "'unsafe-inline'" not in re.findall(r"script-src[^;\"]*", page)[0]


def test_a_table_that_two_studies_share_stands_where_it_comes_first(whole):
    """A screen reader lists tables by their names."""
    names = re.findall(r'aria-label="(Table [^"]*)"', (whole / "report.html").read_text())
    assert "Table forgetting" in names
    assert len(set(names)) == len(names)


def test_a_name_from_a_configuration_is_data_everywhere(whole):
    page = (whole / "report.html").read_text()
    assert html.escape(HOSTILE) in page
    assert "alert(1)</script>" not in page
    for path in (*whole.glob("claims/*.html"), *whole.glob("recipes/*.html")):
        assert "alert(1)</script>" not in path.read_text()
    markdown = (whole / "report.md").read_text()
    assert re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", HOSTILE) in markdown
    for path in (whole / "tables").glob("*.md"):
        assert "<script>" not in path.read_text()


def test_rows_of_markdown_tables_have_as_many_cells_as_their_head(whole):
    tables = list((whole / "tables").glob("*.md"))
    assert len(tables) > 10
    for path in tables:
        lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, path.name


def test_every_image_and_link_of_the_markdown_twin_exists(whole):
    targets = re.findall(r"\]\(([^)]+)\)", (whole / "report.md").read_text())
    assert len(targets) > 30
    assert [target for target in targets if not (whole / target).is_file()] == []


def test_the_manifest_hashes_what_went_in_and_came_out(whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    files = {**manifest["inputs"], **manifest["outputs"]}
    assert files.keys() == contents(whole).keys() - {"manifest.json"}
    for name, digest in files.items():
        assert hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest
    assert manifest["seeds"] == [0, 1, 2]
    assert manifest["settings"]["alpha"] == ["0.2", "0.4", "0.6", "0.8"]
    assert manifest["settings"]["stream"] == ["chronological", "shuffled"]
    assert {"matplotlib", "pandas", "numpy", "plotly", "scipy"} <= manifest["packages"].keys()
    assert manifest["code"]["lr-path-switching"]


def test_every_claim_and_every_recipe_that_is_present_has_a_page(whole, primary):
    assert {path.stem for path in (whole / "claims").iterdir()} == {
        file_name(one.claim.id.replace(" ", "_")) for one in judge(primary)
    }
    recipes = set(primary.runs(*primary.ledger.reported)["paradigm"])
    assert {path.stem for path in (whole / "recipes").iterdir()} == {file_name(recipe) for recipe in recipes}
    page = html.unescape((whole / "claims" / "M2.html").read_text())
    assert "58.0 %" in page
    assert "reproduced" in page
    assert "python -m repro.train study=main scale=synthetic" in page
    assert "recipes/merge.html" in (whole / "report.html").read_text()


def test_the_abstract_answers_from_the_ledger(headline, tmp_path):
    text = " ".join(html.unescape((headline / "report.html").read_text()).split())
    start = text.index('<section id="abstract">')
    said = text[start : text.index("</section>", start)]
    assert "When new data arrives" in said
    assert "16 claims: " in said
    assert "Models of up to 100,000 parameters" in said

    def answer(name, *worlds):
        for world, schedules in worlds:
            sweep = [{"paradigm": p, "schedule": s} for s in schedules for p in ("ptfs", "cpt", "path_switching")]
            build(tmp_path / name, ["main"], world, sweep=sweep)
        return abstract.answer(load(tmp_path / name, "synthetic").primary())

    read = ", path switching's branch read as a cycle"  # as ledgers without that column have it
    clear, none = Synthetic(recovered=0.5, noise=0.0001), Synthetic(gap=0.0, noise=0.002)
    alike = answer("alike", (clear, ("cosine", "knee")))
    told = "CPT has a higher PPL than PTFS; path switching has a higher PPL than PTFS; and path switching has a lower"
    assert (
        alike[0] == f"Under each of 2 schedules (cosine, Knee), version 4 comes out alike{read}: {told} PPL than CPT."
    )
    assert re.match(r"With cosine, beside PTFS at version 4: CPT has a higher PPL \(\+6\.\d\d %", alike[1])
    assert "at 58 % of the cost, and path switching is better than CPT (-3.0" in alike[1]
    unlike = answer("unlike", (clear, ("cosine",)), (none, ("knee",)))
    told = "is told apart under some schedules alone, and under none the other way"
    assert unlike[0] == f"Which has the lower PPL {told}{read}."  # which may be for lack of seeds
    worse = replace(clear, recovered=-0.5)
    opposed = answer("opposed", (clear, ("cosine",)), (worse, ("knee",)))
    assert opposed[0] == f"Which has the lower PPL depends on the schedule{read}."
    assert "CPT is not told apart in PPL (" in unlike[2]
    assert "path switching is not told apart from CPT (" in unlike[2]
    build(tmp_path / "alike", ["main"], clear, sweep=[{"paradigm": "wsd", "schedule": "knee"}])
    again = abstract.answer(load(tmp_path / "alike", "synthetic").primary())
    assert "WSD" in again[2]
    assert again[0] == alike[0], "of what only one schedule has, nothing can differ"
    single = answer("single", (replace(clear, seeds=(0,)), ("cosine", "knee")))
    assert single[0].startswith("With cosine"), "one seed tells nothing apart"
    more = Synthetic(seeds=(7, 8))
    build(tmp_path / "alike", ["main"], more, sweep=[{"paradigm": p, "schedule": "cosine"} for p in ("ptfs", "cpt")])
    build(tmp_path / "alike", ["main"], Synthetic(seeds=(9,)), sweep=[{"paradigm": "ptfs", "schedule": "cosine"}])
    assert "(n = 3 to 5)." in abstract.answer(load(tmp_path / "alike", "synthetic").primary())[1]  # pairs, not seeds
    build(tmp_path / "alone", ["headline"], sweep=[{"paradigm": "ptfs"}])
    assert "gives no answer yet" in abstract.answer(load(tmp_path / "alone", "synthetic").primary())[0]
    build(tmp_path / "apart", ["future"])
    (alone,) = abstract.answer(load(tmp_path / "apart", "synthetic").primary())
    assert alone == "The main comparison of the paradigms is not in this ledger. Studies in it: future."


def test_a_figure_records_what_it_draws(figures):
    """The CSV file and the interactive figure are made of what is recorded: it has to be what is drawn."""
    for plot in PLOTS.values():
        chart = figures[plot.name]
        assert chart is not None
        assert chart.marks, plot.name
        for mark in chart.marks:
            if mark.hidden:
                continue
            drawn = [line.get_xydata() for line in mark.axes.lines]
            cells = [value for image in mark.axes.images for value in np.ravel(image.get_array())]
            for row in mark.rows.to_dict("records"):
                if "value" in row:
                    assert np.isclose(cells, row["value"]).any() or np.isclose(np.exp(cells), row["value"]).any()
                    continue
                sideways = bool(categories(mark.axes, "y"))
                shift = np.nan_to_num(row.get("shift", 0.0))
                point = [row["x"] + (0 if sideways else shift), row["y"] + (shift if sideways else 0)]
                if row.get("seed", MEAN) == MEAN:  # a seed by itself may be left to the interactive figure
                    assert any(np.isclose(line, point).all(axis=1).any() for line in drawn), (plot.name, row)


@pytest.mark.parametrize("name", ["forgetting", "regret"])
def test_the_interactive_twin_of_a_table_in_colours_has_its_colours(name, figures):
    chart = figures[name]
    for mark, series in zip(chart.marks, chart.spec()["series"], strict=True):
        image = mark.axes.images[-1]
        still = image.to_rgba(np.ravel(image.get_array()))[:, :3]
        low, high = series["span"]
        at = (np.array(series["shades"]) - low) / (high - low)
        places, colours = zip(*series["scale"], strict=True)
        known = np.array([to_rgb(colour) for colour in colours])
        twin = np.stack([np.interp(at, places, known[:, part]) for part in range(3)], axis=1)
        assert len(twin) == len(mark.rows)
        assert np.abs(twin - still).max() < 0.02


@pytest.mark.parametrize("study", ["rates", "architecture", "ladder", "future"])
def test_a_figure_of_several_schedules_names_what_it_shows(study, tmp_path):
    build(tmp_path / "one", [study])
    for schedule in ("cosine", "knee"):
        build(tmp_path / "two", [study], Synthetic(setting={"schedule": schedule}))
    one, two = (PLOTS[study].make(load(tmp_path / name, "synthetic").primary()) for name in ("one", "two"))
    titles = [[axes.get_title() for axes in figure.axes] for figure in (one, two)]
    assert not any("cosine" in title.lower() for title in titles[0])
    assert any("cosine" in title.lower() for title in titles[1])
    if study != "ladder":  # of which a second one stands in the table
        assert {mark.schedule for mark in two.marks} == {"cosine", "knee"}
        assert all("cosine" in title.lower() or "knee" in title.lower() for title in titles[1])


def test_where_each_figure_comes_from_is_said(whole):
    page = html.unescape((whole / "report.html").read_text())
    keys = pd.read_csv(whole / "data" / "versions.csv", dtype=str)["key"]
    for plot in PLOTS.values():
        start = page.index(f"Where {plot.name} comes from")
        said = page[start : page.index("</details>", start)]
        assert "python -m analysis.report scale=synthetic" in said
        shown = re.findall(r"<li><code>(\w+)</code>", said)
        assert shown, plot.name
        assert all(keys.str.startswith(key).any() for key in shown)
        assert "matplotlib" in said
    start = page.index("Where alpha comes from")
    said = page[start : page.index("</details>", start)]
    assert "python -m repro.train study=alpha scale=synthetic" in said
    assert "study=first_stage" not in said


def test_no_figure_carries_a_date_or_a_version(headline):
    figures = [path for path in (headline / "figures").iterdir() if path.suffix != ".csv"]
    assert {path.suffix for path in figures} == {".png", ".pdf"}
    for path in figures:
        data = path.read_bytes()
        assert b"CreationDate" not in data
        assert b"atplotlib" not in data


def test_a_study_that_was_not_run_is_named_and_not_drawn(headline):
    page = (headline / "report.html").read_text()
    for study in {name for name, each in STUDIES.items() if not each.optional} - {"headline"}:
        assert f"{study} was not run: python -m repro.train study={study} scale=synthetic" in page
    assert {path.stem for path in (headline / "figures").glob("*.png")} == {
        "learning_rates", "training_loss", "cost_growth", "ppl_by_version", "pareto", "forgetting",
    }  # fmt: skip
    assert "not run</span>" in page
    assert "1 seed; at least 2 needed for an interval" in page


def test_assumptions_are_labelled_as_such(headline):
    page = html.unescape((headline / "report.html").read_text())
    assumed = page[page.index("Assumed about the paper") :]
    for words in (
        "10 % of the maximum",
        "50 % of its cycle",
        "no second warm-up",
        "Optimizer state travels",
        "C3, GSM8K",
    ):
        assert words in assumed


@pytest.mark.usefixtures("undrawn")
def test_files_of_studies_that_are_gone_are_gone_too(headline, tmp_path):
    folder = tmp_path / "synthetic"
    shutil.copytree(headline, folder)
    stale, of_others = folder / "tables" / "alpha.csv", folder / "figures" / "of_others.png"
    elsewhere = tmp_path / "precious.csv"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["outputs"] |= {"tables/alpha.csv": "", "../precious.csv": "", "tables/../../precious.csv": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for path in (stale, of_others, elsewhere):
        path.write_text("x")
    report.build("synthetic", tmp_path)
    assert not stale.exists()
    assert of_others.exists()
    assert elsewhere.exists()


@pytest.mark.parametrize("name", ["figures", "report.md"])
@pytest.mark.usefixtures("undrawn")
def test_what_is_in_a_reports_way_is_said_before_anything_of_it_is_published(tmp_path, name):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    folder = tmp_path / "synthetic"
    if name == "figures":
        (folder / name).write_text("mine")
    else:
        (folder / name).mkdir()
    os.mkfifo(folder / "manifest.json")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(UserError, match=f"root=.*: .*/{name} is in the report's way"):
        report.build("synthetic", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_terminal_gets_ppl_cost_verdicts_and_the_reports_place(headline):
    shown = terminal_text(headline.parent, 80)
    assert re.search(r"path switching\W+35\.\d\d\W+31\.\d\d\W+27\.\d\d\W+24\.\d\d\W+58 %", shown)
    assert "…" not in shown
    assert re.search(r"M2.*58\.0 %.*reproduced", shown, re.DOTALL)
    assert "16 claims: 3 reproduced" in shown
    assert str(headline / "report.html") in shown.replace("\n", "")


def test_a_terminal_of_80_columns_shows_every_recipes_name_beside_those_that_are_not_compared(tmp_path):
    build(tmp_path, ["frontier"])
    shown = terminal_text(tmp_path, 80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    for word in ("PTFS", "switching", "merge", "WSD-S", "undecayed", "trunk"):
        assert re.search(rf"^│ (?:\w+ )?{word} ", shown, re.MULTILINE), word  # folded between words, or not at all
    assert re.search(r"^│ merge .*\d %  ?│", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale=nowhere"], "There are results for: synthetic."),
        ([], "scale=NAME is missing. There are results for: synthetic."),
        (["scale=synthetic", "speed=2"], "speed=2 is unknown; there are extensions=, unchecked=, scale=, root=."),
        (["scale=synthetic", "synthetic"], "synthetic is unknown; there are"),
        (["scal=synthetic"], "did you mean scale=?"),
        (["scale=synthetic", "unchecked=maybe"], "unchecked=maybe is unknown"),
        (["scale=synthetic", "extensions=[no_such_module]"], "extensions=[no_such_module] cannot be imported"),
        (["scale="], "scale=NAME is missing. There are results for: synthetic."),
        (["scale=synthetc"], "Did you mean synthetic?"),
        (
            ["scale=synthetic", "unchecked=maybe", "spede=1"],
            "unchecked=maybe is unknown; true and false work.\nspede=1",
        ),
    ],
)
def test_what_cannot_work_is_refused_without_a_traceback(headline, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        report.main([*arguments, f"root={headline.parent}"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said


def test_no_tick_label_is_in_mathematical_notation(figures):
    """Names are shown as they are written, so that nothing would read it."""
    for name, figure in figures.items():
        axes = [axis for each in figure.axes for axis in (each.xaxis, each.yaxis)]
        labels = [
            one.get_text() for axis in axes for which in ("major", "minor") for one in axis.get_ticklabels(which=which)
        ]
        assert not any("\\" in label for label in labels), name


def test_a_paradigm_has_one_colour_in_every_legend(figures):
    names = {"PTFS": "#0072B2", "CPT": "#D55E00", "path switching": "#009E73"}
    seen = set()
    for figure in figures.values():
        for legend in figure.legends:
            for handle in legend.legend_handles:
                if handle.get_label() in names:
                    assert handle.get_color() == names[handle.get_label()]
                    seen.add(handle.get_label())
    assert seen == names.keys()


@pytest.mark.usefixtures("undrawn")
def test_a_table_that_was_altered_ends_with_status_2(tmp_path, capsys):
    folder = build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    seal(folder)
    (folder / "runs.csv").write_text((folder / "runs.csv").read_text().replace("sotu", "totu"))
    with pytest.raises(SystemExit) as stop:
        report.main(["scale=synthetic", f"root={tmp_path}"])
    assert stop.value.code == 2
    assert "runs.csv was altered since it was written" in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    report.main(["scale=synthetic", f"root={tmp_path}", "unchecked=true"])
    assert (folder.parent / "report.html").is_file()


# Written whole or not at all


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("after", [0, 3, 12])
def test_a_disk_that_refuses_leaves_what_was_there_and_says_so(headline, tmp_path, monkeypatch, capsys, error, after):
    folder = tmp_path / "synthetic"
    shutil.copytree(headline, folder)
    before = contents(folder)
    write, left = Path.write_text, [after]

    def refuse(path, *rest, **options):
        if left[0] == 0:
            raise OSError(error, os.strerror(error))
        left[0] -= 1
        return write(path, *rest, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SystemExit) as stop:
        report.main(["scale=synthetic", f"root={tmp_path}"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(folder) in said
    assert contents(folder) == before


def test_extensions_are_refused_together_with_options(tmp_path, capsys):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    with pytest.raises(SystemExit, match="2"):
        report.main(["scale=synthetic", f"root={tmp_path}", "extensions=[nosuch]", "unchecked=maybe"])
    said = capsys.readouterr().err
    assert "unchecked=maybe is unknown" in said
    assert "extensions=[nosuch] cannot be imported" in said


@pytest.mark.usefixtures("undrawn")
def test_a_report_that_fails_halfway_leaves_nothing(tmp_path, monkeypatch):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))

    def fail(view):
        raise RuntimeError("halfway")

    monkeypatch.setitem(STUDIES, "headline", replace(STUDIES["headline"], gaps=fail))
    with pytest.raises(RuntimeError, match="halfway"):
        report.build("synthetic", tmp_path)
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == ["data"]


def test_what_a_killed_report_left_goes_once_nobody_can_be_writing_it(tmp_path, monkeypatch):
    build(tmp_path, ["headline"], Synthetic(seeds=(0,)))
    folder = tmp_path / "synthetic"
    (folder / ".report-mine").mkdir()

    def again():
        with pytest.raises(RuntimeError, match="halfway"):
            report.build("synthetic", tmp_path)

    monkeypatch.setattr("analysis.rendering.library", die)
    monkeypatch.setattr("analysis.sections.studies", lambda *given: [])
    killed(lambda: report.build("synthetic", tmp_path))
    (left,) = (path for path in folder.glob(".report-*") if path.name != ".report-mine")
    assert list(left.rglob("*.html"))

    def fail(*given):
        raise RuntimeError("halfway")

    monkeypatch.setattr(report, "_write", fail)
    again()
    assert left.exists(), "it may be another one's that is being written"
    for path in (left, folder / ".report-mine"):
        left_long_ago(path)
    (left / "more").touch()
    again()
    assert left.exists(), "someone writes in it"
    left_long_ago(left)
    again()
    assert {path.name for path in folder.iterdir()} == {"data", ".report-mine"}


# What nothing registered


@pytest.mark.parametrize("study", ["none", "my_study", "../evil<b>"])
@pytest.mark.usefixtures("undrawn")
def test_runs_of_a_study_that_nothing_registered_are_reported_as_what_they_are(tmp_path, study):
    """One run of one paradigm, one seed: what `python -m repro.train paradigm=ptfs seed=0` leaves."""
    folder = build(tmp_path, [study], Synthetic(seeds=(0,)), sweep=[{"paradigm": "ptfs"}])
    report.build("synthetic", tmp_path)
    text = (tmp_path / "synthetic" / "report.md").read_text()
    title = "Runs of no study" if study == "none" else study
    assert f"## {escape_markdown(title)}" in text
    assert re.search(r"Learning rate: maximum \S+, minimum \S+, warm-up of \d+ steps once", text)
    (table,) = (folder.parent / "tables").glob("study_*.md")
    assert re.search(r"\| PTFS \| cosine \|  \| 3\d\.\d\d \|", table.read_text())
    assert len(list((folder.parent / "figures").glob("study_*.png"))) == 1
    assert "<b>" not in (tmp_path / "synthetic" / "report.html").read_text().split("<body>")[1].replace("<b>synth", "")
    assert "PTFS" in terminal_text(tmp_path, 200)


def test_a_study_of_ones_own_stands_beside_the_others_and_changes_none(tmp_path, undrawn):
    undrawn |= {"ppl_by_version", "pareto"}
    build(tmp_path, ["headline"])
    report.build("synthetic", tmp_path)
    before = contents(tmp_path / "synthetic")
    sweep = [{"size": size, "schedule": schedule} for size in ("base", "huge") for schedule in ("cosine", "mine")]
    build(tmp_path, ["mine"], Synthetic(seeds=(0, 1)), sweep=sweep)
    report.build("synthetic", tmp_path)
    after = contents(tmp_path / "synthetic")
    for name in ("tables/headline.csv", "claims.csv", "figures/ppl_by_version.png", "figures/pareto.png"):
        assert after[name] == before[name], name
    rows = (tmp_path / "synthetic" / "tables" / "study_mine.md").read_text().splitlines()[2:6]
    assert [row.split(" | ")[1:3] for row in rows] == [
        [schedule, f"size={size}"] for schedule in ("cosine", "mine") for size in ("base", "huge")
    ]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.usefixtures("undrawn")
def test_a_recipe_that_nothing_registered_is_in_every_table_and_figure(tmp_path):
    build(tmp_path, ["main"])
    build(tmp_path, ["main"], sweep=[{"paradigm": "merge_all", "settings": "branch=0.2"}])
    build(tmp_path, ["main"], sweep=[{"paradigm": "merge_two"}])  # whose own look would be that of merge_all
    build(tmp_path, ["main"], Synthetic(setting={"schedule": "mine"}))
    report.build("synthetic", tmp_path)
    folder = tmp_path / "synthetic"
    for table in ("main", "cost", "forgetting"):
        text = (folder / "tables" / f"{table}.md").read_text()
        assert "merge\\_all" in text, table
        assert "path switching" in text, table
    assert "mine" in (folder / "tables" / "main.md").read_text()
    view = load(tmp_path, "synthetic").primary()
    for name in ("ppl_by_version", "pareto", "learning_rates", "training_loss", "forgetting", "cost_growth"):
        figure = PLOTS[name].make(view)
        shown = {text.get_text() for text in figure.findobj(Text)}
        assert any("merge_all" in text for text in shown), name
    assert names.colour("merge_all") == names.colour("merge_two")
    drawn = re.findall(
        r'"recipe":"(merge_\w+)","schedule":"\w+","colour":"(#\w+)"', (folder / "report.html").read_text()
    )
    assert len(set(drawn)) == 2
    assert len({colour for _, colour in drawn}) == 2


def test_every_point_of_pareto_can_be_seen_on_white(tmp_path):
    build(tmp_path, ["main"], Synthetic(seeds=(0,)))
    build(tmp_path, ["main"], Synthetic(seeds=(0,), setting={"schedule": "mine"}))
    figure = PLOTS["pareto"].make(load(tmp_path, "synthetic").primary())
    points = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert len(points) == 12
    for point in points:
        filled = point.get_marker() in Line2D.filled_markers
        seen = point.get_markerfacecolor() if filled else point.get_markeredgecolor()
        assert to_hex(seen) != "#ffffff"


def documented() -> str:
    """The code that CONTRIBUTING.md gives for a claim and a study."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    sections = re.findall(r"## Adding a (?:claim|study)\n(.*?)(?=\n## |\Z)", text, flags=re.DOTALL)
    return "\n".join(re.findall(r"```python\n(.*?)```", "\n".join(sections), flags=re.DOTALL))


def test_an_extension_adds_a_study_and_a_claim_as_documented(tmp_path):
    (tmp_path / "my_studies.py").write_text(documented())
    build(tmp_path, ["my_study"], sweep=[{"paradigm": "ptfs"}, {"paradigm": "cpt"}])
    done = subprocess.run(
        [sys.executable, "-m", "analysis.report", "scale=synthetic", f"root={tmp_path}", "extensions=[my_studies]"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "synthetic" / "report.md").read_text()
    assert "## My study\n\n*How far does CPT fall behind here?*" in text
    assert "N is 4." in text
    assert "- X1: reproduced (3 seeds)." in text
    assert "| X1 | CPT ends more than 1 % behind PTFS | ours | **reproduced** |" in text
    assert (tmp_path / "synthetic" / "tables" / "my_study.csv").is_file()
