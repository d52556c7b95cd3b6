"""Phrases that the product may not use: compliance belongs to the site (21 CFR 11.1(a))."""

import re

import tree

OURSELVES = ("tests/lint/check_words.py",)
PHRASES = re.compile(
    r"part 11[- ]compliant|compliant with (21 CFR )?part 11|fda[- ](certified|approved|compliant)"
    r"|not (yet )?implemented", re.I)
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def findings():
    for name in tree.files():
        if name in OURSELVES or name.startswith("tests/fixtures/") or name == "LICENSE":
            continue
        try:
            text = tree.read(name)
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = PHRASES.search(line) or MARKS.search(line)
            if match:
                yield "%s:%d: %s" % (name, number, match.group())


tree.finish(findings())
