"""FORMAT.md of cms/ says enough: an encoder written from it alone gives the fixtures' bytes."""
# tier: quick

import datetime
import glob
import hashlib
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import esigntest  # noqa: E402  pylint: disable=wrong-import-position
from esigntest import req  # noqa: E402  pylint: disable=wrong-import-position

FIXTURES = os.path.join(HERE, "..", "fixtures", "cms")
ORDERS = {
    "p256": 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551,
    "p384": int("ffffffffffffffffffffffffffffffffffffffffffffffff"
                "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
}


def tlv(tag, *contents):
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*contents):
    return tlv(0x30, *contents)


def set_of(tag, elements):
    return tlv(tag, *sorted(elements))


def oid(dotted):
    arcs = [int(arc) for arc in dotted.split(".")]
    out = b""
    for arc in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        octets = [arc & 0x7f]
        while arc > 0x7f:
            arc >>= 7
            octets.insert(0, 0x80 | arc & 0x7f)
        out += bytes(octets)
    return tlv(0x06, out)


def split(der):
    """Tag, content and the bytes after the first value."""
    length, start = der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7f)
        length = int.from_bytes(der[2:start], "big")
    return der[0], der[start:start + length], der[start + length:]


def issuer_and_serial(certificate):
    """From TBSCertificate: [0] version, serialNumber, signature, issuer."""
    rest = split(split(certificate)[1])[1]
    rest = split(rest)[2]
    serial, rest = rest[:len(rest) - len(split(rest)[2])], split(rest)[2]
    rest = split(rest)[2]
    return rest[:len(rest) - len(split(rest)[2])], serial


def signing_time(at_ms):
    at = datetime.datetime.fromtimestamp(at_ms // 1000, datetime.timezone.utc)
    if at.year <= 2049:
        return tlv(0x17, at.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


def smaller_s(value, order):
    _, pair, _ = split(value)
    _, r, rest = split(pair)
    _, s, _ = split(rest)
    s = min(int.from_bytes(s, "big"), order - int.from_bytes(s, "big"))
    return sequence(tlv(0x02, r), tlv(0x02, s.to_bytes(s.bit_length() // 8 + 1, "big")))


class Fixture:
    """Inputs by name, and what FORMAT.md makes of them."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split(" = ", 1) for line in file if not line.startswith("#")]
        self.text = dict(rows)
        self.sha256 = sequence(oid("2.16.840.1.101.3.4.2.1"))
        rsa = self.text["algorithm"].startswith("rsa")
        self.signature_algorithm = (oid("1.2.840.113549.1.1.11") + b"\x05\x00" if rsa
                                    else oid("1.2.840.10045.4.3.2"))

    def bytes(self, name):
        return bytes.fromhex(self.text[name])

    def attributes(self):
        certificate = self.bytes("signer_cert")
        issuer, serial = issuer_and_serial(certificate)
        rows = {
            "1.2.840.113549.1.9.3": oid("1.2.840.113549.1.7.1"),
            "1.2.840.113549.1.9.4": tlv(0x04, self.bytes("record_digest")),
            "1.2.840.113549.1.9.5": signing_time(int(self.text["signing_time_ms"])),
            "1.2.840.113549.1.9.16.2.47": sequence(sequence(sequence(
                tlv(0x04, hashlib.sha256(certificate).digest()),
                sequence(sequence(tlv(0xa4, issuer)), serial)))),
            "1.2.840.113549.1.9.52": sequence(self.sha256, tlv(0xa1, self.signature_algorithm)),
            "1.2.840.113549.1.9.16.2.4": sequence(
                tlv(0x0c, self.text["envelope"].encode()), oid("1.2.840.113549.1.7.1")),
        }
        if "commitment_type" in self.text:
            rows["1.2.840.113549.1.9.16.2.16"] = sequence(oid(self.text["commitment_type"]))
        if "claimed_role" in self.text:
            role = tlv(0x0c, self.text["claimed_role"].encode())
            rows["0.4.0.19122.1.1"] = sequence(tlv(0xa0, sequence(sequence(
                oid("2.5.4.72"), tlv(0x31, role)))))
        return set_of(0x31, [sequence(oid(kind), tlv(0x31, value)) for kind, value in rows.items()])

    def signed_data(self):
        certificate, value = self.bytes("signer_cert"), self.bytes("value")
        if self.text["algorithm"] in ORDERS:
            value = smaller_s(value, ORDERS[self.text["algorithm"]])
        info = sequence(
            b"\x02\x01\x01", sequence(*issuer_and_serial(certificate)), self.sha256,
            b"\xa0" + self.attributes()[1:], sequence(self.signature_algorithm), tlv(0x04, value))
        return sequence(oid("1.2.840.113549.1.7.2"), tlv(0xa0, sequence(
            b"\x02\x01\x01", tlv(0x31, self.sha256), sequence(oid("1.2.840.113549.1.7.1")),
            set_of(0xa0, [certificate, self.bytes("ca_cert")]), tlv(0x31, info))))


class Format(unittest.TestCase):

    @req("design 6", "11.70")
    def test_encoder_from_the_document__fixtures__same_bytes(self):
        paths = sorted(glob.glob(os.path.join(FIXTURES, "*.txt")))
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            with self.subTest(fixture=os.path.basename(path)):
                fixture = Fixture(path)
                self.assertEqual(fixture.attributes().hex(), fixture.text["signed_attributes"])
                self.assertEqual(fixture.signed_data().hex(), fixture.text["signed_data"])


if __name__ == "__main__":
    esigntest.main()
