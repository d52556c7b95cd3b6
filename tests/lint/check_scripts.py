"""Scripts parse and are executable where they have a first line; man pages and data are clean."""

import ast
import json
import os
import subprocess
import xml.etree.ElementTree

import tree


def run(argv):
    done = subprocess.run(argv, cwd=tree.SOURCE, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.decode().strip() if done.returncode != 0 else ""


def python_error(name):
    try:
        ast.parse(tree.read(name), name)
        return ""
    except SyntaxError as error:
        return str(error)


def data_error(name):
    try:
        if name.endswith(".json"):
            json.loads(tree.read(name))
        else:
            xml.etree.ElementTree.fromstring(tree.read(name).encode())
        return ""
    except (ValueError, xml.etree.ElementTree.ParseError) as error:
        return str(error)


def findings():
    for name in tree.files():
        with open(os.path.join(tree.SOURCE, name), "rb") as file:
            first = file.readline(80)
        script = first.startswith(b"#!")
        if script and not os.access(os.path.join(tree.SOURCE, name), os.X_OK):
            yield "%s: not executable" % name
        problem = ""
        if name.endswith(".sh") or (script and b"sh" in first.split(b"/")[-1]):
            problem = run(["bash", "-n", name])
        elif name.endswith(".py") or (script and b"python" in first):
            problem = python_error(name)
        elif name.startswith("client/man/") and name[-1].isdigit():
            problem = run(["mandoc", "-Tlint", "-Wwarning", name])
        elif name.endswith((".json", ".xml")) and not name.startswith("tests/fixtures/"):
            problem = data_error(name)
        if problem:
            yield "%s: %s" % (name, problem)


tree.finish(findings())
