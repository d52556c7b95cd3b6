/* A signing with a key in custody K2: the signer's blob opened, and unwrapped for one signature. */
#pragma once

#include "sign/job.h"

/* Open the blob of the job's key into j->wrapped; nothing in other custodies.  Errors of
 * seal_open(): each is alarmed when it is entered.  Source: design section 8. */
enum esign_rc sign_open_key(struct sign_job *j, struct fault *f) MUST_CHECK;

/* The role of the token that signs. */
enum site_role sign_token_role(const struct sign_job *j);

/* One try of the token that has the key; the value is not checked here.  As token_try(). */
enum esign_rc sign_token_try(struct sign_job *j, struct fault *f) MUST_CHECK;
