/* What is done before the first request is served: an earlier stop is made good and told. */
#pragma once

#include "site/site.h"

/* End what an earlier stop left open, enter that the service starts (service.start, with how the
 * stop was and what was ended), and keep it for the status.  Errors of store_commit: the service
 * must not serve. */
enum esign_rc start_enter(struct site *s, struct fault *f) MUST_CHECK;
