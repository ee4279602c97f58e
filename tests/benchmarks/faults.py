"""Inject faults of the machine into whole batches: `python tests/benchmarks/faults.py --times 20`.

Each time, four submissions are graded where forks fail beyond a number of processes that is drawn,
or on a disk of a size that is drawn; then again on a machine that is well. Nobody may lose a point,
and nothing may be left. Needs root.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.threats.conftest import Host  # noqa: E402
from tests.threats.test_injected_faults import (  # noqa: E402
    with_a_small_disk,
    with_few_processes,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    codes: Counter[str] = Counter()
    started = time.monotonic()
    for number in range(arguments.times):
        with tempfile.TemporaryDirectory() as folder:
            host = Host(Path(folder))
            try:
                if number % 2:
                    size = round(2 ** rng.uniform(3, 13))
                    kind, code = f"a disk of {size} KiB", with_a_small_disk(host, size)
                else:
                    most = rng.randint(1, 60)
                    kind, code = f"{most} processes", with_few_processes(host, most)
            finally:
                host.close()
        print(f"{kind}: exit code {code}", flush=True)
        codes[f"exit code {code}"] += 1
    took = time.monotonic() - started
    print(f"{date.today()}: {arguments.times} injections, {dict(codes)}, {took:.0f} s; all held")


if __name__ == "__main__":
    main()
