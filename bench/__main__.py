"""`make bench`: every benchmark, one after the other, and at the end which of them missed a mark."""

import subprocess
import sys
import time

BENCHMARKS = ("search", "index", "history", "rebuild", "side_by_side", "drill", "chat", "simulation")
OUTCOMES = {0: "all marks met", 1: "a mark was missed", 2: "could not run"}


def main() -> int:
    """Run them all; returns the exit code: 1 when one of them ended with another than 0."""
    ended: dict[str, tuple[int, float]] = {}
    for name in BENCHMARKS:
        print(f"\n==== bench.{name} ====", flush=True)
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
        ended[name] = (code, time.monotonic() - started)
    print("\n==== all benchmarks ====")
    for name, (code, seconds) in ended.items():
        print(f"  {name:14} {seconds / 60:5.1f} min   {OUTCOMES.get(code, f'ended with exit code {code}')}")
    return 0 if all(code == 0 for code, _ in ended.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
