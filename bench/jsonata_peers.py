#!/usr/bin/env python3
"""JSONata beside the libraries it is measured against, in one run: jsonata_peers.py PEERS_DIR [--seconds S] [--keep FILE]

PEERS_DIR holds run.sh, which measures the others (`run.sh jsonata` prints JSON lines, S seconds a figure) and data/ with
the expressions. Ours comes from build/bench/bench/jsonata_bench, right after, with the same time for each figure. Prints a
Markdown table; a result that differs from the others' is marked. `need` is the larger of ten times the better
jsonata-js and three times jsonata-java.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def lines(command, **options):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peers")
    parser.add_argument("--seconds", default="1")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    home = os.environ.get("PEERS_HOME", os.path.expanduser("~/.cache/peers"))
    theirs = lines([f"{arguments.peers}/run.sh", "jsonata"],
                   env=dict(os.environ, PEERS_HOME=home, PEERS_SECONDS=arguments.seconds))
    ours = lines([str(ROOT / "build/bench/bench/jsonata_bench"), f"{arguments.peers}/data", home, arguments.seconds])
    if arguments.keep:
        pathlib.Path(arguments.keep).write_text("".join(json.dumps(row) + "\n" for row in theirs + ours))
    others = collections.defaultdict(list)
    for row in theirs:
        others[row["bench"]].append(row)
    print("| expression | sortie/s | CPU us | jsonata-js/s | x | jsonata-java/s | x | of need |")
    print("|---|---|---|---|---|---|---|---|")
    for row in ours:
        js = max(x["ops_per_s"] for x in others[row["bench"]] if "jsonata-js" in x["impl"])
        java = max(x["ops_per_s"] for x in others[row["bench"]] if "jsonata-java" in x["impl"])
        rate = row["ops_per_s"]
        differs = any(x["check"] != row["check"] for x in others[row["bench"]])
        name = row["bench"][8:] + (" (result differs)" if differs else "")
        print(f"| {name} | {rate:,.0f} | {row['cpu_us']:,.2f} | {js:,.0f} | {rate / js:.1f}"
              f" | {java:,.0f} | {rate / java:.1f} | {rate / max(10 * js, 3 * java):.2f} |")


if __name__ == "__main__":
    main()
