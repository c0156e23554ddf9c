"""Learning-rate path switching, reproduced: plan, train, evaluate and judge version-update paradigms."""

__version__ = "0.1.0"
