"""Lets Python import the CUDA build of torch without the 3 GB of CUDA libraries that it is linked to.

    python tests/peer/cuda_stand_ins.py FOLDER        (run by tests/peer/setup.sh)

libtorch_python.so needs libtorch_cuda.so, and that cuBLAS, cuDNN, NCCL and more; on a CPU none of their functions is
ever called. For each of these libraries that the loader does not find, FOLDER gets one of the same name that defines
the functions asked for, with their symbol versions, and stops the process if one is called after all. Printed is the
line of Python (of a .pth file) that loads them; after it torch can be imported. Needs gcc, ldd, nm and readelf.
"""
import importlib.util
import pathlib
import re
import subprocess
import sys

NEEDED_VERSIONS = re.compile(r"Version: \d+ +File: (\S+)|Name: (\S+) +Flags:")


def output_of(*command: str | pathlib.Path) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def undefined_symbols(library: pathlib.Path) -> list[tuple[str, str]]:
    """(name, version or "") of the functions and data that the library expects from others."""
    listed = output_of("nm", "-D", "--undefined-only", "--with-symbol-versions", library)
    rows = (row.split() for row in listed.splitlines())
    return [tuple((fields[1].replace("@@", "@") + "@").split("@")[:2]) for fields in rows if fields[0] == "U"]


def defined_symbols(library: pathlib.Path) -> set[str]:
    return {row.split()[-1].split("@")[0] for row in output_of("nm", "-D", "--defined-only", library).splitlines()}


def versions_by_file(library: pathlib.Path) -> dict[str, set[str]]:
    """What the library says about the symbol versions that it expects of each file."""
    versions, file = {}, ""
    for match in NEEDED_VERSIONS.finditer(output_of("readelf", "-VW", library)):
        if match.group(1):
            file = match.group(1)
        elif file:
            versions.setdefault(file, set()).add(match.group(2))
    return versions


def build(path: pathlib.Path, plain: set[str], versioned: dict[str, set[str]]) -> None:
    names = sorted(plain.union(*versioned.values()))
    source, script = path.with_suffix(".c"), path.with_suffix(".map")
    source.write_text("".join(f"void {name}(void) {{ __builtin_trap(); }}\n" for name in names))
    script.write_text("".join(f"{version} {{ global: {'; '.join(sorted(symbols)) or 'none'}; }};\n"
                              for version, symbols in sorted(versioned.items())))
    options = [f"-Wl,--version-script={script}"] if versioned else []
    output_of("gcc", "-shared", "-fPIC", "-w", "-nostdlib", f"-Wl,-soname,{path.name}", *options, "-o", path, source)
    source.unlink()
    script.unlink()


def main() -> None:
    folder = pathlib.Path(sys.argv[1]).resolve()
    spec = importlib.util.find_spec("torch")
    if spec is None:
        sys.exit("error: [cuda_stand_ins] torch must be installed; it is not; run bash launch/setup.sh")
    libraries = pathlib.Path(spec.origin).parent / "lib"
    resolved, missing = {}, set()
    for row in output_of("ldd", libraries / "libtorch_python.so").splitlines():
        name, _, target = row.strip().partition(" => ")
        if target == "not found":
            missing.add(name)
        elif target.startswith("/"):
            resolved[name] = pathlib.Path(target.split(" (")[0])
    ours = [libraries / "libtorch_python.so"] + [path for path in resolved.values() if path.parent.samefile(libraries)]
    needs = [need for library in ours for need in undefined_symbols(library)]
    defined = set().union(*(defined_symbols(library) for library in [*ours, *resolved.values()]))
    # Without a version nothing says which library has a symbol, so each stand-in gets all of these.
    plain = {name for name, version in needs if not version} - defined
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    made = []
    for name in sorted(missing):
        versions = set().union(*(versions_by_file(library).get(name, set()) for library in ours))
        versioned = {version: {symbol for symbol, its in needs if its == version} for version in versions}
        build(folder / name, plain, versioned)
        made.append(str(folder / name))
    print(f"import ctypes; list(map(ctypes.CDLL, {made}))")


if __name__ == "__main__":
    main()
