"""Advice on a ledger that was trained: the pilot at scale smoke, from the command line to the report."""

import csv
import json

import pytest

from analysis import report
from repro import advise, train
from repro.advice.evidence import KEPT
from repro.common.disk import read_document

STREAM = ("stream=dealt", "stream.versions=2", "stream.steps_per_version=20", "stream.heldout_blocks=4")


@pytest.mark.usefixtures("undrawn")
def test_a_pilot_is_trained_advised_upon_scored_and_reported(smoke, few, tmp_path, capsys) -> None:
    ledger = tmp_path / "smoke" / "data"
    words = [*smoke(), f"ledger.path={ledger}", *few, *STREAM]
    train.main(["study=pilot_for_advice", *words])
    record = ledger / "predictions" / "more.json"
    asked = ["-m", "paradigm=infinite,wsd_s"]
    advise.main([*words, *asked, f"record={record}"])
    train.main([*words, *asked, "seed=0,1"])
    capsys.readouterr()
    advise.main([*words, "output=json", "keep=true"])
    told = json.loads(capsys.readouterr().out)
    assert {"decision", "runner_up", "flips", "recipes", "law", "scored"} <= told.keys()
    assert read_document(ledger / KEPT) == told
    rows = {row["name"]: row for row in told["recipes"]}
    assert rows["infinite_a0.6_c0.5, cosine"]["basis"] == "measured"
    assert rows["falling_cosine, cosine"]["basis"] == "law"
    assert rows["path_switching_a0.6, cosine"]["cost"] == (20 * 2 + 12) / 60
    (scored,) = told["scored"]
    assert scored["summary"]["predictions"] == 4
    assert scored["missing"] == []
    trunk, branches, retraining, cpt, warmup_shared = 36, 2 * (4 + 12), 20 + 40, 20, 5
    assert told["pilot"]["steps"] == 2 * 2 * (trunk + branches + retraining + cpt - warmup_shared)
    capsys.readouterr()
    report.main(["scale=smoke", f"root={tmp_path}"])
    text = (tmp_path / "smoke" / "report.md").read_text()
    assert text.index("## Advice") < text.index("pilot_for_advice")
    assert told["decision"]["recipe"].split(",")[0] in text.replace("\\", "")
    assert (tmp_path / "smoke" / "tables" / "advice_scored.csv").exists()
    residuals = (tmp_path / "smoke" / "figures" / "advice_residuals.csv").read_text().splitlines()
    left_out = [error for each in told["law"]["left_out"] for error in each["errors_percent"]]
    assert len(residuals) == 1 + len(left_out) > 1
    # Its figure names the runs that the law was tried on, as all figures do.
    runs = {run for each in told["law"]["left_out"] for run in each["runs"]}
    page = (tmp_path / "smoke" / "report.html").read_text()
    figure = page[page.index('id="figure-advice_residuals"') :].partition("</figure>")[0]
    for row in csv.DictReader((ledger / "versions.csv").open()):
        if row["run"] in runs and row["version"] == "2":
            assert row["key"][:12] in figure
    altered = (ledger / KEPT).read_text().replace(told["decision"]["recipe"], "cpt, never")
    (ledger / KEPT).write_text(altered)  # it is printed as it was written, or not at all
    with pytest.raises(SystemExit, match="2"):
        report.main(["scale=smoke", f"root={tmp_path}"])
    assert (
        f"{KEPT} is not what repro.advise keep=true writes (it does not match its checksum)" in capsys.readouterr().err
    )
