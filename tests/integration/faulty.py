"""The PKCS#11 module of tests/fault/token between a token's workers and their real module.

    esignd = Instance()
    faulty = Faulty.before(esignd, "signers")    # ahead of esignd.ready()
    esignd.ready()
    faulty.rules("call=C_Sign times=1 rv=0x30")  # what rules.h describes; replaces what was told
    ...
    self.assertEqual(faulty.counts()["C_Sign"].hit, 1)
    faulty.rules()
"""

import collections
import os
import re
import shutil
import struct

import esigntest

HEADER = "/usr/include/p11-kit-1/p11-kit/pkcs11.h"
COUNTS = struct.Struct("=32sQQQQ")
Counts = collections.namedtuple("Counts", "calls hit failed us")


def return_values():
    """{name: number} of all CKR_* that PKCS #11 names, without CKR_OK."""
    with open(HEADER, encoding="utf-8") as file:
        found = re.findall(r"#define\s+(CKR_\w+)\s+\((0x[0-9a-fA-F]+|\d+)UL\)", file.read())
    return {name: int(number, 0) for name, number in found if name != "CKR_OK"}


class Faulty:
    """A folder (made here) with the module, its control file and its counts, for all users."""

    def __init__(self, folder):
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self.folder, self.generation = folder, 0
        self.module = os.path.join(folder, "faulty_token.so")
        self.control, self.state = (os.path.join(folder, n) for n in ("control", "state"))
        # beside the site, since its services may not be able to read a build folder
        shutil.copyfile(os.path.join(esigntest.BUILD, "fault", "faulty_token.so"), self.module)
        os.chmod(self.module, 0o755)
        with open(self.state, "wb"):
            os.chmod(self.state, 0o666)
        self.counter, self.places = os.open(self.state, os.O_RDONLY | os.O_CLOEXEC), {}
        self.rules()

    @classmethod
    def before(cls, esignd, token):
        """In front of the module of a site's token, whose services have not been started."""
        faulty = cls(os.path.join(esignd.root, "faulty-" + token))
        with open(esignd.config, encoding="utf-8") as file:
            text = file.read()
        group = re.search(r"\{[^{}]*\bname = \"%s\";[^{}]*\}" % token, text).group()
        real = re.search(r"\bmodule = \"([^\"]*)\";", group).group(1)
        lines = "".join(', "%s"' % line for line in faulty.environment(real))
        changed = group.replace('module = "%s"' % real, 'module = "%s"' % faulty.module)
        changed = re.sub(r"(environment = \([^)]*?)\s*\)", lambda m: m.group(1) + lines + " )",
                         changed)
        with open(esignd.config, "w", encoding="utf-8") as file:
            file.write(text.replace(group, changed))
        return faulty

    def environment(self, real):
        return ["FAULT_MODULE=" + real, "FAULT_CONTROL=" + self.control,
                "FAULT_STATE=" + self.state]

    def rules(self, *lines):
        """Replace the rules; each counts its calls anew."""
        self.generation += 1
        fresh = self.control + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            file.write("\n".join(["generation=%d" % self.generation, *lines]) + "\n")
        os.chmod(fresh, 0o644)
        os.rename(fresh, self.control)

    def calls(self, name):
        """How often one function was called; cheap, to wait by."""
        if name not in self.places:
            with open(self.state, "rb") as file:
                self.places[name] = file.read().index(name.encode() + b"\0") + 32
        return struct.unpack("=Q", os.pread(self.counter, 8, self.places[name]))[0]

    def counts(self):
        """{function: Counts} since the folder was made."""
        found = collections.defaultdict(lambda: Counts(0, 0, 0, 0))
        with open(self.state, "rb") as file:
            data = file.read()
        for at in range(0, len(data) - COUNTS.size, COUNTS.size):
            name, *numbers = COUNTS.unpack_from(data, at)
            if not name.startswith(b"C_"):
                break
            found[name.rstrip(b"\0").decode()] = Counts(*numbers)
        return found
