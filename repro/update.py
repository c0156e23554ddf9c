"""Release the next version of a model, as data arrive: python -m repro.update corpus.path=my_dumps scale=quick

A folder of text for each release (docs/data.md), to which you add one and run this again. It takes the settings of
repro.train for one run; by default, path switching with alpha 0.6, each release as long as its data last. It trains
what the releases need that is not stored, measures every release on every slice, writes `<output>/<name>/`
(`output=releases`) for those that have none: a folder for transformers, `release.json` and a model card. Then it says
what was gained and lost, what this release cost, what the next one will, and which checkpoints to keep.
`dry_run=true` says beforehand what can be said. A release does not change: where its data or settings have, the command
refuses. For exit statuses see repro.launching.launch.
"""

from collections.abc import Sequence
from pathlib import Path

from repro.common.errors import refusals
from repro.planning.arguments import CommandLine


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with refusals():
        line = CommandLine(__doc__, arguments)
        output = line.take("output", "releases")
        dry = line.flag("dry_run")
        from repro.launching.updating import completed, update

        line.check_all(completed)
    update(line.words(), Path(output), dry=dry, options=line.taken)


if __name__ == "__main__":
    main()
