"""Every lint finds the offences it exists for, and lets right code through."""
import pathlib
import shutil
import tempfile
import unittest

import error_text
import format as format_lint
import house
import named_keys
import no_machine_paths
import one_definition
import rings
import source_tree


def texts(findings) -> list[str]:
    return [str(finding) for finding in findings]


class Rings(unittest.TestCase):
    def test_each_ring_includes_inwards_only(self):
        for path, included in (("core/a.h", "data/b.h"), ("data/a.cpp", "models/b.h"), ("models/a.h", "losses/b.h"),
                               ("losses/a.cpp", "data/b.h"), ("answering/a.cpp", "retrieval/b.h"),
                               ("retrieval/a.cpp", "trainers/b.h"), ("trainers/a.cpp", "launch/b.h"),
                               ("core/io/a.cpp", "launch/b.h")):
            found = texts(rings.check(path, f'#pragma once\n#include "{included}"\n'))
            self.assertEqual(len(found), 1, (path, included))
            self.assertTrue(found[0].startswith(f'{path}:2: #include "{included}"'), found)
            self.assertIn("allowed: core/", found[0])

    def test_inward_includes_pass(self):
        for path, included in (("core/a.h", "core/b.h"), ("data/a.cpp", "core/b.h"), ("retrieval/a.cpp", "losses/b.h"),
                               ("trainers/a.cpp", "retrieval/b.h"), ("launch/a.cpp", "trainers/b.h")):
            self.assertEqual(rings.check(path, f'#include "{included}"\n'), [])

    def test_relative_angled_and_spaced_includes_are_seen(self):
        for line in ('#include "../data/b.h"', '#include "b.h"', "#include <data/b.h>", '  #  include "data/b.h"'):
            self.assertEqual(len(rings.check("core/io/a.cpp", line + "\n")), 1, line)

    def test_only_dist_sources_see_mpi_and_nccl(self):
        for header in ("<mpi.h>", '"mpi.h"', "<nccl.h>"):
            line = f"#include {header}\n"
            self.assertEqual(rings.check("core/distributed/mpi.cpp", line), [])
            for path in ("core/distributed/mpi.h", "core/io/a.cpp", "launch/main.cpp"):
                self.assertEqual(len(rings.check(path, line)), 1, (path, header))

    def test_only_launch_reads_the_environment(self):
        line = 'const char* home = std::getenv("HOME");\n'
        self.assertEqual(rings.check("launch/main.cpp", line), [])
        self.assertEqual(texts(rings.check("core/a.cpp", "\n" + line)),
                         ["core/a.cpp:2: getenv in core/: only launch/ reads the environment"])

    def test_headers_take_libtorch_from_core_tensor(self):
        self.assertEqual(rings.check("models/a.h", '#include <ATen/core/ivalue.h>\n\n#include "core/tensor.h"\n'), [])
        self.assertEqual(rings.check("models/a.cpp", "#include <ATen/ops/cat.h>\n"), [])
        self.assertEqual(rings.check("models/a.cpp", "#include <torch/csrc/autograd/custom_function.h>\n"), [])
        for path, included in (("models/a.h", "torch/torch.h"), ("models/a.cpp", "torch/torch.h"),
                               ("models/a.h", "torch/nn.h"), ("models/a.h", "torch/types.h"),
                               ("models/a.h", "ATen/ops/cat.h"), ("models/a.cpp", "ATen/Functions.h")):
            self.assertEqual(len(rings.check(path, f"#include <{included}>\n")), 1, (path, included))

    def test_comments_and_strings_are_not_code(self):
        self.assertEqual(rings.check("core/a.cpp", '// #include "data/b.h"\n/* getenv\n#include "data/c.h" */\n'
                                                   'auto s = "getenv";\nauto r = R"(getenv)";\n'), [])


