"""Every key and option that a message or the documentation names is one that the program has.

    python tests/lint/named_keys.py --program build/release/bin/trireme

What there is comes from the program itself: `trireme VERB --help` lists the options of each verb and the keys of the
config files that it reads. Checked against it:

* prose in string literals of our own code (errors, warnings, help): `section.key` and `--option`;
* an option in a file that several verbs run through must be one of each of them, and a key one of each of their config
  files, or the advice is wrong in some;
* keys that problems.add() refuses, which are relative to their section;
* `section.key` and `--option` in docs/*.md and README.md, and the keys of their YAML blocks; in their code blocks, and in
  the comments of experiments/, the options and changed keys of each `trireme VERB` line, by that verb.
"""
import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys

import source_tree
from source_tree import Finding

# The key column of keys_help() and the option column of verb_help(): what is indented further continues a help text.
KEY_COLUMN = 26
OPTION_LINE = re.compile(r"^  (--[a-z][\w.-]*)(?:, (--no-[\w.-]+))?(?=[ \n]|$)")
KEY_LINE = re.compile(r"^( *)([a-z_][a-z_0-9]*)(\[\]|\.NAME)?(:?)(?= |$)")
VERB_LINE = re.compile(r"^  ([a-z]+) ")

OPTION = re.compile(r"(?<![\w-])(?<!unknown option )--[a-z](?:[\w.-]*\w)?(?![\w.-]*\{)")
KEY = re.compile(r"(?<![\w./<*-])(?<!unknown key )[a-z_][a-z_0-9]*(?:\.[a-z_0-9]+)+(?![\w/(*<-]|\.[\w*<{])")
EXAMPLES = {"section.key"}
FILE_SUFFIXES = {"json", "jsonl", "yaml", "h5", "pt", "txt", "tsv", "csv", "html", "safetensors", "md", "cpp", "h", "py",
                 "sh", "bin", "model", "png", "jpg", "jinja", "index", "tfevents", "hnsw", "so", "xmp", "sbatch", "tmp"}
# Dotted names of others: tensors and modules of checkpoints, keys of their JSON files, Python.
FOREIGN = re.compile(r"^(?:base_model\.|model\.(?:layers|language_model|visual|embed_tokens|norm)\b|visual\.|language_model\."
                     r"|lm_head\.|torch\.|rope_parameters\.|rope_scaling\.|text_config\.|vision_config\.|std\.|transformers\.|json\.dumps"
                     r"|events\.out|added_tokens\.|pre_tokenizer\.|post_processor\.)")

# Options of programs that are not ours.
OTHER_OPTIONS = {
    "--help", "--version", "--mca", "--bind-to", "--enable-recovery", "--oversubscribe",  # mpirun
    "--test-dir", "--list-presets", "--label-exclude", "--preset", "--build", "--target", "--parallel", "--install",  # CMake
    "--no-as-needed", "--no-deps", "--no-install-recommends", "--gtest_output", "--gtest_filter",
}
# Where our scripts declare theirs.
SCRIPT_OPTION = re.compile(r"""add_argument\(\s*["'](--[\w-]+)|^ +(?:-\w \| )?(--[a-z][\w-]*)(?:=\*)?\)""", re.MULTILINE)
FIELD = re.compile(r"""\bfield\(\s*"(\w+)\"""")

SHARED = ("train", "embed", "generate", "eval", "mine", "rerank")
# Which verbs run through a file, by the longest prefix that fits; all of SHARED where none does.
VERBS_OF_FILE = {
    "launch/": (), "core/": (), "losses/": ("train",), "trainers/": ("train",), "evaluation/": ("eval", "train"),
    "trainers/run_model": ("export",), "evaluation/validation": ("train",), "evaluation/rerank": ("eval",),
    "evaluation/eval_config": ("eval",), "data/sources/hard_negatives_file": (),
    "evaluation/run_eval": ("eval",), "evaluation/fit_fusion": ("eval",), "evaluation/references": ("eval",),
    "data/loader/": ("train",), "data/rerank/": ("train",), "data/sources/mbeir_source": ("train",),
    "data/sources/text_pairs": ("train",), "data/sources/image_views": ("train",), "data/sources/mined": ("train",),
    "data/sources/source_config": ("train",), "models/trainable": ("train",), "models/random_init": ("train",),
    "data/preparation/": ("prepare",), "data/benchmark/": ("prepare",), "models/export/": ("export",),
    "retrieval/search/search_files": ("search",), "retrieval/search/hnsw": ("search",),
    "retrieval/search/trec_writer": ("search", "rerank"), "retrieval/rerank/rerank_files": ("rerank",),
    "retrieval/rerank/reranked_run": ("rerank",), "answering/generate_records": ("generate",),
    "retrieval/embed.": ("embed",), "retrieval/mining/": ("mine",), "retrieval/report/": ("report",),
}


@dataclasses.dataclass
class Verb:
    options: set[str] = dataclasses.field(default_factory=set)
    keys: set[str] = dataclasses.field(default_factory=set)  # whole paths: "optim.peak_lr", and every section


