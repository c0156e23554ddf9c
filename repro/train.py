"""Train and measure the runs of a study: python -m repro.train study=alpha scale=quick paradigm.alpha=0.3,0.5 seed=0,1

Any override of Hydra's works, any launcher too (`hydra/launcher=joblib`). The whole sweep is composed and checked
first, and frozen to the store; each Hydra job then works on the frozen plan until its own run is finished. Run again,
it finds what is in the store and goes on from there. For exit statuses see repro.launching.launch.
"""

import sys
from collections.abc import Sequence

from repro.launching.launch import launch
from repro.launching.training import command


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    launch(command(), sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    main()
