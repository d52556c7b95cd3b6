# build: release
"""Which token is used: the one that the uri names and the site knows, or none. Without it nothing
is signed in another way, what was signed stays verifiable, and its keys are not forgotten.
"""

import os
import subprocess

import esigntest
from esigntest import Case, Instance, Refused, req, wait_for

SERVICE = "token-signers"
FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}
RECORD = b"record"


class Choice(Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH)
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("jdoe")
        cls.folder = os.path.join(cls.esignd.root, "lib", "esign-token", "signers")
        cls.number = 0

    def setUp(self):
        wait_for(self.works, "the token is there")

    def sign(self):
        type(self).number += 1
        name = "B-%d" % self.number
        return {**self.esignd.sign(self.signer, RECORD, "batch", name, "1"), "name": name}

    def works(self):
        try:
            return self.sign()["state"] == "signed"
        except Refused as refusal:
            self.assertEqual(refusal.code, "E_HSM", refusal.body)
            return False

    def token(self):
        return next(t for t in self.esignd.get("/v1/tokens")["items"] if t["name"] == "signers")

    def tokens(self):
        """Folders of SoftHSM2's tokens of the signers."""
        return sorted(name for name in os.listdir(self.folder)
                      if os.path.isdir(os.path.join(self.folder, name)))

    def take_away(self):
        """The token, with all that is on it; given back at the end. Returns its present place."""
        name = self.tokens()[0]
        here, away = os.path.join(self.folder, name), os.path.join(self.esignd.root, "away")
        os.rename(here, away)
        self.addCleanup(lambda: os.path.exists(away) and os.rename(away, here))
        wait_for(lambda: not self.works() and self.token()["state"] == "unavailable", "it is away")
        return away, here

    def make_token(self, label):
        """Another token, made by the means of SoftHSM2; removed at the end."""
        before = set(self.tokens())
        owner = os.stat(self.folder)
        with open(os.path.join(self.esignd.root, "etc", "credentials", "signers.pin"),
                  encoding="utf-8") as file:
            pin = file.read()
        who = ["setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid),
               "--clear-groups", "--"] if esigntest.ROOT else []
        conf = os.path.join(self.esignd.root, "etc", "softhsm-signers.conf")
        subprocess.run([*who, "softhsm2-util", "--init-token", "--free", "--label", label,
                        "--pin", pin, "--so-pin", "another so pin"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "SOFTHSM2_CONF": conf})
        name = (set(self.tokens()) - before).pop()
        path = os.path.join(self.folder, name)
        self.addCleanup(subprocess.run, ["rm", "-rf", path], check=True)
        return name.replace("-", "")[16:]  # its serial number

    @req("5.21", "design 2", "design 8")
    def test_away__nothing_signed_otherwise__old_signatures_verify__back_without_restart(self):
        signature = self.sign()
        starts = self.esignd.status()[SERVICE]["starts"]
        away, here = self.take_away()
        after = self.esignd.entries()[-1]["seq"]
        body = self.refused("E_HSM", self.sign, reason="unavailable")
        self.assertIn("no token matches the uri", body["detail"])
        told = [(entry["action"], entry["result"]) for entry in self.esignd.entries(after)
                if entry["action"].startswith("signature.")]
        self.assertEqual(told[-1][1], "E_HSM(unavailable)", told)
        self.assertNotIn(("signature.outcome", "OK"), told)
        verdict = self.esignd.validate(signature, RECORD, "batch", signature["name"], "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED", verdict)
        self.told_unavailable()
        os.rename(away, here)
        wait_for(self.works, "it is back")
        self.assertEqual(self.token()["state"], "ready")
        self.assertEqual(self.esignd.status()[SERVICE]["starts"], starts)

    def told_unavailable(self):
        """By status, health and metrics, each for who asks there."""
        said = self.esignd.esign("status", check=False).stdout.decode()
        self.assertIn("unavailable", said)
        check = next(c for c in self.health()["checks"] if c["name"] == "token-signers")
        self.assertEqual(check["state"], "fail", check)
        metrics = self.esignd.get("/metrics").decode()
        self.assertIn('helper_up{helper="token-signers"} 0', metrics)

    def health(self):
        connection = self.esignd.connection(self.esignd.terminal)
        try:
            return connection.send_json("GET", "/v1/health")[1]
        finally:
            connection.close()

    @req("design 8", "11.300(d)")
    def test_swapped__for_another_of_the_label__told_and_not_used(self):
        self.sign()
        known = self.token()["serial"]
        away, here = self.take_away()
        serial = self.make_token("signers")
        wait_for(lambda: serial in self.token()["detail"], "the other one is told")
        detail = self.token()["detail"]
        self.assertIn("the keys are on the one with serial " + known, detail)
        self.refused("E_HSM", self.sign, reason="unavailable")
        subprocess.run(["rm", "-rf", *[os.path.join(self.folder, n) for n in self.tokens()]],
                       check=True)
        os.rename(away, here)
        wait_for(self.works, "the right one is back, and its keys are known")

    @req("design 8")
    def test_same_label_twice__refused_and_both_named(self):
        self.sign()
        known = self.token()["serial"]
        serial = self.make_token("signers")
        self.esignd.kill_workers(SERVICE)
        wait_for(lambda: "add serial=" in self.token()["detail"], "two match")
        for candidate in (known, serial):
            self.assertIn(candidate, self.token()["detail"])
        other = next(n for n in self.tokens() if n.replace("-", "").endswith(serial))
        subprocess.run(["rm", "-rf", os.path.join(self.folder, other)], check=True)
        wait_for(self.works, "there is one again")


if __name__ == "__main__":
    esigntest.main()
