"""What a person typed is nowhere in esignd's memory after the reply."""

import unittest

import esigntest
from esigntest import Instance, Person, evidence, req

# tier: quick

MAPPING_MAX = 1 << 30  # beyond: a sanitizer's shadow


def found_in_memory(pid, needle):
    """The kinds of writable mappings of a process in which needle stands."""
    found = []
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            words = line.split()
            first, last = (int(word, 16) for word in words[0].split("-"))
            if not words[1].startswith("rw") or last - first > MAPPING_MAX:
                continue
            try:
                memory.seek(first)
                if needle in memory.read(last - first):
                    found.append(words[5] if len(words) > 5 else "anonymous")
            except OSError:
                continue  # a guard page, or gone meanwhile
    return found


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.esignd = Instance()
        cls.addClassCleanup(cls.esignd.close)
        cls.esignd.ready()

    if esigntest.ROOT:  # nobody else may look into a process that refuses core dumps

        @req("11.300", "11.200(a)(2)", "design 5")
        def test_memory__after_enrolment_and_signing__no_secret(self):
            esignd, signer = self.esignd, Person("canary", "Cara Nary", "Operator",
                                                 "a canary sings in the coal mine")
            halves = esignd.two_officers("signer.enroll", {
                "user_id": signer.user_id, "printed_name": signer.printed_name,
                "title": signer.title, "roles": ["signer"], "evidence": evidence("CAN000001")})
            signer = esignd.activate(signer, halves)
            esignd.sign(signer, b"record", "batch", "B-1", "1")
            wrong = Person(signer.user_id, signer.printed_name, signer.title,
                           "a wrong canary sings no better")
            with self.assertRaises(esigntest.Refused):
                esignd.sign(wrong, b"record", "batch", "B-2", "1")
            pid = esignd.pid("esignd")
            self.assertTrue(found_in_memory(pid, b"esignd.sock"))  # the search finds what is there
            secrets = [person.password for person in [signer, wrong, *esignd.officers]]
            for secret in secrets + [halves["receipt"], halves["secret"]]:
                self.assertEqual(found_in_memory(pid, secret.encode()), [], secret)


if __name__ == "__main__":
    esigntest.main()
