"""Custody K3: the signer's own card signs what the service has fixed. Here the card is a key in
this process, so that each half of the ceremony can be asked for, repeated and swapped by itself;
the command with a real module and a card is tested in test_card_command.py."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import esigntest
from esigntest import Instance, ROOT, req

RECORD = b"<BatchProductionRecord><ID>B-2026-K3</ID></BatchProductionRecord>\n"
OTHER = b"<BatchProductionRecord><ID>B-2026-OTHER</ID></BatchProductionRecord>\n"
POLICY = {"custody": {"default": "K1", "groups": [{"group": "cards", "custody": "K3"}]},
          "card": {"value_s": 120}}
KINDS = {"rsa2048": ("RSA", "rsa_keygen_bits:2048"), "p256": ("EC", "ec_paramgen_curve:P-256"),
         "p384": ("EC", "ec_paramgen_curve:P-384"), "rsa1024": ("RSA", "rsa_keygen_bits:1024")}


def openssl(*arguments, data=b""):
    done = subprocess.run(["openssl", *arguments], input=data, check=False, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise AssertionError("openssl %s: %s" % (" ".join(arguments), done.stderr.decode()))
    return done.stdout


class Card:
    """A key and a certificate for it, of its own or of an issuer."""

    def __init__(self, folder, name, kind="p256", usage="digitalSignature,nonRepudiation", days=30,
                 issuer=None):
        self.key, self.path = os.path.join(folder, name + ".key"), os.path.join(folder, name)
        algorithm, option = KINDS[kind]
        openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", self.key)
        self.certify(usage, days, issuer)

    def certify(self, usage, days, issuer=None):
        argv = ["req", "-x509", "-new", "-key", self.key, "-subj", "/CN=A card", "-days", str(days),
                "-addext", "keyUsage=critical," + usage, "-addext",
                "basicConstraints=critical,CA:FALSE", "-outform", "DER"]
        if issuer:
            argv += ["-CA", issuer.path + ".pem", "-CAkey", issuer.key]
        self.certificate = openssl(*argv)

    def sign(self, digest):
        """As a card does: PKCS#1 v1.5 with DigestInfo, or ECDSA."""
        path = self.path + ".digest"
        with open(path, "wb") as file:
            file.write(digest)
        return openssl("pkeyutl", "-sign", "-inkey", self.key, "-in", path, "-pkeyopt",
                       "digest:sha256")


class Issuer(Card):
    def certify(self, usage, days, issuer=None):
        pem = openssl("req", "-x509", "-new", "-key", self.key, "-subj", "/CN=Card issuer", "-days",
                      "30", "-addext", "keyUsage=critical,keyCertSign", "-addext",
                      "basicConstraints=critical,CA:TRUE")
        with open(self.path + ".pem", "wb") as file:
            file.write(pem)
        self.certificate = openssl("x509", "-outform", "DER", data=pem)


def text(value):
    return base64.b64encode(value).decode()


