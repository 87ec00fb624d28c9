"""`python tests/check_wheel.py DIRECTORY`: the wheel in there holds neo_cancel, all of it, and nothing else."""

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "producers" / "neo_cancel"


def main() -> str | int:
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    everything = zipfile.ZipFile(wheel).namelist()
    names = {name for name in everything if not name.split("/")[0].endswith(".dist-info")}
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix in {".py", ".lua", ".typed"})
    wanted = {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    if names != wanted:
        return f"{wheel.name}: misses {sorted(wanted - names)}, should not hold {sorted(names - wanted)}"
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in everything):
        return f"{wheel.name}: holds no licence"
    sys.stdout.write(f"{wheel.name}: {len(names)} files, all of neo_cancel and nothing else\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
