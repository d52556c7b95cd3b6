/* How the service began, in words and JSON. */
#include "site/site.h"

const char *site_stop_name(enum site_stop stop)
{
    static const char *const names[] = {"none", "clean", "unclean"};

    return names[stop];
}

json_t *site_start_json(const struct site_start *start)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "stop", site_stop_name(start->stop), "from",
                     (json_int_t)start->from, "intents", (json_int_t)start->intents, "tries",
                     (json_int_t)start->tries, "keys", (json_int_t)start->keys);
}
