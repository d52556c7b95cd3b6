/* /v1/health: the checks, and whether all of them let the service sign; /v1/live: an answer. */
#include "api/handlers.h"
#include "base/cleanup.h"
#include "site/watch.h"

static json_t *health_checks(const struct health *health)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < health->count; i++) {
        const struct health_check *check = &health->checks[i];
        json_t *one = json_pack("{s:s, s:s, s:s}", "name", check->name, "state",
                                health_state_name(check->state), "detail", check->detail);
        if (json_array_append_new(array, one) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

HANDLER(handle_health)
{
    struct watch watch;
    struct health health;

    site_measure(handler_site(request), request->deadline_at_ms, &watch);
    health_judge(&watch, &health);
    return handler_reply(reply, 200,
                         json_pack("{s:b, s:b, s:o}", "live", 1, "ready", health.ready, "checks",
                                   health_checks(&health)),
                         f);
}

/* It asks nobody, so it tells that a request comes through, whatever else is wrong. */
HANDLER(handle_live)
{
    (void)request;
    return handler_reply(reply, 200, json_pack("{s:b}", "live", 1), f);
}