def verb_of_help(text: str) -> Verb:
    verb = Verb()
    in_keys, stack = False, []
    for line in text.split("\n"):
        if line.startswith("Keys of CONFIG"):
            in_keys, stack = True, []
            continue
        if not in_keys:
            option = OPTION_LINE.match(line)
            if option:
                verb.options.update(name for name in option.groups() if name)
            continue
        key = KEY_LINE.match(line)
        if not key or len(key[1]) >= KEY_COLUMN or len(key[1]) % 2:
            continue
        depth = len(key[1]) // 2
        if depth > len(stack):
            continue
        stack[depth:] = [key[2]]
        verb.keys.add(".".join(stack))
    return verb


def run_help(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=True).stdout


def verbs_in(text: str) -> list[str]:
    return [line[1] for line in map(VERB_LINE.match, text.split("Verbs:", 1)[1].split("\n")) if line]


def read_verbs(program: str) -> dict[str, Verb]:
    verbs = {}
    for name in verbs_in(run_help(program)):
        if name == "bench":
            for bench in verbs_in(run_help(program, "bench")):
                text = run_help(program, "bench", bench)
                verbs[f"bench {bench}"] = verb_of_help(text)
                if "\n  CONFIG " in text:  # a recipe's file, whose keys train tells
                    verbs[f"bench {bench}"].keys = set(verbs["train"].keys)
        else:
            verbs[name] = verb_of_help(run_help(program, name))
    return verbs


class Known:
    def __init__(self, verbs: dict[str, Verb], others: set[str] = frozenset(), fields: set[str] = frozenset()):
        """others: options of scripts. fields: names of all fields that the sources describe."""
        self.verbs, self.others = verbs, OTHER_OPTIONS | others
        self.options = self.others.union(*(verb.options for verb in verbs.values()))
        self.keys = EXAMPLES.union(*(verb.keys for verb in verbs.values()))
        self.roots = {key.split(".")[0] for key in self.keys if any(k.startswith(key + ".") for k in self.keys)}
        self.relative = fields | {".".join(parts[i:]) for key in self.keys
                                  for parts in [key.split(".")] for i in range(len(parts))}

    def has_key(self, name: str) -> bool:
        return name in self.keys

    def near(self, name: str) -> str:
        last = name.split(".")[-1]
        found = sorted(key for key in self.keys if key.split(".")[-1] == last)
        return f"; there is {', '.join(found[:3])}" if found else ""


def is_file_or_foreign(name: str) -> bool:
    return name.split(".")[-1] in FILE_SUFFIXES or name.split(".")[-1].isdigit() or bool(FOREIGN.match(name))


def verbs_of(path: str, known: Known) -> tuple[str, ...]:
    fitting = [prefix for prefix in VERBS_OF_FILE if path.startswith(prefix)]
    own = pathlib.PurePath(path)
    if own.parts[0] == "launch" and own.stem in known.verbs:
        return (own.stem,)
    return VERBS_OF_FILE[max(fitting, key=len)] if fitting else SHARED


def check_source(path: str, text: str, known: Known) -> list[Finding]:
    """The prose in a file's literals; a literal without a blank is a name and not prose."""
    findings = []
    code = source_tree.without_comments(text, keep_strings=True)
    verbs = verbs_of(path, known)
    for match in source_tree.CPP_TOKEN.finditer(code):
        literal = match.group("string")
        if not literal or " " not in literal:
            continue
        line = source_tree.line_of(code, match.start())
        for option in OPTION.findall(literal):
            lacking = [verb for verb in verbs if option not in known.verbs[verb].options]
            if option not in known.options:
                findings.append(Finding(path, line, f"{option} is an option of no verb"))
            elif lacking and option not in known.others:
                findings.append(Finding(path, line, f"{option} is no option of {', '.join(lacking)}, which come here "
                                                    "too; name what is meant in words"))
        for name in KEY.findall(literal):
            if is_file_or_foreign(name):
                continue
            lacking = [verb for verb in verbs if known.verbs[verb].keys and name not in known.verbs[verb].keys | EXAMPLES]
            if not known.has_key(name):
                findings.append(Finding(path, line, f"{name} is no key of a config file{known.near(name)}"))
            elif lacking:
                findings.append(Finding(path, line, f"{name} is no key of {', '.join(lacking)}, which come here too; "
                                                    "name what is meant in words"))
    for match in re.finditer(r"\bproblems\.add\(\s*\"([\w.]+)\"", code):
        if match[1] not in known.relative:
            findings.append(Finding(path, source_tree.line_of(code, match.start()),
                                    f"{match[1]} is no key of a section{known.near(match[1])}"))
    return findings


COMMAND = re.compile(r"(?:^|[\s/])trireme (?P<verb>[a-z]+)(?P<rest>[^\n`|#]*)")


