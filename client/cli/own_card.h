/* The signer's own card at this terminal (custody K3): found, asked, and its answer given. */
#pragma once

#include "cli/hold.h"
#include "cli/person.h"
#include "pkcs11/card.h"

struct own_card {
    struct card *card; /* NULL: none was asked for */
    struct hold hold;
    bool held;
};

/* End the child and let signals act again; one that waits ends the program here. */
void own_card_done(struct own_card *c);

/* Start the module (--module, /etc/esignd/card.conf, or OpenSC where it is installed)
 * and look whether the card of this signer is there, before anything is begun.  Signals wait from
 * now on (hold.h): what was begun can be ended.  On failure the message is printed. */
enum cli_exit own_card_ready(struct cli *cli, const char *user_id, struct own_card *ret);

/* Have the card sign what wanted says ("spki", "digest", "expires_at"), with the PIN from the
 * terminal, --pin-fd or the reader.  ret_value: buf_new()ed by the caller.  ret_why: why not, for
 * the trail; the message is printed. */
enum cli_exit own_card_sign(struct cli *cli, struct own_card *c, const struct esign_result *wanted,
                            struct buf *ret_value, struct fault *ret_why);

/* After an authorisation that was answered with what the card must sign: the rest of the ceremony.
 * *result: what was wanted, becomes the signature.  If the card does not sign, the intent is ended
 * at the service with the reason and person->ended is set. */
enum cli_exit own_card_finish(struct cli *cli, struct own_card *c, struct person *person,
                              struct esign_result **result);
