/* esign-token as it runs, on a real SoftHSM. */
#include "service.h"

#include "base/cleanup.h"
#include "pkcs11/library.h"

#include <pthread.h>

static const uint8_t digest_bytes[48] = {1, 2, 3};

static struct bytes digest_of(size_t len)
{
    return bytes_of(digest_bytes, len);
}

static int64_t soon(void)
{
    return service_now() + SERVICE_CALL_MS;
}

static struct service *service_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    static struct service s;

    s = (struct service){0};
    *state = &s;
    service_new(&s, 2);
    assert_int_equal(service_run_init(&s), 0);
    service_start(&s);
    service_wait_for(&s, NULL);
    return 0;
}

/* A private key that a failing test leaves would be of no use to the next one. */
static int teardown(void **state)
{
    struct service *s = service_of(state);

    if (s->supervisor > 0)
        assert_int_equal(service_end(s), 0);
    service_remove(s);
    return 0;
}

static EVP_PKEY *key_of(const struct buf *spki)
{
    const uint8_t *at = spki->data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki->len);

    assert_non_null(key);
    assert_ptr_equal(at, spki->data + spki->len);
    return key;
}

static bool verifies(EVP_PKEY *key, struct bytes digest, const struct buf *value)
{
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    assert_int_equal(
        EVP_PKEY_CTX_set_signature_md(context, digest.len == 48 ? EVP_sha384() : EVP_sha256()), 1);
    return EVP_PKEY_verify(context, value->data, value->len, digest.data, digest.len) == 1;
}

static void make_key(struct service *s, enum token_algorithm algorithm, uint8_t first,
                     struct buf *spki)
{
    const uint8_t id[TOKEN_KEY_ID_LEN] = {first};
    struct fault f = {0};

    if (token_generate(s->token, algorithm, id, "key", soon(), spki, &f) != ESIGN_OK)
        fail_msg("%s", f.detail);
}

static enum esign_rc sign(struct service *s, uint8_t first, size_t digest_len, struct buf *value,
                          struct fault *f)
{
    const uint8_t id[TOKEN_KEY_ID_LEN] = {first};

    return token_sign(s->token, id, digest_of(digest_len), soon(), value, f);
}

static void check_algorithm(struct service *s, enum token_algorithm algorithm, size_t digest_len)
{
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf again = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    uint8_t first = (uint8_t)(0x10 + algorithm);
    const uint8_t id[TOKEN_KEY_ID_LEN] = {first};
    struct fault f = {0};

    make_key(s, algorithm, first, &spki);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = key_of(&spki);
    assert_int_equal(token_public_key(s->token, id, soon(), &again, &f), ESIGN_OK);
    assert_true(bytes_equal(buf_bytes(&spki), buf_bytes(&again)));
    for (int i = 0; i < 3; i++) { /* both workers */
        assert_int_equal(sign(s, first, digest_len, &value, &f), ESIGN_OK);
        assert_true(verifies(key, digest_of(digest_len), &value));
    }
    assert_int_equal(sign(s, first, digest_len - 1, &value, &f), ESIGN_E_PROTO);
}

static void test_token_sign__p256__openssl_verifies(void **state)
{
    REQ("11.70", "design 8");
    check_algorithm(service_of(state), TOKEN_P256, 32);
}

static void test_token_sign__p384__openssl_verifies(void **state)
{
    REQ("11.70", "design 8");
    check_algorithm(service_of(state), TOKEN_P384, 48);
}

static void test_token_sign__rsa3072__openssl_verifies(void **state)
{
    REQ("11.70", "design 8");
    check_algorithm(service_of(state), TOKEN_RSA3072, 32);
}

static void test_token_info__ready__facts_without_padding(void **state)
{
    REQ("design 2");
    struct token_info info;

    assert_int_equal(token_info(service_of(state)->token, soon(), &info, NULL), ESIGN_OK);
    assert_string_equal(info.label, "esign test");
    assert_int_equal(strlen(info.serial), 16);
    assert_string_equal(info.manufacturer, "SoftHSM project");
    assert_string_equal(info.model, "SoftHSM v2");
    assert_string_equal(info.firmware, "2.6");
}

