"""No type name twice in a namespace: two types of one name are one symbol to the linker, whichever headers meet.

Their inline members and destructors are then merged, and one of them runs on the other's bytes, without a word from
the compiler. Counted is every struct, class, union, enum, alias and typedef at namespace scope, nested ones by their
whole name, in all files together. Free are types of an unnamed namespace or of a function (each file has its own),
specialisations, and an alias written twice in the same words. A class whose members are defined in another file is
defined once: forward declarations do not count.
"""
import dataclasses
import re
import sys
from collections.abc import Iterable

import source_tree
from source_tree import Finding

LOCAL = None  # the scope of functions, initialisers and unnamed namespaces: nothing in it has a name outside

DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)
NAMESPACE = re.compile(r"(?:inline\s+)?namespace\b\s*(?P<name>[\w:\s]*)$")
TYPE = re.compile(
    r"(?:typedef\s+|static\s+|inline\s+|constexpr\s+|const\s+)*(?:enum\s+class|enum\s+struct|enum|struct|class|union)\b\s*"
    r"(?:\[\[.*?\]\]\s*|alignas\s*\([^()]*\)\s*|__attribute__\s*\(\(.*?\)\)\s*)*"
    r"(?P<name>\w+(?:\s*::\s*\w+)*)?\s*(?P<specialised><)?(?P<rest>[^()=]*|\s*:\s*[^=]*)$", re.DOTALL)
ALIAS = re.compile(r"using\s+(?P<name>\w+)\s*(?:\[\[.*?\]\]\s*)?=(?P<meaning>.*)$", re.DOTALL)
TYPEDEF = re.compile(r"typedef\b(?P<meaning>.*?)(?P<name>\w+)\s*$", re.DOTALL)
LINKAGE = re.compile(r'extern\s*"[^"]*"$')


@dataclasses.dataclass(frozen=True)
class Definition:
    name: str  # with the namespaces and classes around it: trireme::Model
    path: str
    line: int
    meaning: str = ""  # of an alias, blanks removed; "" of a type


def without_template_head(head: str) -> str:
    """`template <class T> requires C<T> struct S` -> `struct S`; other text as it is."""
    while re.match(r"template\s*<", head):
        depth, parentheses, at = 0, 0, head.index("<")
        while at < len(head):
            parentheses += {"(": 1, ")": -1}.get(head[at], 0)
            depth += {"<": 1, ">": -1}.get(head[at], 0) if parentheses == 0 else 0
            at += 1
            if depth == 0:
                break
        head = head[at:].lstrip()
    requirement = re.match(r"requires\b.*?(?=\b(?:struct|class|union|using)\b)", head, re.DOTALL)
    return head[requirement.end():] if requirement else head


def joined(scope: str, name: str) -> str:
    return "::".join(part for part in (scope, re.sub(r"\s", "", name)) if part)


def definitions(path: str, text: str) -> list[Definition]:
    """Every type defined in this file that other files could name."""
    code = source_tree.without_comments(text, keep_strings=False)
    code = DIRECTIVE.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), code)
    found: list[Definition] = []
    scopes: list[str | None] = [""]
    start = 0

    def add(name: str, at: int, meaning: str = "") -> None:
        found.append(Definition(joined(scopes[-1], name), path, source_tree.line_of(code, at), meaning))

    for match in re.finditer(r"[{};]|(?<!:):(?!:)", code):
        sign, scope = match.group(0), scopes[-1]
        raw = code[start:match.start()]
        head = without_template_head(raw.strip())
        begin = start + len(raw) - len(raw.lstrip())
        if sign == ":":
            if head in ("public", "protected", "private"):
                start = match.end()
            continue
        start = match.end()
        if sign == "}":
            if len(scopes) > 1:
                scopes.pop()
        elif sign == ";":
            alias = ALIAS.match(head) or (TYPEDEF.match(head) if "(" not in head else None)
            if alias and scope is not LOCAL:
                add(alias["name"], begin, re.sub(r"\s", "", alias["meaning"]))
        else:
            namespace, kind = NAMESPACE.match(head), TYPE.match(head)
            if scope is LOCAL:
                scopes.append(LOCAL)
            elif namespace:
                name = namespace["name"].strip()
                scopes.append(joined(scope, name) if name else LOCAL)
            elif LINKAGE.match(head):
                scopes.append(scope)
            elif kind and kind["name"] and not kind["specialised"]:
                add(kind["name"], begin)
                scopes.append(joined(scope, kind["name"]))
            else:
                scopes.append(LOCAL)
    return found


def twice(found: Iterable[Definition]) -> list[Finding]:
    """A finding for each definition after the first of its name that does not say the same as the first."""
    first: dict[str, Definition] = {}
    findings = []
    for one in found:
        other = first.setdefault(one.name, one)
        if other is not one and not (one.meaning and one.meaning == other.meaning):
            findings.append(Finding(one.path, one.line,
                                    f"{one.name} is defined in {other.path}:{other.line} too; rename one of them, or "
                                    "put a type that only this file needs into an unnamed namespace"))
    return findings


def main() -> None:
    found, files_read = [], 0
    for path in source_tree.cpp_files():
        text = source_tree.read_text(path)
        if text is not None:
            found += definitions(path.as_posix(), text)
            files_read += 1
    findings = twice(found)
    if not found:
        findings = [Finding("tests/lint/one_definition.py", 1, "no type was found in any file")]
    sys.exit(source_tree.report("one_definition", files_read, findings))


if __name__ == "__main__":
    main()
