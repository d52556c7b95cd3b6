"""Every process of a running site is confined, each of its threads."""

import os
import unittest

from esigntest import Instance, children_of, req

# tier: quick

CONFINED = ["esignd", "hash", "document", "token-signers", "token-ca", "token-log"]


def threads_of(pid):
    """The status of each thread of a process, as a dictionary."""
    folder = "/proc/%d/task" % pid
    for name in os.listdir(folder):
        with open(os.path.join(folder, name, "status"), encoding="utf-8") as file:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Sandbox(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()
        cls.signer = cls.esignd.enrol("jdoe")

    @req("design 2", "11.10(d)")
    def test_processes__all_threads__filtered_and_without_new_privileges(self):
        connections = [self.esignd.connection(self.esignd.terminal) for _ in range(3)]
        for connection in connections:  # each has a thread in esignd
            self.addCleanup(connection.close)
            self.assertEqual(connection.send_json("GET", "/v1/status")[0], 200)
        for service in CONFINED:
            pid = self.esignd.pid(service)
            for process in [pid, *children_of(pid)]:
                for status in threads_of(process):
                    self.assertEqual(status["Seccomp"].strip(), "2", (service, status["Name"]))
                    self.assertEqual(status["NoNewPrivs"].strip(), "1", (service, status["Name"]))
            if service != "esignd":
                self.assertTrue(children_of(pid), service)
        self.assertGreaterEqual(len(list(threads_of(self.esignd.pid("esignd")))), 5)


if __name__ == "__main__":
    import esigntest
    esigntest.main()
