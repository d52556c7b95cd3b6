"""packaging/packages is the only list of packages; the modules of the build are in it."""

import re

import tree

INSTALLERS = re.compile(r"apt(?:-get)?\s+(?:-\S+\s+)*install\b(?!.*\$)")
MODULES = {"libcrypto": "libssl-dev", "jansson": "libjansson-dev", "sqlite3": "libsqlite3-dev",
           "libsodium": "libsodium-dev", "libmicrohttpd": "libmicrohttpd-dev",
           "libcurl": "libcurl4-openssl-dev", "libconfig": "libconfig-dev", "libp11": "libp11-dev",
           "p11-kit-1": "libp11-kit-dev", "libseccomp": "libseccomp-dev",
           "cmocka": "libcmocka-dev", "gnutls": "libgnutls28-dev",
           "libunistring": "libunistring-dev"}


def sections():
    current, found = None, {}
    for line in tree.read("packaging/packages").splitlines():
        line = line.split("#")[0].strip()
        if re.match(r"\[\w+\]$", line):
            current = line[1:-1]
            found[current] = []
        elif line:
            found[current].append(line)
    return found


def findings():
    listed = sections()
    if sorted(listed) != ["build", "run", "test"]:
        yield "packaging/packages: sections build, run and test are wanted"
    every = [name for names in listed.values() for name in names]
    for name in {n for n in every if every.count(n) > 1}:
        yield "packaging/packages: %s stands twice" % name
    wanted = re.search(r"foreach\(module IN ITEMS(.*?)\)",
                       tree.read("packaging/cmake/esign.cmake"), re.S).group(1).split()
    for module in wanted:
        if MODULES.get(module) not in listed["build"]:
            yield "packaging/packages: no package for the module %s" % module
    for name in tree.files():
        if name.startswith(("packaging/", "tests/run", "tests/integration/", ".ci/")):
            for number, line in enumerate(tree.read(name).splitlines(), 1):
                if INSTALLERS.search(line):
                    yield "%s:%d: packages by name; the list is packaging/packages" % (name, number)


tree.finish(findings())
