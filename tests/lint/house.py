"""House rules that a machine can read.

Every file: at most 2 MB; no TODO, FIXME or XXX without an issue number, as in "TODO(#12)"; no line with a conflict
marker. C++, Python, CMake and shell, but not the scripts of tests/golden, which stay as they were when they wrote what
lies beside them: at most 120 columns, no tabs, no trailing blanks, a newline at the end. Headers:
`#pragma once`, no `using namespace` (but core/tensor.h), and (outside tests/) at most 130 lines: it is an interface. No
std::cout outside tests/: print() of launch/standard_streams.h says when standard output cannot be written.
"""
import re
import sys

import source_tree
from source_tree import Finding

MAX_BYTES = 2 * 1024 * 1024
MAX_COLUMNS = 120
MAX_HEADER_LINES = 130
CODE_SUFFIXES = source_tree.CPP_SUFFIXES | {".py", ".cmake", ".sh"}
MARK = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)")
COUT = re.compile(r"\bstd::cout\b")
TENSOR_HEADER = "core/tensor.h"  # makes libtorch's names for what <torch/types.h> does by directives
USING_NAMESPACE = re.compile(r"^\s*using\s+namespace\b")


def is_code(path: str) -> bool:
    if path.startswith("tests/golden/"):
        return False
    name = path.rsplit("/", 1)[-1]
    return name == "CMakeLists.txt" or any(name.endswith(suffix) for suffix in CODE_SUFFIXES)


def check_line(path: str, number: int, line: str) -> list[Finding]:
    findings = []
    mark = MARK.search(line)
    if mark:
        findings.append(Finding(path, number, f"{mark.group(1)} without an issue number: write {mark.group(1)}(#N)"))
    if CONFLICT.match(line):
        findings.append(Finding(path, number, "a conflict marker"))
    if is_code(path):
        if len(line) > MAX_COLUMNS:
            findings.append(Finding(path, number, f"{len(line)} columns; at most {MAX_COLUMNS}"))
        if "\t" in line:
            findings.append(Finding(path, number, "a tab"))
        if line != line.rstrip():
            findings.append(Finding(path, number, "blanks at the end of the line"))
    return findings


def check(path: str, text: str) -> list[Finding]:
    if path.startswith("tests/lint/"):
        return []  # its snippets are the bad examples
    lines = text.split("\n")
    findings = [found for number, line in enumerate(lines, 1) for found in check_line(path, number, line)]
    if is_code(path) and text and not text.endswith("\n"):
        findings.append(Finding(path, len(lines), "no newline at the end of the file"))
    if path.endswith((".h", ".cpp")) and not path.startswith("tests/"):
        for number, line in enumerate(source_tree.without_comments(text, keep_strings=False).split("\n"), 1):
            if COUT.search(line):
                findings.append(Finding(path, number, "std::cout: use print() of launch/standard_streams.h"))
    if path.endswith(".h"):
        code = source_tree.without_comments(text, keep_strings=False)
        if "#pragma once" not in code:
            findings.append(Finding(path, 1, "no #pragma once"))
        if not path.startswith("tests/") and text.count("\n") > MAX_HEADER_LINES:
            findings.append(Finding(path, MAX_HEADER_LINES,
                                    f"{text.count(chr(10))} lines in a header; at most {MAX_HEADER_LINES}"))
        for number, line in enumerate(code.split("\n"), 1):
            if path != TENSOR_HEADER and USING_NAMESPACE.match(line):
                findings.append(Finding(path, number, "`using namespace` in a header"))
    return findings


def size_finding(path: str, size_bytes: int) -> list[Finding]:
    return [Finding(path, 1, f"{size_bytes} bytes; at most {MAX_BYTES}")] if size_bytes > MAX_BYTES else []


def main() -> None:
    findings = []
    files = source_tree.tracked_files()
    for file in files:
        findings += size_finding(file.as_posix(), (source_tree.ROOT / file).stat().st_size)
        text = source_tree.read_text(file)
        if text is not None:
            findings += check(file.as_posix(), text)
    sys.exit(source_tree.report("house", len(files), findings))


if __name__ == "__main__":
    main()