static void test_token_generate__used_id__conflict(void **state)
{
    REQ("11.100(a)");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    const uint8_t id[TOKEN_KEY_ID_LEN] = {0x20};
    struct fault f = {0};

    make_key(s, TOKEN_P256, 0x20, &spki);
    assert_int_equal(token_generate(s->token, TOKEN_P256, id, "two", soon(), &spki, &f),
                     ESIGN_E_CONFLICT);
}

static void test_token_generate__token_ignores_extractable__refused_and_removed(void **state)
{
    REQ("design 8");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    const uint8_t id[TOKEN_KEY_ID_LEN] = {0x21};
    struct fault f = {0};

    service_set(s, "extractable");
    assert_int_equal(token_generate(s->token, TOKEN_P256, id, "bad", soon(), &spki, &f),
                     ESIGN_E_HSM);
    assert_string_equal(f.reason, "key");
    assert_non_null(strstr(f.detail, "CKA_EXTRACTABLE"));
    service_unset(s, "extractable");
    /* The id is free: nothing was left.  SoftHSM makes no more keys in a process that knew an
     * object which another has destroyed, so that the other worker may have to be replaced. */
    int64_t until = service_now() + SERVICE_WAIT_MS;
    while (token_generate(s->token, TOKEN_P256, id, "good", soon(), &spki, &f) != ESIGN_OK) {
        assert_string_equal(f.reason, "unavailable");
        assert_true(service_now() < until);
        service_pause();
    }
}

static void test_token_sign__unknown_key__reason_key(void **state)
{
    REQ("design 8");
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    struct fault f = {0};

    assert_int_equal(sign(service_of(state), 0xff, 32, &value, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "key");
}

static void test_token_public_key__unknown_key__not_found(void **state)
{
    REQ("design 8");
    const uint8_t id[TOKEN_KEY_ID_LEN] = {0xff};
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);

    assert_int_equal(token_public_key(service_of(state)->token, id, soon(), &spki, NULL),
                     ESIGN_E_NOT_FOUND);
}

static void test_token_sign__stale_handle__found_again(void **state)
{
    REQ("design 8");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);

    make_key(s, TOKEN_P256, 0x22, &spki);
    service_set(s, "stale");
    assert_int_equal(sign(s, 0x22, 32, &value, NULL), ESIGN_OK);
    assert_int_equal(service_size(s, "stale"), 0);
}

static void test_token_sign__short_value__reason_value(void **state)
{
    REQ("design 3");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    struct fault f = {0};

    make_key(s, TOKEN_P256, 0x23, &spki);
    service_set(s, "short");
    assert_int_equal(sign(s, 0x23, 32, &value, &f), ESIGN_E_HSM);
    service_unset(s, "short");
    assert_string_equal(f.reason, "value");
}

