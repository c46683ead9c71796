"""Every refusal says three things, separated by "; ": what was required, what was got, what to do.

Reads each TRIREME_CHECK(condition, Kind, where, "message", ...) and each `throw Kind(where, "message")` of the error
types in core/error.h. The message must begin as a string literal (literals side by side count as one, as in C++), hold
"; got" and a second "; " with advice behind it.
"""
import re

import source_tree
from source_tree import Finding

KINDS = ("ConfigError", "DataError", "ShapeError", "DistError", "DivergedError")
CHECK_CALL = re.compile(r"\bTRIREME_CHECK\s*\(")
THROW_CALL = re.compile(rf"\bthrow\s+(?:trireme::)?(?:{'|'.join(KINDS)})\s*\(")
FORMAT_CALL = re.compile(r"(?:\w+::)*format\s*\(")
DEFINITION = re.compile(r"#[ \t]*define[ \t]+$")
ADVICE = re.compile(r"; got\b.*; *\S", re.DOTALL)


def call_arguments(code: str, begin: int) -> list[str]:
    """The top-level arguments of the call whose opening parenthesis is just before `begin`. `code` has no comments."""
    arguments, depth, start, at = [], 0, begin, begin
    while at < len(code):
        literal = source_tree.CPP_TOKEN.match(code, at)
        if literal:
            at = literal.end()
            continue
        letter = code[at]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            if depth == 0:
                return arguments + [code[start:at].strip()]
            depth -= 1
        elif letter == "," and depth == 0:
            arguments.append(code[start:at].strip())
            start = at + 1
        at += 1
    return arguments + [code[start:].strip()]


def literal_text(argument: str) -> str | None:
    """The text of one or more string literals side by side; None when the argument is anything else."""
    parts, at = [], 0
    while at < len(argument):
        match = source_tree.CPP_TOKEN.match(argument, at)
        if match and match.group("string"):
            parts.append(match.group("string")[1:-1])
            at = match.end()
        elif argument[at].isspace():
            at += 1
        else:
            return None
    return "".join(parts) if parts else None


def message_problem(argument: str) -> str | None:
    call = FORMAT_CALL.match(argument)
    if call:
        argument = call_arguments(argument, call.end())[0]
    message = literal_text(argument)
    if message is None:
        return "the message must be a string literal, so that it can be read here"
    if not ADVICE.search(message):
        return f'the message must read "required; got ..; do"; it reads "{message}"'
    return None


def check(path: str, text: str) -> list[Finding]:
    if not path.split("/")[0] in ("core", "data", "models", "losses", "answering", "retrieval",
                                  "evaluation", "trainers", "launch"):
        return []
    code = source_tree.without_comments(text, keep_strings=True)
    findings = []
    for pattern, message_at in ((CHECK_CALL, 3), (THROW_CALL, 1)):
        for match in pattern.finditer(code):
            if DEFINITION.search(code, 0, match.start()):
                continue
            arguments = call_arguments(code, match.end())
            problem = (message_problem(arguments[message_at]) if len(arguments) > message_at else
                       f"{len(arguments)} arguments where the message is number {message_at + 1}")
            if problem:
                findings.append(Finding(path, source_tree.line_of(code, match.start()), problem))
    return findings


if __name__ == "__main__":
    source_tree.run("error_text", source_tree.cpp_files(), check)
