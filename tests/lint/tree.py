"""What the checks of this folder share: the files of the tree, and how a finding is told."""

import os
import re
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*suffixes, under=()):
    """Files of the checkout, relative; without suffixes all. under: folders, none: everywhere."""
    listed = subprocess.run(
        ["git", "-C", SOURCE, "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
    return sorted({name for name in listed
                   if (not suffixes or name.endswith(suffixes))
                   and (not under or name.startswith(tuple(f + "/" for f in under)))
                   and os.path.isfile(os.path.join(SOURCE, name))})


def read(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    """C source with comments and literals blanked, line numbers kept."""

    def blank(match):
        keep = "\n" * match.group().count("\n")
        return '""' + keep if match.group()[0] == '"' else " " + keep

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', blank, text, flags=re.S)


def tell(findings):
    """Print the findings and return the exit code."""
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def finish(findings):
    sys.exit(tell(list(findings)))
