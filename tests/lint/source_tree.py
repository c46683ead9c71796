"""What the lints share: which files belong to the project, C++ text without comments, findings and the exit status."""
import dataclasses
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterable

ROOT = pathlib.Path(__file__).resolve().parents[2]
CPP_SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}

# One alternative per lexical form in which a quote or a slash does not mean what it seems to mean.
CPP_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<raw>R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)")
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<char>(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE)


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def files_below(folder: pathlib.Path) -> Iterable[pathlib.Path]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in {".git", ".venv", ".venv-peer", "build", "__pycache__"}:
                yield from files_below(entry)
        else:
            yield entry.relative_to(ROOT)


def tracked_files() -> list[pathlib.Path]:
    """Relative paths of the files under version control that exist; without git (a release archive), of all files."""
    try:
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
        names = [pathlib.Path(name) for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = list(files_below(ROOT))
    return sorted(name for name in names if (ROOT / name).is_file() and not (ROOT / name).is_symlink())


def cpp_files() -> list[pathlib.Path]:
    return [path for path in tracked_files() if path.suffix in CPP_SUFFIXES]


def read_text(path: pathlib.Path) -> str | None:
    """The file's text; None for a binary file."""
    data = (ROOT / path).read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def without_comments(text: str, keep_strings: bool) -> str:
    """C++ text with comments blanked (and the insides of literals unless keep_strings); offsets and lines stay."""

    def blank(match: re.Match) -> str:
        found = match.group(0)
        if match.group("comment"):
            return re.sub(r"[^\n]", " ", found)
        return found if keep_strings else found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    return CPP_TOKEN.sub(blank, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def report(name: str, files_read: int, findings: Iterable[Finding]) -> int:
    """Prints the findings and a closing line; returns the exit status. Reading no file at all is a failure too."""
    findings = list(findings)
    for finding in findings:
        print(finding)
    print(f"{name}: {files_read} files read, {len(findings)} findings")
    return 1 if findings or not files_read else 0


def run(name: str, files: list[pathlib.Path], check: Callable[[str, str], Iterable[Finding]]) -> None:
    """Applies check(path, text) to every text file and leaves the process with report()'s status."""
    findings, files_read = [], 0
    for path in files:
        text = read_text(path)
        if text is not None:
            findings += check(path.as_posix(), text)
            files_read += 1
    sys.exit(report(name, files_read, findings))
