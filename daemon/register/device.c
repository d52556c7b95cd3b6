/* Tests of devices: the report of `esign token test`, kept with who stands for it. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "register/register_internal.h"

enum { DEVICE_FORMAT = 1, DEVICE_REPORT_MAX = 48 * 1024, DEVICE_ASK_MS = 2000 };

/* A report, as far as esignd looks into it. */
struct device_report {
    const char *token, *verdict, *label, *serial, *at; /* borrowed */
    char sha256[2 * SHA256_LEN + 1];                   /* of its canonical form */
    const char *seen; /* whether the token that is in use is the one: "same", "unavailable" */
};

static enum esign_rc device_malformed(const char *field, struct fault *f)
{
    return fault_field(f, ESIGN_E_PROTO, field, "this is no report of esign token test");
}

static enum esign_rc device_hash(const json_t *report, struct device_report *ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(DEVICE_REPORT_MAX);
    uint8_t hash[SHA256_LEN];
    enum esign_rc rc = json_canonical(report, &text);

    if (rc != ESIGN_OK)
        return fault_field(f, rc, "report", "the report has at most %d bytes and no %s",
                           DEVICE_REPORT_MAX, "real numbers");
    bytes_sha256(buf_bytes(&text), (struct bytes){0}, hash);
    encode_hex(bytes_of(hash, sizeof(hash)), ret->sha256);
    return ESIGN_OK;
}

static enum esign_rc device_read(const json_t *report, struct device_report *ret, struct fault *f)
{
    const char *kind = json_str(report, "kind");

    *ret = (struct device_report){.token = json_str(report, "token.name"),
                                  .verdict = json_str(report, "verdict"),
                                  .label = json_str(report, "token.label"),
                                  .serial = json_str(report, "token.serial"),
                                  .at = json_str(report, "at"),
                                  .seen = "unavailable"};
    if (!kind || strcmp(kind, "token-test") != 0 ||
        json_int(report, "format", 0) != DEVICE_FORMAT || !json_object_get(report, "checks"))
        return device_malformed("report", f);
    if (!ret->token || !text_is_id(ret->token, SITE_ID_MAX))
        return device_malformed("report.token", f);
    if (!ret->verdict ||
        (strcmp(ret->verdict, "usable") != 0 && strcmp(ret->verdict, "refused") != 0))
        return device_malformed("report.verdict", f);
    return ret->at && text_is_line(ret->at, SITE_ID_MAX) ? device_hash(report, ret, f)
                                                         : device_malformed("report.at", f);
}

/* The token of that name that this service uses must be the one that was tested, as far as it can
 * be asked. */
static enum esign_rc device_compare(struct site *s, struct device_report *report, struct fault *f)
{
    int index = config_token_by_name(site_config(s), report->token);
    struct token_info info;

    if (index < 0)
        return fault_field(f, ESIGN_E_NOT_FOUND, "report.token",
                           "the configuration has no token %.60s", report->token);
    if (token_info(site_token_at(s, (size_t)index), clock_mono_ms(site_clock(s)) + DEVICE_ASK_MS,
                   &info, NULL) != ESIGN_OK)
        return ESIGN_OK;
    report->seen = "same";
    if (report->label && report->serial && strcmp(info.label, report->label) == 0 &&
        strcmp(info.serial, report->serial) == 0)
        return ESIGN_OK;
    return fault_field(f, ESIGN_E_CONFLICT, "report.token",
                       "the token in use has label \"%.33s\" and serial \"%.17s\"; another one was "
                       "tested",
                       info.label, info.serial);
}

static enum esign_rc device_enter(struct site *s, const struct register_origin *origin,
                                  const struct authn_person *officer,
                                  const struct device_report *report, json_t *row, struct fault *f)
{
    char object[SITE_ID_MAX + 16];
    const char *id = json_str(row, "test");
    struct store_change change = {0};
    struct store_receipt receipt;
    struct audit_act act =
        register_act(origin, officer, "token.test", object, json_str(row, "reason"));
    CLEANUP(json_decref_p)
    json_t *told = json_pack("{s:s, s:s, s:s, s:s}", "token", report->token, "verdict",
                             report->verdict, "seen", report->seen, "report", report->sha256);

    (void)snprintf(object, sizeof(object), "token-test/%s", id);
    act.new_value = told;
    site_put(&change, "token-test", id, row);
    site_guard(&change, "token-test", id, -1);
    authn_settle_into(officer, &change);
    enum esign_rc rc = site_commit(s, &act, &change, origin->deadline_at_ms, &receipt, f);
    if (rc == ESIGN_OK)
        site_checkpoint_now(s);
    return rc;
}

enum esign_rc register_token_test(struct site *s, const struct register_origin *origin,
                                  const struct authn_person *officer, json_t *report,
                                  const char *reason, json_t **ret, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    struct device_report read;
    char id[SITE_ID_MAX], now[CLOCK_TEXT];
    enum esign_rc rc = device_read(report, &read, f);

    if (rc == ESIGN_OK)
        rc = device_compare(s, &read, f);
    if (rc != ESIGN_OK)
        return rc;
    site_new_id('D', id);
    clock_format_utc(clock_now_ms(site_clock(s)), now);
    row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:o}", "test", id, "token",
                    read.token, "verdict", read.verdict, "seen", read.seen, "sha256", read.sha256,
                    "recorded", now, "by", officer->signer_id, "by_user", officer->user_id,
                    "reason", reason, "report",
                    json_deep_copy(report)); /* a request's strings are wiped with it */
    if (!row)
        return fault_set(f, ESIGN_E_INTERNAL, "no memory for a test record");
    rc = device_enter(s, origin, officer, &read, row, f);
    if (rc == ESIGN_OK)
        *ret = TAKE(row);
    return rc;
}