class ErrorText(unittest.TestCase):
    def found(self, code: str) -> list[str]:
        return texts(error_text.check("core/a.cpp", code))

    def test_three_parts_pass(self):
        self.assertEqual(self.found(
            'TRIREME_CHECK(f(a, b) < 3, DataError, where, "x must be at most 3; got {}; "\n'
            '              "lower it.", x);\n'
            'throw DataError(where, fmt::format("a; got {}; do {}.", x, y));\n'), [])

    def test_a_missing_part_is_found_with_its_line(self):
        for message in ("x is wrong.", "x must be 3; got {}", "x must be 3, got {}; lower it.", "x; got {};"):
            found = self.found(f'\nTRIREME_CHECK(x == 3, DataError, "here", "{message}", x);\n')
            self.assertEqual(len(found), 1, message)
            self.assertTrue(found[0].startswith("core/a.cpp:2: "), found)

    def test_a_throw_is_read_too(self):
        self.assertEqual(len(self.found('throw ConfigError("here", "no");\n')), 1)
        self.assertEqual(len(self.found('throw ConfigError("here", fmt::format("no {}", 1));\n')), 1)

    def test_commas_and_parentheses_in_literals_do_not_split(self):
        self.assertEqual(self.found(
            """TRIREME_CHECK(c != ',' && s != "),(" && v[g(1, 2)] == T{1, 2}, DataError, fmt::format("{}, {}", a, b), /* ;, */\n"""
            """              "a must not be ','; got \\"{}\\"; quote it.", s);\n"""), [])

    def test_a_message_that_is_no_literal_is_found(self):
        self.assertEqual(len(self.found("TRIREME_CHECK(ok, DataError, where, message);\n")), 1)
        self.assertEqual(len(self.found("TRIREME_CHECK(ok, DataError, where);\n")), 1)

    def test_the_macro_s_own_definition_and_comments_pass(self):
        self.assertEqual(self.found("#define TRIREME_CHECK(condition, Kind, where, ...) do_it\n"
                                    '/// TRIREME_CHECK(ok, DataError, "x", "bad");\n'), [])


class House(unittest.TestCase):
    def count(self, path: str, text: str) -> int:
        return len(house.check(path, text))

    def test_marks_need_an_issue_number(self):
        self.assertEqual(self.count("docs/a.md", "TODO: later\n"), 1)
        self.assertEqual(self.count("core/a.cpp", "// FIXME later\n"), 1)
        self.assertEqual(self.count("core/a.cpp", "// TODO(#12): later\n"), 0)

    def test_lines_are_measured(self):
        self.assertEqual(self.count("core/a.cpp", "x" * 120 + "\n"), 0)
        for bad in ("x" * 121 + "\n", "\tx\n", "x \n", "x"):
            self.assertEqual(self.count("core/a.cpp", bad), 1, repr(bad[:5]))
        self.assertEqual(self.count("docs/a.md", "x" * 200 + "\n"), 0)

    def test_headers_are_interfaces(self):
        self.assertEqual(self.count("core/a.h", "#pragma once\n"), 0)
        self.assertEqual(self.count("core/a.h", "int x;\n"), 1)
        self.assertEqual(self.count("core/a.h", "#pragma once\nusing namespace std;\n"), 1)
        self.assertEqual(self.count("core/a.h", "#pragma once\n" + "int x;\n" * 200), 1)

    def test_standard_output_has_one_way(self):
        self.assertEqual(self.count("launch/a.cpp", "std::cout << 1;\n"), 1)
        self.assertEqual(self.count("launch/a.cpp", "// std::cout\nstd::cerr << 1;\n"), 0)
        self.assertEqual(self.count("tests/a.cpp", "std::cout << 1;\n"), 0)

    def test_conflict_markers_and_large_files_are_found(self):
        self.assertEqual(self.count("docs/a.md", "<<<<<<< HEAD\n"), 1)
        self.assertEqual(len(house.size_finding("a.bin", 3 * 1024 * 1024)), 1)
        self.assertEqual(len(house.size_finding("a.bin", 2 * 1024 * 1024)), 0)


class NoMachinePaths(unittest.TestCase):
    def test_folders_hosts_and_mirrors_are_found(self):
        for line in ("see /work/x.md", "PATH=/home/ann/bin", "pip install --index-url x", "https://pypi.org/simple"):
            self.assertEqual(len(no_machine_paths.check("docs/a.md", f"fine\n{line}\n")), 1, line)

    def test_words_that_only_look_alike_pass(self):
        for line in ("network/work/", "$HOME/work/x", "build/release/bin", "/usr/local/cuda/bin", "../work/"):
            self.assertEqual(no_machine_paths.check("docs/a.md", line), [], line)


class Format(unittest.TestCase):
    def test_a_badly_laid_out_file_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(source_tree.ROOT / ".clang-format", folder)
            pathlib.Path(folder, "good.cpp").write_text("int f() { return 1; }\n")
            pathlib.Path(folder, "bad.cpp").write_text("int f( ){return 1;}\n")
            self.assertEqual(format_lint.check_files(["good.cpp"], folder), [])
            found = texts(format_lint.check_files(["good.cpp", "bad.cpp"], folder))
            self.assertEqual(found, ["bad.cpp:1: run clang-format-14 -i bad.cpp"])