class Cards(esigntest.Case):
    """A site where the group "cards" signs with cards."""

    policy = POLICY
    algorithms = ["p256", "rsa2048"]
    made = 0
    folder = None
    sites = {}  # by policy: classes with the same share one

    @classmethod
    def setUpClass(cls):
        if not Cards.folder:
            Cards.folder = tempfile.mkdtemp(prefix="esign-k3-")
            unittest.addModuleCleanup(shutil.rmtree, cls.folder)
        key = json.dumps(cls.policy)
        if key not in Cards.sites:
            Cards.sites[key] = Instance(policy=cls.policy)
            unittest.addModuleCleanup(Cards.sites[key].close)
            cls.allow(Cards.sites[key])
            Cards.sites[key].ready()
        cls.esignd = Cards.sites[key]

    @classmethod
    def allow(cls, esignd):
        """Kinds of keys: a list, which Instance(policy=…) can't replace."""
        path = os.path.join(esignd.root, "etc", "policy", "policy.json")
        with open(path, encoding="utf-8") as file:
            policy = json.load(file)
        policy["signer_algorithms"] = cls.algorithms
        with open(path, "w", encoding="utf-8") as file:
            json.dump(policy, file)

    # people

    @classmethod
    def person(cls, group="cards", user_id=None):
        """Enrolled into the group and activated, without a key."""
        Cards.made += 1
        user_id = user_id or "card%02d" % Cards.made
        person = esigntest.Person(user_id, "Carla Card %d" % Cards.made, "Production operator")
        done = cls.esignd.two_officers("signer.enroll", {
            "user_id": user_id, "printed_name": person.printed_name, "title": person.title,
            "roles": ["signer"], "evidence": esigntest.evidence("K3%06d" % Cards.made),
            **({"group": group} if group else {})})
        return cls.esignd.activate(person, done)

    @classmethod
    def register(cls, person, card):
        return cls.esignd.two_officers("card.register", {
            "user_id": person.user_id, "certificate": text(card.certificate)})

    @classmethod
    def prove(cls, person, card):
        path = "/v1/signers/%s/card-test" % person.user_id
        wanted = cls.esignd.post(path, {"components": person.components})
        return cls.esignd.post(path, {
            "components": person.components, "challenge": wanted["challenge"],
            "value": text(card.sign(bytes.fromhex(wanted["digest"])))})

    @classmethod
    def card_signer(cls, kind="p256"):
        person = cls.person()
        card = Card(cls.folder, person.user_id, kind)
        cls.register(person, card)
        cls.prove(person, card)
        return person, card

    @classmethod
    def common(cls):
        """A signer whom the tests of a site share: each person costs seven slow hashes."""
        if not hasattr(cls.esignd, "common_card"):
            cls.esignd.common_card = cls.card_signer()
        return cls.esignd.common_card

    # the ceremony

    def ticket(self, record_id, content=RECORD, **members):
        return self.esignd.ticket(content, "batch", record_id, "1", **members)

    def authorise(self, ticket, person, caller=None, **members):
        return self.esignd.post("/v1/tickets/%s/authorise" % ticket["ticket"], {
            "components": person.components, "nonce": ticket["nonce"],
            "presented_hash": ticket["record"]["hash"], "card": True, **members}, caller)

    def value(self, wanted, value, caller=None, **members):
        return self.esignd.post("/v1/tickets/%s/value" % wanted["ticket"], {
            "signature_id": wanted["signature_id"], "value": text(value), **members}, caller)

    def sign(self, person, card, record_id, content=RECORD):
        wanted = self.authorise(self.ticket(record_id, content), person)
        return self.value(wanted, card.sign(bytes.fromhex(wanted["digest"])))

    def last(self, action):
        return [e for e in self.esignd.entries() if e["action"] == action][-1]

    def state(self, ticket):
        return self.esignd.get("/v1/tickets/" + ticket["ticket"])["state"]


