"""Runs the tests of a checkout whose two builds stand: lint, unit, integration, interop, trace.

One JSON line a test goes to build/results.jsonl. A test that is skipped, does not end, or whose
program dies has failed. Two run at a time.
"""

import concurrent.futures
import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(SOURCE, "build", "results.jsonl")
JOBS = 2
UNIT_BOUND_S, FILE_BOUND_S, END_BOUND_S = 180, 900, 60
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}

sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))
import esigntest  # noqa: E402  pylint: disable=wrong-import-position


def write(lines):
    with open(RESULTS, "a", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


def run(argv, bound_s, environment):
    """Exit code (None: did not end in time) and what it said."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, cwd=SOURCE, env={**os.environ, **environment},
                                   stdin=subprocess.DEVNULL, stdout=said,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(bound_s)
        except subprocess.TimeoutExpired:
            code = None
            end_group(process)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    return code, text + ("\ndid not end in time" if code is None else "")


def end_group(process):
    """SIGTERM, on which a test file takes its services down, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(END_BOUND_S)
            return
        except subprocess.TimeoutExpired:
            pass


# --- unit tests ----------------------------------------------------------------------------------


def circumstances(build):
    return esigntest.circumstances(os.path.join(SOURCE, "build", build))


def requirements_of(trace):
    """{test function: requirements} of what REQ() wrote."""
    found = {}
    if os.path.exists(trace):
        with open(trace, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                found.setdefault(row["test"], []).extend(
                    r for r in row["requirements"] if r not in found.get(row["test"], []))
    return found


def unit_lines(name, build, code, text, requirements, seconds):
    """One line a test function; one more if the program itself ended badly."""
    verdicts = {}
    for mark, test in re.findall(r"\[\s*(RUN|OK|FAILED|SKIPPED|ERROR)\s*\]\s+(test_\w+)", text):
        if mark == "RUN":
            verdicts.setdefault(test, "")
        elif verdicts.get(test) in ("", None, "OK"):
            verdicts[test] = mark
    each = round(seconds / max(1, len(verdicts)), 4)
    for test, mark in verdicts.items():
        line = {"test": "unit/%s/%s" % (name, test), "requirements": requirements.get(test, []),
                "verdict": "passed" if mark == "OK" else "failed", "seconds": each,
                **circumstances(build)}
        if mark != "OK":
            line["detail"] = ("ended without a verdict" if mark == "" else mark) + \
                detail_of(text, test)
        yield line
    bad = [mark for mark in verdicts.values() if mark != "OK"]
    if (code != 0 and not bad) or not verdicts:
        yield {"test": "unit/" + name, "requirements": [], "verdict": "failed",
               "seconds": round(seconds, 3), **circumstances(build),
               "detail": "exit code %s\n%s" % (code, text[-2000:])}


def detail_of(text, test):
    """What the program said from the start of this test to the start of the next one."""
    match = re.search(r"\[ RUN\s+\] %s\n(.*?)(?=\[ RUN|\Z)" % test, text, re.S)
    return "\n" + match.group(1)[:2000] if match else ""


def run_unit(job):
    build, program = job
    name = os.path.basename(program)
    with tempfile.TemporaryDirectory(prefix="esign-unit-") as folder:
        trace = os.path.join(folder, "trace")
        began = time.monotonic()
        code, text = run([program], UNIT_BOUND_S,
                         {**SANITIZERS, "ESIGN_TRACE": trace, "CMOCKA_MESSAGE_OUTPUT": "stdout",
                          "TMPDIR": folder})
        lines = list(unit_lines(name, build, code, text, requirements_of(trace),
                                time.monotonic() - began))
    write(lines)
    return "%s unit/%s" % (build, name), lines, time.monotonic() - began


def unit_jobs(builds, wanted):
    for build in builds:
        for program in sorted(glob.glob(os.path.join(SOURCE, "build", build, "unit", "*"))):
            if os.access(program, os.X_OK) and os.path.isfile(program) and wanted(program):
                yield build, program


# --- lint, integration, interop ------------------------------------------------------------------


def run_file(job):
    """A program that writes its own lines to $ESIGN_RESULTS."""
    name, build, argv = job
    with tempfile.TemporaryDirectory(prefix="esign-results-") as folder:
        results = os.path.join(folder, "results")
        began = time.monotonic()
        code, text = run(argv, FILE_BOUND_S,
                         {"ESIGN_RESULTS": results, "PYTHONDONTWRITEBYTECODE": "1",
                          "ESIGN_BUILD": os.path.join(SOURCE, "build", build)})
        lines = []
        if os.path.exists(results):
            with open(results, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
        if (code != 0 and all(line["verdict"] == "passed" for line in lines)) or not lines:
            lines.append({"test": name, "requirements": [], "verdict": "failed",
                          "seconds": round(time.monotonic() - began, 3), **circumstances(build),
                          "detail": "exit code %s\n%s" % (code, text[-3000:])})
    write(lines)
    return "%s %s" % (build, name), lines, time.monotonic() - began


def marks_of(path):
    """What a file says of itself: `# tier: quick`, `# build: release` (only that one)."""
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r"^# (tier|build): ([\w-]+)$", file.read(), re.M))


def file_jobs(builds, quick, wanted):
    for folder in ("integration", "interop"):
        for path in sorted(glob.glob(os.path.join(SOURCE, "tests", folder, "test_*.py"))):
            marks = marks_of(path)
            if not wanted(path) or (quick and marks.get("tier") != "quick"):
                continue
            name = "%s/%s" % (folder, os.path.basename(path)[:-3])
            for build in builds:
                if marks.get("build", build) == build:
                    yield name, build, ["/usr/bin/python3", "-B", path]


# --- the whole -----------------------------------------------------------------------------------


def show(name, lines, seconds):
    failed = [line for line in lines if line["verdict"] != "passed"]
    print("%-6s %-48s %3d tests  %6.1f s" % ("FAILED" if failed else "ok", name, len(lines),
                                           seconds), flush=True)
    for line in failed:
        print("    %s\n        %s" % (line["test"],
                                      line.get("detail", "").strip().replace("\n", "\n        ")),
              flush=True)


def run_all(function, jobs, totals):
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, lines, seconds in pool.map(function, jobs):
            show(name, lines, seconds)
            for line in lines:
                totals[line["verdict"]] += 1


def run_trace():
    code, text = run(["/usr/bin/python3", "-B", "tests/trace/matrix.py", RESULTS], 60, {})
    print(text.rstrip(), flush=True)
    return code == 0


def main(arguments):
    quick = "quick" in arguments
    names = [name for name in arguments if name != "quick"]

    def wanted(path):
        return not names or any(name in path for name in names)

    if os.path.exists(RESULTS):
        os.unlink(RESULTS)
    began = time.monotonic()
    totals = {"passed": 0, "failed": 0}
    if wanted("tests/lint"):
        run_all(run_file, [("lint", "release", ["/usr/bin/python3", "-B", "tests/lint/run"])],
                totals)
    run_all(run_unit, list(unit_jobs(["asan-ubsan"] if quick else ["release", "asan-ubsan"],
                                     wanted)), totals)
    run_all(run_file, list(file_jobs(["release"] if quick else ["release", "asan-ubsan"], quick,
                                     wanted)), totals)
    complete = not names and not quick
    if complete:
        totals["passed" if run_trace() else "failed"] += 1
    print("%.0f s, results in build/results.jsonl" % (time.monotonic() - began))
    print("%d passed, %d failed" % (totals["passed"], totals["failed"]))
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
