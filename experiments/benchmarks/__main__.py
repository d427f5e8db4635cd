"""Run all benchmarks, one process each."""

import pkgutil
import subprocess
import sys

import experiments.benchmarks

for module in pkgutil.iter_modules(experiments.benchmarks.__path__):
    if module.name not in ("__main__", "timing"):
        name = f"experiments.benchmarks.{module.name}"
        print(f"== {module.name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=False)
