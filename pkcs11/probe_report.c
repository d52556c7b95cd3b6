/* The probe's report: the rows with what they mean, a verdict on each role, a row for quirk.c. */
#include "pkcs11/probe_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

enum { REPORT_FORMAT = 1, REPORT_CHECKS_MAX = 8 };

static const char *report_word(enum probe_verdict verdict)
{
    static const char *const words[] = {"untried", "pass", "warn", "absent", "fail"};

    return words[verdict];
}

/* Roles that a token can be given, and the rows that must pass or warn for it.  any: one row of
 * these is enough besides. */
static const struct report_role {
    const char *name;
    const char *checks[REPORT_CHECKS_MAX];
    const char *any[REPORT_CHECKS_MAX];
} report_roles[] = {
    {"signer-p256",
     {"login", "key-p256", "attributes-p256", "unreadable-p256", "sign-p256", "unchangeable"},
     {NULL}},
    {"signer-p384", {"login", "key-p384", "sign-p384", "unchangeable"}, {NULL}},
    {"signer-rsa3072",
     {"login", "key-rsa3072", "attributes-rsa3072", "unreadable-rsa3072", "sign-rsa3072",
      "unchangeable"},
     {NULL}},
    {"ca", {"login", "unchangeable"}, {"sign-p256", "sign-p384", "sign-rsa3072"}},
    {"log",
     {"login", "key-p256", "attributes-p256", "unreadable-p256", "sign-p256", "unchangeable"},
     {NULL}},
    {"kek", {"login", "wrap-key"}, {"wrap-210b", "wrap-210a", "wrap-2109", "wrap-cbc-pad"}},
};

enum { REPORT_ROLE_COUNT = sizeof(report_roles) / sizeof(report_roles[0]) };

static bool report_good(const struct probe_run *run, size_t row)
{
    enum probe_verdict verdict = run->results[row].verdict;

    return verdict == PROBE_PASS || verdict == PROBE_WARN;
}

/* The row that stands in a role's way, or -1: none. */
static int report_obstacle(const struct probe_run *run, const struct report_role *role)
{
    int worst = -1;

    for (size_t i = 0; i < REPORT_CHECKS_MAX && role->checks[i]; i++) {
        size_t row = probe_check_by_name(role->checks[i]);
        if (!report_good(run, row))
            return (int)row;
    }
    for (size_t i = 0; i < REPORT_CHECKS_MAX && role->any[i]; i++) {
        size_t row = probe_check_by_name(role->any[i]);
        if (report_good(run, row))
            return -1;
        if (worst < 0 || run->results[row].verdict > run->results[worst].verdict)
            worst = (int)row;
    }
    return worst;
}

/* {"role":…,"verdict":"usable"|"refused"|"unknown","code"?,"reason"?,"check"?,"detail"?} */
static json_t *report_one_role(const struct probe_run *run, const struct report_role *role)
{
    int row = report_obstacle(run, role);

    if (row < 0)
        return json_pack("{s:s, s:s}", "role", role->name, "verdict", "usable");
    const struct probe_result *result = &run->results[row];
    const char *verdict = result->verdict == PROBE_UNTRIED ? "unknown" : "refused";
    enum esign_rc code = result->verdict == PROBE_FAIL ? ESIGN_E_HSM : ESIGN_E_UNSUPPORTED;
    if (result->verdict == PROBE_UNTRIED)
        code = ESIGN_E_BUSY;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "role", role->name, "verdict", verdict,
                     "code", fault_name(code), "reason",
                     code == ESIGN_E_UNSUPPORTED ? "mechanism" : probe_checks[row].reason, "check",
                     probe_checks[row].name, "detail", result->detail);
}

static json_t *report_list_roles(const struct probe_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < REPORT_ROLE_COUNT; i++)
        (void)json_array_append_new(list, report_one_role(run, &report_roles[i])); /* seen below */
    return list;
}