class Ceremony(Cards):
    @req("11.70", "11.200(a)(1)", "11.50(a)", "design 8")
    def test_card__rsa_and_p256__signed_and_verified_by_others_too(self):
        for kind in ("rsa2048", "p256"):
            person, card = self.card_signer(kind)
            ticket = self.ticket("B-" + kind)
            wanted = self.authorise(ticket, person)
            self.assertEqual((wanted["state"], wanted["algorithm"], wanted["ticket"]),
                             ("value-wanted", kind, ticket["ticket"]))
            self.assertEqual(self.state(ticket), "signing")
            signature = self.value(wanted, card.sign(bytes.fromhex(wanted["digest"])))
            self.assertEqual((signature["state"], signature["signature"]),
                             ("signed", wanted["signature_id"]))
            verdict = self.esignd.validate(signature, RECORD, "batch", "B-" + kind, "1")
            self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
            envelope = verdict["facts"]["envelope"]
            self.assertEqual((envelope["custody"], envelope["components"], envelope["mode"]),
                             ("K3", ["id", "password", "card"], "one-shot"))
            self.openssl_verifies(signature)

    def openssl_verifies(self, signature):
        names = {}
        for name, content in (("cms", base64.b64decode(signature["value"])), ("record", RECORD),
                              ("ca", self.esignd.get("/v1/ca")["certificate"].encode())):
            names[name] = os.path.join(self.folder, name)
            with open(names[name], "wb") as file:
                file.write(content)
        said = subprocess.run(
            ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in",
             names["cms"], "-content", names["record"], "-CAfile", names["ca"], "-purpose", "any",
             "-out", "/dev/null"], check=False, capture_output=True, timeout=60)
        self.assertEqual(said.returncode, 0, said.stderr)

    @req("11.10(e)", "design 3")
    def test_card__entries__intent_before_the_value_and_outcome_after(self):
        person, card = self.common()
        ticket = self.ticket("B-entries")
        wanted = self.authorise(ticket, person)
        self.assertEqual(self.esignd.entries()[-1]["action"], "signature.intent")
        signature = self.value(wanted, card.sign(bytes.fromhex(wanted["digest"])))
        entry = self.esignd.entries()[-1]
        self.assertEqual((entry["action"], entry["seq"]),
                         ("signature.outcome", signature["entry"]["seq"]))

    @req("11.200(a)(1)(i)", "S5")
    def test_card__in_a_session__ordinals_in_order_and_bound_to_it(self):
        person, card = self.common()
        handle = self.esignd.open_session(person)
        wanted = self.authorise(self.ticket("B-s1"), person, session=handle)
        value = card.sign(bytes.fromhex(wanted["digest"]))
        self.refused("E_SESSION", self.value, wanted, value, reason="peer")
        self.assertEqual(self.value(wanted, value, session=handle)["state"], "signed")
        again = self.ticket("B-s2")
        wanted = self.esignd.post("/v1/tickets/%s/authorise" % again["ticket"], {
            "components": {"password": person.password}, "nonce": again["nonce"], "card": True,
            "presented_hash": again["record"]["hash"], "session": handle})
        signature = self.value(wanted, card.sign(bytes.fromhex(wanted["digest"])), session=handle)
        verdict = self.esignd.validate(signature, RECORD, "batch", "B-s2", "1")
        envelope = verdict["facts"]["envelope"]
        self.assertEqual((verdict["indication"], envelope["components"], envelope["ordinal"]),
                         ("TOTAL_PASSED", ["password", "card"], 2))

    @req("A8", "design 8")
    def test_value__of_another_digest__refused_and_ended(self):
        """Activation for one record is worth nothing for another."""
        person, card = self.common()
        one, two = self.ticket("B-sc1"), self.ticket("B-sc2", OTHER)
        first, second = self.authorise(one, person), self.authorise(two, person)
        value = card.sign(bytes.fromhex(first["digest"]))
        self.refused("E_HSM", self.value, second, value, reason="value")
        entry = self.last("signature.aborted")
        self.assertEqual((entry["result"], entry["alert"]), ("E_HSM(value)", "record-swap"))
        self.assertEqual(self.state(two), "failed")
        self.refused("E_CONFLICT", self.value, second, card.sign(bytes.fromhex(second["digest"])))
        self.assertEqual(self.value(first, value)["state"], "signed")

    @req("A7")
    def test_value_and_authorisation__repeated__replay(self):
        person, card = self.common()
        ticket = self.ticket("B-replay")
        wanted = self.authorise(ticket, person)
        self.refused("E_REPLAY", self.authorise, ticket, person)
        value = card.sign(bytes.fromhex(wanted["digest"]))
        self.value(wanted, value)
        self.refused("E_REPLAY", self.value, wanted, value)
        self.assertEqual(self.esignd.entries()[-1]["alert"], "replay")
        self.refused("E_REPLAY", self.authorise, ticket, person)

    @req("A8")
    def test_record__swapped_between_showing_and_signing__refused(self):
        person, card = self.common()
        ticket, other = self.ticket("B-swap"), self.ticket("B-swap2", OTHER)
        self.refused("E_RECORD_MISMATCH", self.esignd.post,
                     "/v1/tickets/%s/authorise" % ticket["ticket"], {
                         "components": person.components, "nonce": ticket["nonce"], "card": True,
                         "presented_hash": other["record"]["hash"]})
        signature = self.sign(person, card, "B-swap3")
        verdict = self.esignd.validate(signature, OTHER, "batch", "B-swap3", "1")
        self.assertEqual((verdict["indication"], verdict["reason"]),
                         ("TOTAL_FAILED", "RECORD_ALTERED"))

    @req("design 8", "11.10(g)")
    def test_value__from_elsewhere_or_another_key__refused(self):
        person, card = self.common()
        stranger = Card(self.folder, "nobody")
        wanted = self.authorise(self.ticket("B-peer"), person)
        value = card.sign(bytes.fromhex(wanted["digest"]))
        if ROOT:
            self.refused("E_SESSION", self.value, wanted, value, self.esignd.application,
                         reason="peer")
        self.refused("E_SESSION", self.value, {**wanted, "signature_id": "G-other"}, value)
        self.refused("E_HSM", self.value, wanted, stranger.sign(bytes.fromhex(wanted["digest"])),
                     reason="value")

    @req("11.10(e)", "design 8")
    def test_card__cancelled_by_the_terminal__intent_ended_with_the_cause(self):
        person, _ = self.common()
        ticket = self.ticket("B-cancel")
        wanted = self.authorise(ticket, person)
        done = self.esignd.post("/v1/tickets/%s/cancel" % ticket["ticket"],
                                {"reason": "the card was removed"})
        self.assertEqual(done["state"], "failed")
        entry = self.last("signature.aborted")
        self.assertEqual((entry["object"], entry["reason"]),
                         ("signature/" + wanted["signature_id"], "the card was removed"))

    @req("design 3", "5.23")
    def test_revoked_while_the_card_is_asked__not_signed(self):
        person, card = self.card_signer()
        wanted = self.authorise(self.ticket("B-revoked"), person)
        officer = self.esignd.officers[0]
        self.esignd.post("/v1/signers/%s/revoke" % person.user_id,
                         {"components": officer.components, "reason": "left"})
        self.refused("E_SIGNER_STATE", self.value, wanted,
                     card.sign(bytes.fromhex(wanted["digest"])), reason="revoked")
        self.refused("E_SIGNER_STATE", self.authorise, self.ticket("B-revoked2"), person)

    @req("design 3")
    def test_card__too_many_wait__busy_and_room_again(self):
        person, card = self.common()
        waiting = [self.authorise(self.ticket("B-many%d" % i), person) for i in range(4)]
        more = self.ticket("B-many4")
        self.refused("E_BUSY", self.authorise, more, person)
        for wanted in waiting:
            self.value(wanted, card.sign(bytes.fromhex(wanted["digest"])))
        self.assertEqual(self.authorise(more, person)["state"], "value-wanted")

    @req("design 8", "11.200(a)(1)")
    def test_card__not_said_or_not_had__told_before_anything_is_written(self):
        person, _ = self.common()
        plain = self.esignd.enrol("plain", algorithm="p256")
        size = self.esignd.get("/v1/status")["audit"]["size"]
        ticket = self.ticket("B-plain")
        self.refused("E_COMPONENTS_REQUIRED", self.esignd.authorise, ticket, person, reason="card")
        self.refused("E_PROTO", self.authorise, ticket, plain, field="card")
        self.assertNotIn("signature.intent",
                         [e["action"] for e in self.esignd.entries(after=size - 1)])
        if ROOT:
            self.refused("E_UNSUPPORTED", self.esignd.sign, person, RECORD, "batch", "B-one", "1",
                         reason="card")


