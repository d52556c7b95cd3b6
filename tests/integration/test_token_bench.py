"""esign token bench: its numbers hang together, and nothing of it stays on the token."""

import esigntest
from esigntest import Instance, req
from faulty import Faulty
from probing import public_objects, report_of, run, token_files
from tokens import zoo


class Idle(esigntest.Case):
    """A token whose services are not started."""

    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.faulty = Faulty.before(cls.esignd, "signers")
        cls.esignd.launch("tokens")

    def setUp(self):
        self.addCleanup(self.faulty.rules)

    @req("design 8")
    def test_bench__two_numbers_of_workers__rates_and_what_is_enough(self):
        # a signature takes 10 ms of waiting, so two workers make twice as many on any machine
        self.faulty.rules("call=C_Sign net_us=10000 service_us=0")
        done = run(self.esignd, "bench", "signers", "--json", "--seconds", "1", "--workers", "1,2",
                   "--algorithm", "p256")
        report = report_of(done)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([(r["algorithm"], r["workers"]) for r in report["rows"]],
                         [("p256", 1), ("p256", 2)])
        one, two = report["rows"]
        for row in (one, two):
            self.assertGreaterEqual(row["p50_us"], 10000)
            self.assertGreaterEqual(row["p99_us"], row["p50_us"])
            self.assertLessEqual(row["per_s"], 100 * row["workers"])
            self.assertLess(row["cpu_us"], row["p50_us"])
        self.assertGreater(two["per_s"], 1.3 * one["per_s"])
        self.assertEqual([(e["algorithm"], e["workers"]) for e in report["enough"]], [("p256", 2)])
        self.assertEqual((report["objects"], report["clean"]), ("token", True))
        self.assertEqual(public_objects(self.esignd), 0)

    @req("design 8")
    def test_bench__the_token_stops_to_sign__told_and_cleaned(self):
        self.faulty.rules("call=C_Sign skip=3 rv=0x30")
        done = run(self.esignd, "bench", "signers", "--seconds", "1", "--workers", "1",
                   "--algorithm", "p256")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"CKR_DEVICE_ERROR", done.stderr)
        self.assertEqual(public_objects(self.esignd), 0)

    @req("style 38")
    def test_bench__numbers_that_are_none__refused(self):
        for option, value in (("--workers", "1,,2"), ("--workers", "33"), ("--workers", "2,"),
                              ("--seconds", "0"), ("--seconds", "61"), ("--seconds", "x"),
                              ("--algorithm", "p521")):
            with self.subTest(option=option, value=value):
                done = run(self.esignd, "bench", "signers", option, value)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"was not tried", done.stderr)


class Others(esigntest.Case):
    @req("design 8")
    def test_bench__algorithm_that_the_token_has_not__told(self):
        esignd = zoo.site(self, zoo.make("opencryptoki"), {"signer": "rsa3072"})
        done = run(esignd, "bench", "signers", "--seconds", "1", "--workers", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        self.assertRegex(text, r"(?m)^rsa3072 +1 +[1-9]\d* +\d+\.\d{3} +\d+\.\d{3} +\d+\.\d{3}$")
        self.assertIn("p256: not measured: C_GenerateKeyPair: CKR_MECHANISM_INVALID", text)
        self.assertIn("rsa3072: 1 worker is enough", text)

    @req("design 8")
    def test_bench__in_use__a_copy(self):
        esignd = Instance().ready()
        self.addCleanup(esignd.close)
        before = token_files(esignd)
        done = run(esignd, "bench", "signers", "--json", "--seconds", "1", "--workers", "1",
                   "--algorithm", "p256")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(report_of(done)["objects"], "copy")
        self.assertEqual(token_files(esignd), before)


if __name__ == "__main__":
    esigntest.main()
