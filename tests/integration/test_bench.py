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


    @req("design 11")
    def test_token__short_run__simulated_device_rules_both_sides(self):
        with tempfile.TemporaryDirectory(prefix="esign-bench-") as folder:
            path = os.path.join(folder, "result.json")
            done = subprocess.run(
                [sys.executable, "-B", RUN, "token", "--seconds", "1", "--rounds", "1", "--clients",
                 "4", "--units", "1,2", "--service-ms", "20", "--json", path], check=False,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr.decode("utf-8", "replace"))
            with open(path, encoding="utf-8") as file:
                rows = json.load(file)["rows"]
        self.assertIn("p99 ratio", done.stdout.decode())
        self.assertEqual([(row["units"], row["reference_processes"]) for row in rows],
                         [(1, 4), (2, 4)])
        for row in rows:
            with self.subTest(units=row["units"]):
                self.assertEqual(row["load"]["failed"], 0)
                for side in ("load", "reference"):  # the device does no more than this
                    self.assertGreater(row[side]["count"], 0)
                    self.assertLess(row[side]["per_second"], 51.0 * row["units"])


if __name__ == "__main__":
    esigntest.main()
