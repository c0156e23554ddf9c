"""What a model that grows reaches, and at which cost."""

import numpy as np

from analysis.contrasts import PTFS
from analysis.formats import number, percent, spoken
from analysis.frames import View
from analysis.names import schedule_name
from analysis.registries import Sentences
from analysis.tables.grow import STUDY, behind, ways


def grow(view: View) -> list[str]:
    sentences = []
    for schedule in dict.fromkeys(view.runs(STUDY)["schedule"]):
        losses, costs = ways(view, schedule)
        parts = []
        for way in losses:
            distance = behind(losses, way)[view.last].to_numpy(dtype=np.float64)
            if way.recipe != PTFS and len(distance):
                name = f"{way.label} (from {way.smaller})" if way.before else way.label
                steps, flops = (f"{number(100 * share)} %" for share in (costs[way].steps, costs[way].flops))
                parts.append(f"{percent(distance)} for {name}, at {steps} of the steps and {flops} of the FLOPs")
        if parts:
            sentences.append(
                f"With {schedule_name(schedule)}, PPL of version {view.last} relative to that of PTFS of the larger "
                f"model: {spoken(parts)} (n = {min(map(len, losses.values()))})."
            )
    return sentences


FINDINGS = Sentences("grow_findings", make=grow)
