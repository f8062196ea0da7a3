"""The machine, the versions and the commit that numbers were measured with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "numba", "torch", "scikit-learn", "rbms", "learnergy")
VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def describe() -> dict[str, str]:
    """Everything by name, in words."""
    found = {
        "processor": f"{cpu()}, {os.cpu_count()} cores",
        "GPU": graphics() or "none",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{package: installed(package) for package in PACKAGES},
        "commit": commit(),
    }
    return found | {name: os.environ[name] for name in VARIABLES if name in os.environ}


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def graphics() -> str:
    """The name of the GPU that PyTorch would use, if it is loaded and finds one."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else ""


def commit() -> str:
    """Of the checkout, marked if files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        run = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.strip()
