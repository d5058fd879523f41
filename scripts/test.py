#!/usr/bin/env python3
"""Builds and runs every test; the last line is `N passed, N failed, N skipped`.

Lanes, in this order: the release binary; unit, contract, conformance and simulation tests in one sanitizer build
(clang-16, AddressSanitizer and UndefinedBehaviorSanitizer) with a smoke run of the fuzz targets in it; the threaded
floors again under ThreadSanitizer; the console's and the Python tests; the tests on the real binary (tests/e2e). `--only LANE` runs one.
"""
from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "test"
TSAN_PROGRAMS = ["runtime_test", "store_test", "functions_test", "api_test", "io_test", "expr_threads_test"]
FUZZ_SMOKE_RUNS = 40_000
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1",
                 "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}
LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


class Tally:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.broken: list[str] = []

    def add(self, what: str, passed: int, failed: int, skipped: int, seconds: float) -> None:
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.broken.append(what)
        print(f"test: {what}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.0f} s)", flush=True)


tally = Tally()


def run(what: str, command: list[str], seconds: int, **kw) -> tuple[int, str, float]:
    """Runs a command with its output in a file; the output is shown only where it failed."""
    log = OUT / (re.sub(r"[^A-Za-z0-9_.-]+", "-", what) + ".log")
    began = time.monotonic()
    with open(log, "w") as out:
        try:
            code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=seconds, **kw).returncode
        except subprocess.TimeoutExpired:
            out.write(f"\ntest: {what} did not end within {seconds} s\n")
            code = 124
    return code, log.read_text(errors="replace"), time.monotonic() - began


def must(what: str, command: list[str], seconds: int = 3600) -> None:
    print(f"test: {what} ...", flush=True)
    code, text, took = run(what, command, seconds)
    if code != 0:
        print("\n".join(text.splitlines()[-60:]))
        tally.add(what, 0, 1, 0, took)
        finish()


def finish() -> None:
    if tally.broken:
        print("test: failed: " + ", ".join(tally.broken) + "; logs are in build/test/")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    sys.exit(1 if tally.failed or not tally.passed else 0)