static void test_token_sign__device_removed__worker_replaced(void **state)
{
    REQ("design 2");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    struct fault f = {0};

    make_key(s, TOKEN_P256, 0x24, &spki);
    service_set(s, "removed");
    assert_int_equal(sign(s, 0x24, 32, &value, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "unavailable");
    if (sign(s, 0x24, 32, &value, &f) != ESIGN_OK)
        fail_msg("%s: %s", f.reason, f.detail);
}

/* Restart the service of a test with something changed. */
static void restart(struct service *s)
{
    assert_int_equal(service_end(s), 0);
    service_unset(s, "logins");
    service_start(s);
}

static void test_token_try__device_removed__lost(void **state)
{
    REQ("design 2", "design 3");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    const uint8_t id[TOKEN_KEY_ID_LEN] = {0x29};
    struct fault f = {0};

    make_key(s, TOKEN_P256, 0x29, &spki);
    service_set(s, "removed");
    assert_int_equal(token_try(s->token, id, digest_of(32), soon(), &value, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "lost"); /* a second try can help, and does */
    assert_non_null(strstr(f.detail, "CKR_DEVICE_REMOVED"));
    assert_int_equal(token_try(s->token, id, digest_of(32), soon(), &value, &f), ESIGN_OK);
}

static void test_token_renew__older_session__opened_anew_once(void **state)
{
    REQ("design 8");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);

    service_write_config(s, "pkcs11:token=esign%20test", 1); /* nobody else logs in */
    restart(s);
    service_wait_for(s, NULL);
    make_key(s, TOKEN_P256, 0x2a, &spki);
    assert_int_equal(sign(s, 0x2a, 32, &value, NULL), ESIGN_OK);
    size_t logins = service_size(s, "logins");
    assert_int_equal(token_renew(s->token, 0, soon(), NULL), ESIGN_OK);
    assert_int_equal(sign(s, 0x2a, 32, &value, NULL), ESIGN_OK);
    assert_int_equal(service_size(s, "logins"), logins + 1);
    assert_int_equal(sign(s, 0x2a, 32, &value, NULL), ESIGN_OK);
    assert_int_equal(token_renew(s->token, SERVICE_WAIT_MS, soon(), NULL), ESIGN_OK);
    assert_int_equal(sign(s, 0x2a, 32, &value, NULL), ESIGN_OK);
    assert_int_equal(service_size(s, "logins"), logins + 1);
    service_write_config(s, "pkcs11:token=esign%20test", 2);
    restart(s);
    service_wait_for(s, NULL);
}

struct maker {
    struct service *service;
    uint8_t first;
    unsigned good;
};

enum { MAKERS = 2, MADE_EACH = 4 };

static void *make_many(void *arg)
{
    struct maker *m = arg;
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);

    for (uint8_t i = 0; i < MADE_EACH; i++) {
        const uint8_t id[TOKEN_KEY_ID_LEN] = {m->first, i};
        if (token_generate(m->service->token, TOKEN_P256, id, "key", soon(), &spki, NULL) ==
            ESIGN_OK)
            m->good++;
    }
    return NULL;
}

static void test_token_generate__two_workers_at_once__all_keys_sign(void **state)
{
    REQ("11.100(a)", "design 2");
    struct service *s = service_of(state);
    struct maker makers[MAKERS];
    pthread_t threads[MAKERS];
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);

    for (uint8_t i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){.service = s, .first = (uint8_t)(0x40 + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, &makers[i]), 0);
    }
    for (size_t i = 0; i < MAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(makers[i].good, MADE_EACH);
    }
    for (uint8_t i = 0; i < MAKERS * MADE_EACH; i++) {
        const uint8_t id[TOKEN_KEY_ID_LEN] = {(uint8_t)(0x40 + i % MAKERS), i / MAKERS};
        assert_int_equal(token_sign(s->token, id, digest_of(32), soon(), &value, NULL), ESIGN_OK);
    }
}

struct caller {
    struct service *service;
    uint8_t key;
    int64_t deadline_ms;
    enum esign_rc rc;
    struct fault fault;
};

static void *call_sign(void *arg)
{
    struct caller *c = arg;
    const uint8_t id[TOKEN_KEY_ID_LEN] = {c->key};
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);

    c->rc = token_sign(c->service->token, id, digest_of(32), service_now() + c->deadline_ms, &value,
                       &c->fault);
    return NULL;
}

/* Start a signature that hangs within the module, and return when it does. */
static void start_hanging(struct caller *c, pthread_t *thread)
{
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    int64_t until = service_now() + SERVICE_WAIT_MS;

    make_key(c->service, TOKEN_P256, c->key, &spki);
    service_unset(c->service, "hanging");
    service_set(c->service, "hang");
    assert_int_equal(pthread_create(thread, NULL, call_sign, c), 0);
    while (service_size(c->service, "hanging") == 0) {
        assert_true(service_now() < until);
        service_pause();
    }
    service_unset(c->service, "hang");
}

