"""Backups: what is put back is known as such, and nothing is lost without a word."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading

import clitest
import esigntest
from esigntest import ROOT_CALLER, Instance, req, wait_for

FAST_HASH = {"hash.memory_kib": "8192", "hash.iterations": "1"}


def store_of(esignd):
    return os.path.join(esignd.root, "lib", "esignd", "store.db")


def anchor_of(esignd):
    return os.path.join(esignd.root, "lib", "esignd", "anchor")


def copy_store(esignd):
    """The files of the store of a stopped service, by name."""
    folder = os.path.dirname(store_of(esignd))
    content = {}
    for name in os.listdir(folder):
        if name.startswith("store.db") and os.path.isfile(os.path.join(folder, name)):
            with open(os.path.join(folder, name), "rb") as file:
                content[name] = file.read()
    return content


def put_store(esignd, content):
    folder = os.path.dirname(store_of(esignd))
    owner = os.stat(folder)
    for name in os.listdir(folder):
        if name.startswith("store.db") and os.path.isfile(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    for name, data in content.items():
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o600)
        os.chown(path, owner.st_uid, owner.st_gid)


class OlderStore(esigntest.Case):
    """Requirements 1.6 A6: yesterday's store put back by whoever can write the disk."""

    def setUp(self):
        self.esignd = Instance(FAST_HASH).ready()
        self.addCleanup(self.esignd.close)
        self.signer = self.esignd.enrol("jdoe")
        self.esignd.sign(self.signer, b"record", "batch", "B-1", "1")
        self.esignd.stop()
        self.yesterday = copy_store(self.esignd)
        self.esignd.start()
        self.esignd.post("/v1/signers/jdoe/revoke", {
            "components": self.esignd.officers[0].components, "reason": "left the company"})
        self.size = self.esignd.get("/v1/status")["audit"]["size"]
        self.esignd.stop()

    def accept(self):
        asked = self.esignd.request_approval("restore.accept", {}, "the disk was lost")
        self.refused("E_DUAL_SELF", self.esignd.approve, asked["approval"], officer=0)
        self.refused("E_STOPPED", self.esignd.request_approval, "signer.enroll", {})
        return self.esignd.approve(asked["approval"])

    @req("11.10(e)", "A6", "5.34")
    def test_start__yesterdays_store__nobody_signs_until_two_officers_accept_the_loss(self):
        put_store(self.esignd, self.yesterday)
        self.esignd.start()
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "restored")
        self.assertGreaterEqual(status["restored"]["lost"]["size"], self.size)
        self.refused("E_STOPPED", self.esignd.sign, self.signer, b"r", "batch", "B-2", "1",
                     reason="restored")
        self.refused("E_STOPPED", self.esignd.get, "/v1/signers/jdoe", reason="restored")
        if esigntest.ROOT:  # else the terminal's user is the owner's, too, and init is not for it
            self.refused("E_STOPPED", self.esignd.init, reason="restored")
        self.assertIn("alert trigger=rollback", self.esignd.logs(last=None))
        with open(anchor_of(self.esignd), "rb") as file:
            anchor = file.read()
        # a second start is no way around it, and tells the same loss
        self.esignd.stop().start()
        again = self.esignd.get("/v1/status")["restored"]
        self.assertEqual(again["from"], status["restored"]["from"])
        self.assertEqual(again["lost"], status["restored"]["lost"])
        with open(anchor_of(self.esignd), "rb") as file:
            self.assertEqual(file.read(), anchor, "a branch nobody accepted was anchored")
        self.accept()
        self.check_accepted(status["restored"], anchor)

    def check_accepted(self, lost, anchor):
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "ready")
        self.assertEqual(status["restored"]["lost"], lost["lost"])
        self.assertEqual(status["restored"]["by"], ["mkeller", "psato"])
        entry = [e for e in self.esignd.entries() if e["action"] == "restore.accepted"][-1]
        self.assertEqual(entry["new"]["params"]["lost"], lost["lost"])
        self.assertEqual(entry["new"]["params"]["from"], lost["from"])
        with open(anchor_of(self.esignd), "rb") as file:
            self.assertTrue(file.read().startswith(anchor), "the anchor was rolled back")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")
        self.esignd.stop().start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")

    @req("A6")
    def test_start__the_right_store_put_back_again__goes_on(self):
        today = copy_store(self.esignd)
        put_store(self.esignd, self.yesterday)
        self.esignd.start()
        self.esignd.stop()
        put_store(self.esignd, today)
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")
        self.assertEqual(self.esignd.get("/v1/audit/verification")["result"], "ok")
        self.assertEqual(self.esignd.get("/v1/signers/jdoe")["state"], "revoked")

    @req("A6")
    def test_start__yesterdays_store_and_no_anchor__not_believed(self):
        put_store(self.esignd, self.yesterday)
        os.rename(anchor_of(self.esignd), anchor_of(self.esignd) + ".away")
        self.esignd.start()
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "restored")
        self.assertIn("missing", status["restored"]["detail"])

    @req("A6")
    def test_start__yesterdays_store_and_an_anchor_that_says_nothing__not_believed(self):
        for content in (b"", b'{"format":1,"note":"nothing"}\n'):
            put_store(self.esignd, self.yesterday)
            with open(anchor_of(self.esignd), "wb") as file:
                file.write(content)
            self.esignd.start()
            status = self.esignd.get("/v1/status")
            self.assertEqual(status["state"], "restored", content)
            self.assertIn("missing or empty", status["restored"]["detail"])
            self.esignd.stop()

    @req("A6")
    def test_start__an_empty_store_beside_an_anchor__is_not_initialised(self):
        put_store(self.esignd, {})
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status", esigntest.ROOT_CALLER)["state"],
                         "restored")
        self.refused("E_STOPPED", self.esignd.init, reason="restored")