class OneDefinition(unittest.TestCase):
    def names(self, text: str) -> list[str]:
        return [one.name for one in one_definition.definitions("core/a.h", text)]

    def found(self, *texts_of_files: str) -> list[str]:
        return texts(one_definition.twice(
            one for number, text in enumerate(texts_of_files, 1)
            for one in one_definition.definitions(f"core/{number}.cpp", text)))

    def test_every_kind_of_type_counts_under_its_whole_name(self):
        for text, names in (
                ("namespace a { struct S { int x = 1; }; }", ["a::S"]),
                ("namespace a::b {\nclass S final : public T {\n public:\n  enum class E : int { k };\n};\n}",
                 ["a::b::S", "a::b::S::E"]),
                ("namespace a { inline namespace b { union U { int x; }; } enum E { k }; }", ["a::b::U", "a::E"]),
                ("template <class T, int n = (1 > 0)>\nstruct [[nodiscard]] alignas(16) S {};", ["S"]),
                ("template <typename T>\n  requires std::integral<T>\nclass S {};", ["S"]),
                ("using A = int;\ntypedef std::vector<int> B;\ntemplate <class T> using C = T;", ["A", "B", "C"]),
                ('extern "C" {\nstruct S {};\n}', ["S"]),
                ("#define OPEN {\nstruct S : T<sizeof(int)> { S() : x{1} {} int x; };\nstruct U {};", ["S", "U"])):
            self.assertEqual(self.names(text), names, text)

    def test_what_other_files_cannot_name_is_free(self):
        for text in ("namespace a { namespace { struct S {}; enum E { k }; using A = int; } }",
                     "void f() { struct S {}; using A = int; if (x) { class T {}; } }",
                     "auto f = [] { struct S {}; return 1; };", "struct S;\nclass T;\nenum class E : int;",
                     "template <>\nstruct S<int> { using type = int; };", "struct tm now() { return {}; }",
                     "template <class T>\nvoid f(T x) { g(x); }", "// struct S {};\nauto s = \"struct S {};\";",
                     "const std::map<int, int> kMap = {{1, 2}};", "using std::string;\nusing enum E;"):
            self.assertEqual(self.names(text), [], text)

    def test_a_name_given_twice_is_found(self):
        self.assertEqual(
            self.found("namespace t {\nstruct S {};\n}", "namespace t {\n\nclass S { int x; };\n}"),
            ["core/2.cpp:3: t::S is defined in core/1.cpp:2 too; rename one of them, or put a type that only this file "
             "needs into an unnamed namespace"])
        for first, second in (("struct S {};", "enum S { k };"), ("struct S {};", "using S = int;"),
                              ("using S = int;", "using S = long;"), ("struct A { struct I {}; };", "struct A::I {};"),
                              ("namespace a::b { struct S {}; }", "namespace a { namespace b { struct S {}; } }"),
                              ("struct S {}; struct S {};", "")):
            self.assertEqual(len(self.found(first, second)), 1, (first, second))

    def test_different_names_and_equal_aliases_pass(self):
        for first, second in (("namespace a { struct S {}; }", "namespace b { struct S {}; }"),
                              ("namespace { struct S {}; }", "struct S {};"), ("using S = int;", "using S =  int;"),
                              ("struct A { struct I; };", "struct A::I {};"),
                              ("struct A { struct I {}; };", "struct B { struct I {}; };"),
                              ("template <class T> struct S {};", "template <> struct S<int> {};")):
            self.assertEqual(self.found(first, second), [], (first, second))


