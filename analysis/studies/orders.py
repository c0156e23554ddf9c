"""What a seed decides: initializations crossed with orders of the data."""

from analysis.registries import Study
from analysis.tables.components import ORDERS

STUDY = Study(
    name="orders",
    question="How much of a seed's noise is its initialization, and how much the order of its data?",
    title="Initialization and order",
    seeds="order_seeds",
    sweeps=("conditions", "versions"),
    shows=(ORDERS,),
)