static json_t *report_list_checks(const struct probe_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < probe_check_count; i++)
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", probe_checks[i].name, "verdict",
                      report_word(run->results[i].verdict), "detail", run->results[i].detail,
                      "done", probe_checks[i].done, "meaning", probe_checks[i].meaning, "advice",
                      probe_checks[i].advice)); /* seen below */
    return list;
}

/* The role that a configured algorithm means for signers; RSA is tried with 3072 bits. */
static const char *report_signer_role(const char *algorithm)
{
    if (strcmp(algorithm, "p256") == 0)
        return "signer-p256";
    return strcmp(algorithm, "p384") == 0 ? "signer-p384" : "signer-rsa3072";
}

static bool report_role_usable(const struct probe_run *run, const char *name)
{
    for (size_t i = 0; i < REPORT_ROLE_COUNT; i++)
        if (strcmp(report_roles[i].name, name) == 0)
            return report_obstacle(run, &report_roles[i]) < 0;
    return false;
}

/* The roles that the configuration gives to this token, as a list of names. */
static json_t *report_assigned(const struct probe_run *run, bool *ret_usable)
{
    const char *token = config_token_str(run->config, run->index, "name");
    const char *roles[] = {
        strcmp(config_str(run->config, "roles.signer"), token) == 0
            ? report_signer_role(config_token_str(run->config, run->index, "key_algorithm"))
            : NULL,
        strcmp(config_str(run->config, "roles.ca"), token) == 0 ? "ca" : NULL,
        strcmp(config_str(run->config, "roles.log"), token) == 0 ? "log" : NULL,
    };
    json_t *list = json_array();

    *ret_usable = report_good(run, probe_check_by_name("clean"));
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (!roles[i])
            continue;
        *ret_usable &= report_role_usable(run, roles[i]);
        (void)json_array_append_new(list, json_string(roles[i])); /* seen by the caller */
    }
    if (json_array_size(list) == 0) {
        bool any = false;
        for (size_t i = 0; i < REPORT_ROLE_COUNT; i++)
            any |= report_obstacle(run, &report_roles[i]) < 0;
        *ret_usable &= any;
    }
    return list;
}

/* As it would stand in quirk.c. */
static json_t *report_quirk(const struct probe_run *run)
{
    const char *maker = json_string_value(json_object_get(run->facts, "library_manufacturer"));
    const char *rewrites = json_string_value(json_object_get(run->facts, "rewrites_token"));
    const char *local = json_string_value(json_object_get(run->facts, "denies_local"));

    const char *shares = json_string_value(json_object_get(run->facts, "shares_usage"));

    if (!maker)
        return json_string("");
    return json_sprintf("{\"%s\", \"%s\", %s, %s, %s},", maker, maker, rewrites ? "true" : "false",
                        local ? "true" : "false", shares ? "true" : "false");
}

static json_t *report_token(const struct probe_run *run)
{
    json_t *token = json_deep_copy(run->facts);
    const char *config[] = {"name", "module", "uri", "key_algorithm"};

    for (size_t i = 0; token && i < sizeof(config) / sizeof(config[0]); i++)
        if (json_object_set_new(
                token, config[i],
                json_string(config_token_str(run->config, run->index, config[i]))) != 0)
            return NULL;
    return token;
}

json_t *probe_report(const struct probe_run *run)
{
    char at[CLOCK_TEXT];
    bool usable = false;
    json_t *assigned = report_assigned(run, &usable);
    const char *where = run->copied ? "copy" : (run->in_use ? "session" : "token");

    clock_format_utc(clock_now_ms(clock_system()), at);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "format", REPORT_FORMAT,
                     "kind", "token-test", "at", at, "objects", where, "verdict",
                     usable ? "usable" : "refused", "token", report_token(run), "assigned",
                     assigned, "roles", report_list_roles(run), "checks", report_list_checks(run),
                     "quirk", report_quirk(run));
}
