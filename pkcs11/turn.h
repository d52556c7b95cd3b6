/* What all workers of a token share.  Whose turn it is: one at a time opens the token or makes
 * keys; SoftHSM loses keys' consistency when two processes create objects at once, and a process
 * that starts sees half of what another is writing.  And which sessions are not to be used again,
 * and whether the PIN still may be.
 */
#pragma once

#include "base/fault.h"

#include <stdint.h>

struct pkcs11_turn;

/* Before the workers are forked; shared by them.  ret: owned by the caller. */
enum esign_rc pkcs11_turn_new(struct pkcs11_turn **ret, struct fault *f) MUST_CHECK;
void pkcs11_turn_free(struct pkcs11_turn *turn); /* NULL is allowed; unmaps it in this process */

/* Wait for the turn, at most until deadline_at_ms (monotonic).  A worker that dies in its turn ends
 * it.  ESIGN_E_DEADLINE: it did not come. */
enum esign_rc pkcs11_turn_take(struct pkcs11_turn *turn, int64_t deadline_at_ms,
                               struct fault *f) MUST_CHECK;
void pkcs11_turn_end(struct pkcs11_turn *turn);

/* From now on no worker uses a session that was opened before before_ms (monotonic); a time that is
 * earlier than that of another call changes nothing.
 * Source: a lost session or a stale handle is seldom the only one (the token was restarted). */
void pkcs11_turn_renew(struct pkcs11_turn *turn, int64_t before_ms);
int64_t pkcs11_turn_renewed(const struct pkcs11_turn *turn); /* that time; 0: none */

/* The token has refused the PIN: until the service is restarted no worker sends it, whatever
 * becomes of the one that learnt it. */
void pkcs11_turn_refuse_pin(struct pkcs11_turn *turn);
bool pkcs11_turn_pin_refused(const struct pkcs11_turn *turn);

/* Around the call that sends the PIN.  false: before any was accepted, PKCS11_TURN_LOGINS_MAX such
 * calls were begun and not ended, since the worker died, or was not told what became of the PIN: it
 * is not to be sent.  Source: a token counts wrong PINs whatever its module does afterwards. */
enum { PKCS11_TURN_LOGINS_MAX = 2 };
bool pkcs11_turn_begin_login(struct pkcs11_turn *turn);
void pkcs11_turn_end_login(struct pkcs11_turn *turn, bool accepted);

/* For how many workers the token has room, as it says itself (0: no limit), and as was found out:
 * that many ran when it gave no session to another (0: that has not happened since).  Whether this
 * is news. */
bool pkcs11_turn_set_room(struct pkcs11_turn *turn, unsigned said, unsigned found);
unsigned pkcs11_turn_room_said(const struct pkcs11_turn *turn);
unsigned pkcs11_turn_room(const struct pkcs11_turn *turn); /* the smaller one; 0: no limit */

/* What to log: whether this trouble is another one than the last that was noted, by any worker.
 * NULL: there is none, the token is well. */
bool pkcs11_turn_note_trouble(struct pkcs11_turn *turn, const char *text);
