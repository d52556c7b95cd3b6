"""Power cuts: what a log of power_log.so says may be on the disk, and what must be there.

A power cut keeps what was synced and of the rest any part. Disk replays a log; after each record it
gives the images that a cut there may leave. Recovery runs the real recovery (fault/recover) on an
image, judge() compares its result with what the callers had been told before the cut.

The model is the strict one of POSIX: a file's bytes are kept when a sync of that file that began
after they were written has returned; a name made or removed is kept when the folder was synced.
Of what was not synced each page of 4 KiB, or sector of 512 bytes, has one of the states that it had
since the last sync, and names and lengths come in the order in which they were changed. The file of
SQLite's shared memory is made new at every first opening and is left out.
"""

import hashlib
import json
import os
import queue
import random
import re
import shutil
import struct
import subprocess
import tempfile
import threading

PAGES = (4096, 512)
RECORD = struct.Struct("<BBHiqQ")
CREATED, TRUNCATED = 1, 2
SIGNATURE = re.compile(rb'"signature":\s*"(G-[a-z2-7]{26})"')
FOUNDED = b'"ca_certificate"'  # in the reply to POST /v1/init
TICKET = re.compile(rb'"ticket":\s*"(T-[a-z2-7]{26})"')


class Event:
    """One record of the log."""

    def __init__(self, kind, flags, number, offset, data):
        self.kind, self.flags, self.number = kind, flags, number
        self.offset, self.data = offset, data

    def __str__(self):
        what = self.data[:60] if self.kind in "oursx" else b"%d bytes" % len(self.data)
        return "%s fd=%d offset=%d %r" % (self.kind, self.number, self.offset, what)


def read_log(path):
    with open(path, "rb") as file:
        text = file.read()
    events, at = [], 0
    while at < len(text):
        kind, flags, _, number, offset, length = RECORD.unpack_from(text, at)
        at += RECORD.size
        events.append(Event(chr(kind), flags, number, offset, text[at:at + length]))
        at += length
    return events


# --- the disk ------------------------------------------------------------------------------------


def change(content, event):
    """Do one change to the bytes of a file."""
    if event.kind == "t":
        del content[event.offset:]
    if event.kind in "ta":
        content.extend(bytes(max(0, event.offset - len(content))))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset:event.offset + len(event.data)] = event.data


def pieces(event, page):
    """A write as writes that each lie in one page."""
    at = 0
    while at < len(event.data):
        offset = event.offset + at
        length = min(len(event.data) - at, page - offset % page)
        yield Event("w", 0, event.number, offset, event.data[at:at + length])
        at += length