def gtest(program: pathlib.Path, lane: str, seconds: int) -> None:
    what = f"{lane} {program.name}"
    report = OUT / f"{lane}-{program.name}.json"
    report.unlink(missing_ok=True)
    code, text, took = run(what, [str(program), f"--gtest_output=json:{report}"], seconds, env={**os.environ, **SANITIZER_ENV})
    passed = failed = skipped = 0
    if report.exists():
        for suite in json.loads(report.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                if case.get("failures"):
                    failed += 1
                elif case.get("result") == "SKIPPED":
                    skipped += 1
                else:
                    passed += 1
    if code != 0 and failed == 0:
        failed = 1  # It crashed, or a sanitizer stopped it.
    if failed:
        print("\n".join(text.splitlines()[-60:]))
    for line in re.findall(r"^.*SKIP: .*$", text, re.M)[:5]:
        print(f"test: {line.strip()}")
    tally.add(what, passed, failed, skipped, took)


def counted(what: str, command: list[str], seconds: int, **kw) -> None:
    """A script that says `N passed, N failed, N skipped` in its last line."""
    code, text, took = run(what, command, seconds, **kw)
    lines = text.strip().splitlines()
    match = LINE.match(lines[-1].strip()) if lines else None
    passed, failed, skipped = (int(g or 0) for g in match.groups()) if match else (0, 1, 0)
    if code != 0 and failed == 0:
        failed = 1
    if failed:
        print("\n".join(lines[-60:]))
    for line in [x for x in lines if "SKIP" in x][:5]:
        print(f"test: {line.strip()}")
    tally.add(what, passed, failed, skipped, took)


def configure(folder: str, *options: str) -> None:
    must(f"configure {folder}", ["cmake", "-S", ".", "-B", f"build/{folder}", "-G", "Ninja", *options])


def programs(folder: str, suffix: str) -> list[pathlib.Path]:
    found = (p for p in (ROOT / "build" / folder).rglob(f"*{suffix}") if p.is_file() and os.access(p, os.X_OK))
    return sorted(found, key=lambda p: p.name)


def lane_build() -> None:
    must("build the release binary", ["scripts/build.sh"])


def lane_asan() -> None:
    configure("asan", "-DCMAKE_BUILD_TYPE=Asan", "-DCMAKE_CXX_COMPILER=clang++-16", "-DSORTIE_FUZZ=ON")
    must("build asan", ["ninja", "-C", "build/asan"])
    for program in programs("asan", "_test"):
        gtest(program, "asan", 900)


def lane_fuzz(seconds: int) -> None:
    """Explores for that long; 0 is the smoke run: the seeds and a fixed number of mutations from a fixed seed, so
    that a commit which passed once passes again. What exploring finds becomes a file in tests/fuzz/corpus."""
    configure("asan", "-DCMAKE_BUILD_TYPE=Asan", "-DCMAKE_CXX_COMPILER=clang++-16", "-DSORTIE_FUZZ=ON")
    must("build fuzz targets", ["ninja", "-C", "build/asan"])
    for program in programs("asan", "_fuzz"):
        corpus = OUT / "corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests" / "fuzz" / "corpus" / program.name.removesuffix("_fuzz")
        effort = [f"-max_total_time={seconds}"] if seconds else ["-seed=1", f"-runs={FUZZ_SMOKE_RUNS}"]
        if not seconds:  # What an earlier run left there would change the mutations of this one.
            shutil.rmtree(corpus)
            corpus.mkdir()
        command = [str(program), *effort, "-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=0",
                   f"-artifact_prefix={OUT}/", str(corpus), *([str(seeds)] if seeds.exists() else [])]
        code, text, took = run(f"fuzz {program.name}", command, seconds + 300)
        if code != 0:
            print("\n".join(text.splitlines()[-40:]))
        tally.add(f"fuzz {program.name}", int(code == 0), int(code != 0), 0, took)


def lane_tsan() -> None:
    configure("tsan", "-DCMAKE_BUILD_TYPE=Tsan")
    existing = [p for p in TSAN_PROGRAMS if (ROOT / "build" / "tsan" / "build.ninja").read_text().find(f"/{p}:") != -1 or
                f" {p}" in (ROOT / "build" / "tsan" / "build.ninja").read_text()]
    must("build tsan", ["ninja", "-C", "build/tsan", *existing])
    for program in programs("tsan", "_test"):
        if program.name in existing:
            gtest(program, "tsan", 900)


def lane_load() -> None:
    """The real server, built with each sanitizer, under the soak's mixed load for a minute."""
    soak = ROOT / "tests" / "e2e" / "soak_e2e.py"
    for lane, options in {"asan": ["-DCMAKE_BUILD_TYPE=Asan", "-DCMAKE_CXX_COMPILER=clang++-16", "-DSORTIE_FUZZ=ON"],
                          "tsan": ["-DCMAKE_BUILD_TYPE=Tsan"]}.items():
        configure(lane, *options)
        must(f"build the server with {lane}", ["ninja", "-C", f"build/{lane}", "sortie"])
        beside = ROOT / "build" / lane
        for what in ("share", "venv"):  # What an installed server has beside it.
            if not (beside / what).exists():
                (beside / what).symlink_to(ROOT / "build" / what)
        env = {**os.environ, "SORTIE": str(beside / "sortie"), "SORTIE_LONG": "", "SORTIE_SOAK_SECONDS": "60", **SANITIZER_ENV}
        counted(f"load on the {lane} server", [str(ROOT / "build/venv/bin/python"), str(soak)], 1200, env=env)


def lane_sim() -> None:
    """The long simulation, after the proof that it finds the faults that are seeded in the code."""
    code, text, took = run("simulation", ["scripts/sim.sh"], 7200, env={**os.environ, "CANARY": "1", "SEEDS": "2000"})
    if code != 0:
        print("\n".join(text.splitlines()[-60:]))
    tally.add("simulation", int(code == 0), int(code != 0), 0, took)


def lane_web() -> None:
    """The console's types and unit tests; the browser's are in tests/e2e."""
    counted("web", ["scripts/test-web.sh"], 900)


def lane_python() -> None:
    counted("python", ["scripts/test-python.sh"], 900)


def lane_e2e(long: bool) -> None:
    env = {**os.environ, "SORTIE": str(ROOT / "build" / "sortie"), "SORTIE_LONG": "1" if long else ""}
    for script in sorted((ROOT / "tests" / "e2e").glob("*_e2e.py")):
        counted(f"e2e {script.stem}", [str(ROOT / "build/venv/bin/python"), str(script)], 3600 if long else 600, env=env)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["build", "asan", "fuzz", "tsan", "load", "sim", "web", "python", "e2e"])
    parser.add_argument("--fuzz-seconds", type=int, default=0)
    parser.add_argument("--long", action="store_true",
                        help="ten-minute fuzzing, long kill loops, servers with sanitizers under load, the long simulation")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    fuzz_seconds = args.fuzz_seconds or (600 if args.long else 0)
    lanes = {"build": lane_build, "asan": lane_asan, "fuzz": lambda: lane_fuzz(fuzz_seconds), "tsan": lane_tsan,
             "load": lane_load, "sim": lane_sim, "web": lane_web, "python": lane_python, "e2e": lambda: lane_e2e(args.long)}
    for name, lane in lanes.items():
        if args.only == name or (args.only is None and (name not in ("load", "sim") or args.long)):
            lane()
    finish()


main()
