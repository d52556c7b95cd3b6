/* What a token's service knows from its earlier processes: which token it used, and which PINs were
 * refused.  Kept in the first folder of $STATE_DIRECTORY (set by the service manager), in files of
 * mode 0600 that are replaced whole; without that variable nothing is known and nothing is kept. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum { PKCS11_SERIAL_LEN = 16, PKCS11_KNOWN_PINS_MAX = 8 };

/* The serial number (without padding) of the token that was logged in to last.  ret: empty where
 * none is known.  ESIGN_E_INTERNAL: what is kept can't be read. */
enum esign_rc pkcs11_known_serial(char ret[PKCS11_SERIAL_LEN + 1], struct fault *f) MUST_CHECK;

/* Keep it.  Writes only what is new.  ESIGN_E_INTERNAL: it could not be written. */
enum esign_rc pkcs11_known_set_serial(const char *serial, struct fault *f) MUST_CHECK;

/* Whether this PIN may be sent to the token with this serial number.  Takes a tenth of a second
 * where PINs were refused, else nothing.  ESIGN_E_HSM reason "pin": the token has refused it
 * already, or what is kept can't be read.
 * Source: 21 CFR 11.300(d); a token counts wrong PINs and locks itself. */
enum esign_rc pkcs11_known_check_pin(const char *serial, struct bytes pin,
                                     struct fault *f) MUST_CHECK;

/* Keep that the token has refused this PIN: salt and scrypt of it, since a wrong PIN is often
 * nearly the right one.  Of more than PKCS11_KNOWN_PINS_MAX the oldest are forgotten.
 * ESIGN_E_INTERNAL: it could not be written. */
enum esign_rc pkcs11_known_refuse_pin(const char *serial, struct bytes pin,
                                      struct fault *f) MUST_CHECK;

/* A PIN was accepted: no other is known as wrong any more. */
void pkcs11_known_forget_pins(void);
