#include "cli/own_card.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "cli/authorise.h"
#include "cli/programs.h"

enum {
    OWN_CARD_FIND_MS = 30000,
    OWN_CARD_SIGN_MS = 120000,
    OWN_CARD_SLACK_MS = 2000, /* to give the value before the service's own time is over */
    OWN_CARD_SPKI_MAX = 1024,
    OWN_CARD_CONF_MAX = 4096,
};

static const char own_card_conf[] = "/etc/esignd/card.conf";

/* Where OpenSC's module is in Debian and elsewhere. */
static const char *const own_card_places[] = {
    "/usr/lib/x86_64-linux-gnu/pkcs11/opensc-pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/opensc-pkcs11.so",
    "/usr/lib64/pkcs11/opensc-pkcs11.so",
    "/usr/lib/pkcs11/opensc-pkcs11.so",
};

DEFINE_CLEANUP(struct secret *, secret_free)

void own_card_done(struct own_card *c)
{
    card_close(c->card);
    c->card = NULL;
    if (c->held)
        hold_done(&c->hold);
    c->held = false;
}

/* ---- where the module is */

/* The line "module = PATH" of the configuration.  Whether there is one. */
static bool own_card_conf_module(char *ret, size_t size)
{
    char line[OWN_CARD_CONF_MAX];
    CLEANUP(fclose_p) FILE *file = fopen(own_card_conf, "re");
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file)) {
        char *name = line + strspn(line, " \t");
        char *value = strchr(name, '=');
        if (strncmp(name, "module", 6) != 0 || !value ||
            strspn(name + 6, " \t") != (size_t)(value - name - 6))
            continue;
        value += 1 + strspn(value + 1, " \t\"");
        value[strcspn(value, "\"; \t\r\n")] = '\0';
        int len = snprintf(ret, size, "%s", value);
        found = len > 0 && (size_t)len < size;
    }
    return found;
}

static enum cli_exit own_card_module(const struct cli *cli, char ret[PATH_MAX])
{
    const char *given = cli_option(cli, OPTION_MODULE);

    if (given) {
        int len = snprintf(ret, PATH_MAX, "%s", given);
        return given[0] == '/' && len < PATH_MAX ? CLI_DONE
                                                 : cli_usage("--module is an absolute path");
    }
    if (own_card_conf_module(ret, PATH_MAX))
        return CLI_DONE;
    for (size_t i = 0; i < sizeof(own_card_places) / sizeof(own_card_places[0]); i++)
        if (access(own_card_places[i], R_OK) == 0) {
            (void)snprintf(ret, PATH_MAX, "%s", own_card_places[i]); /* short */
            return CLI_DONE;
        }
    return cli_usage("which PKCS#11 module drives the card? give --module PATH, or write "
                     "module = PATH into %s",
                     own_card_conf);
}

static enum cli_exit own_card_start(const struct cli *cli, struct own_card *c)
{
    char program[PATH_MAX], module[PATH_MAX];
    const char *given = cli_option(cli, OPTION_TOKEN_PROGRAM);
    struct fault f = {0};
    enum cli_exit rc = own_card_module(cli, module);

    if (rc != CLI_DONE)
        return rc;
    if (!given && !programs_path("esign-token", program, sizeof(program)))
        return cli_usage("esign-token is not found; give --token-program PATH");
    hold_begin(&c->hold);
    c->held = true;
    return card_open(given ? given : program, module, &c->card, &f) == ESIGN_OK
               ? CLI_DONE
               : cli_fault(cli, &f);
}

/* ---- the card and its PIN */

/* The base64 member "spki" of a reply. */
static bool own_card_spki(const struct esign_result *from, struct buf *ret)
{
    const char *text = esign_result_string(from, "spki");

    return text && decode_base64(text, strlen(text), ret) == ESIGN_OK && ret->len > 0;
}

/* What must be known before a PIN is entered.  ESIGN_E_HSM "pin_blocked". */
static enum esign_rc own_card_tell(const struct card_state *state, struct fault *f)
{
    if (state->pin_locked)
        return fault_reason(f, ESIGN_E_HSM, "pin_blocked",
                            "the card has blocked its PIN; its issuer or its PUK can unblock it");
    if (state->pin_final)
        (void)fputs("esign: one try is left before the card blocks its PIN; if you are not sure "
                    "of it, stop here (Ctrl-C).\n",
                    stderr);
    else if (state->pin_low)
        (void)fputs("esign: a wrong PIN was entered at this card before.\n", stderr);
    return ESIGN_OK;
}

