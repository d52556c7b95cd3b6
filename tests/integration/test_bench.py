# build: release
"""tests/bench/run gives its figures; whether they are good is for people to judge."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import esigntest
from esigntest import req

RUN = os.path.join(esigntest.SOURCE, "tests", "bench", "run")


class Bench(unittest.TestCase):
    @req("design 11")
    def test_sign__short_run__figures_of_both_sides_come_out(self):
        with tempfile.TemporaryDirectory(prefix="esign-bench-") as folder:
            path = os.path.join(folder, "result.json")
            done = subprocess.run(
                [sys.executable, "-B", RUN, "sign", "--seconds", "0.5", "--rounds", "1",
                 "--clients", "1,2", "--algorithms", "p256", "--json", path], check=False,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr.decode("utf-8", "replace"))
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        self.assertIn("CPU, us a signature", done.stdout.decode())
        self.assertTrue(result["facts"]["binary"])
        self.assertEqual([(row["mode"], row["clients"]) for row in result["rows"]],
                         [("session", 1), ("session", 2), ("one-shot", 1), ("one-shot", 2)])
        for row in result["rows"]:
            with self.subTest(mode=row["mode"], clients=row["clients"]):
                self.assertEqual(row["load"]["failed"], 0)
                self.assertGreater(row["load"]["count"], 0)
                self.assertGreater(row["reference"]["count"], row["load"]["count"])
                self.assertGreaterEqual(row["load"]["p99_us"], row["load"]["p50_us"])
                self.assertGreater(row["load"]["cpu_us_by_part"]["esignd"], 0)
                self.assertGreater(row["load"]["esignd_peak_kib"], 1024)
                self.assertGreater(row["bound"], 0)
                hashed = row["load"]["cpu_us_by_part"]["hash workers"]
                self.assertEqual(hashed > 1000, row["mode"] == "one-shot", hashed)


if __name__ == "__main__":
    esigntest.main()
