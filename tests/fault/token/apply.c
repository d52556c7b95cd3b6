#include "apply.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { APPLY_HANG_US = 5 * 1000, APPLY_TAG_SHIFT = 32 };

static int64_t apply_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void apply_sleep(uint64_t us)
{
    const struct timespec time = {.tv_sec = (time_t)(us / 1000000),
                                  .tv_nsec = (long)(us % 1000000) * 1000};

    if (us > 0)
        (void)nanosleep(&time, NULL);
}

/* Uniform, up to this; another sequence in each process. */
static uint64_t apply_jitter(uint64_t most_us)
{
    static unsigned seed;

    if (most_us == 0)
        return 0;
    if (seed == 0)
        seed = (unsigned)getpid();
    return (uint64_t)rand_r(&seed) % (most_us + 1);
}

static bool apply_is_fault(const struct fault_rule *rule)
{
    return rule->has_rv || rule->hang || rule->has_exit || rule->has_length || rule->signal > 0 ||
           rule->value != FAULT_VALUE_RIGHT;
}

/* Wait as the rule says, and take a unit of the device. */
static void apply_latency(struct fault_call *call, const struct fault_rule *rule)
{
    apply_sleep(rule->net_us / 2);
    if (rule->units > 0 && call->unit < 0)
        call->unit = fault_state_take_unit(rule->units);
    apply_sleep(rule->service_us + apply_jitter(rule->jitter_us));
    call->after_us += rule->net_us - rule->net_us / 2;
}

/* Note which rules the call is hit by; the first fault counts. */
static void apply_rules(struct fault_call *call, const struct fault_rules *rules)
{
    struct fault_rule latencies[FAULT_RULES_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < rules->count; i++) {
        const struct fault_rule *rule = &rules->rows[i];
        if (rule->call >= 0 && rule->call != call->number)
            continue;
        uint64_t n = fault_state_count_rule(i, rules->generation);
        if (n < rule->skip || (rule->times > 0 && n - rule->skip >= rule->times))
            continue;
        if (rule->net_us + rule->service_us + rule->jitter_us + rule->units > 0)
            latencies[count++] = *rule;
        if (call->hit || !apply_is_fault(rule))
            continue;
        call->hit = true;
        call->rule = *rule;
    }
    for (unsigned i = 0; i < count; i++) /* the rules may be read anew meanwhile */
        apply_latency(call, &latencies[i]);
}

/* Die, or set what is returned; whether the rule is for now is the caller's business. */
static void apply_fault(struct fault_call *call)
{
    if (call->rule.signal > 0)
        (void)kill(getpid(), (int)call->rule.signal); /* one that is ignored changes nothing */
    if (call->rule.has_exit)
        _exit((int)call->rule.exit);
    if (!call->rule.has_rv)
        return;
    call->rv = call->rule.rv;
    call->go = false;
}

static void apply_hang(const struct fault_rules *rules)
{
    uint64_t generation = rules->generation;

    while (fault_rules_now()->generation == generation)
        apply_sleep(APPLY_HANG_US);
}

/* Calls that a module answers though its device is away. */
static bool apply_needs_device(int number)
{
    return number != FAULT_C_Initialize && number != FAULT_C_Finalize &&
           number != FAULT_C_GetInfo && number != FAULT_C_GetSlotList &&
           number != FAULT_C_CloseSession && number != FAULT_C_CloseAllSessions;
}

struct fault_call fault_begin(int number)
{
    const struct fault_rules *rules = fault_rules_now();
    struct fault_call call = {.number = number,
                              .go = true,
                              .unit = -1,
                              .session_tag = rules->session_epoch,
                              .object_tag = rules->object_epoch,
                              .sessions = rules->sessions,
                              .flags = rules->flags};

    atomic_fetch_add(&fault_state()->counts[number].calls, 1);
    if (rules->away && apply_needs_device(number)) {
        call.go = false;
        call.rv = CKR_DEVICE_REMOVED;
        return call;
    }
    apply_rules(&call, rules);
    if (call.hit) {
        atomic_fetch_add(&fault_state()->counts[number].hit, 1);
        if (call.rule.hang)
            apply_hang(rules);
        if (!call.rule.late)
            apply_fault(&call);
    }
    call.began_us = apply_now_us();
    return call;
}

CK_RV fault_end(struct fault_call *call)
{
    struct fault_counts *counts = &fault_state()->counts[call->number];

    if (call->go) {
        atomic_fetch_add(&counts->us, (uint64_t)(apply_now_us() - call->began_us));
        if (call->rv != CKR_OK)
            atomic_fetch_add(&counts->failed, 1);
    }
    if (call->unit >= 0)
        fault_state_give_unit(call->unit);
    apply_sleep(call->after_us);
    if (call->hit && call->rule.late)
        apply_fault(call);
    return call->rv;
}

void fault_handle_in(struct fault_call *call, CK_ULONG *handle, uint64_t tag, CK_RV invalid)
{
    if (!call->go)
        return;
    if (*handle != CK_INVALID_HANDLE && *handle >> APPLY_TAG_SHIFT != tag) {
        call->rv = invalid;
        call->go = false;
    }
    *handle &= UINT32_MAX;
}

void fault_handle_out(CK_ULONG *handle, uint64_t tag)
{
    *handle |= tag << APPLY_TAG_SHIFT;
}

CK_ULONG fault_length(const struct fault_call *call, CK_ULONG real)
{
    return call->hit && call->rule.has_length ? (CK_ULONG)call->rule.length : real;
}
