"""Each member of conf/policy/policy.json stands in esignd(8), and no other."""

import json
import re

import tree

POLICY, MANUAL = "conf/policy/policy.json", "client/man/esignd.8"


def members(value, prefix=""):
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from members(inner, prefix + name + ".")
        else:
            yield prefix + name


def documented(text):
    section = text[text.index(".Sh POLICY"):]
    section = section[:section.index(".Sh ", 4)]
    for line in re.findall(r"^\.It Va (.*)$", section, re.M):
        yield from line.split(" , ")


def findings():
    kept, told = set(members(json.loads(tree.read(POLICY)))), set(documented(tree.read(MANUAL)))
    for name in sorted(kept - told):
        yield "%s: section POLICY does not name %s" % (MANUAL, name)
    for name in sorted(told - kept):
        yield "%s: section POLICY names %s, which %s does not have" % (MANUAL, name, POLICY)


if __name__ == "__main__":
    tree.finish(findings())