def check_commands(path: str, text: str, known: Known) -> list[Finding]:
    """`trireme VERB --option .. section.key=value` by that verb; continued lines are one."""
    findings = []
    joined = re.sub(r"\\\n(?:#? *)", lambda match: " " * len(match.group(0)), text)
    for match in COMMAND.finditer(joined):
        verb, rest = match["verb"], match["rest"]
        if verb == "bench":
            bench = re.match(r" ([a-z]+)", rest)
            verb = f"bench {bench[1]}" if bench else verb
        if verb not in known.verbs:
            continue  # a sentence about the program; the verbs themselves are told by an unknown one's options
        line = source_tree.line_of(joined, match.start("verb"))
        for option in OPTION.findall(rest):
            if option not in known.verbs[verb].options | {"--help"}:
                findings.append(Finding(path, line, f"{option} is no option of trireme {verb}"))
        for key in re.findall(r"""(?<=[\s"'])([a-z_][\w.]*)=""", rest):
            if not known.verbs[verb].keys:
                findings.append(Finding(path, line, f"{key}=: trireme {verb} reads no config file"))
            elif key not in known.verbs[verb].keys:
                findings.append(Finding(path, line, f"{key} is no key of trireme {verb}'s file{known.near(key)}"))
    return findings


YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
YAML_KEY = re.compile(r"^( *(?:- )*)([\w.@-]+):(?= |$)(.*)$")
FLOW = re.compile(r"[{}]|([\w.@-]+):(?= )")


def yaml_keys(block: str) -> list[tuple[int, str]]:
    """(line, from 0, and path) of every key in a block, places in lists left out: `sources: [..]` holds sources.files."""
    found, stack = [], []  # of (indent, path)
    for number, line in enumerate(block.split("\n")):
        line = re.sub(r"(?:^|\s)#.*", "", line).rstrip()
        key = YAML_KEY.match(line)
        if not key:
            continue
        indent = len(key[1])
        while stack and stack[-1][0] >= indent:
            stack.pop()
        path = f"{stack[-1][1]}.{key[2]}" if stack else key[2]
        stack.append((indent, path))
        found.append((number, path))
        open_maps, last = [], path
        for flow in FLOW.finditer(key[3]):
            if flow.group(0) == "{":
                open_maps.append(last)
            elif flow.group(0) == "}":
                open_maps.pop()
            elif open_maps:
                last = f"{open_maps[-1]}.{flow[1]}"
                found.append((number, last))
    return found


def check_yaml(path: str, text: str, known: Known) -> list[Finding]:
    """Blocks that begin with a section of a config file; below a key without keys of its own all names are free."""
    findings = []
    for match in YAML_BLOCK.finditer(text):
        keys = yaml_keys(match[1])
        if not keys or keys[0][1] not in known.roots:
            continue
        for number, name in keys:
            parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
            is_free = any(parent in known.keys and not any(key.startswith(parent + ".") for key in known.keys)
                          for parent in parents)
            if not is_free and not known.has_key(name):
                findings.append(Finding(path, source_tree.line_of(text, match.start(1)) + number,
                                        f"{name} is no key of a config file{known.near(name)}"))
    return findings


def check_document(path: str, text: str, known: Known) -> list[Finding]:
    findings = check_commands(path, text, known) + check_yaml(path, text, known)
    told = {finding.line for finding in findings}

    def add(match: re.Match, says: str) -> None:
        line = source_tree.line_of(text, match.start())
        if line not in told:
            findings.append(Finding(path, line, says))

    for match in OPTION.finditer(text):
        if match.group(0) not in known.options:
            add(match, f"{match.group(0)} is an option of no verb")
    for match in KEY.finditer(text):
        name = match.group(0)
        if name.split(".")[0] in known.roots and not is_file_or_foreign(name) and not known.has_key(name):
            add(match, f"{name} is no key of a config file{known.near(name)}")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    options, fields = set(), set()
    for path in source_tree.tracked_files():
        text = source_tree.read_text(path) or ""
        if path.suffix in (".py", ".sh"):
            options.update(name for pair in SCRIPT_OPTION.findall(text) for name in pair if name)
        elif path.suffix in source_tree.CPP_SUFFIXES and path.parts[0] != "tests":
            fields.update(FIELD.findall(text))
    known = Known(read_verbs(parser.parse_args().program), options, fields)
    if any(not known.verbs[verb].options for verb in SHARED) or not all(known.verbs[v].keys for v in ("train", "eval")):
        sys.exit(f"named_keys: --help must tell keys and options; got {len(known.keys)} keys; see verb_of_help()")
    findings, files_read = [], 0
    for path in source_tree.tracked_files():
        name, ring = path.as_posix(), path.parts[0]
        text = source_tree.read_text(path)
        if text is None:
            continue
        if path.suffix in source_tree.CPP_SUFFIXES and ring in ("core", "data", "models", "losses", "answering",
                                                                "retrieval", "evaluation", "trainers", "launch"):
            findings += check_source(name, text, known)
        elif ring == "docs" or name == "README.md":
            findings += check_document(name, text, known)
        elif ring == "experiments" and path.suffix == ".yaml" or path.suffix in (".sh", ".sbatch"):
            findings += check_commands(name, text, known)
        else:
            continue
        files_read += 1
    sys.exit(source_tree.report("named_keys", files_read, findings))


if __name__ == "__main__":
    main()
