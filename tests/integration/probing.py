"""Commands of the administrator on the tokens of a site: esign token test, esign token bench."""

import glob
import hashlib
import json
import os
import subprocess


def argv_of(esignd, *arguments):
    """As root, which may become the token's user."""
    return [*esignd.enter, os.path.join(esignd.prefix, "bin", "esign"), "--socket", esignd.socket,
            "token", *arguments, "--config", esignd.config,
            "--credentials", os.path.join(esignd.root, "etc", "credentials")]


def run(esignd, *arguments):
    """The finished process of `esign token ARGUMENTS`."""
    return subprocess.run(argv_of(esignd, *arguments), check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def probe(esignd, *arguments):
    """The finished process of `esign token test signers`."""
    return run(esignd, "test", "signers", *arguments)


def report_of(done):
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise AssertionError("exit %d\n%s" % (done.returncode, done.stderr.decode())) from error


def token_files(esignd, token="signers"):
    """Every file of a token's directory with the hash of its content."""
    found = {}
    for path in glob.glob(os.path.join(esignd.root, "lib", "esign-token", token, "**"),
                          recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def public_objects(esignd):
    """How many public objects of the probe are on the token: their files tell the label."""
    found = 0
    for path in token_files(esignd):
        with open(path, "rb") as file:
            found += b"esignd-probe" in file.read()
    return found