static void test_token_sign__killed_in_flight__told_and_replaced(void **state)
{
    REQ("design 2", "design 3");
    struct service *s = service_of(state);
    struct caller c = {.service = s, .key = 0x25, .deadline_ms = SERVICE_CALL_MS};
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    pthread_t thread;
    pid_t workers[8];

    start_hanging(&c, &thread);
    size_t count = service_workers(s, workers, 8);
    for (size_t i = 0; i < count; i++)
        (void)kill(workers[i], SIGKILL); /* one may have ended by itself */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.rc, ESIGN_E_HSM);
    assert_string_equal(c.fault.reason, "worker");
    service_wait_for(s, NULL);
    assert_int_equal(sign(s, 0x25, 32, &value, NULL), ESIGN_OK);
}

static void test_token_sign__hanging_module__deadline_then_replaced(void **state)
{
    REQ("design 2");
    struct service *s = service_of(state);
    struct caller c = {.service = s, .key = 0x26, .deadline_ms = 1000};
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    pthread_t thread;
    pid_t before[8], after[8];

    start_hanging(&c, &thread);
    size_t count = service_workers(s, before, 8);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.rc, ESIGN_E_DEADLINE);
    assert_int_equal(sign(s, 0x26, 32, &value, NULL), ESIGN_OK); /* the other worker */
    int64_t until = service_now() + SERVICE_WAIT_MS;
    size_t same;
    do { /* the one that hangs is killed and replaced */
        size_t now = service_workers(s, after, 8);
        same = 0;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < now; j++)
                same += before[i] == after[j];
        assert_true(service_now() < until);
        service_pause();
    } while (same == count);
    service_wait_for(s, NULL);
}

static void test_token_sign__token_away_and_back__found_without_restart(void **state)
{
    REQ("design 2");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    char name[PATH_MAX], here[PATH_MAX], away[PATH_MAX];
    struct fault f = {0};

    make_key(s, TOKEN_P256, 0x27, &spki);
    service_token_directory(s, name);
    service_path(s, name, here);
    service_path(s, "away/token", away);
    assert_int_equal(rename(here, away), 0);
    int64_t until = service_now() + SERVICE_WAIT_MS;
    do { /* until both workers have seen it */
        assert_int_not_equal(sign(s, 0x27, 32, &value, &f), ESIGN_OK);
        assert_true(service_now() < until);
        service_pause();
    } while (strcmp(f.reason, "unavailable") != 0);
    service_wait_for(s, "unavailable");
    assert_int_equal(rename(away, here), 0);
    service_wait_for(s, NULL);
    until = service_now() + SERVICE_WAIT_MS;
    while (sign(s, 0x27, 32, &value, &f) != ESIGN_OK) {
        assert_true(service_now() < until);
        service_pause();
    }
}

enum { KILLS = 150 };

/* Kill one worker, every third time without waiting for the next one to be ready, so that starts
 * and logins are hit too. */
static void kill_one(struct service *s, int round, pid_t *last)
{
    pid_t workers[8];
    int64_t until = service_now() + SERVICE_WAIT_MS;
    size_t count;

    do {
        count = service_workers(s, workers, 8);
        assert_true(service_now() < until);
        service_pause();
    } while (count == 0 || workers[count - 1] == *last);
    *last = workers[count - 1];
    (void)kill(*last, SIGKILL); /* it may just have ended by itself */
    if (round % 3 != 0)
        service_wait_for(s, NULL);
}

