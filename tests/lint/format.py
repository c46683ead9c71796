"""C++ files are laid out as .clang-format says, by clang-format 14 (later releases lay some lines out differently).

A missing clang-format-14 is a failure: a lint that skips itself checks nothing.
"""
import shutil
import subprocess
import sys

import source_tree
from source_tree import Finding

COMMAND = "clang-format-14"
FILES_PER_CALL = 50


def findings_in(stderr: str) -> list[Finding]:
    """clang-format's own "PATH:LINE:COLUMN: error: .." lines, one finding per file and line."""
    findings = {}
    for row in stderr.splitlines():
        parts = row.split(":", 3)
        if len(parts) == 4 and parts[1].isdigit() and " error: " in f" {parts[3]}":
            findings[parts[0], int(parts[1])] = Finding(parts[0], int(parts[1]), f"run {COMMAND} -i {parts[0]}")
    return list(findings.values())


def check_files(paths: list[str], directory: str) -> list[Finding]:
    findings = []
    for first in range(0, len(paths), FILES_PER_CALL):
        result = subprocess.run([COMMAND, "--dry-run", "-Werror", *paths[first:first + FILES_PER_CALL]], cwd=directory,
                                capture_output=True, text=True, check=False)
        found = findings_in(result.stderr)
        if result.returncode and not found:
            found = [Finding(paths[first], 1, result.stderr.strip() or f"{COMMAND} exited with {result.returncode}")]
        findings += found
    return findings


def main() -> None:
    if shutil.which(COMMAND) is None:
        sys.exit(f"format: {COMMAND} must be installed; got no such command; run bash launch/setup.sh")
    paths = [path.as_posix() for path in source_tree.cpp_files() if path.suffix in {".h", ".cpp"}]
    sys.exit(source_tree.report("format", len(paths), check_files(paths, str(source_tree.ROOT))))


if __name__ == "__main__":
    main()
