#!/usr/bin/env python3
"""What every change has to keep: floors, sizes, banned calls, formatting, clang-tidy on changed files, ruff.

    scripts/lint.py            every finding on a line of its own, `PLACE: what is wrong; what to do`; exit 1 with findings
    scripts/lint.py --tighten  lowers the figures of scripts/lint/known.txt to what the tree has now; never raises one

scripts/floors.txt says who may include whom. scripts/lint/known.txt is a ratchet: what is over a limit today is listed with
its size and may only shrink. LINT_BASE names the commit that "changed" is counted from (default: the merge base with
origin/main, or the last commit), LINT_TIDY_SECONDS how long clang-tidy may take (default 60).
"""
from __future__ import annotations

import ast
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
KNOWN = ROOT / "scripts" / "lint" / "known.txt"
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
TIDY_SECONDS = int(os.environ.get("LINT_TIDY_SECONDS", "60"))
CPP = (".h", ".cpp")
# Not written by people: pinned versions with their hashes.
GENERATED = {"requirements.txt", "requirements-dev.txt"}

# (what, pattern, paths where it is looked for, paths where it is allowed, what to do instead). Patterns see code whose
# comments and texts have been blanked out.
BANNED = [
    ("the wall clock", r"system_clock::now", r"src/", r"src/io/|src/cli/log\.cpp|_test\.cpp",
     "take the time as an argument (base/clock.h)"),
    ("std::regex", r"std::(regex|smatch|cmatch)\b|<regex>", r"src/|tests/|bench/", r"$^", "use RE2 behind expr/, or plain code"),
    ("iostream", r"<iostream>|std::(cout|cerr|clog)\b", r"src/", r"src/cli/eval\.cpp", "print through cli/output.h"),
    ("C's random numbers", r"(?<![\w.>:])s?rand\s*\(", r"src/|tests/|bench/", r"$^", "take a Random& (base/clock.h)"),
    ("a random device", r"random_device", r"src/", r"src/io/", "take a Random& (base/clock.h)"),
    ("I/O, threads or the environment on a pure floor", r"\b(getenv|fopen)\s*\(|std::(thread|mutex|i?fstream|ofstream)\b|thread_local",
     r"src/(base|json|expr|asl|engine)/", r"_test\.cpp", "pure floors get everything as an argument"),
    ("a temporary aggregate or lambda in a co_await (g++ 12 destroys it twice)", r"co_await\b[^;{]*[\[{]", r"src/|tests/", r"$^",
     "name it first and std::move it"),
    ("printing", r"\b(std::)?(v?printf|puts|putchar)\s*\(|fprintf\s*\(\s*std(out|err)", r"src/",
     r"src/cli/|src/base/result\.cpp|_test\.cpp|/testing/|testing_", "log through cli/log.h, or answer an error"),
    ("a test that cannot fail", r"(EXPECT|ASSERT)_TRUE\s*\(\s*true\s*\)|(EXPECT|ASSERT)_FALSE\s*\(\s*false\s*\)|SUCCEED\s*\(\s*\)",
     r"src/|tests/", r"$^", "assert what the test protects"),
    ("blanket capture in a detached thread", r"std::thread\s*\(\s*\[[=&]\]", r"src/", r"_test\.cpp", "name what is captured"),
]
MARKER = re.compile(r"\b(FIXME|XXX|HACK)\b|\bTODO\b(?!\([a-z][a-z-]*\): )|\bTODO\(now\)|<<<<<<< |>>>>>>> ")


class Findings:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def add(self, place: str, what: str) -> None:
        self.lines.append(f"{place}: {what}")

    def note(self, what: str) -> None:
        self.notes.append(what)


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if line] if done.returncode == 0 else []


def tracked() -> list[str]:
    """What git knows or would add: findings in a new file are told before its first commit."""
    names = git("ls-files") + git("ls-files", "--others", "--exclude-standard")
    return sorted({name for name in names if (ROOT / name).is_file() and name not in GENERATED})


