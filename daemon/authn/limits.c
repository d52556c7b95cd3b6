/* What the policy says of tries: how many failures lock, alarm, and how long the next one waits. */
#include "authn/authn_internal.h"
#include "base/cleanup.h"

enum { LIMITS_LOCK_AFTER = 5, LIMITS_ALERT_AFTER = 3 };

static const int64_t limits_delay_s[] = {0, 0, 2, 5};

enum { LIMITS_DELAYS = sizeof(limits_delay_s) / sizeof(limits_delay_s[0]) };

struct authn_limits authn_limits_of(const json_t *policy)
{
    const json_t *delays = json_object_get(json_object_get(policy, "auth"), "delay_s");
    struct authn_limits limits = {
        .lock_after = json_int(policy, "auth.lock_after", LIMITS_LOCK_AFTER),
        .alert_after = json_int(policy, "auth.alert_after", LIMITS_ALERT_AFTER),
        .delay_count = delays ? json_array_size(delays) : LIMITS_DELAYS};

    if (limits.delay_count > AUTHN_DELAYS_MAX)
        limits.delay_count = AUTHN_DELAYS_MAX;
    for (size_t i = 0; i < limits.delay_count; i++)
        limits.delay_s[i] =
            delays ? json_integer_value(json_array_get(delays, i)) : limits_delay_s[i];
    return limits;
}

static enum esign_rc limits_check_number(const json_t *policy, const char *path, struct fault *f)
{
    int64_t value = json_int(policy, path, -1);

    return value >= 1 && value <= AUTHN_LOCK_MAX
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_POLICY, path, "%s must be 1 to %d", path, AUTHN_LOCK_MAX);
}

enum esign_rc authn_limits_check(const json_t *policy, struct fault *f)
{
    const json_t *delays = json_object_get(json_object_get(policy, "auth"), "delay_s");
    bool good = json_is_array(delays) && json_array_size(delays) <= AUTHN_DELAYS_MAX;
    enum esign_rc rc = limits_check_number(policy, "auth.lock_after", f);

    if (rc == ESIGN_OK)
        rc = limits_check_number(policy, "auth.alert_after", f);
    if (rc != ESIGN_OK)
        return rc;
    for (size_t i = 0; good && i < json_array_size(delays); i++) {
        const json_t *delay = json_array_get(delays, i);
        good = json_is_integer(delay) && json_integer_value(delay) >= 0 &&
               json_integer_value(delay) <= AUTHN_DELAY_S_MAX;
    }
    return good ? ESIGN_OK
                : fault_field(f, ESIGN_E_POLICY, "auth.delay_s",
                              "auth.delay_s must be at most %d numbers of 0 to %d",
                              AUTHN_DELAYS_MAX, AUTHN_DELAY_S_MAX);
}

int64_t authn_delay_ms(const struct authn_limits *limits, int64_t failures)
{
    int64_t last = (int64_t)limits->delay_count;

    if (failures < 1 || last == 0)
        return 0;
    return limits->delay_s[(failures < last ? failures : last) - 1] * 1000;
}

int64_t authn_parallel_until(const struct authn_limits *limits, int64_t failures)
{
    int64_t until = failures + 1;

    while (until < limits->lock_after && authn_delay_ms(limits, until) == 0)
        until++;
    return until;
}
