"""The report of a synthetic scale: complete, the same every time, and safe with any name."""

import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from test_frames import Synthetic, build

from analysis import figures, report
from analysis.frames import STUDIES, load

HOSTILE = "<script>alert(1)</script>|$x^2$_&%`#"
ROOT = Path(__file__).resolve().parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a scale with every study, a second setting, and a hostile name."""
    root = tmp_path_factory.mktemp("whole")
    build(root, STUDIES, Synthetic(setting={"corpus": HOSTILE}))
    build(root, ["headline"], Synthetic(setting={"corpus": HOSTILE, "stream": "chronological"}))
    assert report.build("synthetic", root) == root / "synthetic" / "report.html"
    return root / "synthetic"


@pytest.fixture(scope="module")
def headline(tmp_path_factory) -> Path:
    """One study, one seed: what the main job of the README leaves."""
    root = tmp_path_factory.mktemp("headline")
    build(root, ["headline"], Synthetic(seeds=(0,)))
    report.build("synthetic", root)
    return root / "synthetic"


def test_redrawing_gives_the_same_bytes(whole, tmp_path):
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
    assert {f"{plot.name}.{kind}" for plot in figures.PLOTS for kind in ("png", "pdf")} <= drawn
    made = {path.name for path in (whole / "tables").iterdir()}
    names = {*STUDIES, "recovery", "cost", "forgetting", "scorecard", "claim_parts", "spent", "seeds", "numerics"}
    assert {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")} <= made
    assert {"ppl_by_version_setting2.png", "headline_setting2.csv"} <= drawn | made


def test_the_html_needs_nothing_from_outside(whole):
    page = (whole / "report.html").read_text()
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("data:image/png;base64,") == len(list((whole / "figures").glob("*.png")))
    assert page.count("<img") == page.count('alt="') - page.count('alt=""')


def test_a_name_from_a_configuration_is_data_everywhere(whole):
    page = (whole / "report.html").read_text()
    assert html.escape(HOSTILE) in page
    assert "alert(1)</script>" not in page
    markdown = (whole / "report.md").read_text()
    assert re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", HOSTILE) in markdown
    for path in (whole / "tables").glob("*.md"):
        assert "<script>" not in path.read_text()


def test_rows_of_markdown_tables_have_as_many_cells_as_their_head(whole):
    for path in (whole / "tables").glob("*.md"):
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
    assert {"matplotlib", "pandas", "numpy", "scipy"} <= manifest["packages"].keys()


def test_no_figure_carries_a_date_or_a_version(whole):
    for path in (whole / "figures").iterdir():
        data = path.read_bytes()
        assert b"CreationDate" not in data
        assert b"atplotlib" not in data


def test_a_study_that_was_not_run_is_named_and_not_drawn(headline):
    page = (headline / "report.html").read_text()
    for study in STUDIES.keys() - {"headline"}:
        assert f"{study} was not run: python -m repro.train study={study} scale=synthetic" in page
    assert {path.stem for path in (headline / "figures").iterdir()} == {
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


def test_a_terminal_gets_ppl_cost_verdicts_and_the_reports_place(headline):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.summary("synthetic", headline.parent))
    shown = console.export_text()
    assert re.search(r"path switching\W+33\.\d\d\W+30\.\d\d\W+27\.\d\d\W+24\.\d\d\W+58 %", shown)
    assert "…" not in shown
    assert re.search(r"M2.*58\.0 %.*reproduced", shown, re.DOTALL)
    assert "15 claims: 3 reproduced" in shown
    assert str(headline / "report.html") in shown.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale=nowhere"], "There are results for: synthetic."),
        ([], "scale=NAME is missing. There are results for: synthetic."),
        (["scale=synthetic", "speed=2"], "'speed=2' is no setting"),
        (["synthetic"], "'synthetic' is no setting"),
        (["scale="], "'scale=' is no setting"),
    ],
)
def test_what_cannot_work_is_refused_without_a_traceback(headline, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        report.main([*arguments, f"root={headline.parent}"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said


def test_a_paradigm_has_one_colour_in_every_legend(whole):
    view = load(whole.parent, "synthetic").primary()
    names = {"PTFS": "#0072B2", "CPT": "#D55E00", "path switching": "#009E73"}
    seen = set()
    for plot in figures.PLOTS:
        figure = plot.draw(view)
        assert figure is not None
        for legend in figure.legends:
            for handle in legend.legend_handles:
                if handle.get_label() in names:
                    assert handle.get_color() == names[handle.get_label()]
                    seen.add(handle.get_label())
    assert seen == names.keys()