class Registration(Cards):
    def ask(self, person, certificate, officer=0):
        return self.esignd.request_approval("card.register", {
            "user_id": person.user_id, "certificate": text(certificate)}, officer=officer)

    @req("11.200(a)(3)", "11.300(b)", "11.100(b)")
    def test_register__two_persons__the_same_or_a_stranger_refused(self):
        person, card = self.person(), Card(self.folder, "two")
        asked = self.ask(person, card.certificate)
        shown = self.esignd.get("/v1/approvals/" + asked["approval"])
        self.assertEqual(shown["card"]["sha256"], hashlib.sha256(card.certificate).hexdigest())
        self.assertEqual(shown["card"]["subject"], "CN=A card")
        self.refused("E_DUAL_SELF", self.esignd.approve, asked["approval"], 0)
        ticket = self.ticket("B-early")
        self.refused("E_CRED_STATE", self.authorise, ticket, person, reason="no_card")
        self.esignd.approve(asked["approval"])
        self.refused("E_CRED_STATE", self.authorise, ticket, person, reason="untested")
        self.prove(person, card)
        self.assertEqual(self.authorise(ticket, person)["state"], "value-wanted")

    @req("11.100(a)", "11.300(a)")
    def test_register__key_of_somebody__id_used(self):
        person, card = self.card_signer()
        other = self.person()
        self.refused("E_ID_USED", self.ask, other, card.certificate)
        card.certify("digitalSignature", 10)  # another certificate of the same key
        self.refused("E_ID_USED", self.ask, other, card.certificate)
        self.refused("E_ID_USED", self.ask, person, card.certificate)
        fresh = Card(self.folder, "fresh")
        one, two = self.ask(person, fresh.certificate), self.ask(other, fresh.certificate)
        self.esignd.approve(one["approval"])
        self.refused("E_ID_USED", self.esignd.approve, two["approval"])

    @req("design 8", "11.10(a)")
    def test_register__unusable_certificate__refused_by_name(self):
        person = self.person()
        cases = {
            "p384": ("E_POLICY", Card(self.folder, "c384", "p384").certificate),
            "rsa1024": ("E_POLICY", Card(self.folder, "c1024", "rsa1024").certificate),
            "usage": ("E_POLICY", Card(self.folder, "usage", usage="keyEncipherment").certificate),
            "ca": ("E_POLICY", Issuer(self.folder, "ca").certificate),
            "junk": ("E_FORMAT", b"0" * 300),
            "tail": ("E_FORMAT", Card(self.folder, "tail").certificate + b"0")}
        for name, (code, certificate) in cases.items():
            with self.subTest(name):
                self.refused(code, self.ask, person, certificate, field="params.certificate")
        self.refused("E_POLICY", self.ask, self.person(group=None),
                     Card(self.folder, "nogroup").certificate, field="params.user_id")

    @req("11.300(e)")
    def test_test__wrong_answer_old_challenge_another_person__refused(self):
        person, card = self.person(), Card(self.folder, "tested")
        self.register(person, card)
        path = "/v1/signers/%s/card-test" % person.user_id
        wanted = self.esignd.post(path, {"components": person.components})
        stranger = Card(self.folder, "stranger")
        answer = {"components": person.components, "challenge": wanted["challenge"]}
        digest = bytes.fromhex(wanted["digest"])
        self.refused("E_HSM", self.esignd.post, path, {**answer, "value": text(
            stranger.sign(digest))}, reason="value")
        self.esignd.post(path, {**answer, "value": text(card.sign(digest))})
        self.refused("E_REPLAY", self.esignd.post, path,
                     {**answer, "value": text(card.sign(digest))})
        self.refused("E_AUTHZ", self.esignd.post, path,
                     {"components": self.card_signer()[0].components})
        self.assertEqual(self.sign(person, card, "B-tested")["state"], "signed")

    @req("11.300(c)")
    def test_card__reported_lost__signs_no_more_and_never_again(self):
        person, card = self.card_signer()
        wanted = self.authorise(self.ticket("B-lost"), person)
        officer = self.esignd.officers[0]
        self.esignd.post("/v1/signers/%s/card-revoke" % person.user_id,
                         {"components": officer.components, "reason": "lost on the train"})
        self.refused("E_CONFLICT", self.value, wanted, card.sign(bytes.fromhex(wanted["digest"])))
        self.refused("E_CRED_STATE", self.authorise, self.ticket("B-lost2"), person,
                     reason="no_card")
        self.refused("E_ID_USED", self.ask, person, card.certificate)
        new = Card(self.folder, "new")
        self.register(person, new)
        self.prove(person, new)
        self.assertEqual(self.sign(person, new, "B-found")["state"], "signed")


