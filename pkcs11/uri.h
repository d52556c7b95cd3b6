/* Which token is meant: an RFC 7512 URI. */
#pragma once

#include "base/fault.h"

#include <p11-kit/pkcs11.h>

struct pkcs11_uri;

enum { PKCS11_LABEL_LEN = 32 };

/* Read a URI that names a token by label, serial, or both (manufacturer and model may stand there
 * too).  ret: owned by the caller.  ESIGN_E_POLICY: not a URI, names no token, has an attribute
 * that is not understood, or a PIN, module, object or slot, which belong elsewhere or nowhere.
 * Source: RFC 7512 section 2.3. */
enum esign_rc pkcs11_uri_parse(const char *text, struct pkcs11_uri **ret,
                               struct fault *f) MUST_CHECK;
void pkcs11_uri_free(struct pkcs11_uri *uri);

/* Whether the token is the one.  Its texts may be padded with blanks, as PKCS#11 demands, or with
 * NUL bytes; its serial number may have blanks or zeros before it that the URI's has not. */
bool pkcs11_uri_matches(const struct pkcs11_uri *uri, const CK_TOKEN_INFO *info);

/* The same for all but the serial number: a token of that label which may be another one. */
bool pkcs11_uri_matches_but_serial(const struct pkcs11_uri *uri, const CK_TOKEN_INFO *info);

bool pkcs11_uri_has_serial(const struct pkcs11_uri *uri);

/* The label, blank-padded, for a new token.  false: the URI has none, or it has a serial, which a
 * new token can't be given. */
bool pkcs11_uri_label(const struct pkcs11_uri *uri, CK_UTF8CHAR ret[PKCS11_LABEL_LEN]);

/* Copy a blank-padded text without its padding; what is not printable becomes '?'.
 * ret: padded_len + 1 bytes. */
void pkcs11_unpad(const unsigned char *padded, size_t padded_len, char *ret);
