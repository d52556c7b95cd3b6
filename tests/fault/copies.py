"""Copies of a secret in the memory, the files and the circumstances of processes.

Memory is read through /proc/PID/mem, every writable mapping whole: what a core would hold, and what
it would leave out.
"""

import base64
import os
import random
import re
import string

PIECE, STRIDE = 8, 4  # of twelve bytes of a secret one piece is found wherever they begin
MAPPING_MAX = 1 << 30  # beyond: a sanitizer's shadow
ZEROS = re.compile(rb"\0{64,}")


class Canary:
    """A secret that is found by any of its pieces, in the forms in which programs keep text."""

    def __init__(self, text=None):
        self.text = text or "".join(random.choices(string.ascii_lowercase + string.digits, k=32))
        pieces = [self.text[at:at + PIECE]
                  for at in range(0, len(self.text) - PIECE + 1, STRIDE)]
        self.needles = {}
        for piece in pieces:
            self.add("plain", piece.encode())
        for piece in pieces[::2]:
            self.add("utf-16", piece.encode("utf-16-le"))  # big-endian holds all but its last byte
            self.add("hex", piece.encode().hex().encode())
            self.add("escaped", escaped(piece).encode())
            self.add("escaped", escaped(piece).upper().replace("\\U", "\\u").encode())
        for skipped in range(3):
            whole = self.text.encode()[skipped:]
            self.add("base64", base64.b64encode(whole[:len(whole) // 3 * 3]))

    def add(self, form, needle):
        self.needles[needle] = form


def escaped(text):
    """Each character as JSON may write it."""
    return "".join("\\u%04x" % ord(character) for character in text)


class Found:
    """One copy: where, in which form, and whether the kernel may write it to a swap device."""

    def __init__(self, where, form, locked=False):
        self.where, self.form, self.locked = where, form, locked

    def __repr__(self):
        return "%s in %s%s" % (self.form, self.where, " (locked)" if self.locked else "")


def find(data, canaries, where, locked=False):
    data = ZEROS.sub(b"\0", data)  # most of a mapping: this is what takes the time
    return [Found(where, form, locked) for canary in canaries
            for needle, form in canary.needles.items() if needle in data]


def mappings(pid):
    """(first, last, what, locked) of each writable mapping of a process."""
    rows = []
    with open("/proc/%d/smaps" % pid, encoding="utf-8") as smaps:
        for line in smaps:
            words = line.split()
            if words[0] == "VmFlags:":
                rows[-1][3] = "lo" in words
            elif not words[0].endswith(":"):
                first, last = (int(word, 16) for word in words[0].split("-"))
                name = words[5] if len(words) > 5 else "anonymous"
                rows.append([first, last, name, False, words[1]])
    return [row[:4] for row in rows
            if row[4].startswith("rw") and row[1] - row[0] <= MAPPING_MAX]


def in_memory(pid, canaries):
    """The copies in the writable memory of a process."""
    found = []
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for first, last, name, locked in mappings(pid):
            try:
                memory.seek(first)
                data = memory.read(last - first)
            except OSError:
                continue  # the kernel's own page, or gone meanwhile
            found += find(data, canaries, "process %d %s %x" % (pid, name, first), locked)
    return found


def in_circumstances(pid, canaries):
    """The copies in what a process was started with."""
    found = []
    for name in ("cmdline", "environ"):
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            found += find(file.read(), canaries, "%s of process %d" % (name, pid))
    return found


def in_files(folder, canaries, but=()):
    """The copies in the files below a folder, but for those whose path has one of these parts."""
    found = []
    for where, _, names in os.walk(folder):
        for path in (os.path.join(where, name) for name in names):
            if not os.path.isfile(path) or any(part in path for part in but):
                continue
            with open(path, "rb") as file:
                found += find(file.read(), canaries, path)
    return found


def locked_kib(pid):
    """How much memory of a process is locked."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmLck:"))