class Shelf:
    """A folder for backups, and the commands of the administrator."""

    def __init__(self, case):
        self.root = tempfile.mkdtemp(prefix="esign-shelf-")
        case.addClassCleanup(shutil.rmtree, self.root, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.root, name)

    @staticmethod
    def options(esignd):
        return ["--config", esignd.config, "--credentials",
                os.path.join(esignd.root, "etc", "credentials")]

    def run(self, esignd, *words, check=True, passwords=()):
        """`esign WORDS` as root, with the site's configuration."""
        return esignd.esign(*words, *self.options(esignd), caller=ROOT_CALLER, check=check,
                            passwords=passwords)

    def backup(self, esignd, name, check=True):
        return self.run(esignd, "backup", "--to", self.path(name), "--as", "mkeller", "--reason",
                        "every day", check=check, passwords=[esignd.officers[0].password])


def pin_of(esignd, name):
    return os.path.join(esignd.root, "etc", "credentials", name + ".pin")


def files_of(folder):
    return {os.path.relpath(os.path.join(where, name), folder)
            for where, _, names in os.walk(folder) for name in names}


class Load:
    """Signers at work, and new ones, whose keys are made; what was acknowledged is kept."""

    def __init__(self, esignd, signers):
        self.esignd, self.signed, self.enrolled, self.failures = esignd, [], [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(s,)) for s in signers]
        self.threads.append(threading.Thread(target=self.enrol))

    def enrol(self):
        while not self.over.is_set():
            try:
                self.enrolled.append(self.esignd.enrol("new%d" % len(self.enrolled)))
            except (esigntest.Refused, OSError) as error:
                self.failures.append(error)
                return

    def work(self, signer):
        number = 0
        while not self.over.is_set():
            name = "L-%s-%d" % (signer.user_id, number)
            number += 1
            try:
                reply = self.esignd.sign(signer, name.encode(), "batch", name, "1")
            except (esigntest.Refused, OSError) as error:
                self.failures.append(error)
                return
            self.signed.append((name, reply))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_for(lambda: (len(self.signed) >= 8 and self.enrolled) or self.failures,
                 "signatures and keys are made")
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Backup(esigntest.Case):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH).ready()
        cls.addClassCleanup(cls.esignd.close)
        cls.shelf = Shelf(cls)
        cls.signers = [cls.esignd.enrol("signer%d" % i) for i in range(3)]

    def empty_site(self, pins=True):
        """A second site with users and folders, and with the first one's PINs if wanted."""
        other = Instance(FAST_HASH)
        self.addCleanup(other.close)
        other.launch("setup")
        other.officers = self.esignd.officers
        other.terminal, other.application = self.esignd.terminal, self.esignd.application
        other.enrolled = self.esignd.enrolled + 100
        if pins:
            for name in ("signers", "ca", "log"):
                os.unlink(pin_of(other, name))
                shutil.copyfile(pin_of(self.esignd, name), pin_of(other, name))
                os.chmod(pin_of(other, name), 0o400)
        return other

    def accept_by_command(self, esignd):
        """Two officers at the terminal."""
        said = esignd.esign("--json", "restore", "accept", "--as", "mkeller", "--reason",
                            "the disk was lost", passwords=[esignd.officers[0].password])
        approval = json.loads(said.stdout)["approval"]
        shown = esignd.esign("approvals", "show", approval).stdout.decode()
        self.assertIn("is a backup", shown)
        esignd.esign("approvals", "approve", approval, "--as", "psato",
                     passwords=[esignd.officers[1].password])

    @req("11.10(c)", "11.10(b)", "11.100(a)")
    def test_backup__under_load__whole_in_an_empty_site(self):
        with Load(self.esignd, self.signers) as load:
            done = self.shelf.backup(self.esignd, "load")
        self.assertEqual(load.failures, [])
        self.assertIn("PINs are not in it", done.stderr.decode())
        with open(self.shelf.path("load/manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        head = manifest["backup"]["head"]["size"]
        inside = [row for row in load.signed if row[1]["entry"]["seq"] < head]
        outside = len(load.signed) - len(inside)
        self.assertGreaterEqual(len(inside), 8)
        self.assertGreater(outside, 0, "the load was over before the copy")
        entry = [e for e in self.esignd.entries() if e["action"] == "backup.made"][-1]
        self.assertEqual(entry["new"]["sha256"], manifest["files"]["store.db"]["sha256"])
        self.assertEqual(entry["new"]["head"], manifest["backup"]["head"])
        self.assertEqual(entry["actor"]["user_id"], "mkeller")
        self.assertFalse([n for n in manifest["files"] if "pin" in n.lower()])
        self.esignd.esign("backup", "check", self.shelf.path("load"), caller=ROOT_CALLER)
        self.check_site(self.shelf.path("load"), inside, load.enrolled)

    def check_site(self, backup, inside, enrolled):
        other = self.empty_site()
        self.shelf.run(other, "restore", "--from", backup)
        other.start()
        self.assertEqual(other.get("/v1/status")["state"], "restored")
        self.refused("E_STOPPED", other.sign, self.signers[0], b"r", "batch", "N-0", "1")
        self.accept_by_command(other)
        self.assertIn("restored store", other.esign("status", check=False).stdout.decode())
        for name, reply in inside:
            verdict = other.validate(reply, name.encode(), "batch", name, "1")
            self.assertEqual(verdict["indication"], "TOTAL_PASSED", (name, verdict))
        self.assertEqual(other.get("/v1/audit/verification")["result"], "ok")
        new = other.sign(self.signers[0], b"goes on", "batch", "N-1", "1")
        verdict = other.validate(new, b"goes on", "batch", "N-1", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED")
        self.check_keys(other, enrolled)
        self.refused("E_ID_USED", other.enrol, "signer1")
        other.enrol("newcomer")  # keys are made on the tokens that were put back

    def check_keys(self, other, enrolled):
        """Whoever is active in the copy of the store has the key in that of the token."""
        active = 0
        for person in enrolled:
            try:
                state = other.get("/v1/signers/" + person.user_id)["state"]
            except esigntest.Refused as error:
                self.assertEqual(error.code, "E_NOT_FOUND")
                continue
            if state == "active":
                other.sign(person, b"r", "batch", "K-" + person.user_id, "1")
                active += 1
        self.assertGreater(active, 0)

    @req("11.10(c)")
    def test_check__a_file_altered_missing_or_added__named(self):
        self.shelf.backup(self.esignd, "spoilt")
        folder = self.shelf.path("spoilt")
        names = sorted(files_of(folder) - {"manifest.json"})
        keys = [n for n in names if n.endswith(".object") and not n.endswith("token.object")]
        for name in ("store.db", "anchor", "etc/esignd.conf", keys[0]):
            with self.subTest(name):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                for spoilt in (content[:-1] + bytes([content[-1] ^ 1]), content + b"x", None):
                    if spoilt is None:
                        os.unlink(path)
                    else:
                        with open(path, "wb") as file:
                            file.write(spoilt)
                    for words in (("backup", "check", folder),):
                        said = self.esignd.esign(*words, caller=ROOT_CALLER, check=False)
                        self.assertEqual(said.returncode, 1, said)
                        self.assertIn(name, said.stderr.decode())
                with open(path, "wb") as file:
                    file.write(content)
        with open(os.path.join(folder, "more"), "wb"):
            pass
        said = self.esignd.esign("backup", "check", folder, caller=ROOT_CALLER, check=False)
        self.assertIn("more is not in the manifest", said.stderr.decode())
        os.unlink(os.path.join(folder, "more"))
        for name in (folder, folder + "/", folder + "//"):  # as a shell completes it
            self.esignd.esign("backup", "check", name, caller=ROOT_CALLER)

    @staticmethod
    def forge_row(database):
        database.execute("UPDATE row SET body = replace(body, '\"active\"', '\"revoked\"') "
                         "WHERE kind = 'signer'")

    @staticmethod
    def forge_entry(database):
        """With its leaf, so that only the checkpoints tell."""
        (entry,) = database.execute("SELECT bytes FROM entry WHERE seq = 0").fetchone()
        entry = entry.replace(b'"offset":"+0', b'"offset":"-0')
        database.execute("UPDATE entry SET bytes = ?, leaf = ? WHERE seq = 0",
                         (entry, hashlib.sha256(b"\0" + entry).digest()))

    @req("11.10(c)", "11.10(e)")
    def test_check__trail_and_manifest_forged__trail_tells(self):
        """Hashes are no secret: who alters the store can write them anew."""
        for number, forge in enumerate((self.forge_row, self.forge_entry)):
            with self.subTest(forge.__name__):
                folder = self.shelf.path("forged%d" % number)
                self.shelf.backup(self.esignd, "forged%d" % number)
                path = os.path.join(folder, "store.db")
                with contextlib.closing(sqlite3.connect(path)) as database, database:
                    forge(database)
                with open(path, "rb") as file:
                    content = file.read()
                with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
                    manifest = json.load(file)
                manifest["files"]["store.db"] = {
                    "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as file:
                    json.dump(manifest, file)
                said = self.esignd.esign("backup", "check", folder, caller=ROOT_CALLER,
                                         check=False)
                self.assertEqual(said.returncode, 1)
                self.assertIn("E_FORMAT", said.stderr.decode())
                if forge == self.forge_entry:
                    self.assertIn("does not hold at entry 0", said.stderr.decode())
                other = self.empty_site()
                said = self.shelf.run(other, "restore", "--from", folder, check=False)
                self.assertEqual(said.returncode, 1)
                self.assertEqual(files_of(os.path.join(other.root, "lib")),
                                 {"esignd/store.db.lock"})

    @req("11.10(c)", "design 2")
    def test_restore__pin_missing_or_wrong__nothing_is_put_back(self):
        self.shelf.backup(self.esignd, "pins")
        other = self.empty_site(pins=False)
        said = self.shelf.run(other, "restore", "--from", self.shelf.path("pins"), check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("PIN", said.stderr.decode())
        os.unlink(pin_of(other, "signers"))
        said = self.shelf.run(other, "restore", "--from", self.shelf.path("pins"), check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("signers.pin", said.stderr.decode())
        self.assertEqual(files_of(os.path.join(other.root, "lib")),
                         {"esignd/store.db.lock", "esign-token/signers/esign-token.refused"})

    @req("A6", "5.34", "11.10(c)")
    def test_restore__services_run_or_the_store_is_newer__refused(self):
        self.shelf.backup(self.esignd, "older")
        words = ("restore", "--from", self.shelf.path("older"))
        said = self.shelf.run(self.esignd, *words, check=False)
        self.assertEqual((said.returncode, "is running" in said.stderr.decode()), (1, True), said)
        said = self.shelf.run(self.esignd, "token", "restore", "signers", "--from",
                              self.shelf.path("older"), check=False)
        self.assertEqual((said.returncode, "is running" in said.stderr.decode()), (1, True), said)
        lib = os.path.join(self.esignd.root, "lib")
        late = self.esignd.sign(self.signers[0], b"late", "batch", "O-1", "1")
        self.esignd.stop()
        before = copy_store(self.esignd), files_of(lib)
        said = self.shelf.run(self.esignd, *words, check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("E_CONFLICT(older)", said.stderr.decode())
        self.assertEqual((copy_store(self.esignd), files_of(lib)), before)
        self.shelf.run(self.esignd, *words, "--accept-loss")
        self.esignd.start()
        status = self.esignd.get("/v1/status")
        self.assertEqual(status["state"], "restored")
        self.assertLessEqual(status["restored"]["from"], late["entry"]["seq"])
        self.assertGreater(status["restored"]["lost"]["size"], late["entry"]["seq"])
        # what was there was kept: it is put back by renaming
        self.esignd.stop()
        put_store(self.esignd, before[0])
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")
        verdict = self.esignd.validate(late, b"late", "batch", "O-1", "1")
        self.assertEqual(verdict["indication"], "TOTAL_PASSED")

    @req("design 2", "11.10(c)")
    def test_token__copied_in_use_and_put_back__signs(self):
        self.shelf.run(self.esignd, "token", "backup", "signers", "--to", self.shelf.path("token"))
        said = self.shelf.run(self.esignd, "token", "backup", "signers", "--to",
                              self.shelf.path("token"), check=False)
        self.assertIn("is there already", said.stderr.decode())
        folder = os.path.join(self.esignd.root, "lib", "esign-token", "signers")
        self.esignd.launch("stop", "token-signers")
        for name in [n for n in os.listdir(folder) if len(n) == 36]:
            shutil.rmtree(os.path.join(folder, name))
        self.shelf.run(self.esignd, "token", "restore", "signers", "--from",
                       self.shelf.path("token"))
        (uuid,) = [n for n in os.listdir(folder) if len(n) == 36]
        status = os.stat(os.path.join(folder, uuid, "token.object"))
        self.assertEqual(status.st_mode & 0o777, 0o444)
        self.assertEqual(status.st_uid, 0 if esigntest.ROOT else os.geteuid())
        os.rename(os.path.join(folder, uuid), os.path.join(folder, uuid[:-4] + "ffff"))
        said = self.shelf.run(self.esignd, "token", "restore", "signers", "--from",
                              self.shelf.path("token"), check=False)
        self.assertIn("another token stands in", said.stderr.decode())
        os.rename(os.path.join(folder, uuid[:-4] + "ffff"), os.path.join(folder, uuid))
        self.esignd.launch("start", "token-signers")
        reply = self.esignd.sign(self.signers[1], b"r", "batch", "T-1", "1")
        self.assertEqual(reply["state"], "signed")

    @req("design 2", "11.10(c)")
    def test_token__older_than_the_store__the_others_sign_and_nobody_is_forgotten(self):
        self.shelf.run(self.esignd, "token", "backup", "signers", "--to", self.shelf.path("old"))
        late = self.esignd.enrol("latecomer")
        self.esignd.launch("stop", "token-signers")
        said = self.shelf.run(self.esignd, "token", "restore", "signers", "--from",
                              self.shelf.path("old")).stdout.decode()
        self.esignd.launch("start", "token-signers")
        self.refused("E_HSM", self.esignd.sign, late, b"r", "batch", "Y-1", "1")
        self.esignd.sign(self.signers[0], b"r", "batch", "Y-2", "1")
        self.assertEqual(self.esignd.get("/v1/signers/latecomer")["state"], "active")
        # the token with the newer key was kept
        kept = said.split("the old token is kept: ")[1].strip()
        folder = os.path.join(self.esignd.root, "lib", "esign-token", "signers")
        (uuid,) = [name for name in os.listdir(folder) if len(name) == 36]
        self.esignd.launch("stop", "token-signers")
        shutil.rmtree(os.path.join(folder, uuid))
        os.rename(kept, os.path.join(folder, uuid))
        self.esignd.launch("start", "token-signers")
        self.esignd.sign(late, b"r", "batch", "Y-3", "1")

    @req("design 2")
    def test_token__not_of_softhsm__its_vendors_backup_is_named(self):
        """The configuration of another module, which is not loaded for this."""
        with open(self.esignd.config, encoding="utf-8") as file:
            config = file.read()
        start = config.index('"ca"', config.index("tokens = ("))
        where = config.index("environment", start)
        config = config[:where] + config[where:].replace("SOFTHSM2_CONF=", "OTHER=", 1)
        path = os.path.join(self.esignd.root, "etc", "other.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        said = self.esignd.esign("token", "backup", "ca", "--to", self.shelf.path("other"),
                                 "--config", path, caller=ROOT_CALLER, check=False)
        self.assertIn("E_UNSUPPORTED", said.stderr.decode())
        self.assertIn("backup of its vendor", said.stderr.decode())
        self.assertFalse(os.path.exists(self.shelf.path("other")))

    @req("11.10(c)")
    def test_backup__killed_half_way__no_backup_and_a_next_one(self):
        argv = [os.path.join(self.esignd.prefix, "bin", "esign"), "--socket", self.esignd.socket,
                "backup", "--to", self.shelf.path("killed"), "--as", "mkeller", "--reason", "r",
                "--password-fd", "0", *self.shelf.options(self.esignd)]

        def part():
            for name in os.listdir(self.shelf.root):
                if name.startswith("killed.part-"):
                    return "store.db" in files_of(self.shelf.path(name))
            return False

        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        with process:
            process.stdin.write(self.esignd.officers[0].password.encode() + b"\n")
            process.stdin.close()
            wait_for(part, "the backup is half there")
            process.send_signal(signal.SIGKILL)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertFalse(os.path.exists(self.shelf.path("killed")))
        half = [n for n in os.listdir(self.shelf.root) if n.startswith("killed.part-")][0]
        said = self.esignd.esign("backup", "check", self.shelf.path(half), caller=ROOT_CALLER,
                                 check=False)
        self.assertIn("no whole backup", said.stderr.decode())
        self.shelf.backup(self.esignd, "killed")
        self.esignd.esign("backup", "check", self.shelf.path("killed"), caller=ROOT_CALLER)

    @req("11.10(c)", "11.10(g)")
    def test_backup__service_names_another_file__it_is_not_touched(self):
        """Whoever has taken over the service, or a socket, does not have root remove a file."""
        mine = self.shelf.path("mine")
        with open(mine, "w", encoding="utf-8") as file:
            file.write("keep")
        server = clitest.Server(self.shelf.path("sock"))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        inside = os.path.join(self.esignd.root, "lib", "esignd-backup")
        for name in (mine, os.path.join(inside, "..", "..", "mine"), inside + "/x/mine", "mine"):
            server.replies["POST /v1/backups"] = 201, {
                "backup": "B-1", "file": name, "sha256": hashlib.sha256(b"keep").hexdigest()}
            reader, writer = os.pipe()
            os.write(writer, b"a password of many characters\n")
            os.close(writer)
            said = subprocess.run(
                [os.path.join(self.esignd.prefix, "bin", "esign"), "--socket",
                 self.shelf.path("sock"), "backup", "--to", self.shelf.path("faked"), "--as",
                 "mkeller", "--reason", "r", "--password-fd", str(reader),
                 *self.shelf.options(self.esignd)], check=False, pass_fds=[reader],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
            os.close(reader)
            self.assertEqual(said.returncode, 1, said.stderr)
            self.assertIn(b"it is not touched", said.stderr)
            self.assertTrue(os.path.exists(mine))

    @req("11.10(c)", "5.10")
    def test_backup__no_officer__refused_and_entered(self):
        body = {"components": self.signers[0].components, "reason": "mine"}
        self.refused("E_AUTHZ", self.esignd.post, "/v1/backups", body)
        self.refused("E_COMPONENTS_REQUIRED", self.esignd.post, "/v1/backups", {"reason": "r"},
                     caller=ROOT_CALLER)
        if esigntest.ROOT:
            self.refused("E_TERMINAL", self.esignd.post, "/v1/backups", body,
                         caller=self.esignd.application)


class FullDisk(esigntest.Case):
    """Where the copy goes, and where the backup goes, without room."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance(FAST_HASH)
        cls.addClassCleanup(cls.esignd.close)
        cls.shelf = Shelf(cls)
        cls.copies = os.path.join(cls.esignd.root, "lib", "esignd-backup")
        os.makedirs(cls.copies)
        cls.mount(cls.copies, "16m")
        cls.esignd.ready()

    @classmethod
    def mount(cls, folder, size):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", folder], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", folder], check=True)

    @req("11.10(c)")
    def test_backup__no_room__told_and_nothing_left(self):
        said = self.shelf.backup(self.esignd, "none", check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("backup.directory", said.stderr.decode())
        self.assertEqual(self.esignd.entries()[-1]["action"], "backup.refused")
        self.assertEqual(os.listdir(self.shelf.root), [])
        subprocess.run(["mount", "-o", "remount,size=256m", self.copies], check=True)
        small = self.shelf.path("small")
        os.mkdir(small)
        self.mount(small, "128k")
        said = self.shelf.backup(self.esignd, "small/one", check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("No space left", said.stderr.decode())
        self.assertEqual(os.listdir(small), [])
        self.assertEqual(os.listdir(self.copies), [])
        self.shelf.backup(self.esignd, "whole")
        self.assertEqual(self.esignd.get("/v1/health")["ready"], True)


if __name__ == "__main__":
    esigntest.main()
