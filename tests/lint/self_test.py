"""Every lint finds the offences it exists for, and lets right code through."""
import pathlib
import shutil
import tempfile
import unittest

import error_text
import format as format_lint
import house
import no_machine_paths
import one_definition
import rings
import source_tree


def texts(findings) -> list[str]:
    return [str(finding) for finding in findings]


class Rings(unittest.TestCase):
    def test_each_ring_includes_inwards_only(self):
        for path, included in (("core/a.h", "data/b.h"), ("data/a.cpp", "models/b.h"), ("models/a.h", "losses/b.h"),
                               ("losses/a.cpp", "data/b.h"), ("retrieval/a.cpp", "trainers/b.h"),
                               ("trainers/a.cpp", "launch/b.h"), ("core/io/a.cpp", "launch/b.h")):
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
            self.assertEqual(rings.check("core/dist/mpi.cpp", line), [])
            for path in ("core/dist/mpi.h", "core/io/a.cpp", "launch/main.cpp"):
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
