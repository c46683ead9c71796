#!/usr/bin/env python3
"""Compiles every public header by itself: what a header needs, it includes.

The build directory's own commands for the target all_verify_interface_header_sets are run, for their diagnostics alone.
Headers that bring core/tensor.h find it compiled beforehand; what libtorch brings is no part of the question.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TENSOR = "core/tensor.h"
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def brings_tensor(header: str, seen: set[str]) -> bool:
    if header == TENSOR:
        return True
    if header in seen or not (ROOT / header).exists():
        return False
    seen.add(header)
    return any(brings_tensor(name, seen) for name in INCLUDE.findall((ROOT / header).read_text(encoding="utf-8")))


def command_of(entry: dict[str, str], output: str) -> list[str]:
    command = shlex.split(entry["command"])
    command[command.index("-o") + 1] = output
    return command


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    build = parser.parse_args().build
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        if (found := re.search(r"_verify_interface_header_sets/(.*)\.cxx$", entry["file"])) is not None:
            entries[found[1]] = entry
    if not entries:
        sys.exit(f"headers_alone: {build} must be configured; got no command for a header; run cmake --preset release.")
    with tempfile.TemporaryDirectory() as folder:
        compiled = pathlib.Path(folder) / "tensor.h"
        compiled.write_text(f'#include "{ROOT / TENSOR}"\n', encoding="utf-8")
        maker = next(entry for entry in entries.values() if "torch_include" in entry["command"])
        command = command_of(maker, f"{compiled}.gch")
        command[-1:] = ["-x", "c++-header", str(compiled)]
        subprocess.run(command, cwd=maker["directory"], check=True)

        def compiles(header: str) -> bool:
            command = [*command_of(entries[header], os.devnull), "-fsyntax-only"]
            if header != TENSOR and brings_tensor(header, set()):
                command += ["-include", str(compiled)]
            return subprocess.run(command, cwd=entries[header]["directory"], check=False).returncode == 0

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            failed = [header for header, good in zip(entries, pool.map(compiles, entries)) if not good]
    print(f"headers_alone: {len(entries)} headers, {len(failed)} that do not compile by themselves", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
