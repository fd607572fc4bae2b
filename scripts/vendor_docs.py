"""Renew the vendored docs page: `python scripts/vendor_docs.py [VERSION]`. Needs the npm client.

Takes Swagger UI's own build, with its licences, into src/jobreel/api/static, and writes down in
vendored.json what was taken, so that a test can tell when a file was changed by hand.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "swagger-ui-dist"
STATIC = Path(__file__).parents[1] / "src" / "jobreel" / "api" / "static"
TAKEN = {  # in the package: here
    "swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui.css",
    "LICENSE": "swagger-ui.LICENSE",
    "NOTICE": "swagger-ui.NOTICE",
    "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE",
}


def main() -> None:
    wanted = f"{PACKAGE}@{sys.argv[1] if len(sys.argv) > 1 else 'latest'}"
    with tempfile.TemporaryDirectory() as folder:
        package = downloaded(wanted, Path(folder))
        for theirs, ours in TAKEN.items():
            (STATIC / ours).write_bytes((package / theirs).read_bytes())
        facts = json.loads((package / "package.json").read_text())
    record = {"package": PACKAGE, "version": facts["version"], "license": facts["license"], "sha256": digests()}
    (STATIC / "vendored.json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{PACKAGE} {facts['version']} is in {STATIC}")


def downloaded(wanted: str, folder: Path) -> Path:
    """The unpacked package. npm checks its integrity."""
    subprocess.run(["npm", "pack", "--silent", wanted], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"


def digests() -> dict[str, str]:
    return {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in TAKEN.values()}


if __name__ == "__main__":
    main()
