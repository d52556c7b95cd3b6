"""openapi.yaml tells the members, parameters, callers and rights of daemon/api/routes.c."""

import re

import tree

OPENAPI, ROUTES = "include/esign/openapi.yaml", "daemon/api/routes.c"
CALLERS = {"PEER_TERMINAL": ["terminal"], "PEER_BOTH": ["application", "terminal"],
           "PEER_ANY": ["application", "terminal", "owner"], "API_PEER_ROOT": ["owner"],
           "PEER_OWNER": ["terminal", "owner"]}


def scalar(text):
    """A value on the line of its key: an inline list or a plain or quoted text."""
    if text.startswith("["):
        return [word.strip() for word in text.strip("[]").split(",") if word.strip()]
    return text.strip("'\"")


class Outline:
    """The part of YAML that our document is written in: nested maps and lists, inline lists."""

    def __init__(self, text):
        text = re.sub(r"\[[^\]\n]*\n[^\]]*\]", lambda m: " ".join(m.group().split()), text)
        self.lines = [line for line in text.splitlines() if line.strip()]
        self.at = 0

    def indent(self):
        if self.at == len(self.lines):
            return -1
        return len(self.lines[self.at]) - len(self.lines[self.at].lstrip())

    def block(self, indent):
        if self.lines[self.at].lstrip().startswith("- "):
            return self.sequence(indent)
        return self.mapping(indent)

    def sequence(self, indent):
        items = []
        while self.indent() == indent:
            rest = self.lines[self.at].lstrip()[2:]
            if re.match(r"[$\w'-]+:( |$)", rest):
                self.lines[self.at] = " " * (indent + 2) + rest
                items.append(self.mapping(indent + 2))
            else:
                items.append(scalar(rest))
                self.at += 1
        return items

    def mapping(self, indent):
        found = {}
        while self.indent() == indent and not self.lines[self.at].lstrip().startswith("- "):
            key, _, rest = self.lines[self.at].strip().partition(":")
            self.at += 1
            value = scalar(rest.strip())
            if self.indent() > indent and value in ("", "|"):
                value = self.text(indent) if value else self.block(self.indent())
            found[key.strip("'")] = value
        return found

    def text(self, indent):
        lines = []
        while self.indent() > indent:
            lines.append(self.lines[self.at].strip())
            self.at += 1
        return "\n".join(lines)


def last(reference):
    return reference["$ref"].rsplit("/", 1)[-1]


def documented(page, method, path):
    """What the page says of one operation, in the form of tabled()."""
    operation = page["paths"][path][method.lower()]
    members = None
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        schema = page["components"]["schemas"][last(body)]
        members = {name: name in schema.get("required", []) for name in schema["properties"]}
    return {"parameters": sorted(p.get("name") or last(p) for p in operation.get("parameters", [])),
            "members": members, "right": operation.get("x-right"),
            "callers": operation["x-callers"], "summary": operation["summary"]}


def tabled(text):
    """(method, path, what the C tables say of it)."""
    row = re.compile(r'\{"(\w+)", JSON_FIELD_\w+, (\w+)')
    fields = {name: {member: required == "true" for member, required in row.findall(rows)}
              for name, rows in re.findall(r"json_field (\w+)\[\] = \{(.*?)\};", text, re.S)}
    queries = {name: sorted(re.findall(r'\{"(\w+)", API_QUERY', rows))
               for name, rows in re.findall(r"api_query_field (\w+)\[\] = \{(.*?)\};", text, re.S)}
    routes = re.findall(r'\{"(GET|POST)", "(/v1[^"]*|/metrics)"(.*?)\},\n', text, re.S)
    for method, path, rest in routes:
        query, table = re.search(r"QUERY\((\w+)\)", rest), re.search(r"FIELDS\((\w+)\)", rest)
        right = re.search(r'\.right = "(\w+)"', rest)
        members = None
        if method == "POST":
            members = dict(fields[table.group(1)]) if table else {}
            if "API_COMPONENTS_REQUIRED" in rest:
                members["components"] = True
            elif "API_COMPONENTS_SIGNING" in rest:
                members["components"] = False
        summary = "".join(re.findall(r'"([^"]*)"', rest[rest.index(".summary"):]))
        yield method, path, {
            "parameters": sorted((queries[query.group(1)] if query else []) +
                                 (["idempotencyKey"] if ".takes_key = true" in rest else [])),
            "members": members,
            "right": right and right.group(1), "summary": summary,
            "callers": CALLERS[re.search(r"(\w+),\s*API_STATE", rest).group(1)]}


def findings():
    page = Outline(tree.read(OPENAPI)).block(0)
    count = 0
    for method, path, table in tabled(tree.read(ROUTES)):
        count += 1
        if method.lower() not in page["paths"].get(path, {}):
            continue  # check_routes tells
        shown = documented(page, method, path)
        for what in table:
            if table[what] != shown[what]:
                yield "%s: %s %s: %s are %s, in %s %s" % (OPENAPI, method, path, what, shown[what],
                                                          ROUTES, table[what])
    if count == 0:
        yield "%s: no rows found" % ROUTES


if __name__ == "__main__":
    tree.finish(findings())
