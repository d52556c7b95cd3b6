"""daemon/api/routes.c and include/esign/openapi.yaml tell the same routes."""

import re

import tree

OPENAPI = "include/esign/openapi.yaml"


def documented():
    path = None
    for line in tree.read(OPENAPI).splitlines():
        match = re.match(r"  ['\"]?(/(?:v1/|metrics)[^'\":]*)['\"]?:\s*$", line)
        if match:
            path = match.group(1)
        elif re.match(r"\S", line):
            path = None
        match = re.match(r"    (get|post|put|delete|patch):", line)
        if match and path:
            yield match.group(1).upper(), path


def findings():
    text = tree.read("daemon/api/routes.c")
    table = set(re.findall(r'"(GET|POST)",\s*(?:\.pattern\s*=\s*)?"(/(?:v1/|metrics)[^"]*)"', text))
    if not table:
        yield "daemon/api/routes.c: no rows found"
    page = set(documented())
    for method, path in sorted(table - page):
        yield "%s: %s %s is missing" % (OPENAPI, method, path)
    for method, path in sorted(page - table):
        yield "%s: there is no %s %s" % (OPENAPI, method, path)


tree.finish(findings())
