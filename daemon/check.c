#include "check.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/log.h"
#include "sandbox/sandbox.h"
#include "store/snapshot.h"

enum { CHECK_SPKI_MAX = 1024 };

struct check {
    char store_path[PATH_MAX], anchor_path[PATH_MAX];
    struct store *store;
    struct audit *audit;
    struct buf spki;
    struct audit_report report;
    struct audit_head head;
    int64_t mark;
};

static void check_done(struct check *c)
{
    audit_close(c->audit);
    store_close(c->store);
    buf_done(&c->spki);
}

/* It reads what others may have made: it reaches nothing but that. */
static enum esign_rc check_confine(const char *directory, struct fault *f)
{
    const struct sandbox_path paths[] = {
        {directory, SANDBOX_READ | SANDBOX_WRITE},
        {"/usr/share/zoneinfo", SANDBOX_READ},
        {"/etc/localtime", SANDBOX_READ},
        {"/dev/urandom", SANDBOX_READ},
#ifdef ESIGN_SANITIZE
        {"/proc/self", SANDBOX_READ}, /* the sanitizers read their own maps */
#endif
    };

    if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
        return fault_set(f, ESIGN_E_INTERNAL, "the cryptographic library does not start");
    enum esign_rc rc = sandbox_landlock(paths, sizeof(paths) / sizeof(*paths), f);
    return rc == ESIGN_OK ? sandbox_confine_daemon(f) : rc;
}

/* Origin and key of the log stand in the site's row. */
static enum esign_rc check_open(struct check *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *site = NULL;
    enum esign_rc rc = store_open(c->store_path, clock_system(), &c->store, f);

    if (rc == ESIGN_OK)
        rc = store_read(c->store, "site", "site", &site, NULL, f);
    if (rc == ESIGN_E_NOT_FOUND)
        return fault_set(f, rc, "the store is of a service that was never initialised");
    if (rc != ESIGN_OK)
        return rc;
    const char *origin = json_str(site, "origin"), *spki = json_str(site, "log_spki");
    if (!origin || !spki || decode_base64(spki, strlen(spki), &c->spki) != ESIGN_OK)
        return fault_set(f, ESIGN_E_FORMAT, "the site's row has no usable origin or log_spki");
    return audit_open(c->store, origin, &c->audit, f);
}

static enum esign_rc check_all(struct check *c, struct fault *f)
{
    const char *anchor = access(c->anchor_path, F_OK) == 0 ? c->anchor_path : NULL;
    enum esign_rc rc = check_open(c, f);

    if (rc == ESIGN_OK)
        rc = audit_verify(c->audit, buf_bytes(&c->spki), anchor, &c->report, f);
    if (rc == ESIGN_OK)
        rc = audit_head(c->audit, &c->head, f);
    return rc == ESIGN_OK ? store_snapshot_mark(c->store, &c->mark, f) : rc;
}

static int check_print(const struct check *c)
{
    CLEANUP(buf_done) struct buf text = buf_new(4096);
    char root[2 * SHA256_LEN + 1];
    bool broken = c->report.bad_seq >= 0;

    encode_hex(bytes_of(c->head.root, SHA256_LEN), root);
    CLEANUP(json_decref_p)
    json_t *line =
        json_pack("{s:I, s:s, s:I, s:I, s:s, s:s, s:I}", "size", (json_int_t)c->report.size, "root",
                  root, "bad_seq", (json_int_t)c->report.bad_seq, "checkpoint_size",
                  (json_int_t)c->report.checkpoint_size, "result", broken ? "broken" : "ok",
                  "detail", c->report.detail, "mark", (json_int_t)c->mark);
    if (!line || json_canonical(line, &text) != ESIGN_OK || !buf_str(&text))
        return 1;
    return printf("%s\n", buf_str(&text)) > 0 && fflush(stdout) == 0 && !broken ? 0 : 1;
}

int check_run(const char *directory)
{
    CLEANUP(check_done) struct check c = {.spki = buf_new(CHECK_SPKI_MAX)};
    struct fault f = {0};
    int store = snprintf(c.store_path, PATH_MAX, "%s/store.db", directory);
    int anchor = snprintf(c.anchor_path, PATH_MAX, "%s/anchor", directory);
    enum esign_rc rc = store < 0 || anchor < 0 || store >= PATH_MAX || anchor >= PATH_MAX
                           ? fault_set(&f, ESIGN_E_POLICY, "the path is too long")
                           : check_confine(directory, &f);

    if (rc == ESIGN_OK)
        rc = check_all(&c, &f);
    if (rc == ESIGN_OK)
        return check_print(&c);
    log_error("not checked code=%s detail=\"%s\"", fault_name(rc), f.detail);
    return 1;
}
