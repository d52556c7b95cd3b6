/* A signing of somebody with an own card (K3), between the digest that was fixed and the card's
 * answer.  The job waits in memory (site/waiting.h); after a restart its intent is ABORTED.
 * Source: design 2, 3, 8; requirements 1.6. */
#pragma once

#include "sign/job.h"

/* Whether the signer's key is on the signer's card. */
bool sign_is_card(const struct sign_job *j);

/* The job, which rests, moves into memory; *j is empty afterwards.  ret: what the card must sign.
 * ESIGN_E_INTERNAL: no memory, *j is as before. */
enum esign_rc sign_card_rest(struct sign_job *j, json_t **ret, struct fault *f) MUST_CHECK;

/* A job that waited, and what it borrows. */
struct sign_card_wait {
    struct sign_job job;
    struct sign_act act;
    char ticket_id[SITE_ID_MAX + 1], application[SESSION_NAME_MAX + 1],
        terminal[SESSION_NAME_MAX + 1];
};
void sign_card_wait_free(struct sign_card_wait *w); /* NULL is allowed */

/* Take the job out to which this answer belongs.  ESIGN_E_SESSION "peer": the answer comes from
 * elsewhere; ESIGN_E_REPLAY: it had its answer; ESIGN_E_CONFLICT: it waits for none; all of these
 * are entered. */
enum esign_rc sign_card_take(struct site *s, const struct sign_answer *a,
                             struct sign_card_wait **ret, struct fault *f) MUST_CHECK;
