/* The inside of a session, for the bodies of requests. */
#pragma once

#include "base/buf.h"
#include "esign/types.h"

/* The members that name a session; session NULL: nothing. */
void session_body(struct buf *body, const struct esign_session *session);
