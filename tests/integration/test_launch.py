"""packaging/launch: users, sockets, credentials, restarts, order of stopping."""

import os
import pwd
import signal
import stat
import subprocess
import unittest

import esigntest
from esigntest import Instance, req, wait_for

# tier: quick

SERVICES = ["token-signers", "token-ca", "token-log", "hash", "document", "esignd"]


def owner(path):
    return pwd.getpwuid(os.lstat(path).st_uid).pw_name


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def status_of(pid, name):
    """One line of /proc/PID/status."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].split()
    raise KeyError(name)


class Launch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()

    def expected_user(self, service):
        if not esigntest.ROOT:
            return pwd.getpwuid(os.geteuid()).pw_name
        return service if service == "esignd" else "esign-" + service

    @req("design 2")
    def test_status__all_ready__each_under_its_user_without_privileges(self):
        rows = self.esignd.status()
        self.assertEqual(list(rows), SERVICES)
        for name, row in rows.items():
            self.assertEqual(row["state"], "ready", name)
            user = pwd.getpwnam(self.expected_user(name))
            self.assertEqual(status_of(row["pid"], "Uid"), [str(user.pw_uid)] * 4, name)
            self.assertEqual(status_of(row["pid"], "NoNewPrivs"), ["1"], name)
            if esigntest.ROOT:
                for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    self.assertEqual(int(status_of(row["pid"], kind)[0], 16), 0, (name, kind))

    @req("design 2", "11.10(d)")
    def test_sockets__helpers_only_for_esignd__service_for_the_group(self):
        run = os.path.join(self.esignd.root, "run")
        daemon = self.expected_user("esignd")
        for name in SERVICES[:-1]:
            path = os.path.join(run, name + ".sock")
            self.assertEqual((owner(path), mode(path)), (daemon, 0o600), name)
        if esigntest.ROOT:
            self.assertEqual(mode(self.esignd.socket), 0o660)
            self.assertEqual(os.lstat(self.esignd.socket).st_gid, esigntest.esign_gid())

    @req("style 23", "design 8")
    def test_credentials__token_service__pin_only_for_its_user_no_so_pin(self):
        state = os.path.join(self.esignd.root, "run", "launch")
        for name in SERVICES:
            directory = os.path.join(state, name + ".credentials")
            self.assertEqual((owner(directory), mode(directory)),
                             (self.expected_user(name), 0o500), name)
            expected = ["pin"] if name.startswith("token-") else []
            self.assertEqual(os.listdir(directory), expected, name)
            for file in expected:
                self.assertEqual(mode(os.path.join(directory, file)), 0o400)

    @req("style 23")
    def test_processes__environment_and_argv__hold_no_pin(self):
        pins = []
        for name in ("signers", "ca", "log"):
            path = os.path.join(self.esignd.root, "etc", "credentials", name + ".pin")
            with open(path, "rb") as file:
                pins.append(file.read())
        for row in self.esignd.status().values():
            for pid in [row["pid"], *esigntest.children_of(row["pid"])]:
                for kind in ("environ", "cmdline"):
                    with open("/proc/%d/%s" % (pid, kind), "rb") as file:
                        content = file.read()
                    for pin in pins:
                        self.assertNotIn(pin, content)

    @req("design 2", "style 28")
    def test_kill__every_service_in_turn__restarted_and_answering(self):
        for name in SERVICES:
            with self.subTest(name):
                self.esignd.kill(name)
                self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")

    @req("design 2")
    def test_stop_one__token_service__held_until_started_again(self):
        self.esignd.launch("stop", "token-signers")
        self.assertEqual(self.esignd.status()["token-signers"]["state"], "held")
        self.esignd.launch("start", "token-signers")
        self.assertEqual(self.esignd.status()["token-signers"]["state"], "ready")

    @req("design 2")
    def test_start__already_running__refused(self):
        text = self.esignd.launch("start", check=False)
        self.assertIn("already running", text)

    @req("2.4")
    def test_start__syntax_error__names_file_and_line(self):
        path = os.path.join(self.esignd.root, "etc", "broken.conf")
        for text, words in (("separation = \n;\n", "line 2: a value expected near ';'"),
                            ("a = 1;\n= 2;\n", "line 2: a name expected near '='"),
                            ("a = 1;\nb 2;\n", "line 2: = or : expected near '2'"),
                            ("a = 1;\n?", "line 2: not understood")):
            with self.subTest(words=words):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                done = subprocess.run(
                    [os.path.join(self.esignd.prefix, "libexec", "esignd", "launch"), "--config",
                     path, "start"], check=False, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual((done.returncode, done.stderr.decode().strip()),
                                 (1, "launch: %s %s" % (path, words)))

    @req("design 8")
    def test_tokens__second_time__were_there(self):
        self.assertEqual(self.esignd.launch("tokens").count("was there"), 3)

    @req("design 2")
    def test_launcher_killed__services_end__start_works_again(self):
        with open(os.path.join(self.esignd.root, "run", "launch", "pid"), encoding="ascii") as file:
            launcher = int(file.read())
        pids = [row["pid"] for row in self.esignd.status().values()]
        os.kill(launcher, signal.SIGKILL)
        wait_for(lambda: not any(os.path.exists("/proc/%d/exe" % pid) and alive(pid)
                                 for pid in pids), "services end with the launcher")
        self.esignd.start()
        self.assertEqual(self.esignd.get("/v1/status")["state"], "ready")


def alive(pid):
    try:
        return status_of(pid, "State")[0] not in ("Z", "X")
    except (FileNotFoundError, KeyError):
        return False


class Refusals(unittest.TestCase):
    @req("11.3(b)(4)")
    def test_start__no_system_class__refused_by_name(self):
        esignd = Instance()
        self.addCleanup(esignd.close)
        with open(esignd.config, encoding="utf-8") as file:
            text = file.read()
        with open(esignd.config, "w", encoding="utf-8") as file:
            file.write(text.replace('system_class = "closed";\n', ""))
        said = esignd.launch("start", check=False)
        self.assertIn("not ready", said)
        done = subprocess.run([os.path.join(esignd.prefix, "libexec", "esignd", "esignd"),
                               "--config", esignd.config], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"system_class", done.stdout)

    @req("design 2")
    def test_separation__not_for_this_user__refused(self):
        other = "none" if esigntest.ROOT else "users"
        esignd = Instance(options={"separation": '"%s"' % other})
        self.addCleanup(esignd.close)
        self.assertIn("separation", esignd.launch("start", check=False))


if __name__ == "__main__":
    esigntest.main()