class Root(Cards):
    """What root's copy of everything on this machine is worth against a card."""

    def public_keys(self):
        """Public keys of all tokens, read with their PINs."""
        found = []
        for name in ("signers", "ca", "log"):
            with open(os.path.join(self.esignd.root, "etc", "credentials", name + ".pin"),
                      encoding="ascii") as file:
                pin = file.read().strip()
            conf = os.path.join(self.esignd.root, "etc", "softhsm-%s.conf" % name)
            listed = subprocess.run(
                ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--login", "--pin",
                 pin, "--list-objects", "--type", "privkey"], check=False, capture_output=True,
                timeout=60, env={**os.environ, "SOFTHSM2_CONF": conf})
            self.assertEqual(listed.returncode, 0, listed.stderr)
            found.append(listed.stdout.decode())
        return found

    @req("A5", "design 8", "11.300(a)")
    def test_root__store_and_pins__no_key_that_signs_as_the_signer(self):
        person, card = self.common()
        plain = self.esignd.enrol("kone", algorithm="p256")
        for someone, kept in ((person, False), (plain, True)):
            signer = self.esignd.get("/v1/signers/" + someone.user_id)
            key = signer["key"]
            on_tokens = any(key in "".join(listed.split()) for listed in self.public_keys())
            self.assertEqual(on_tokens, kept, someone.user_id)
        # with another key of this machine root can answer, but not as the card
        other = Card(self.folder, "roots")
        wanted = self.authorise(self.ticket("B-root"), person)
        self.refused("E_HSM", self.value, wanted, other.sign(bytes.fromhex(wanted["digest"])),
                     reason="value")
        self.assertEqual(self.sign(person, card, "B-own")["state"], "signed")


