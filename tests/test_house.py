"""Rules of the house that no linter checks (CONTRIBUTING.md): the lengths of functions, files, prose."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = (
    "common",
    "client",
    "server",
    "simulations",
    "fedsynth",
    "adapters",
    "distribution",
)
SOURCES = sorted(
    path
    for member in MEMBERS
    for path in (ROOT / member).glob("**/*.py")
    if not re.search(r"_pb2|egg-info|/build/", str(path))
)
DOCUMENTS = sorted(
    {
        *ROOT.glob("*.md"),
        *(
            p
            for m in (*MEMBERS, "docs", "docker", "locks", "systemd")
            for p in (ROOT / m).rglob("*.md")
        ),
    }
)
LONGEST_FUNCTION = 50
LONGEST_FILE = 300
LONGER_FILES = {"results.py": 354, "benchmarks/cli.py": 363}
"""Files that are still to be split; none of them may grow."""
LONGEST_LINE = 100


def commands(tree):
    """The names of the functions that typer turns into commands: their options take many lines."""
    decorated = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any("command" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    options = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "typer." in ast.unparse(node.args)
    }
    return decorated | options


def length(function):
    """Lines of a function without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    said = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - said


def too_long(text):
    """Functions of a source text that do not fit on a screen."""
    tree = ast.parse(text)
    exempt = commands(tree)
    return [
        f"{node.name}: {length(node)} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in exempt
        and length(node) > LONGEST_FUNCTION
    ]


def long_lines(text):
    """Numbers of the prose lines that are too long and could be broken.

    Tables, blocks of code and what has no blank outside of `code` are left out.
    """
    code, numbers = False, []
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            code = not code
        prose = not code and not line.lstrip().startswith("|") and not line.startswith("    ")
        breakable = " " in re.sub(r"`[^`]*`|\]\([^)]*\)", "", line).strip()
        if prose and breakable and len(line) > LONGEST_LINE:
            numbers.append(number)
    return numbers


def conflicts(text):
    """Numbers of the lines that git writes around the two sides of a conflict."""
    lines = enumerate(text.split("\n"), 1)
    return [number for number, line in lines if re.match(r"(<{7}|>{7}) ", line)]


def test_functions_fit_on_a_screen():
    assert len(SOURCES) > 200
    texts = {path: path.read_text() for path in SOURCES}
    faults = {str(p.relative_to(ROOT)): too_long(text) for p, text in texts.items()}
    assert {path: found for path, found in faults.items() if found} == {}


def test_files_are_short():
    def most(path):
        return next((n for end, n in LONGER_FILES.items() if str(path).endswith(end)), LONGEST_FILE)

    lines = {path: path.read_text().count("\n") for path in SOURCES}
    assert {str(path): n for path, n in lines.items() if n > most(path)} == {}


def test_no_file_holds_an_unresolved_conflict():
    found = {path: conflicts(path.read_text()) for path in [*DOCUMENTS, *SOURCES]}
    assert {str(path.relative_to(ROOT)): lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_lines_are_short(document):
    assert long_lines(document.read_text()) == []


def test_the_rules_notice_what_breaks_them():
    assert conflicts("a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> main\n") == [2, 6]
    body = "\n".join("    x = 1" for _ in range(LONGEST_FUNCTION))
    assert too_long(f"def f():\n{body}\n") == ["f: 51 lines"]
    assert too_long(f"@app.command()\ndef f():\n{body}\n") == []
    assert long_lines("word " * 30) == [1]
    assert long_lines("| " + "word " * 30) == long_lines("```\n" + "word " * 30 + "\n```") == []
