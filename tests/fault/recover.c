/* What esignd does after a crash, as a program: a line of standard input names a configuration, a
 * line of JSON on standard output tells of its store.
 *
 *   {"rc":"OK","ready":true,"found":41,"aborted":1,"bad_seq":-1,"detail":"","checkpoint_size":30,
 *    "entries":["…"],"signature":[…],"intent":[…],"ticket":[…],
 *    "attempt":[…]}
 *
 * found: entries before the recovery; the lists are those of store_list().  Another rc: the store
 * could not be recovered, and detail says why. */
#include <string.h>

#include "base/cleanup.h"
#include "sign/sign.h"

enum { PATH_SIZE = 4096, ROWS_MAX = 100000, ENTRIES_LEN_MAX = 1 << 20 };

DEFINE_CLEANUP(struct config *, config_free)
DEFINE_CLEANUP(struct site *, site_close)

static enum esign_rc verify(struct site *s, json_t *said, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    struct audit_report report;
    enum esign_rc rc = ESIGN_OK;

    if (site_ready(s))
        rc = store_get(site_store(s), "site", "site", &row, NULL, f);
    if (row && rc == ESIGN_OK)
        rc = site_decode(row, "log_spki", &spki, f);
    if (rc == ESIGN_OK)
        rc = audit_verify(site_audit(s), buf_bytes(&spki),
                          config_str(site_config(s), "audit.anchor"), &report, f);
    if (rc != ESIGN_OK)
        return rc;
    CLEANUP(json_decref_p)
    json_t *part =
        json_pack("{s:I, s:I, s:s}", "bad_seq", (json_int_t)report.bad_seq, "checkpoint_size",
                  (json_int_t)report.checkpoint_size, "detail", report.detail);
    return part && json_object_update(said, part) == 0 ? ESIGN_OK : ESIGN_E_INTERNAL;
}

static enum esign_rc tell_entries(struct store *store, json_t *said, struct fault *f)
{
    json_t *entries = json_array();
    enum esign_rc rc = json_object_set_new(said, "entries", entries) ? ESIGN_E_INTERNAL : ESIGN_OK;

    for (int64_t seq = 0; rc == ESIGN_OK && seq < store_size(store); seq++) {
        CLEANUP(buf_done) struct buf bytes = buf_new(ENTRIES_LEN_MAX);
        rc = store_entry(store, seq, &bytes, f);
        if (rc == ESIGN_OK && json_array_append_new(entries, json_string(buf_str(&bytes))))
            rc = ESIGN_E_INTERNAL;
    }
    return rc;
}

static enum esign_rc tell_rows(struct store *store, json_t *said, struct fault *f)
{
    static const char *const kinds[] = {"signature", "intent", "ticket", "attempt"};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        json_t *rows = NULL;
        enum esign_rc rc = store_list(store, kinds[i], NULL, NULL, NULL, ROWS_MAX, &rows, f);
        if (rc != ESIGN_OK || json_object_set_new(said, kinds[i], rows))
            return rc != ESIGN_OK ? rc : ESIGN_E_INTERNAL;
    }
    return ESIGN_OK;
}

static enum esign_rc recover(const char *path, json_t *said, struct fault *f)
{
    CLEANUP(config_free_p) struct config *config = NULL;
    CLEANUP(site_close_p) struct site *site = NULL;
    struct sign_recovered recovered = {0};
    enum esign_rc rc = config_load(path, &config, f);

    if (rc == ESIGN_OK)
        rc = site_open(config, clock_system(), &site, f);
    if (rc != ESIGN_OK)
        return rc;
    if (json_object_set_new(said, "found", json_integer(store_size(site_store(site)))) ||
        json_object_set_new(said, "ready", json_boolean(site_ready(site))))
        return ESIGN_E_INTERNAL;
    rc = sign_recover(site, INT64_MAX, &recovered, f);
    if (rc == ESIGN_OK)
        rc = verify(site, said, f);
    if (rc == ESIGN_OK)
        rc = tell_entries(site_store(site), said, f);
    if (rc == ESIGN_OK)
        rc = tell_rows(site_store(site), said, f);
    return rc == ESIGN_OK &&
                   json_object_set_new(said, "aborted", json_integer((json_int_t)recovered.intents))
               ? ESIGN_E_INTERNAL
               : rc;
}

int main(void)
{
    char line[PATH_SIZE];

    while (fgets(line, sizeof line, stdin)) {
        CLEANUP(json_decref_p) json_t *said = json_object();
        struct fault f = {0};
        line[strcspn(line, "\n")] = '\0';
        enum esign_rc rc = recover(line, said, &f);
        if (rc != ESIGN_OK)
            (void)json_object_set_new(said, "detail", json_string(f.detail));
        if (json_object_set_new(said, "rc", json_string(fault_name(rc))) ||
            json_dumpf(said, stdout, JSON_COMPACT) || putchar('\n') == EOF || fflush(stdout))
            return 1;
    }
    return 0;
}
