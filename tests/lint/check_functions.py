"""Foreign bytes are parsed only where that is the folder's work; what style 20 bans is absent."""

import re

import tree

# Bytes made by others. cms, ca, sign and audit read certificates and keys that we made ourselves.
PARSERS = re.compile(r"\b(d2i_\w+|PEM_read\w*|PEM_bytes_read\w*|CMS_verify\w*|CMS_get\w*"
                     r"|PKCS7_\w+|SMIME_read\w*|X509_load_\w+|ASN1_item_d2i\w*|gnutls_pkcs7_\w+"
                     r"|gnutls_x509_crt_import\w*)\s*\(")
PARSING_FOLDERS = ("daemon/document/", "daemon/cms/", "daemon/ca/", "pkcs11/", "tests/")

POISONED = ("strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r atoi atol atoll atof "
            "strtol strtoll strtoul strtoull strtod sscanf scanf fscanf gets localtime gmtime "
            "ctime asctime memcmp system popen tmpnam mktemp rand srand random alloca "
            "ERR_print_errors").split()
POISON = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(POISONED))
# realloc only in buf.c: elsewhere a secret may be left behind.
REALLOC = re.compile(r"(?<![\w.>])(realloc|reallocarray)\s*\(")
GOTO = re.compile(r"\bgoto\s+\w+\s*;")
LINES_MAX = 700


def findings():
    for name in tree.files(".c", ".h", under=("daemon", "pkcs11", "client", "include")):
        text = tree.without_comments(tree.read(name))
        for number, line in enumerate(text.splitlines(), 1):
            where = "%s:%d: " % (name, number)
            match = PARSERS.search(line)
            if match and not name.startswith(PARSING_FOLDERS):
                yield where + "%s parses foreign bytes outside of document/" % match.group(1)
            match = POISON.search(line)
            if match and not (name == "daemon/base/bytes.c" and match.group(1) == "memcmp"):
                yield where + "%s is not used here (style 20)" % match.group(1)
            if REALLOC.search(line) and name != "daemon/base/buf.c":
                yield where + "realloc outside of buf.c"
            if GOTO.search(line):
                yield where + "goto"
        if text.count("\n") > LINES_MAX:
            yield "%s: %d lines: more than one purpose?" % (name, text.count("\n"))


tree.finish(findings())
