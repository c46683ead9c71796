"""Who may include whom: core <- {data, models, losses} <- answering <- retrieval <- evaluation <-
trainers <- launch.

Each line printed names the file, the include and the set that would have been allowed. Checked too: only core/distributed/*.cpp
sees MPI or NCCL headers, only launch/ reads the environment, headers take libtorch from core/tensor.h, and nothing
includes torch/torch.h, torch/types.h or another header that brings every operator.
"""
import re

import source_tree
from source_tree import Finding

ALLOWED = {
    "core": ("core",),
    "data": ("core", "data"),
    "models": ("core", "models"),
    "losses": ("core", "losses"),
    "answering": ("core", "data", "models", "losses", "answering"),
    "retrieval": ("core", "data", "models", "losses", "answering", "retrieval"),
    "evaluation": ("core", "data", "models", "losses", "answering", "retrieval", "evaluation"),
    "trainers": ("core", "data", "models", "losses", "answering", "retrieval", "evaluation", "trainers"),
    "launch": ("core", "data", "models", "losses", "answering", "retrieval", "evaluation", "trainers", "launch"),
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
ENVIRONMENT = re.compile(r"\b(?:secure_)?getenv\b|\benviron\b|\b(?:un|put|set)?(?:setenv|putenv)\b")
EVERY_OPERATOR = ("torch/torch.h", "torch/all.h", "torch/types.h", "ATen/ATen.h", "ATen/Functions.h")
RANK_HEADER = re.compile(r"^(?:.*/)?(?:mpi|mpi-ext|mpio|nccl|nccl_\w+)\.h$")


def check(path: str, text: str) -> list[Finding]:
    ring = path.split("/")[0]
    if ring not in ALLOWED:
        return []
    findings = []
    is_header = path.endswith((".h", ".cuh"))
    in_dist_source = path.startswith("core/distributed/") and not is_header
    code = source_tree.without_comments(text, keep_strings=True)
    for match in INCLUDE.finditer(code):
        quoted, angled = match.groups()
        included = quoted or angled
        line = source_tree.line_of(code, match.start())

        def found(rule: str) -> None:
            findings.append(Finding(path, line, f'#include "{included}" in {ring}/: {rule}'))

        if RANK_HEADER.match(included):
            if not in_dist_source:
                found("allowed only in core/distributed/*.cpp")
        elif quoted and included.split("/")[0] not in ALLOWED[ring]:
            # A path relative to the file, or a folder that is no ring, lands here as well.
            found(f"allowed: {', '.join(folder + '/' for folder in ALLOWED[ring])} by their path from the root")
        elif angled and included.split("/")[0] in ALLOWED:
            found("write our own headers in quotes")
        elif included in EVERY_OPERATOR:
            found("allowed: core/tensor.h in headers, <ATen/ops/...> in sources")
        elif is_header and included.startswith(("torch/", "ATen/ops/")):
            found("allowed in a header: core/tensor.h")
    if ring != "launch":
        bare = source_tree.without_comments(text, keep_strings=False)
        for match in ENVIRONMENT.finditer(bare):
            line = source_tree.line_of(bare, match.start())
            findings.append(Finding(path, line, f"{match.group(0)} in {ring}/: only launch/ reads the environment"))
    return findings


if __name__ == "__main__":
    source_tree.run("rings", source_tree.cpp_files(), check)
