"""The audit trail, checked by a stranger: only daemon/audit/FORMAT.md and what esignd gives out.

Nothing of esignd runs in the checks themselves; `openssl dgst -verify` checks signatures. The first
class reads the frozen examples, the second a trail that a running esignd has just written.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Instance, req

FIXTURES = os.path.join(esigntest.SOURCE, "tests", "fixtures", "audit")
MEMBERS = {
    "format": int, "seq": int, "time": str, "offset": str, "clock": str, "action": str,
    "actor": dict, "object": str, "result": str, "rows": dict,
}
OPTIONAL = {"old", "new", "reason", "application", "terminal", "alert"}


def fixture(name):
    with open(os.path.join(FIXTURES, name), "rb") as file:
        return file.read()


def sha256(data):
    return hashlib.sha256(data).digest()


# FORMAT.md 1 and 2


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def reject(constant):
    raise ValueError(f"number {constant}")


def members(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member occurs twice")
    return value


def parse(data):
    """The value of canonical JSON; anything else is refused."""
    value = json.loads(data.decode(), object_pairs_hook=members, parse_float=reject,
                       parse_constant=reject)
    if canonical(value) != data:
        raise ValueError("not canonical")
    return value


def check_entry(data, seq):
    entry = parse(data)
    if len(data) > 65535:
        raise ValueError("too long")
    for name, kind in MEMBERS.items():
        if type(entry.get(name)) is not kind:
            raise ValueError(f"member {name}")
    if set(entry) - set(MEMBERS) - OPTIONAL:
        raise ValueError("unknown member")
    if entry["format"] != 1 or entry["seq"] != seq:
        raise ValueError("format or sequence")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]):
        raise ValueError("time")
    if not re.fullmatch(r"[+-]\d\d:\d\d", entry["offset"]):
        raise ValueError("offset")
    if entry["clock"] not in ("synchronised", "unsynchronised"):
        raise ValueError("clock")
    return entry


def check_export(data):
    """All entries of an export, in order."""
    if data and not data.endswith(b"\n"):
        raise ValueError("the last line is cut")
    lines = data.split(b"\n")[:-1]
    entries = [check_entry(line, seq) for seq, line in enumerate(lines)]
    for before, after in zip(entries, entries[1:]):
        if after["time"] < before["time"]:
            raise ValueError("time goes back")
    return lines, entries


# FORMAT.md 3 and 4


def leaf(entry):
    return sha256(b"\x00" + entry)


def root(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


# FORMAT.md 5


def check_checkpoint(note, origin, spki_der):
    """(size, root) of a checkpoint whose signature holds."""
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or not signatures.endswith("\n"):
        raise ValueError("not a signed note")
    first, size, value = text.split("\n")[:-1]
    if first != origin or str(int(size)) != size:
        raise ValueError("not a checkpoint of this log")
    key_id = sha256(spki_der)[:4]
    good = 0
    for line in signatures.split("\n")[:-1]:
        dash, name, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if dash != "\u2014":
            raise ValueError("not a signature line")
        if name != origin or signature[:4] != key_id:
            continue
        if not ecdsa_holds(spki_der, text.encode(), signature[4:]):
            raise ValueError("the signature does not hold")
        good += 1
    if not good:
        raise ValueError("not signed by the log")
    return int(size), base64.b64decode(value, validate=True)


def ecdsa_holds(spki_der, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        pem = "-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki_der).decode() + \
            "-----END PUBLIC KEY-----\n"
        for name, data in (("key", pem.encode()), ("text", text), ("signature", signature)):
            names[name] = os.path.join(folder, name)
            with open(names[name], "wb") as file:
                file.write(data)
        return subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", names["key"], "-signature",
             names["signature"], names["text"]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


# FORMAT.md 6


def check_proof(proof, entry, origin, spki_der):
    """The sequence at which a proof shows the entry."""
    head, note = proof.split("\n\n", 1)
    first, index, *hashes = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or not re.fullmatch(r"index (0|[1-9]\d*)", index):
        raise ValueError("not a tlog-proof")
    seq = int(index[len("index "):])
    size, expected = check_checkpoint(note, origin, spki_der)
    if seq >= size:
        raise ValueError("beyond the checkpoint")
    check_entry(entry, seq)
    fn, sn, r = seq, size - 1, leaf(entry)
    for line in hashes:
        p = base64.b64decode(line, validate=True)
        if sn == 0 or len(p) != 32:
            raise ValueError("too many or malformed hashes")
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\x01" + r + p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or r != expected:
        raise ValueError("the entry is not there")
    return seq


def pem_der(pem):
    return base64.b64decode("".join(pem.decode().split("\n")[1:-2]))


class Fixtures(unittest.TestCase):
    ORIGIN = "esignd.example.com/fixture"

    @req("11.10(b)", "11.10(e)", "design 7")
    def test_export__frozen_entries__leaves_and_heads_recomputed(self):
        lines, _ = check_export(fixture("entries.jsonl"))
        leaves = [leaf(line) for line in lines]
        self.assertEqual([value.hex() for value in leaves],
                         fixture("leaves.txt").decode().split())
        self.assertEqual([f"{size} {root(leaves[:size]).hex()}" for size in range(len(leaves) + 1)],
                         fixture("heads.txt").decode().splitlines())

    @req("11.10(e)", "design 7")
    def test_rows__frozen__hashes_stand_in_their_entries(self):
        _, entries = check_export(fixture("entries.jsonl"))
        told = {(entry["seq"], key): value for entry in entries
                for key, value in entry["rows"].items()}
        for line in fixture("rows.jsonl").decode().splitlines():
            row = json.loads(line)
            parse(row["body"].encode())
            self.assertEqual(told.pop((row["seq"], row["key"])),
                             sha256(row["body"].encode()).hex())
        self.assertEqual(told, {})

    @req("11.10(e)", "design 7")
    def test_checkpoint__frozen__signature_and_root_hold(self):
        lines, _ = check_export(fixture("entries.jsonl"))
        spki = pem_der(fixture("log.spki.pem"))
        size, value = check_checkpoint(fixture("checkpoint.note").decode(), self.ORIGIN, spki)
        self.assertEqual((size, value), (len(lines), root([leaf(line) for line in lines])))
        anchor = parse(fixture("anchor").rstrip(b"\n"))
        self.assertEqual(anchor, {"format": 1, "note": fixture("checkpoint.note").decode()})

    @req("11.10(e)", "design 7")
    def test_proof__frozen__holds_for_its_entry_only(self):
        lines, _ = check_export(fixture("entries.jsonl"))
        spki = pem_der(fixture("log.spki.pem"))
        proof = fixture("entry-8.tlog-proof").decode()
        self.assertEqual(check_proof(proof, lines[8], self.ORIGIN, spki), 8)
        for seq in (0, 7, 9):
            with self.assertRaises(ValueError):
                check_proof(proof, lines[seq], self.ORIGIN, spki)
        with self.assertRaises(ValueError):
            check_proof(proof, lines[8].replace(b'"OK"', b'"KO"'), self.ORIGIN, spki)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance().ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.signer = cls.esignd.enrol("jdoe")
        cls.reply = cls.esignd.sign(cls.signer, b"record", "batch", "B-1", "1")
        cls.origin = cls.esignd.initialised["origin"]
        cls.spki = base64.b64decode(cls.esignd.initialised["log_spki"])

    def export(self):
        """The exact bytes of the whole trail, page by page."""
        data, after = b"", None
        while True:
            query = "?limit=7" + ("" if after is None else f"&after={after}")
            connection = self.esignd.connection(self.esignd.terminal)
            try:
                connection.request("GET", "/v1/audit/export" + query)
                reply = connection.getresponse()
                page = reply.read()
            finally:
                connection.close()
            self.assertEqual(reply.status, 200, page)
            if not page:
                return data
            data += page
            after = data.count(b"\n") - 1

    @req("11.10(b)", "11.10(e)", "design 7")
    def test_export__running_esignd__gives_the_root_of_its_checkpoint(self):
        size, value = check_checkpoint(self.esignd.get("/v1/audit/checkpoint")["note"],
                                       self.origin, self.spki)
        lines, _ = check_export(self.export())
        self.assertGreater(size, 0)
        self.assertGreaterEqual(len(lines), size)
        self.assertEqual(root([leaf(line) for line in lines[:size]]), value)

    @req("11.10(e)", "design 7")
    def test_proof__of_a_signature__shows_its_outcome_in_the_trail(self):
        proof = self.esignd.get(f"/v1/signatures/{self.reply['signature']}/proof")
        entry = proof["entry"].encode()
        self.assertEqual(check_proof(proof["proof"], entry, self.origin, self.spki), proof["seq"])
        cms = base64.b64decode(self.reply["value"])
        self.assertEqual(json.loads(entry)["new"]["cms_sha256"], sha256(cms).hex())
        lines, _ = check_export(self.export())
        self.assertEqual(lines[proof["seq"]], entry)


if __name__ == "__main__":
    esigntest.main()
