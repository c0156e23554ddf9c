"""Whether the comparison holds for other architectures."""

from analysis.claims.generality import claim
from analysis.figures.comparison import generality
from analysis.findings.comparison import generality_of as findings
from analysis.registries import Factor, Study
from analysis.tables.comparison import generality_of as table

FACTOR = Factor(column="architecture", label="architecture", setting="model")
STUDY = Study(
    name="architecture",
    question="Does it hold for other architectures?",
    sweeps=("architecture",),
    factor=FACTOR,
    shows=(table("architecture", FACTOR), generality("architecture", FACTOR), findings("architecture", FACTOR)),
)
CLAIMS = (claim("G1", "architecture", "for the LLaMA and Qwen architectures", FACTOR),)
