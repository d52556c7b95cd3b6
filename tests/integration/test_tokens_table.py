"""Every real PKCS#11 module in every role, against the table tokens/expected.tsv."""
# build: release

import base64
import json
import os
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Case, Refused, req
from tokens import zoo

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens", "expected.tsv")
COLUMNS = ("module", "role", "key", "expected", "code", "reason", "field", "why")
# what every module must have a row for
ROLES = (("signer", "p256"), ("signer", "rsa3072"), ("ca", "p256"), ("ca", "rsa3072"),
         ("log", "p256"), ("kek", "p256"), ("kek", "rsa3072"))
RECORD = b"batch record of a real token"


def rows():
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                values = line.rstrip("\n").split("\t")
                yield dict(zip(COLUMNS, values + [""] * (len(COLUMNS) - len(values))))


def rows_of(module, expected):
    return [row for row in rows() if row["module"] == module and row["expected"] == expected]


class Table(Case):
    """The table itself."""

    @req("design 8")
    def test_table__every_module_and_role__one_row(self):
        cells = [(row["module"], row["role"], row["key"]) for row in rows()]
        self.assertEqual(len(cells), len(set(cells)), "a cell stands twice")
        for module in zoo.MODULES:
            for role, key in ROLES:
                self.assertIn((module, role, key), cells)
        for row in rows():
            self.assertIn(row["module"], zoo.MODULES)
            self.assertIn(row["expected"], ("works", "refused"))
            self.assertEqual(bool(row["code"] and row["why"]), row["expected"] == "refused", row)


class Cells(Case):
    """One test a module; its methods are made below, so that each has a verdict of its own."""

    def prove_works(self, module, wanted):
        """One site for each kind of key, with all roles that the module can do."""
        keys = {role: [row["key"] for row in wanted if row["role"] == role] for role in zoo.TOKENS}
        proved = set()
        for number in range(max(len(of_role) for of_role in keys.values())):
            roles = {role: of_role[min(number, len(of_role) - 1)]
                     for role, of_role in keys.items() if of_role}
            esignd = zoo.site(self, zoo.make(module), roles)
            esignd.ready()
            signer = esignd.enrol("jdoe", algorithm=roles.get("signer"))
            self.prove_signature(esignd, signer, roles.get("signer"), roles.get("ca"))
            if "kek" in roles:  # custody K2: the key is in the store, wrapped by the module
                signer = esignd.enrol("asmith", algorithm=roles["kek"], group="sole")
                self.assertEqual(esignd.get("/v1/signers/asmith")["custody"], "K2")
                self.prove_signature(esignd, signer, roles["kek"], roles.get("ca"))
            proved |= set(roles.items())
            esignd.close()
        return proved

    def prove_signature(self, esignd, signer, key, ca_key):
        """Signed, and verified by esignd, by esign without it, and by OpenSSL."""
        signature = esignd.sign(signer, RECORD, "batch", "B-1", "1")
        self.assertEqual(signature["state"], "signed")
        verdict = esignd.validate(signature, RECORD, "batch", "B-1", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        trust = esignd.get("/v1/ca")
        proof = esignd.get("/v1/signatures/%s/proof" % signature["signature"])
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            path = {}
            for name, data in (("p7s", base64.b64decode(signature["value"])), ("record", RECORD),
                               ("altered", RECORD + b"x"), ("proof", json.dumps(proof).encode()),
                               ("ca.pem", trust["certificate"].encode())):
                path[name] = os.path.join(folder, name)
                with open(path[name], "wb") as file:
                    file.write(data)
                os.chmod(path[name], 0o644)
            # the checkpoint in the proof is the log key's signature
            done = esignd.esign("verify", path["p7s"], "--record-file", path["record"], "--offline",
                                "--trust", path["ca.pem"], "--proof", path["proof"], "--log-key",
                                trust["log_spki"], "--record", "batch:B-1:1")
            self.assertIn(b"TOTAL_PASSED", done.stdout)
            for name, accepted in (("record", True), ("altered", False)):
                done = subprocess.run(
                    ["openssl", "cms", "-verify", "-cades", "-binary", "-purpose", "any",
                     "-inform", "DER", "-in", path["p7s"], "-content", path[name], "-CAfile",
                     path["ca.pem"], "-out", os.devnull, "-signer", folder + "/" + name + ".pem"],
                    check=False, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode == 0, accepted, done.stderr)
            self.prove_key(ca_key, path["ca.pem"])
            self.prove_key(key, folder + "/record.pem")

    def prove_key(self, key, certificate):
        """It is of the algorithm that was asked for."""
        words = {"p256": "prime256v1", "rsa2048": "(2048 bit)", "rsa3072": "(3072 bit)"}
        said = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-text"],
                              check=True, stdout=subprocess.PIPE).stdout.decode()
        if key:
            self.assertIn(words[key], said)

    def prove_refused(self, module, row):
        """esign init says so before a key is made."""
        esignd = zoo.site(self, zoo.make(module), {row["role"]: row["key"]})
        with self.assertRaises(Refused) as caught:
            esignd.ready()
        body = caught.exception.body
        self.assertEqual((body["code"], body["reason"], body["field"]),
                         (row["code"], row["reason"], row["field"]), body)
        self.assertIn(row["why"], body["detail"])
        esignd.close()

    def prove_refused_at_enrolment(self, module, works, row):
        """The same where a signer asks for it on a site that stands."""
        esignd = zoo.site(self, zoo.make(module), {"signer": works[0]["key"]}).ready()
        body = self.refused(row["code"], esignd.enrol, "jdoe", algorithm=row["key"],
                            reason=row["reason"])
        self.assertIn(row["why"], body["detail"])
        esignd.enrol("asmith")  # and the token is as good as before
        esignd.close()

    def prove_module(self, module):
        works, refused = rows_of(module, "works"), rows_of(module, "refused")
        proved = self.prove_works(module, works) if works else set()
        self.assertEqual(proved, {(row["role"], row["key"]) for row in works})
        signers = [row for row in works if row["role"] == "signer"]
        for row in refused:
            self.prove_refused(module, row)
            if row["role"] == "signer" and signers:
                self.prove_refused_at_enrolment(module, signers, row)


def add_test(module):
    @req("design 8", "design 6")
    def prove(self):
        self.prove_module(module)

    setattr(Cells, "test_%s__every_role__as_in_the_table" % module.replace("-", "_"), prove)


for each in zoo.MODULES:
    add_test(each)

if __name__ == "__main__":
    esigntest.main()
