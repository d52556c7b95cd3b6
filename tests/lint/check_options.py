"""daemon/config/schema.c, conf/esignd.conf, esignd.conf(5) and launch tell the same options."""

import ast
import importlib.machinery
import importlib.util
import os
import re
import sys

import tree

TABLE = re.compile(r'\{\s*"([\w.]+)",\s*CONFIG_(\w+),\s*(NULL|"[^"]*"),')
MAN = "client/man/esignd.conf.5"


def table(name):
    """Options of one array of schema.c: {name: (type, default text or None)}."""
    text = tree.read("daemon/config/schema.c")
    body = re.search(r"%s\[\] = \{(.*?)\n\};" % name, text, re.S).group(1)
    return {m[0]: (m[1], None if m[2] == "NULL" else ast.literal_eval(m[2]))
            for m in TABLE.findall(body)}


def launch():
    sys.dont_write_bytecode = True
    path = os.path.join(tree.SOURCE, "packaging", "launch")
    loader = importlib.machinery.SourceFileLoader("launch", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("launch", loader))
    loader.exec_module(module)
    return module


def uncommented():
    """The sample with every commented option switched on."""
    lines = []
    for line in tree.read("conf/esignd.conf").splitlines():
        lines.append(re.sub(r"^(\s*)# (\s*(?:[\w]+ = [^#]*;(?:\s*#.*)?|\w+ = \{|\};))$", r"\1\2",
                            line))
    return "\n".join(lines)


def flat(group, prefix=""):
    for name, value in group.items():
        if isinstance(value, dict):
            yield from flat(value, prefix + name + ".")
        else:
            yield prefix + name, value


def as_text(value):
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) \
        else str(value)


def compare(where, options, sample):
    for name, (_, default) in options.items():
        if name not in sample:
            yield "conf/esignd.conf: %s%s is missing" % (where, name)
        elif default is not None and as_text(sample[name]) != default:
            yield "conf/esignd.conf: %s%s is %s, the default is %s" % (
                where, name, as_text(sample[name]), default)
    for name in sample:
        if name not in options:
            yield "conf/esignd.conf: there is no option %s%s" % (where, name)


def reloadable():
    """Options of both tables whose last column is true."""
    text = tree.read("daemon/config/schema.c")
    return {m[0] for m in re.findall(r'\{"([\w.]+)",\s*CONFIG_\w+,.*?\b(true|false)\}', text, re.S)
            if m[1] == "true"}


def man_reloadable():
    """Options whose entry in the man page has the line that says so."""
    entries = re.split(r"(?m)^(?=\.It |\.El)", tree.read(MAN))
    return {re.match(r"\.It Ic (\S+)", e).group(1) for e in entries if "\nReloadable.\n" in e}


def man_options():
    """Names in `.It Ic NAME` of the man page, macros removed."""
    return set(re.findall(r"^\.It\s+(?:Ic|Cm|Va|Li)\s+(\S+)", tree.read(MAN), re.M))


def findings():
    options, token_options = table("config_options"), table("config_token_options")
    module = launch()
    parsed = module.Reader(uncommented()).group("")
    tokens = parsed.pop("tokens")
    yield from compare("", options, dict(flat(parsed)))
    members = dict(tokens[0])
    members.pop("environment")
    yield from compare("tokens.", {**token_options}, members)
    for name, value in module.DEFAULTS.items():
        if options.get(name, ("", None))[1] != value:
            yield "packaging/launch: the default of %s is %s" % (name, options.get(name))
    for name in reloadable() ^ man_reloadable():
        yield "%s: whether %s is reloadable" % (MAN, name)
    page = man_options()
    for name in list(options) + list(token_options) + ["environment"]:
        if name not in page and "tokens." + name not in page:
            yield "%s: %s is missing" % (MAN, name)


tree.finish(findings())