/* Ctrl-C ends the child too, so that it looks as if its module had died. */
static enum esign_rc own_card_why(enum esign_rc rc, struct fault *f)
{
    return rc != ESIGN_OK && hold_is_ended()
               ? fault_reason(f, ESIGN_E_CONFLICT, "interrupted", "interrupted at the terminal")
               : rc;
}

enum cli_exit own_card_ready(struct cli *cli, const char *user_id, struct own_card *ret)
{
    CLEANUP(esign_result_free_p) struct esign_result *signer = NULL;
    CLEANUP(buf_done) struct buf spki = buf_new(OWN_CARD_SPKI_MAX);
    char path[CLI_PATH_MAX];
    struct card_state state;
    struct fault f = {0};

    enum cli_exit exit = own_card_start(cli, ret);
    if (exit == CLI_DONE)
        exit = cli_path("/v1/signers/", user_id, "", path);
    if (exit == CLI_DONE)
        exit = cli_call(cli, path, NULL, &signer);
    if (exit != CLI_DONE)
        return exit;
    if (!own_card_spki(signer, &spki)) {
        (void)fault_reason(&f, ESIGN_E_CRED_STATE, "no_card",
                           "no card is registered for this signer; an officer registers it: esign "
                           "credential card %.64s --certificate FILE",
                           user_id);
        return cli_fault(cli, &f);
    }
    enum esign_rc rc =
        own_card_why(card_find(ret->card, buf_bytes(&spki),
                               clock_mono_ms(clock_system()) + OWN_CARD_FIND_MS, &state, &f),
                     &f);
    if (rc == ESIGN_OK && state.pin_locked)
        rc = own_card_tell(&state, &f);
    return rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

static enum cli_exit own_card_pin_fd(const struct cli *cli, struct ask *ret)
{
    const char *text = cli_option(cli, OPTION_PIN_FD);
    uint64_t number = 0;

    *ret = (struct ask){.fd = -1, .instead = "--pin-fd N"};
    if (!text)
        return CLI_DONE;
    if (!options_number(text, INT_MAX, &number) || fcntl((int)number, F_GETFD) < 0)
        return cli_usage("--pin-fd is the number of an open file descriptor");
    ret->fd = (int)number;
    return CLI_DONE;
}

/* One card's signing. */
struct own_card_job {
    struct card *card;
    struct bytes spki, digest;
    struct ask ask;
    int64_t until_ms; /* monotonic */
    struct buf *value;
};

/* Ask for the PIN as the card wants it, and have it sign.  The PIN is asked for as late as possible
 * and wiped at once. */
static enum esign_rc own_card_once(const struct own_card_job *job, struct fault *f)
{
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    struct card_state state;
    char prompt[80];
    int64_t find_ms = clock_mono_ms(clock_system()) + OWN_CARD_FIND_MS;

    if (find_ms > job->until_ms)
        find_ms = job->until_ms;
    enum esign_rc rc = card_find(job->card, job->spki, find_ms, &state, f);
    if (rc == ESIGN_OK)
        rc = own_card_tell(&state, f);
    (void)snprintf(prompt, sizeof(prompt), "PIN of the card %s", state.label);
    if (rc == ESIGN_OK && state.pin_pad)
        (void)fputs("Enter the PIN on the card reader.\n", stderr);
    else if (rc == ESIGN_OK && state.pin_asked)
        rc = ask_secret(&job->ask, prompt, false, &pin, f);
    if (rc == ESIGN_OK)
        rc = card_sign(job->card, job->spki, job->digest, pin, job->until_ms, job->value, f);
    return rc;
}

/* How long the service waits, and we with it. */
static int64_t own_card_until(const struct esign_result *wanted)
{
    const char *expires = esign_result_string(wanted, "expires_at");
    int64_t now_ms = clock_now_ms(clock_system()), end_ms = 0, left_ms = OWN_CARD_SIGN_MS;

    if (expires && clock_parse_utc(expires, &end_ms) == ESIGN_OK)
        left_ms = end_ms - now_ms - OWN_CARD_SLACK_MS;
    return clock_mono_ms(clock_system()) +
           (left_ms < OWN_CARD_SIGN_MS ? left_ms : OWN_CARD_SIGN_MS);
}

enum cli_exit own_card_sign(struct cli *cli, struct own_card *c, const struct esign_result *wanted,
                            struct buf *ret_value, struct fault *ret_why)
{
    CLEANUP(buf_done) struct buf spki = buf_new(OWN_CARD_SPKI_MAX);
    const char *hex = esign_result_string(wanted, "digest");
    uint8_t digest[SHA256_LEN];
    struct own_card_job job = {
        .card = c->card, .until_ms = own_card_until(wanted), .value = ret_value};
    enum cli_exit exit = own_card_pin_fd(cli, &job.ask);

