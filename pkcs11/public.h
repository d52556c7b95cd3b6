/* SubjectPublicKeyInfo from the attributes of a public key object. */
#pragma once

#include "pkcs11/mechanism.h"
#include "pkcs11/session.h"

/* Read object (a public key of that mechanism) and append its SubjectPublicKeyInfo to out.
 * ESIGN_E_HSM reason "key": the token gives no usable key.  Source: RFC 5480; RFC 3279. */
enum esign_rc pkcs11_public_read(const struct pkcs11_session *session, CK_OBJECT_HANDLE object,
                                 const struct pkcs11_mechanism *mechanism, struct buf *out,
                                 struct fault *f) MUST_CHECK;

/* The same from values.  point: CKA_EC_POINT, an OCTET STRING around the point or the bare point.
 * modulus, exponent: big endian. */
enum esign_rc pkcs11_public_ec(const struct pkcs11_mechanism *mechanism, struct bytes point,
                               struct buf *out, struct fault *f) MUST_CHECK;
enum esign_rc pkcs11_public_rsa(struct bytes modulus, struct bytes exponent, struct buf *out,
                                struct fault *f) MUST_CHECK;
