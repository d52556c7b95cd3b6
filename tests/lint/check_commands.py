"""client/cli/table.c and options.c, esign(1) and `esign --help` tell the same commands."""

import re

import tree

MAN = "client/man/esign.1"


def commands():
    rows = re.findall(r'^\s+\{"([a-z -]+)",\s*"([A-Z_ .]*)",\s*\d', tree.read("client/cli/table.c"),
                      re.M)
    return {words: operands for words, operands in rows}


def options():
    return re.findall(r'\[OPTION_\w+\]\s*=\s*\{"([a-z-]+)"', tree.read("client/cli/options.c"))


def man_commands():
    """Words of each `.It Ic`/`.It Cm`/`.Ss` line that begins with a command's words."""
    found = []
    for line in tree.read(MAN).splitlines():
        match = re.match(r"\.(?:It\s+(?:Xo\s+)?(?:Ic|Cm|Nm)|Ic|Cm|Ss)\s+(?:esign\s+)?(.*)", line)
        if match:
            words = match.group(1).split(" Ar ")[0].split(" Fl ")[0].split(" Op ")[0]
            found.append(" ".join(re.findall(r"\b[a-z]+(?:-[a-z]+)*\b", words)))
    return found


def findings():
    rows = commands()
    if not rows:
        yield "client/cli/table.c: no rows found"
    man = man_commands()
    for words in rows:
        if words not in man:
            yield "%s: %s is missing" % (MAN, words)
    text = tree.read(MAN)
    for name in options():
        if not re.search(r"Fl\s+(?:Fl\s+|-)%s\b" % re.escape(name), text.replace("\\-", "-")):
            yield "%s: option --%s is missing" % (MAN, name)


tree.finish(findings())