    if (exit != CLI_DONE)
        return exit;
    enum esign_rc rc = ESIGN_OK;
    if (!own_card_spki(wanted, &spki) || !hex ||
        decode_hex(hex, digest, sizeof(digest)) != ESIGN_OK)
        rc = fault_reason(ret_why, ESIGN_E_PROTO, "reply", "the service does not say what to sign");
    job.spki = buf_bytes(&spki);
    job.digest = bytes_of(digest, sizeof(digest));
    for (int tries = AUTHORISE_TRIES; rc == ESIGN_OK && tries > 0; tries--) {
        rc = own_card_why(own_card_once(&job, ret_why), ret_why);
        if (rc == ESIGN_OK)
            return CLI_DONE;
        bool again = rc == ESIGN_E_HSM && strcmp(ret_why->reason, "pin_wrong") == 0 &&
                     job.ask.fd < 0 && tries > 1;
        if (again) {
            (void)fprintf(stderr, "esign: %s; enter it again.\n", ret_why->detail);
            rc = ESIGN_OK;
        }
    }
    return cli_fault(cli, ret_why);
}

/* ---- the ceremony */

/* The service ends the intent, with the cause. */
static void own_card_give_up(struct cli *cli, const char *ticket, const struct fault *why)
{
    char reason[300];

    (void)snprintf(reason, sizeof(reason), "the card did not sign: %s%s%s", why->reason,
                   *why->reason ? ": " : "", why->detail);
    for (char *c = reason; *c; c++) /* it must be a line */
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    bool told = ticket && esign_ticket_cancel(cli->daemon, ticket, reason, NULL, NULL) == ESIGN_OK;
    (void)fputs(told ? "  Nothing was signed, and the request has ended.\n"
                     : "  Nothing was signed; the request ends by itself.\n",
                stderr);
}

/* Once more if no answer came: then the ticket tells whether it was signed. */
static enum cli_exit own_card_give_value(struct cli *cli, const struct esign_value *value,
                                         struct esign_result **ret)
{
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    enum esign_rc rc = esign_ticket_value(cli->daemon, value, &signature, cli->error);
    const char *reason = esign_error_reason(cli->error);

    if (rc != ESIGN_OK && (strcmp(reason, "closed") == 0 || strcmp(reason, "no_answer") == 0 ||
                           strcmp(reason, "reply") == 0)) {
        CLEANUP(esign_result_free_p) struct esign_result *made = NULL;
        if (esign_signature_get(cli->daemon, value->signature_id, &made, NULL) == ESIGN_OK) {
            signature = TAKE(made);
            rc = ESIGN_OK;
        }
    }
    if (rc != ESIGN_OK)
        return cli_failed(cli);
    esign_result_free(*ret);
    *ret = TAKE(signature);
    return CLI_DONE;
}

enum cli_exit own_card_finish(struct cli *cli, struct own_card *c, struct person *person,
                              struct esign_result **result)
{
    CLEANUP(buf_done) struct buf value = buf_new(OWN_CARD_SPKI_MAX);
    struct fault why = {0};
    const char *ticket = esign_result_string(*result, "ticket");
    enum cli_exit rc = own_card_sign(cli, c, *result, &value, &why);

    person->ended = rc != CLI_DONE;
    if (rc != CLI_DONE) {
        own_card_give_up(cli, ticket, &why);
        return rc;
    }
    const struct esign_value given = {.ticket = ticket,
                                      .signature_id = esign_result_string(*result, "signature_id"),
                                      .value = value.data,
                                      .value_len = value.len};
    rc = own_card_give_value(cli, &given, result);
    person->ended = rc != CLI_DONE;
    return rc;
}
