"""Fails if the package of a function is over the size limit.

    python tools/release/package_sizes.py .aws-sam/build

A package is the zip file that `sam deploy` makes of a folder. Lambda downloads and unpacks it at each cold start.
"""

import io
import sys
import zipfile
from pathlib import Path

# Guards against growth. The goal is 2.5 MB (docs/adr/0039-cold-starts-and-size.md).
MAX_BYTES = 3_150_000


def zip_size(folder: Path) -> int:
    """The size of the zip file of a folder, compressed as by the SAM CLI."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(it for it in folder.rglob("*") if it.is_file()):
            archive.write(file, file.relative_to(folder))
    return package.tell()


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} FOLDER")
        return 2
    folders = [it for it in Path(sys.argv[1]).iterdir() if (it / "bootstrap").is_file()]
    sizes = sorted(((zip_size(it), it.name) for it in folders), reverse=True)
    for size, name in sizes:
        print(f"{size / 1e6:6.2f} MB  {name}{'  over the limit' if size > MAX_BYTES else ''}")
    if not sizes:
        print(f"{sys.argv[1]} has no packages")
        return 1
    return 1 if sizes[0][0] > MAX_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
