"""`python -m bench`: measure, print a table for each benchmark, write all figures to bench/results."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import NotMeasured, batch, behind, memory, pickup, status, submission, throughput
from bench.conditions import conditions, cores_busy
from bench.figures import Figure, Section, show, write
from bench.scale import FULL, QUICK, Scale

BENCHMARKS: dict[str, Callable[[Scale, Path], list[Figure]]] = {
    "status": status.measure,
    "submission": submission.measure,
    "pickup": pickup.measure,
    "throughput": throughput.measure,
    "batch": batch.measure,
    "behind": behind.measure,
    "memory": memory.measure,
}
RESULTS = Path(__file__).parent / "results"
# Data directories go where files stay over a restart: /tmp may be memory, which makes every commit free.
PLACE = Path("/var/tmp")


def main() -> int:
    """Exit 0 when everything was measured, whatever the figures say; 1 when something could not be."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that services and folders are cleaned up then too
    scale, console = QUICK if options.quick else FULL, Console()
    console.width = max(console.width, 150)
    found = conditions(PLACE)
    for name, fact in found.items():
        console.print(f"{name:<13} {fact}", highlight=False)
    sections = []
    for name in options.names or BENCHMARKS:
        sections.append(_section(name, scale))
        show(sections[-1], console)
    path = RESULTS / f"{time.strftime('%Y-%m-%dT%H%M%S')}.json"
    write(path, {**found, "quick": options.quick}, sections)
    console.print(f"\nwritten to {path}")
    return 1 if any(section.failure for section in sections) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    return options


def _section(name: str, scale: Scale) -> Section:
    """One benchmark in a folder of its own, which is gone afterwards."""
    busy, started = cores_busy(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"jobreel-bench-{name}-", dir=PLACE))
    folder.chmod(0o711)  # children run as another user where they can
    figures, failure = [], None
    try:
        figures = BENCHMARKS[name](scale, folder)
    except NotMeasured as reason:
        failure = str(reason)
    finally:
        shutil.rmtree(folder)
    seconds = time.monotonic() - started
    return Section(name, (busy, cores_busy()), seconds, figures, failure)


if __name__ == "__main__":
    sys.exit(main())