def blank_out(text: str) -> str:
    """C++ with the inside of comments, texts and characters replaced by blanks; lines stay where they are."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match: re.Match) -> str:
        whole = match.group(0)
        if whole.startswith('"') and text[:match.start()].rstrip().endswith("#include"):
            return whole
        return re.sub(r"[^\n]", " ", whole)

    return token.sub(blank, text)


# --- Floors -----------------------------------------------------------------------------------------------------------

def folder_of(path: str) -> str | None:
    parts = path.split("/")
    if len(parts) < 2:
        return None
    return "/".join(parts[:2]) if parts[0] == "expr" else parts[0]


def read_floors() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    floors: dict[str, list[str]] = {}
    outside: dict[str, list[str]] = {}
    for line in (ROOT / "scripts" / "floors.txt").read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if line:
            name, _, allowed = line.partition(":")
            (outside if name.startswith("<") else floors)[name] = allowed.split()
    return floors, outside


def is_test(path: str) -> bool:
    return path.endswith(("_test.cpp", "_fuzz.cpp")) or "/testing/" in path or "test" in path.rsplit("/", 1)[-1]


def check_floors(files: dict[str, str], findings: Findings) -> None:
    floors, outside = read_floors()
    order = list(floors)
    include = re.compile(r'^#\s*include\s*([<"][^>"]+[>"])', re.M)
    users: dict[str, set[str]] = {}  # Header below src/ -> folders that include it.
    third_party: dict[str, list[tuple[int, str, list[str]]]] = {}
    for path, text in files.items():
        inside = path.removeprefix("src/") if path.startswith("src/") else None
        mine = folder_of(inside) if inside else None
        if mine is not None and mine not in floors:
            findings.add(path, f"the folder {mine} has no floor; give it a line in scripts/floors.txt")
            continue
        for match in include.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = match.group(1)
            for prefix, allowed in outside.items():
                if name.startswith(prefix) and mine is not None:
                    if mine not in allowed:
                        findings.add(f"{path}:{line}", f"{name} may be seen in {', '.join(allowed)} only; go through an interface")
                    third_party.setdefault(path, []).append((line, name, allowed))
            header = name.strip('"')
            if name.startswith("<") or not (ROOT / "src" / header).exists():
                continue
            users.setdefault(header, set()).add(mine or path)
            other = folder_of(header)
            if mine is None or other == mine or other in floors[mine] or header in floors[mine]:
                continue
            # A test may use whatever is below, and the fakes that a floor offers to others.
            if is_test(path) and (order.index(other) < order.index(mine) or "/testing/" in header):
                continue
            findings.add(f"{path}:{line}", f"{mine} may not include {header}; scripts/floors.txt lists what it may")
    for path, seen in third_party.items():
        header = path.removeprefix("src/")
        strangers = {user for user in users.get(header, set()) if user != folder_of(header)}
        if path.endswith(".h") and strangers:
            line, name, _ = seen[0]
            findings.add(f"{path}:{line}", f"{name} in a header that {', '.join(sorted(strangers))} include; hide it in a .cpp")


# --- Sizes ------------------------------------------------------------------------------------------------------------

NOT_A_FUNCTION = re.compile(
    r"^\s*(?:\[\[\w+\]\]\s*)?(namespace|class|struct|enum|union|extern\s+\"|if|for|while|switch|do|else|try|catch)\b"
    r"|[^=!<>]=\s*$|\breturn\s*$")
SCOPE = re.compile(r"\b(namespace|class|struct|union|extern)\b")


def cpp_functions(text: str):
    """(name, first line, lines) of every function; a lambda counts for the function it stands in."""
    code = re.sub(r"^#.*(?:\\\n.*)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
    stack: list[tuple[str, str, int]] = []  # kind, head, line of the head's first word
    head_from = 0
    for match in re.finditer(r"[{};]", code):
        at, mark = match.start(), match.group(0)
        if mark == "{":
            head = code[head_from:at]
            head = re.sub(r"\b(public|private|protected):", lambda m: " " * len(m.group(0)), head)
            in_scope = all(kind == "scope" for kind, _, _ in stack)
            if in_scope and SCOPE.search(head.split("(")[0]) and "=" not in head.split("(")[0]:
                kind = "scope"
            elif in_scope and "(" in head and not NOT_A_FUNCTION.search(head):
                kind = "function"
            else:
                kind = "block"
            first = code.count("\n", 0, head_from + len(head) - len(head.lstrip())) + 1
            stack.append((kind, head, first))
        elif mark == "}" and stack:
            kind, head, first = stack.pop()
            if kind == "function":
                name = re.search(r"([\w:~<>]+|operator\S+)\s*\(([^()]*)", head)
                label = name.group(1) if name else "?"
                if label in ("TEST", "TEST_F", "TEST_P"):
                    label = name.group(2).replace(" ", "").replace(",", ".")
                yield label, first, code.count("\n", 0, at) + 2 - first
        head_from = at + 1


def python_functions(text: str):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def measure(files: dict[str, str], blanked: dict[str, str], findings: Findings) -> dict[tuple[str, str], tuple[int, str]]:
    """(kind, name) -> (size, place) of everything over a limit."""
    over: dict[tuple[str, str], tuple[int, str]] = {}
    for path, text in files.items():
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            over["file", path] = (lines, path)
        if path.endswith(CPP):
            functions = list(cpp_functions(blanked[path]))
        elif path.endswith(".py"):
            try:
                functions = list(python_functions(text))
            except SyntaxError as error:
                findings.add(f"{path}:{error.lineno}", "this is no Python")
                continue
        else:
            continue
        for name, line, size in functions:
            key = ("function", f"{path}:{name}")
            if size > FUNCTION_LINES_MAX and size > over.get(key, (0, ""))[0]:
                over[key] = (size, f"{path}:{line}")
    return over


def read_known() -> dict[tuple[str, str], int]:
    known = {}
    for line in KNOWN.read_text().splitlines() if KNOWN.exists() else []:
        if line.strip() and not line.startswith("#"):
            kind, name, size = line.split()
            known[kind, name] = int(size)
    return known


def check_ratchet(over: dict[tuple[str, str], tuple[int, str]], findings: Findings) -> None:
    known = read_known()
    limit = {"file": FILE_LINES_MAX, "function": FUNCTION_LINES_MAX, "format": 0, "ruff": 0}
    for (kind, name), (size, place) in sorted(over.items()):
        allowed = known.get((kind, name), 0)
        if size <= allowed:
            continue
        if kind in ("format", "ruff"):
            cure = "clang-format-16 -i" if kind == "format" else "build/venv/bin/ruff check"
            findings.add(place, f"{size} finding(s), {allowed} allowed; run {cure} {name}")
        elif allowed:
            findings.add(place, f"the {kind} has grown from {allowed} to {size} lines; it may only shrink")
        else:
            findings.add(place, f"the {kind} {name.rpartition(':')[2]} has {size} lines; at most {limit[kind]}")
    for key, size in known.items():
        now = over.get(key, (0, ""))[0]
        if now < size:
            findings.note(f"{key[0]} {key[1]} went from {size} to {now}; `scripts/lint.py --tighten` keeps it so")


def tighten(over: dict[tuple[str, str], tuple[int, str]]) -> None:
    lines = ["# What is over a limit today, and by how much; it may only shrink (scripts/lint.py --tighten)."]
    for (kind, name), size in sorted(read_known().items()):
        if (kind, name) in over:
            lines.append(f"{kind} {name} {min(size, over[kind, name][0])}")
    KNOWN.write_text("\n".join(lines) + "\n")


# --- Calls, markers, formatting, tidy, ruff -----------------------------------------------------------------------------

def check_banned(files: dict[str, str], blanked: dict[str, str], findings: Findings) -> None:
    for path, code in blanked.items():
        for what, pattern, where, allowed, cure in BANNED:
            if re.match(where, path) and not re.search(allowed, path):
                for match in re.finditer(pattern, code):
                    findings.add(f"{path}:{code.count(chr(10), 0, match.start()) + 1}", f"{what}; {cure}")
    for path, text in files.items():
        if path == "scripts/lint.py" or path.startswith("docs/") or path.endswith(".md"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MARKER.search(line):
                findings.add(f"{path}:{number}", "a leftover marker; finish it, or write TODO(topic): what and why")


def check_format(paths: list[str], over: dict, findings: Findings) -> None:
    if shutil.which("clang-format-16") is None:
        return findings.note("SKIP: clang-format-16 is not installed; formatting was not checked")

    def one(path: str) -> tuple[str, int]:
        done = subprocess.run(["clang-format-16", "--dry-run", "--ferror-limit=0", path], cwd=ROOT, capture_output=True, text=True)
        return path, done.stderr.count("[-Wclang-format-violations]")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, count in pool.map(one, paths):
            if count:
                over["format", path] = (count, path)


def changed_files() -> list[str]:
    head = git("rev-parse", "HEAD")
    base = [os.environ["LINT_BASE"]] if os.environ.get("LINT_BASE") else git("merge-base", "HEAD", "origin/main")
    if not base or (base == head and not git("diff", "--name-only", "HEAD")):
        base = git("rev-parse", "HEAD~1") or head
    return git("diff", "--name-only", "--diff-filter=d", base[0]) if base else []


def compile_commands() -> pathlib.Path | None:
    for folder in ("dev", "asan", "release"):
        if (ROOT / "build" / folder / "compile_commands.json").exists():
            return ROOT / "build" / folder
    found = sorted((ROOT / "build").glob("*/compile_commands.json")) if (ROOT / "build").exists() else []
    return found[0].parent if found else None


def check_tidy(findings: Findings) -> None:
    if shutil.which("clang-tidy-16") is None:
        return findings.note("SKIP: clang-tidy-16 is not installed")
    database = compile_commands()
    if database is None:
        return findings.note("SKIP: clang-tidy needs a compile_commands.json; `cmake -S . -B build/dev -G Ninja` makes one")
    paths = [path for path in changed_files() if path.startswith("src/") and path.endswith(".cpp") and not is_test(path)]
    paths.sort(key=lambda path: (ROOT / path).stat().st_size)  # So that the time reaches for as many as possible.
    deadline = time.monotonic() + TIDY_SECONDS
    flags = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-unused-command-line-argument"]

    def one(path: str) -> tuple[str, str | None]:
        left = deadline - time.monotonic()
        if left <= 1:
            return path, None
        try:
            done = subprocess.run(["clang-tidy-16", "--quiet", "-p", str(database), *flags, path], cwd=ROOT,
                                  capture_output=True, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            return path, None
        return path, done.stdout

    late = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, text in pool.map(one, paths):
            if text is None:
                late.append(path)
                continue
            for line in sorted(set(re.findall(r"^\S+?:\d+:\d+: (?:warning|error): .*$", text, re.M))):
                findings.add("clang-tidy", line.replace(f"{ROOT}/", ""))
    if late:
        findings.note(f"clang-tidy: no time left for {len(late)} of {len(paths)} changed files (LINT_TIDY_SECONDS={TIDY_SECONDS})")


def check_ruff(over: dict, findings: Findings) -> None:
    ruff = next((str(p) for p in (ROOT / "build/venv/bin/ruff",) if p.exists()), shutil.which("ruff"))
    if ruff is None:
        return findings.note("SKIP: ruff is missing; scripts/venv.sh installs it")
    done = subprocess.run([ruff, "check", "--output-format", "json", "."], cwd=ROOT, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return findings.add("ruff", (done.stderr or "gave no answer").strip().splitlines()[-1])
    for finding in found:
        path = os.path.relpath(finding["filename"], ROOT)
        count, place = over.get(("ruff", path), (0, ""))
        here = f"{path}:{finding['location']['row']} {finding['code']} {finding['message']}"
        over["ruff", path] = (count + 1, place or here)


def main() -> int:
    findings = Findings()
    names = tracked()
    files = {name: (ROOT / name).read_text(errors="replace") for name in names
             if name.endswith((*CPP, ".py", ".sh", ".mjs", ".cmake"))}
    cpp = {name: text for name, text in files.items() if name.endswith(CPP)}
    blanked = {name: blank_out(text) for name, text in cpp.items()}
    check_floors(cpp, findings)
    check_banned(files, blanked, findings)
    over = measure(files, blanked, findings)
    check_format(sorted(cpp), over, findings)
    check_ruff(over, findings)
    if "--tighten" in sys.argv[1:]:
        tighten(over)
    check_ratchet(over, findings)
    check_tidy(findings)
    for note in findings.notes:
        print(f"lint: note: {note}")
    for line in sorted(set(findings.lines)):
        print(line)
    print(f"lint: {len(set(findings.lines))} findings in {len(files)} files")
    return 1 if findings.lines else 0


sys.exit(main())
