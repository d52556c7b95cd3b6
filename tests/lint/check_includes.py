"""Includes point one way (daemon/ARCHITECTURE.md, "Who may include whom")."""

import os
import re

import tree

BASE = {"base", "sandbox"}
SECOND = BASE | {"config", "store", "cms", "pkcs11", "document", "hash"}
THIRD = SECOND | {"audit", "authn"}
FOURTH = THIRD | {"authz", "ca", "site", "register", "sign", "verify"}
MAY = {
    "base": set(),
    "sandbox": {"base"},
    "config": BASE,
    "store": BASE,
    "pkcs11": BASE | {"config"},
    "cms": BASE | {"pkcs11"},
    "hash": BASE | {"config"},
    "document": BASE | {"cms"},
    "audit": SECOND,
    "authn": SECOND | {"audit"},
    "authz": THIRD,
    "ca": THIRD,
    "site": THIRD | {"authz", "ca"},
    "register": THIRD | {"authz", "ca", "site"},
    "sign": THIRD | {"authz", "ca", "site"},
    "verify": THIRD | {"authz", "ca", "site", "sign"},
    "api": THIRD | {"authz", "ca", "site", "register", "sign", "verify"},
    "listen": BASE | {"api"},
}
# Helpers' programs read their configuration.
FILES = {
    "daemon/document/main.c": {"config"},
}
# Faces of the daemon that client/ sees, for verification without a daemon and for own cards.
CLIENT = {"base", "document/document.h", "audit/audit.h", "pkcs11/card.h"}


def folder_of(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "daemon" and len(parts) > 2 else parts[0]


def allowed(name, target):
    """Whether the file may include "target" (quoted form)."""
    if target.startswith("esign/") or os.path.exists(
            os.path.join(tree.SOURCE, os.path.dirname(name), target)):
        return True
    folder, wanted = folder_of(name), target.split("/")[0]
    if folder == "client":
        inside = os.path.exists(os.path.join(tree.SOURCE, "client", target))
        return inside or wanted in CLIENT or target in CLIENT
    if os.path.dirname(name) == "daemon":
        return True
    return wanted == folder or wanted in MAY.get(folder, set()) | FILES.get(name, set())


def brings(name, first, own):
    """Whether the first header is the folder's inner one, or includes the file's own first."""
    if first.endswith("_internal.h"):
        return True
    path = os.path.join(os.path.dirname(name), os.path.basename(first))
    if not os.path.exists(os.path.join(tree.SOURCE, path)):
        return False
    inner = re.search(r'#\s*include\s+"([^"]+)"', tree.read(path))
    return inner is not None and os.path.basename(inner.group(1)) == own


def findings():
    for name in tree.files(".c", ".h", under=("daemon", "pkcs11", "client", "include")):
        text = tree.read(name)
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match and not allowed(name, match.group(1)):
                yield "%s:%d: may not include %s" % (name, number, match.group(1))
        if name.endswith(".c") and os.path.exists(os.path.join(tree.SOURCE, name[:-1] + "h")):
            first = re.search(r'#\s*include\s+["<]([^">]+)', text)
            own = os.path.basename(name)[:-1] + "h"
            if first and os.path.basename(first.group(1)) != own and \
                    not brings(name, first.group(1), own):
                yield "%s: its own header comes first" % name


tree.finish(findings())