static void test_worker__150_kills__token_object_unchanged(void **state)
{
    REQ("design 8");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    CLEANUP(buf_done) struct buf before = buf_new(4096);
    CLEANUP(buf_done) struct buf after = buf_new(4096);
    char name[PATH_MAX], path[PATH_MAX];
    struct stat st;
    pid_t last = 0;

    make_key(s, TOKEN_P256, 0x28, &spki);
    service_token_directory(s, name);
    assert_true(strlen(name) + strlen("/token.object") < sizeof(name));
    memcpy(name + strlen(name), "/token.object", sizeof("/token.object"));
    service_read(s, name, &before);
    assert_int_equal(before.len, 320);
    for (int i = 0; i < KILLS; i++)
        kill_one(s, i, &last);
    service_wait_for(s, NULL);
    service_read(s, name, &after);
    assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    service_path(s, name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = key_of(&spki);
    assert_int_equal(sign(s, 0x28, 32, &value, NULL), ESIGN_OK);
    assert_true(verifies(key, digest_of(32), &value));
}

static void test_init__label_in_use__conflict(void **state)
{
    REQ("design 8");
    struct service *s = service_of(state);
    char before[PATH_MAX], after[PATH_MAX];

    service_token_directory(s, before);
    assert_int_equal(service_run_init(s), EXIT_FAILURE);
    service_token_directory(s, after);
    assert_string_equal(before, after);
}

static void kill_workers(const struct service *s)
{
    pid_t workers[8];

    for (size_t n = service_workers(s, workers, 8), k = 0; k < n; k++)
        (void)kill(workers[k], SIGKILL); /* it may just have ended by itself */
}

static void test_login__wrong_pin__sent_once(void **state)
{
    REQ("11.300(d)", "design 8");
    struct service *s = service_of(state);
    pid_t workers[8];

    service_write(s, "credentials/pin", 0400, bytes_of_str("wrong-pin"));
    restart(s);
    service_wait_for(s, "pin");
    int64_t until = service_now() + SERVICE_WAIT_MS;
    while (service_workers(s, workers, 8) < 2) { /* all successors are there, and none logged in */
        assert_true(service_now() < until);
        service_pause();
    }
    for (int i = 0; i < 3; i++) { /* nor do later ones */
        kill_workers(s);
        service_wait_for(s, "pin");
    }
    assert_int_equal(service_size(s, "logins"), 1);
    service_write(s, "credentials/pin", 0400, bytes_of_str("user-pin-4711"));
    restart(s); /* an operator's act */
    service_wait_for(s, NULL);
}

/* Restart with a PIN; the answer is "pin" (refused or not sent), or success for NULL. */
static void restart_with_pin(struct service *s, const char *pin, const char *reason)
{
    assert_int_equal(service_end(s), 0); /* it would try the new one */
    service_unset(s, "logins");
    service_write(s, "credentials/pin", 0400, bytes_of_str(pin));
    service_start(s);
    service_wait_for(s, reason);
}

static void test_login__wrong_pin__not_sent_by_later_services(void **state)
{
    REQ("11.300(d)", "design 8", "style 22");
    struct service *s = service_of(state);
    struct token_info info;
    struct fault f = {0};
    struct stat st;
    char path[PATH_MAX];

    s->remembers = true;
    restart_with_pin(s, "wrong-pin", "pin");
    assert_int_equal(service_size(s, "logins"), 1);
    service_path(s, "state/esign-token.refused", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    for (int i = 0; i < 2; i++) { /* a restart is not a reason to send it again */
        restart_with_pin(s, "wrong-pin", "pin");
        assert_int_equal(token_info(s->token, soon(), &info, &f), ESIGN_E_HSM);
        assert_non_null(strstr(f.detail, "has refused this PIN"));
        assert_int_equal(service_size(s, "logins"), 0);
    }
    restart_with_pin(s, "other-pin", "pin");
    assert_int_equal(service_size(s, "logins"), 1);
    restart_with_pin(s, "wrong-pin", "pin"); /* neither of the two */
    assert_int_equal(service_size(s, "logins"), 0);
    service_write(s, "credentials/pin", 0400, bytes_of_str("user-pin-4711"));
    service_wait_for(s, NULL); /* corrected while it runs: nothing is restarted */
    assert_int_equal(stat(path, &st), -1);
    s->remembers = false;
}

static void test_find__other_token_of_the_label__not_used(void **state)
{
    REQ("design 2", "design 8", "11.300(d)");
    struct service *s = service_of(state);
    struct token_info info, first;
    struct fault f = {0};
    char uri[128];

    s->remembers = true;
    restart(s);
    service_wait_for(s, NULL);
    assert_int_equal(token_info(s->token, soon(), &first, NULL), ESIGN_OK);
    service_set(s, "swapped"); /* the same label, another serial number */
    restart(s);
    service_wait_for(s, "unavailable");
    assert_int_equal(token_info(s->token, soon(), &info, &f), ESIGN_E_HSM);
    assert_non_null(strstr(f.detail, first.serial));
    assert_non_null(strstr(f.detail, "swapped"));
    assert_int_equal(service_size(s, "logins"), 0); /* it gets no PIN */
    service_unset(s, "swapped");
    service_wait_for(s, NULL); /* back, without a restart */
    (void)snprintf(uri, sizeof(uri), "pkcs11:token=esign%%20test;serial=%s", first.serial);
    service_write_config(s, uri, 2);
    service_set(s, "swapped");
    restart(s);
    service_wait_for(s, "unavailable");
    assert_int_equal(token_info(s->token, soon(), &info, &f), ESIGN_E_HSM);
    assert_non_null(strstr(f.detail, "another one of this label"));
    service_write_config(s, "pkcs11:token=esign%20test;serial=swapped", 2); /* it is meant so */
    restart(s);
    service_wait_for(s, NULL);
    service_write_config(s, "pkcs11:token=esign%20test", 2);
    restart(s);
    service_wait_for(s, NULL); /* and known from now on */
    service_unset(s, "swapped");
    service_unset(s, "state/esign-token.serial");
    s->remembers = false;
}

/* Restart with that module_sha256; the answer has that reason (NULL: success) and text. */
static void restart_with_hash(struct service *s, const char *hash, const char *reason,
                              const char *text)
{
    struct token_info info;
    struct fault f = {0};

    assert_int_equal(service_end(s), 0);
    s->module_sha256 = hash;
    service_write_config(s, "pkcs11:token=esign%20test", 2);
    service_unset(s, "loads");
    service_start(s);
    service_wait_for(s, reason);
    if (reason) {
        assert_int_equal(token_info(s->token, soon(), &info, &f), ESIGN_E_HSM);
        assert_non_null(strstr(f.detail, text));
    }
}

static void test_module__file_not_the_configured_one__not_loaded(void **state)
{
    REQ("11.10(a)", "design 2", "style 22");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    char path[PATH_MAX], first[PKCS11_HASH_TEXT], changed[PKCS11_HASH_TEXT];

    service_path(s, "shim.so", path);
    assert_int_equal(pkcs11_library_hash(path, first, NULL), ESIGN_OK);
    restart_with_hash(s, first, NULL, NULL);
    assert_true(service_size(s, "loads") > 0);
    make_key(s, TOKEN_P256, 0xe0, &spki); /* the module is opened anew in one process */
    assert_int_equal(sign(s, 0xe0, 32, &value, NULL), ESIGN_OK);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC); /* an update, or worse */
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(pkcs11_library_hash(path, changed, NULL), ESIGN_OK);
    restart_with_hash(s, first, "module", changed);
    assert_int_equal(service_size(s, "loads"), 0);
    restart_with_hash(s, "not a hash", "module", "64 characters");
    assert_int_equal(service_size(s, "loads"), 0);
    restart_with_hash(s, changed, NULL, NULL); /* somebody has said that it is meant */
    restart_with_hash(s, NULL, NULL, NULL);
}

static void test_login__final_try__not_used_up(void **state)
{
    REQ("11.300(d)", "design 8");
    struct service *s = service_of(state);

    service_set(s, "final-try");
    restart(s);
    service_wait_for(s, "pin");
    assert_int_equal(service_size(s, "logins"), 0);
    service_unset(s, "final-try"); /* somebody has reset the counter on the token */
    service_wait_for(s, NULL);
}

static void test_token_sign__key_wants_pin_each_time__given_each_time(void **state)
{
    REQ("design 8", "11.300(d)");
    struct service *s = service_of(state);
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    struct fault f = {0};

    service_set(s, "always");
    make_key(s, TOKEN_P256, 0x60, &spki);
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = key_of(&spki);
    for (int i = 0; i < 3; i++) {
        if (sign(s, 0x60, 32, &value, &f) != ESIGN_OK)
            fail_msg("%s", f.detail);
        assert_true(verifies(key, digest_of(32), &value));
    }
    assert_int_equal(service_size(s, "authentications"), 3);
    service_set(s, "refuse");
    assert_int_equal(sign(s, 0x60, 32, &value, &f), ESIGN_E_HSM);
    assert_string_equal(f.reason, "pin");
    service_unset(s, "refuse");
    size_t logins = service_size(s, "logins");
    kill_workers(s);
    service_wait_for(s, "pin"); /* nobody sends it again, not even to log in */
    assert_int_equal(service_size(s, "authentications"), 4);
    assert_int_equal(service_size(s, "logins"), logins);
    service_unset(s, "always");
    restart(s);
    service_wait_for(s, NULL);
}

static void test_login__pin_readable_by_others__not_used(void **state)
{
    REQ("11.300(d)");
    struct service *s = service_of(state);

    service_write(s, "credentials/pin", 0444, bytes_of_str("user-pin-4711"));
    restart(s);
    service_wait_for(s, "pin");
    assert_int_equal(service_size(s, "logins"), 0);
    service_write(s, "credentials/pin", 0400, bytes_of_str("user-pin-4711"));
    service_wait_for(s, NULL);
}

static void test_find__two_tokens_match__refused(void **state)
{
    REQ("design 2");
    struct service *s = service_of(state);
    struct token_info info;
    struct fault f = {0};
    char name[PATH_MAX];

    service_write_config(s, "pkcs11:token=second", 2);
    assert_int_equal(service_run_init(s), 0);
    service_write_config(s, "pkcs11:manufacturer=SoftHSM%20project;token=esign%20test", 2);
    restart(s);
    service_wait_for(s, NULL); /* one of two */
    service_set(s, "twins");
    restart(s);
    service_wait_for(s, "unavailable");
    assert_int_equal(token_info(s->token, soon(), &info, &f), ESIGN_E_HSM);
    assert_non_null(strstr(f.detail, "2 tokens match the uri; add serial= to it"));
    service_token_directory(s, name); /* the candidates are named */
    assert_non_null(strstr(f.detail, name + strlen(name) - 12));
    assert_int_equal(service_size(s, "logins"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_info__ready__facts_without_padding),
        cmocka_unit_test(test_token_sign__p256__openssl_verifies),
        cmocka_unit_test(test_token_sign__p384__openssl_verifies),
        cmocka_unit_test(test_token_sign__rsa3072__openssl_verifies),
        cmocka_unit_test(test_token_generate__used_id__conflict),
        cmocka_unit_test(test_token_generate__two_workers_at_once__all_keys_sign),
        cmocka_unit_test(test_token_sign__unknown_key__reason_key),
        cmocka_unit_test(test_token_public_key__unknown_key__not_found),
        cmocka_unit_test(test_token_sign__stale_handle__found_again),
        cmocka_unit_test(test_token_sign__short_value__reason_value),
        cmocka_unit_test(test_token_sign__device_removed__worker_replaced),
        cmocka_unit_test(test_token_try__device_removed__lost),
        cmocka_unit_test(test_token_renew__older_session__opened_anew_once),
        cmocka_unit_test(test_token_sign__killed_in_flight__told_and_replaced),
        cmocka_unit_test(test_token_sign__hanging_module__deadline_then_replaced),
        cmocka_unit_test(test_token_sign__token_away_and_back__found_without_restart),
        cmocka_unit_test(test_worker__150_kills__token_object_unchanged),
        cmocka_unit_test(test_token_generate__token_ignores_extractable__refused_and_removed),
        cmocka_unit_test(test_init__label_in_use__conflict),
        cmocka_unit_test(test_login__wrong_pin__sent_once),
        cmocka_unit_test(test_login__wrong_pin__not_sent_by_later_services),
        cmocka_unit_test(test_module__file_not_the_configured_one__not_loaded),
        cmocka_unit_test(test_login__final_try__not_used_up),
        cmocka_unit_test(test_token_sign__key_wants_pin_each_time__given_each_time),
        cmocka_unit_test(test_find__other_token_of_the_label__not_used),
        cmocka_unit_test(test_login__pin_readable_by_others__not_used),
        cmocka_unit_test(test_find__two_tokens_match__refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
