"""
Says which pinned packages have known vulnerabilities; without their data, says so.

pip-audit reads them from PyPI's own JSON. A mirror often lacks that, and then pip-audit
skips each package, and ends as if nothing were wrong.
"""

import json
import subprocess
import sys


def main(program: str, pins: str) -> int:
    """Return the exit code: 1 where a package is known to be vulnerable."""
    done = subprocess.run(  # noqa: S603 - the Makefile names the program, and no shell reads the words
        [
            *(program, "--requirement", pins, "--no-deps", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("audit skipped: no vulnerability data is reachable from here")
        return 0
    audited = [each for each in packages if "vulns" in each]
    faults = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, mended in"
        f" {' or '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for each in audited
        for vulnerability in each["vulns"]
    ]
    for fault in faults:
        print(fault)
    missing = len(packages) - len(audited)
    if missing:
        print(
            f"audit skipped for {missing} of {len(packages)} packages: no vulnerability"
            " data of them is reachable from here"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
