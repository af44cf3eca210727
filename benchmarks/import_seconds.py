"""Time what `import proxylm` adds to `import sklearn, pandas`, in fresh processes.

python benchmarks/import_seconds.py [--repeats 7]
"""

import argparse
import statistics
import subprocess
import sys

PROGRAM = """
import time
import sklearn, pandas
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
STATEMENTS = [
    "import proxylm",
    "from proxylm import ProxyRegressor",
    "from proxylm import *",
]


def seconds(statement):
    """Return the seconds of a statement in a fresh process."""
    program = PROGRAM.format(statement=statement)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def main():
    """Print the median per statement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    for statement in STATEMENTS:
        median = statistics.median(seconds(statement) for _ in range(repeats))
        print(f"{statement:40s} adds {median:.3f} s (median of {repeats})")


if __name__ == "__main__":
    main()
