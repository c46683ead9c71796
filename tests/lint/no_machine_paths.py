"""The tree names no machine: no folder of somebody's computer, no host of a package registry, no mirror of one.

Set-up asks apt and pip by their own configuration, so the project works behind any mirror.
"""
import re

import source_tree
from source_tree import Finding

FOLDERS = ("work", "home/[a-z_][a-z0-9_-]*", "root", "Users/[A-Za-z]+", "mnt/[a-z]+")
HOSTS = (r"pypi\.org", r"pythonhosted\.org", r"deb\.debian\.org", r"archive\.ubuntu\.com", r"download\.pytorch\.org",
         r"conda\.anaconda\.org", r"registry\.npmjs\.org", r"index\.crates\.io")
FOLDER = re.compile(rf"(?<![\w.~}})>*-])/(?:{'|'.join(FOLDERS)})/")
HOST = re.compile(rf"\b(?:{'|'.join(HOSTS)})\b")
MIRROR_OPTION = re.compile(r"--(?:extra-)?index-url\b|--find-links\b|--trusted-host\b")


def check(path: str, text: str) -> list[Finding]:
    if path.startswith("tests/lint/"):
        return []  # the patterns and the bad examples
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        for rule, pattern in (("a folder of one machine", FOLDER), ("a registry's host", HOST),
                              ("an option that names a registry", MIRROR_OPTION)):
            match = pattern.search(line)
            if match:
                findings.append(Finding(path, number, f"{match.group(0)}: {rule}"))
    return findings


if __name__ == "__main__":
    source_tree.run("no_machine_paths", source_tree.tracked_files(), check)
