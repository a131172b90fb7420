"""Copy what is vendored out of its packages, or with `--check` compare it; npm holds them to the lock's integrity."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.pages.vendored import FROM_PACKAGES, HERE, ROOT, SUMS, sums


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        subprocess.run(["npm", "--prefix", folder, "ci", *quiet], check=True, stdout=subprocess.DEVNULL)
        packages = Path(folder) / "node_modules"
        differing = [
            file
            for file, within in FROM_PACKAGES.items()
            if not file.exists() or file.read_bytes() != (packages / within).read_bytes()
        ]
        if "--check" not in sys.argv:
            for file in differing:
                shutil.copy(packages / FROM_PACKAGES[file], file)
    said = [str(file.relative_to(ROOT)) for file in differing]
    if "--check" in sys.argv:
        for name in said:
            print(f"{name} is not what its package has; run `make vendored`", file=sys.stderr)
        return 1 if said else 0
    SUMS.write_text(sums())
    print(f"copied anew: {', '.join(said)}" if said else "every file is what its package has")
    return 0


if __name__ == "__main__":
    sys.exit(main())
