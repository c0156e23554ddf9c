"""Where chance comes from."""

from analysis.registries import Study
from analysis.tables.components import COMPONENTS, REDUCTIONS

STUDY = Study(
    name="components",
    question="How much of the noise is the cut of the text, the seed, and evaluation, and what reduces it?",
    title="Components of chance",
    seeds="component_seeds",
    sweeps=("conditions", "versions"),
    shows=(COMPONENTS, REDUCTIONS),
)
