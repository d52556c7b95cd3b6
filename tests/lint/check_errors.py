"""include/esign/error.h, libesign(3) and openapi.yaml tell the same codes."""

import re

import tree

MAN, OPENAPI = "client/man/libesign.3", "include/esign/openapi.yaml"


def findings():
    text = tree.read("include/esign/error.h")
    rows = re.findall(r"X\((\w+), (\d+), (\d+), ([01]), \"([^\"]+)\"\)", text)
    names = {row[0] for row in rows} - {"OK"}
    numbers = [row[1] for row in rows]
    for number in {n for n in numbers if numbers.count(n) > 1}:
        yield "include/esign/error.h: %s is used twice" % number
    man = set(re.findall(r"\bE_[A-Z_]+\b", tree.read(MAN).replace("ESIGN_E_", "E_")))
    for name in sorted(names - man):
        yield "%s: %s is missing" % (MAN, name)
    for name in sorted(man - names):
        yield "%s: there is no %s" % (MAN, name)
    listed = set(re.findall(r"\bE_[A-Z_]+\b", tree.read(OPENAPI)))
    for name in sorted(names - listed):
        yield "%s: %s is missing" % (OPENAPI, name)
    for name in sorted(listed - names):
        yield "%s: there is no %s" % (OPENAPI, name)


tree.finish(findings())