class NamedKeys(unittest.TestCase):
    HELP = """Usage: trireme train [OPTIONS] CONFIG

Options:
  --threads N                 Compute threads, --no such thing as this line's
                              --continuation either. [integer]
  --verify, --no-verify       Compare. [flag]
  --hnsw.ef-search N
                              Long. [integer]
  -h, --help                  Print this and exit.

Keys of CONFIG under recipe: lamra_ret:

seed                      Batches follow from it. [integer]
optim:                    Optimiser.
  peak_lr                 Learning rate. [number]
data:                     Data.
  sources                 Sources. [list]
  sources[]:              each of them:
    allow_missing_positives
                          Allow. [flag]
"""

    def known(self) -> named_keys.Known:
        train = named_keys.verb_of_help(self.HELP)
        verbs = {verb: train for verb in named_keys.SHARED}
        verbs["search"] = named_keys.Verb({"--k", "--index", "--threads", "--trec"}, set())
        verbs["rerank"] = named_keys.Verb({"--k", "--trec"}, set())
        return named_keys.Known(verbs, {"--cuda"})

    def test_help_is_read(self):
        train = named_keys.verb_of_help(self.HELP)
        self.assertEqual(train.options, {"--threads", "--verify", "--no-verify", "--hnsw.ef-search"})
        self.assertEqual(train.keys, {"seed", "optim", "optim.peak_lr", "data", "data.sources",
                                      "data.sources.allow_missing_positives"})
        self.assertEqual(named_keys.verbs_in("Usage\n\nVerbs:\n  train       A recipe.\n  embed       It.\n\nx"),
                         ["train", "embed"])

    def found(self, path: str, code: str) -> list[str]:
        return texts(named_keys.check_source(path, code, self.known()))

    def test_messages_name_what_there_is(self):
        for code in ('f("lower optim.peak_lr and data.sources");', 'f("see model.safetensors of model.layers.0.mlp");',
                     'random_stream(seed, "optim.no_such_key");', 'problems.add("peak_lr", "must be positive");',
                     'f("bash launch/setup.sh --cuda");', "// say optim.peek_lr and --peek\n"):
            self.assertEqual(self.found("trainers/a.cpp", code), [], code)
        self.assertEqual(self.found("retrieval/search/search_files.cpp", 'f("lower --k.");'), [])

    def test_messages_that_name_nothing_are_found(self):
        for code, says in (('f("lower optim.peek_lr");', "optim.peek_lr is no key"),
                           ('f("set other.peak_lr");', "there is optim.peak_lr"),
                           ('f("give --recrods FILE");', "--recrods is an option of no verb"),
                           ('problems.add("peek_lr", "must be positive");', "peek_lr is no key")):
            found = self.found("trainers/a.cpp", "\n" + code)
            self.assertEqual(len(found), 1, code)
            self.assertIn(says, found[0])
            self.assertTrue(found[0].startswith("trainers/a.cpp:2: "), found)

    def test_an_option_of_one_verb_is_no_advice_to_others(self):
        found = self.found("retrieval/search/search.cpp", 'f("k is too large; lower --k.");')
        self.assertEqual(len(found), 1)
        self.assertIn("--k is no option of train", found[0])
        self.assertEqual(len(self.found("retrieval/search/trec_writer.cpp", 'f("leave --index out");')), 1)

    def test_a_key_of_one_file_is_no_advice_to_the_verbs_of_others(self):
        known = self.known()
        known.verbs["eval"] = named_keys.Verb(set(), {"metrics", "metrics.depth"})
        known.keys |= known.verbs["eval"].keys
        for name, lacks in (("metrics.depth", "train"), ("optim.peak_lr", "eval")):
            found = texts(named_keys.check_source("evaluation/a.cpp", f'f("raise {name}");', known))
            self.assertEqual(len(found), 1, name)
            self.assertIn(f"is no key of {lacks}, which come here", found[0])

    def test_blocks_of_yaml_are_read(self):
        def found(block: str) -> list[str]:
            return texts(named_keys.check_document("docs/a.md", f"x\n```yaml\n{block}\n```\n", self.known()))

        for block in ("optim: {peak_lr: 1e-4}   # a comment: with one", "format: other\nkeys: {of: another}",
                      "data:\n  sources:\n    - allow_missing_positives: true\noptim:\n  peak_lr: 1",
                      "data:\n  sources: [{allow_missing_positives: true}]", "optim:\n  peak_lr: {free: 1, names: 2}"):
            self.assertEqual(found(block), [], block)
        for block in ("optim: {peek_lr: 1e-4}", "data:\n  sources:\n    - allow: true", "data:\n  source: 1",
                      "data:\n  sources: [{allow_missing_positives: true, allow: 1}]", "data: {}\nother: 1"):
            self.assertEqual(len(found(block)), 1, block)
        self.assertTrue(found("data: {}\nother: 1")[0].startswith("docs/a.md:4: other"))

    def test_documents_and_their_commands_are_read(self):
        def found(text: str) -> list[str]:
            return texts(named_keys.check_document("docs/a.md", text, self.known()))

        for text in ("`optim.peak_lr`, `loader.next()`, model.safetensors, `data/sources`, data.h",
                     "```\ntrireme train x.yaml optim.peak_lr=1 \\\n  --threads 2 seed=3\n```",
                     "mpirun --bind-to none trireme search --k 5   # and --verify", "trireme reads optim.peak_lr=1"):
            self.assertEqual(found(text), [], text)
        for text in ("`optim.peek_lr`", "see `--recrods`", "trireme train x.yaml optim.peek=1",
                     "trireme train x.yaml --k 5", "trireme search --k 5 optim.peak_lr=1",
                     "trireme search --threads 1 \\\n  --verify"):
            self.assertEqual(len(found("\n" + text)), 1, text)
            self.assertTrue(found("\n" + text)[0].startswith("docs/a.md:2: ") or "\\" in text, text)


class SourceTree(unittest.TestCase):
    def test_blanking_keeps_lines_and_offsets(self):
        text = "int a; // x\n/* y\n */ char c = '\"'; auto n = 1'000; auto s = R\"t(\")t\";\n"
        for keep_strings in (True, False):
            blanked = source_tree.without_comments(text, keep_strings)
            self.assertEqual(len(blanked), len(text))
            self.assertEqual(blanked.count("\n"), text.count("\n"))
            self.assertIn("auto n = 1'000;", blanked)
            self.assertNotIn("x", blanked)

    def test_reading_nothing_is_a_failure(self):
        self.assertEqual(source_tree.report("empty", 0, []), 1)


if __name__ == "__main__":
    unittest.main()
