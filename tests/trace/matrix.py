"""The traceability matrix: requirement, tests, verdict; from requirements.tsv and results.jsonl.

matrix.py RESULTS   prints the table; writes it whole to trace.tsv beside RESULTS.

Fails when a clause of owner S or S+P that is due has no test or a failed one, when a test names an
id that does not exist, and when a unit or integration test names none.
"""

import json
import os
import re
import sys

# A test may also cite the standard that it follows; those are not in the list.
STANDARD = re.compile(r"(RFC|EN|ISO|ISO/IEC|NIST|FIPS|ITU-T|C2SP|PKCS|OASIS|ETSI|POSIX|SP) ?[#\w]")

FORCED = ("S", "S+P")

HERE = os.path.dirname(os.path.abspath(__file__))


def load_requirements():
    """(issue that is due now, {id: row})"""
    rows, due = {}, 0
    with open(os.path.join(HERE, "requirements.tsv"), encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == "# due":
                due = int(fields[1])
            if line.startswith("#") or len(fields) != 5:
                continue
            name, source, owner, issue, text = fields
            if name in rows:
                raise SystemExit("requirements.tsv: %s stands twice" % name)
            rows[name] = {"source": source, "owner": owner, "text": text,
                          "due": int(issue) if issue.isdigit() else None}
    return due, rows


def load_results(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def clause_of(name, requirements):
    """The row that a test means: "21 CFR 11.70" is 11.70, "11.10 opening" is 11.10."""
    name = name.removeprefix("21 CFR ").removeprefix("requirements ")
    short = re.split(r", | opening| decision", name)[0]
    return name if name in requirements or short not in requirements else short


def tests_by_requirement(results, requirements):
    found = {}
    for result in results:
        for name in result["requirements"]:
            tests = found.setdefault(clause_of(name, requirements), {})
            tests.setdefault(result["test"], []).append(result["verdict"])
    return found


def verdict_of(tests):
    if not tests:
        return "no test"
    verdicts = [v for vs in tests.values() for v in vs]
    return "passed" if all(v == "passed" for v in verdicts) else "failed"


def main(path):
    due, requirements = load_requirements()
    results = load_results(path)
    found = tests_by_requirement(results, requirements)
    problems = []
    table = os.path.join(os.path.dirname(os.path.abspath(path)), "trace.tsv")
    with open(table, "w", encoding="utf-8") as out:
        out.write("requirement\towner\tdue\tverdict\ttests\ttext\n")
        for name, row in requirements.items():
            tests = found.get(name, {})
            verdict = verdict_of(tests)
            now = row["due"] is not None and row["due"] <= due and row["owner"] in FORCED
            if now and verdict != "passed":
                problems.append("%s (%s): %s" % (name, row["text"], verdict))
            out.write("\t".join([name, row["owner"], str(row["due"] or "-"), verdict,
                                 " ".join(sorted(tests)), row["text"]]) + "\n")
            print("%-17s %-4s %-3s %-8s %3d  %s" % (
                name, row["owner"], row["due"] or "-", verdict, len(tests), row["text"][:60]))
    for name in sorted(set(found) - set(requirements)):
        if STANDARD.match(name):
            continue
        problems.append("unknown requirement %s in %s" % (name, ", ".join(sorted(found[name]))))
    for result in results:
        proves = result["test"].startswith(("unit/", "integration/", "interop/"))
        if proves and not result["requirements"] and result["verdict"] == "passed":
            problems.append("%s names no requirement" % result["test"])
    for problem in dict.fromkeys(problems):
        print("trace: " + problem)
    print("trace: %d requirements, %d due, %d problems; %s" % (
        len(requirements),
        sum(1 for r in requirements.values()
            if r["due"] and r["due"] <= due and r["owner"] in FORCED),
        len(problems), os.path.relpath(table)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