class File:
    def __init__(self, content=b""):
        self.synced, self.current = bytearray(content), bytearray(content)
        self.pending = []  # changes that are not synced
        self.dropped = 0  # number of changes that are, so that a sync can name its end

    def do(self, event):
        change(self.current, event)
        self.pending.append(event)

    def mark(self):
        return self.dropped + len(self.pending)

    def sync(self, mark):
        count = max(0, mark - self.dropped)
        for event in self.pending[:count]:
            change(self.synced, event)
        del self.pending[:count]
        self.dropped += count

    def content(self, variant, chance):
        if variant == "lost" or not self.pending:
            return bytes(self.synced)
        if variant == "kept":
            return bytes(self.current)
        return self.mixed(chance)

    def mixed(self, chance):
        size = chance.choice(PAGES)
        changes = [p for e in self.pending for p in (pieces(e, size) if e.kind == "w" else (e,))]
        pages = [e.offset // size if e.kind == "w" else "length" for e in changes]
        left = {}  # how many of its changes a page has seen; its other ones are lost
        for page in pages:
            left[page] = left.get(page, 0) + 1
        for page, count in left.items():
            left[page] = chance.choice((0, count, chance.randint(0, count)))
        content = bytearray(self.synced)
        for page, event in zip(pages, changes):
            if left[page] > 0:
                left[page] -= 1
                change(content, event)
        return bytes(content)


class Disk:
    """The folder of the store, with what is synced and what is not."""

    def __init__(self, folder, base):
        """base: {name: bytes} as it stood, synced, when the log began."""
        self.folder = folder
        self.synced = {name: File(content) for name, content in base.items()}
        self.names = dict(self.synced)
        self.pending = []  # (name, File or None) in their order
        self.dropped = 0
        self.open, self.syncs = {}, {}

    def name_of(self, path):
        return os.path.relpath(path.decode(), self.folder)

    def rename(self, name, file):
        if file is None:
            self.names.pop(name, None)
        else:
            self.names[name] = file
        self.pending.append((name, file))

    def mark(self):
        return self.dropped + len(self.pending)

    def sync(self, mark):
        count = max(0, mark - self.dropped)
        self.synced = self.named(self.pending[:count])
        del self.pending[:count]
        self.dropped += count

    def named(self, pending):
        names = dict(self.synced)
        for name, file in pending:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return names

    def opened(self, event):
        name = self.name_of(event.data)
        if name == ".":
            self.open[event.number] = self
            return
        if event.flags & CREATED:
            self.rename(name, File())
        self.open[event.number] = self.names[name]
        if event.flags & TRUNCATED:
            self.names[name].do(Event("t", 0, event.number, 0, b""))

    def do(self, event):
        """Replay one record. True: what a cut may leave is another now."""
        if event.kind == "o":
            self.opened(event)
        elif event.kind == "c":
            self.open.pop(event.number, None)
        elif event.kind in "wta":
            self.open[event.number].do(event)
        elif event.kind == "b":
            what = self.open[event.number]
            self.syncs[event.offset] = (what, what.mark())
        elif event.kind == "e":
            what, mark = self.syncs.pop(event.offset)
            what.sync(mark)
        elif event.kind == "u":
            self.rename(self.name_of(event.data), None)
        elif event.kind == "r":
            before, after = (self.name_of(path) for path in event.data.split(b"\0"))
            self.rename(after, self.names[before])
            self.rename(before, None)
        elif event.kind == "x":
            raise AssertionError("the log is not what happened: " + event.data.decode())
        return event.kind in "owtaeur"

    def image(self, variant, chance=None):
        """{name: bytes} after a power cut now."""
        names = self.synced if variant == "lost" else self.names
        if variant == "mixed":
            names = self.named(self.pending[:chance.randint(0, len(self.pending))])
        return {name: file.content(variant, chance) for name, file in sorted(names.items())
                if not name.endswith("-shm")}


def files_of(folder):
    """{name: bytes} of a folder as it stands."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith("-shm"):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


# --- what callers were told ----------------------------------------------------------------------


class Told:
    """What has been sent up to a point: to callers that the site is founded, signatures and
    tickets; to tokens digests; how many passwords to be hashed. guesser: the signer (id) whose
    password is guessed wrong in this log, and nobody else's is hashed."""

    def __init__(self, guesser=None):
        self.guesser, self.tries = guesser, 0
        self.signatures, self.tickets, self.frames = set(), set(), []
        self.founded = False
        self.sent = {}  # the newest bytes of each connection

    def do(self, event):
        if event.kind == "n":
            self.sent[event.number] = b""
        elif event.kind == "s":
            text = self.sent.get(event.number, b"") + event.data
            self.signatures.update(name.decode() for name in SIGNATURE.findall(text))
            self.tickets.update(name.decode() for name in TICKET.findall(text))
            self.founded = self.founded or FOUNDED in text
            self.sent[event.number] = text[-65536:]
        elif event.kind == "k":
            self.frames.append(event.data)
        elif event.kind == "h":
            self.tries += 1
        return event.kind in "skh"

    def intents_of(self, intents):
        """Those whose digest a token was given."""
        text = b"\0".join(self.frames)
        return {row["id"] for row in intents if bytes.fromhex(row["body"]["digest"]) in text}

    def copy(self):
        other = Told(self.guesser)
        other.tries = self.tries
        other.signatures, other.tickets = set(self.signatures), set(self.tickets)
        other.frames, other.founded = list(self.frames), self.founded
        return other


# --- recovery ------------------------------------------------------------------------------------


class Recovery:
    """A running fault/recover with a folder of its own. One image at a time."""

    def __init__(self, program, config, folder):
        """config: text of the site's esignd.conf; folder: of its store, there."""
        shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.root = tempfile.mkdtemp(prefix="esign-power-", dir=shared)
        self.disk = os.path.join(self.root, "disk")
        self.config = os.path.join(self.root, "esignd.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config.replace('"%s/' % folder, '"%s/' % self.disk))
        self.program = program
        self.start()

    def start(self):
        # what it logs of each recovery is of no interest
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def end(self):
        """Exit code of the process, which reads that there is nothing more to do."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()

    def close(self):
        self.end()
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, image):
        """What the recovery says of an image."""
        os.mkdir(self.disk, 0o700)
        for name, content in image.items():
            with open(os.path.join(self.disk, name), "wb") as file:
                file.write(content)
        self.process.stdin.write(self.config.encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        shutil.rmtree(self.disk)
        if not line:
            code = self.end()
            self.start()
            return {"rc": "DIED", "detail": "exit code %d" % code}
        return json.loads(line)


def ends_of(entries):
    """{signature: [its ends]} of all intents in the trail."""
    ends = {}
    for entry in entries:
        name = entry["object"].split("/")[-1]
        if entry["action"] == "signature.intent":
            ends.setdefault(name, [])
        elif entry["action"] in ("signature.outcome", "signature.aborted") and \
                entry["object"].startswith("signature/"):
            ends.setdefault(name, []).append(entry["action"])
    return ends


def judge(found, final, told):
    """What is wrong after a cut; an empty list: nothing. final: the same after no cut at all."""
    if found["rc"] != "OK":
        return ["not recovered: %s %s" % (found["rc"], found.get("detail"))]
    wrong = []
    if told.founded and not found["ready"]:
        wrong.append("the site was founded and is lost")
    if found["bad_seq"] != -1 or found["detail"]:
        wrong.append("trail: entry %d: %s" % (found["bad_seq"], found["detail"]))
    kept = found["entries"][:found["found"]]
    if kept != final["entries"][:len(kept)]:
        wrong.append("the trail is not the beginning of what was written")
    ends = ends_of(json.loads(entry) for entry in found["entries"])
    rows = {row["id"]: row["body"] for row in found["signature"]}
    done = {name for name, how in ends.items() if how == ["signature.outcome"]}
    wrong += ["intent %s ends in %s" % (n, how) for n, how in ends.items() if len(how) != 1]
    wrong += ["intent %s is open" % row["id"] for row in found["intent"]
              if row["body"]["state"] == "open"]
    if done != set(rows):
        wrong.append("outcomes and signatures differ: %s" % sorted(done ^ set(rows)))
    by_ticket = [body["ticket"] for body in rows.values()]
    if len(set(by_ticket)) != len(by_ticket):
        wrong.append("a ticket has two signatures")
    wrong += ["signature %s was sent and is lost" % n for n in sorted(told.signatures - set(rows))]
    wrong += ["signature %s is another" % row["id"] for row in final["signature"]
              if row["id"] in rows and rows[row["id"]] != row["body"]]
    tickets = {row["id"] for row in found["ticket"]}
    wrong += ["ticket %s was sent and is lost" % n for n in sorted(told.tickets - tickets)]
    used = told.intents_of(final["intent"]) - {row["id"] for row in found["intent"]}
    wrong += ["a key was used for %s, of which nothing is known" % n for n in sorted(used)]
    counted = sum(row["body"]["failures"] for row in found["attempt"] if row["id"] == told.guesser)
    if told.guesser and counted < told.tries:
        wrong.append("%d passwords were tried and %d counted" % (told.tries, counted))
    return wrong


# --- all points ----------------------------------------------------------------------------------


class Check:
    """Cuts a log at its points and judges every image."""

    def __init__(self, recoveries, folder, base, events, final, seed, told=None):
        """told: what was known before the log began; the rest as elsewhere in this file."""
        self.recoveries, self.final, self.seed = recoveries, final, seed
        self.folder, self.base, self.events = folder, base, events
        self.told = told or Told()
        self.points = self.images = 0
        self.most_aborted = (0, None, None)  # with the image and what had been told
        self.findings = []
        self.seen = {}  # hash of an image: what its recovery said
        self.lock = threading.Lock()

    def note(self, place, found, told):
        wrong = judge(found, self.final, told)
        if wrong:
            with self.lock:
                self.findings.append("%s: %s" % (place, "; ".join(wrong)))

    def work(self, recovery, jobs):
        while (job := jobs.get()) is not None:
            place, key, image, told = job
            try:
                found = recovery.run(image)
            except (OSError, ValueError) as error:
                found = {"rc": "UNKNOWN", "detail": repr(error)}
            self.note(place, found, told)
            with self.lock:
                self.seen[key] = found
                if found.get("aborted", 0) > self.most_aborted[0]:
                    self.most_aborted = (found["aborted"], image, told)

    def cut(self, jobs, number, disk, told, mixed):
        """All variants of a cut after this record."""
        self.points += 1
        for variant in ("lost", "kept") + ("mixed",) * mixed:
            chance = random.Random("%d %d %d" % (self.seed, number, self.images))
            image = disk.image(variant, chance)
            self.images += 1
            hashed = hashlib.sha256()
            for name, content in image.items():
                hashed.update(b"%s\0%d\0" % (name.encode(), len(content)) + content)
            key = hashed.digest()
            place = "record %d (%s), unsynced %s" % (number, self.events[number], variant)
            with self.lock:
                found = self.seen.get(key)
            if found is not None:
                self.note(place, found, told)
            else:
                jobs.put((place, key, image, told))

    def run(self, share=1.0, mixed=1):
        """share: of the points that change something; those that send something are all taken.
        mixed: how many images with a random part of what was not synced, each point."""
        jobs = queue.Queue(2 * len(self.recoveries))
        threads = [threading.Thread(target=self.work, args=(recovery, jobs))
                   for recovery in self.recoveries]
        for thread in threads:
            thread.start()
        try:
            self.replay(jobs, share, mixed)
        finally:
            for _ in threads:
                jobs.put(None)
            for thread in threads:
                thread.join()
        return self.findings

    def replay(self, jobs, share, mixed):
        disk, told = Disk(self.folder, self.base), self.told.copy()
        chance = random.Random(self.seed)
        for number, event in enumerate(self.events):
            changed, sent = disk.do(event), told.do(event)
            if sent or (changed and chance.random() < share):
                self.cut(jobs, number, disk, told.copy(), mixed)
