#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

void error_clear(struct esign_error *error)
{
    if (error)
        *error = (struct esign_error){.code = ESIGN_OK};
}

enum esign_rc error_set(struct esign_error *error, enum esign_rc code, const char *reason,
                        const char *fmt, ...)
{
    va_list ap;

    if (!error)
        return code;
    *error = (struct esign_error){.code = code, .retryable = fault_retryable(code)};
    /* texts for people: cut ones are still useful */
    (void)snprintf(error->name, sizeof(error->name), "%s", fault_name(code));
    (void)snprintf(error->reason, sizeof(error->reason), "%s", reason);
    va_start(ap, fmt);
    (void)vsnprintf(error->detail, sizeof(error->detail), fmt, ap);
    va_end(ap);
    return code;
}

enum { ERROR_WAIT_MAX_S = 24 * 3600 };

/* Copy at most size-1 bytes, not ending inside a UTF-8 sequence. */
static void error_copy(char *ret, size_t size, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0)
        memcpy(ret, text, len);
    ret[len] = '\0';
}

enum esign_rc error_from_problem(struct esign_error *error, struct bytes body, long http_status)
{
    CLEANUP(json_decref_p) json_t *problem = NULL;
    enum esign_rc rc = json_parse_object(body, &problem, NULL);
    const char *name = rc == ESIGN_OK ? json_str(problem, "code") : NULL;

    if (!name || !*name)
        return error_set(error, ESIGN_E_PROTO, "reply",
                         "the answer has HTTP status %ld and names no error of esignd",
                         http_status);
    enum esign_rc code = fault_by_name(name);
    if (code == ESIGN_OK)
        code = ESIGN_E_INTERNAL;
    if (!error)
        return code;
    *error = (struct esign_error){.code = code};
    error_copy(error->name, sizeof(error->name), name);
    error_copy(error->reason, sizeof(error->reason), json_str(problem, "reason"));
    error_copy(error->field, sizeof(error->field), json_str(problem, "field"));
    const char *detail = json_str(problem, "detail");
    error_copy(error->detail, sizeof(error->detail),
               detail && *detail ? detail : json_str(problem, "title"));
    error->retryable = json_flag(problem, "retryable");
    int64_t wait_s = json_int(problem, "retry_after", 0);
    error->retry_after_s = wait_s > 0 && wait_s <= ERROR_WAIT_MAX_S ? (int)wait_s : 0;
    return code;
}

struct esign_error *esign_error_new(void)
{
    struct esign_error *error = malloc(sizeof(*error));

    error_clear(error);
    return error;
}

void esign_error_free(struct esign_error *error)
{
    free(error);
}

enum esign_rc esign_error_code(const struct esign_error *error)
{
    return error ? error->code : ESIGN_OK;
}

const char *esign_error_name(const struct esign_error *error)
{
    return error && error->name[0] ? error->name : fault_name(esign_error_code(error));
}

const char *esign_error_reason(const struct esign_error *error)
{
    return error ? error->reason : "";
}

const char *esign_error_detail(const struct esign_error *error)
{
    return error && error->detail[0] ? error->detail : fault_text(esign_error_code(error));
}

const char *esign_error_field(const struct esign_error *error)
{
    return error ? error->field : "";
}

int esign_error_retry_after(const struct esign_error *error)
{
    return error ? error->retry_after_s : 0;
}

bool esign_error_retryable(const struct esign_error *error)
{
    return error && error->retryable;
}

const char *esign_code_text(enum esign_rc code)
{
    return fault_text(code);
}

const char *esign_code_name(enum esign_rc code)
{
    return fault_name(code);
}

const char *esign_version(void)
{
    return ESIGN_VERSION;
}