class Restart(Cards):
    policy = {**POLICY, "card": {"value_s": 10}}

    @req("design 3", "11.10(e)")
    def test_card__silent__intent_ended_at_its_time(self):
        person, card = self.common()
        ticket = self.ticket("B-silent")
        wanted = self.authorise(ticket, person)
        esigntest.wait_for(lambda: self.state(ticket) == "failed", "the intent is ended", 20)
        self.refused("E_CONFLICT", self.value, wanted, card.sign(bytes.fromhex(wanted["digest"])))
        self.assertEqual(self.last("signature.aborted")["object"],
                         "signature/" + wanted["signature_id"])

    @req("design 3", "11.10(e)")
    def test_restart__between_the_halves__aborted(self):
        person, card = self.common()
        for how in (signal.SIGTERM, signal.SIGKILL):
            ticket = self.ticket("B-restart%d" % how)
            wanted = self.authorise(ticket, person)
            self.esignd.kill("esignd", how)
            self.assertEqual(self.state(ticket), "failed")
            self.refused("E_CONFLICT", self.value, wanted,
                         card.sign(bytes.fromhex(wanted["digest"])))
            entry = self.last("signature.aborted")
            self.assertEqual((entry["object"], entry["result"]),
                             ("signature/" + wanted["signature_id"], "E_INTERNAL(restart)"))
        self.assertEqual(self.sign(person, card, "B-after")["state"], "signed")


class Issued(Cards):
    """The policy names who issues cards."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="esign-k3-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.issuer = Issuer(folder, "issuer")
        cls.policy = {**POLICY, "card": {"issuers": [text(cls.issuer.certificate)],
                                         "test_days": 1}}
        super().setUpClass()

    @req("design 8", "11.100(b)")
    def test_register__issuer_of_the_policy_only(self):
        person = self.person()
        self.refused("E_POLICY", self.register, person, Card(self.folder, "own"),
                     field="params.certificate")
        card = Card(self.folder, "issued", issuer=self.issuer)
        self.register(person, card)
        self.prove(person, card)
        self.assertEqual(self.sign(person, card, "B-issued")["state"], "signed")


if __name__ == "__main__":
    esigntest.main()
