/* A child process of the probe: runs rows of the table one after the other and tells its parent. */
#include "pkcs11/ckr.h"
#include "pkcs11/probe_internal.h"

#include "base/secret.h"

#include <assert.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

void probe_say(struct probe_result *ret, enum probe_verdict verdict, const char *fmt, ...)
{
    va_list args;

    ret->verdict = verdict;
    va_start(args, fmt);
    (void)vsnprintf(ret->detail, sizeof(ret->detail), fmt, args); /* cut: it is a text */
    va_end(args);
}

bool probe_worked(struct probe_result *ret, CK_RV rv, const char *call)
{
    bool absent = rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED ||
                  rv == CKR_MECHANISM_PARAM_INVALID || rv == CKR_CURVE_NOT_SUPPORTED ||
                  rv == CKR_KEY_SIZE_RANGE || rv == CKR_DOMAIN_PARAMS_INVALID;

    probe_say(ret, rv == CKR_OK ? PROBE_PASS : (absent ? PROBE_ABSENT : PROBE_FAIL), "%s%s%s",
              rv == CKR_OK ? "" : call, rv == CKR_OK ? "" : ": ",
              rv == CKR_OK ? "" : pkcs11_ckr_name(rv));
    return rv == CKR_OK;
}

size_t probe_check_by_name(const char *name)
{
    size_t i = 0;

    while (i < probe_check_count && strcmp(probe_checks[i].name, name) != 0)
        i++;
    assert(i < probe_check_count);
    return i;
}

void probe_send(const struct probe *p, const struct probe_message *m)
{
    if (send(p->parent_fd, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m))
        _exit(1);
}

void probe_fact(struct probe *p, const char *name, const char *fmt, ...)
{
    struct probe_message m = {.kind = PROBE_FACT};
    va_list args;

    (void)snprintf(m.name, sizeof(m.name), "%s", name); /* short */
    va_start(args, fmt);
    (void)vsnprintf(m.detail, sizeof(m.detail), fmt, args); /* cut: it is a text */
    va_end(args);
    probe_send(p, &m);
}

bool probe_made_elsewhere(struct probe *p, const uint8_t id[TOKEN_KEY_ID_LEN])
{
    struct probe_message m = {.kind = PROBE_MAKE}, answer = {0};

    memcpy(m.id, id, TOKEN_KEY_ID_LEN);
    probe_send(p, &m);
    if (recv(p->parent_fd, &answer, sizeof(answer), 0) != sizeof(answer))
        _exit(1);
    p->refused |= answer.check != 0; /* its PIN is ours */
    return answer.kind == PROBE_MADE && answer.verdict == PROBE_PASS;
}

/* Why a row can't be tried now, or NULL. */
static const char *child_hindrance(const struct probe *p, const struct probe_check *check)
{
    if ((check->needs & PROBE_NEEDS_REMOVAL) != 0 && !p->removal)
        return "only with --removal";
    if ((check->needs & PROBE_NEEDS_QUIET) != 0 && p->in_use && !p->copied)
        return "esignd is using the token: it could be disturbed";
    if ((check->needs & PROBE_NEEDS_LOGIN) != 0 && !p->logged_in)
        return "there is no login";
    return NULL;
}

/* A child that takes over from one that died opens the token before its first row. */
static bool child_catch_up(struct probe *p, size_t first, struct fault *f)
{
    if (first <= probe_check_by_name("token"))
        return true;
    if (probe_open(p, f) != ESIGN_OK)
        return false;
    return first <= probe_check_by_name("login") || probe_login(p, f) == ESIGN_OK;
}

static void child_tell(struct probe *p, size_t index, const struct probe_result *result)
{
    struct probe_message m = {
        .kind = PROBE_END, .check = (int32_t)index, .verdict = (int32_t)result->verdict};

    memcpy(m.detail, result->detail, sizeof(m.detail));
    probe_send(p, &m);
}

void probe_child(struct probe *p, const void *arg)
{
    size_t first = *(const size_t *)arg;
    struct fault f = {0};
    bool stop = false, open = child_catch_up(p, first, &f);

    for (size_t i = first; i < probe_check_count; i++) {
        const struct probe_check *check = &probe_checks[i];
        const struct probe_message begin = {.kind = PROBE_BEGIN, .check = (int32_t)i};
        struct probe_result result = {0};
        const char *hindrance = child_hindrance(p, check);
        if (!check->run)
            continue;
        probe_send(p, &begin);
        if (!open)
            probe_say(&result, PROBE_UNTRIED, "the token can't be opened again: %s", f.detail);
        else if (stop)
            probe_say(&result, PROBE_UNTRIED, "an earlier row has ended the test");
        else if (hindrance)
            probe_say(&result, PROBE_UNTRIED, "%s", hindrance);
        else
            check->run(p, check, &result);
        stop |= result.verdict == PROBE_FAIL && (check->needs & PROBE_STOPS) != 0;
        child_tell(p, i, &result);
    }
    probe_close(p);
    _exit(0);
}

void probe_child_make(struct probe *p, const void *arg)
{
    static const enum token_algorithm order[] = {TOKEN_P256, TOKEN_RSA2048};
    static const struct probe_message sending = {.kind = PROBE_SENDING},
                                      sent = {.kind = PROBE_SENT};
    const struct probe_wanted wanted = {.on_token = true};
    struct probe_pair pair = {0};
    struct fault f = {0};

    memcpy(pair.id, arg, TOKEN_KEY_ID_LEN);
    if (probe_open(p, &f) != ESIGN_OK)
        _exit(1);
    probe_send(p, &sending);
    enum esign_rc rc = probe_login(p, &f);
    probe_send(p, &sent);
    if (rc != ESIGN_OK)
        _exit(p->refused ? PROBE_EXIT_REFUSED : 1);
    CK_RV rv = CKR_FUNCTION_FAILED;
    for (size_t i = 0; rv != CKR_OK && i < sizeof(order) / sizeof(order[0]); i++)
        rv = probe_make_pair(p, order[i], &wanted, &pair);
    probe_close(p);
    _exit(rv == CKR_OK ? 0 : 1);
}

void probe_child_clean(struct probe *p, const void *arg)
{
    struct probe_result result = {0};
    size_t found = 0, left = 0, still = 0, none = 0;
    struct fault f = {0};

    (void)arg;
    if (probe_open(p, &f) != ESIGN_OK || probe_login(p, &f) != ESIGN_OK) {
        probe_say(&result, PROBE_FAIL, "what was made could not be removed: %.150s", f.detail);
    } else {
        CK_RV rv = probe_remove(p, false, &found, &left);
        if (rv == CKR_OK)
            rv = probe_remove(p, false, &still, &none);
        if (rv == CKR_OK && still == 0)
            probe_say(&result, PROBE_PASS,
                      "%zu objects of this run are removed; none is left, as a fresh process sees",
                      found);
        else
            probe_say(&result, PROBE_FAIL, "%zu objects labelled " PROBE_LABEL " stay: %s", still,
                      pkcs11_ckr_name(rv));
        probe_close(p);
    }
    child_tell(p, probe_check_by_name("clean"), &result);
    _exit(0);
}
