#include "cli/series.h"

#include <string.h>

#include "cli/authorise.h"
#include "cli/present.h"
#include "cli/repeat.h"

/* The daemon ends a session whose caller has no connection. */
static void series_keep(void *ctx)
{
    struct series *series = ctx;
    enum esign_rc rc = esign_session_keep(series->session, NULL);

    (void)rc; /* what is wrong shows at the next signing */
}

static void series_close(struct series *series)
{
    struct cli *cli = series->cli;
    enum esign_rc rc = esign_session_close(series->session, NULL);

    if (rc != ESIGN_OK && rc != ESIGN_E_COMPONENTS_REQUIRED && rc != ESIGN_E_SESSION)
        (void)fputs("esign: the session could not be closed; it ends by itself\n", stderr);
    series->session = NULL;
    series->started = false;
    cli->ask.meanwhile = NULL;
}

void series_done(struct series *series)
{
    if (series->session)
        series_close(series);
    person_done(&series->person);
}

/* What only the signer can judge.  Source: 21 CFR 11.200(a)(2). */
static void series_tell_last(const struct cli *cli, const struct esign_result *opened)
{
    static const struct show_column rows[] = {{"signer", "signer.printed_name"},
                                              {"last signing", "last_signing.time"},
                                              {"signings so far", "last_signing.count"},
                                              {"password reset", "password_reset.time"},
                                              {"reset by", "password_reset.by"}};
    FILE *out = present_out(cli);

    show_members(out, opened, rows, sizeof(rows) / sizeof(rows[0]));
    (void)fputs(esign_result_string(opened, "last_signing.time")
                    ? "If that was not you, tell an officer.\n\n"
                    : "This is the first signing.\n\n",
                out);
    (void)fflush(out);
}

static enum esign_rc series_open(struct series *series)
{
    CLEANUP(esign_result_free_p) struct esign_result *opened = NULL;
    struct cli *cli = series->cli;
    const struct esign_opening opening = {.components = person_components(&series->person),
                                          .presence = "connection"};
    enum esign_rc rc =
        esign_session_open(cli->daemon, &opening, &series->session, &opened, cli->error);

    if (rc != ESIGN_OK)
        return rc;
    cli->ask.meanwhile = series_keep;
    cli->ask.ctx = series;
    series_tell_last(cli, opened);
    return ESIGN_OK;
}

/* One try to sign. */
struct series_signing {
    const struct series *series;
    const struct esign_result *ticket;
    struct esign_result **ret;
};

static enum esign_rc series_call(struct cli *cli, const char *key, void *ctx)
{
    const struct series_signing *signing = ctx;
    struct esign_authorisation authorisation = {
        .ticket = esign_result_string(signing->ticket, "ticket"),
        .nonce = esign_result_string(signing->ticket, "nonce"),
        .presented_hash = esign_result_string(signing->ticket, "record.hash"),
        .components = person_components(&signing->series->person),
        .session = signing->series->session,
        .idempotency_key = key,
    };

    if (signing->series->started && !signing->series->whole)
        authorisation.components.user_id = NULL;
    return esign_ticket_authorise(cli->daemon, &authorisation, signing->ret, cli->error);
}

/* One try, with what person holds. */
static enum esign_rc series_try(struct series *series, const struct esign_result *ticket,
                                struct esign_result **ret)
{
    struct series_signing signing = {series, ticket, ret};
    enum esign_rc rc = series->session || series->alone ? ESIGN_OK : series_open(series);

    if (rc != ESIGN_OK)
        return rc;
    rc = repeat_lost(series->cli, series_call, &signing);
    series->started |= rc == ESIGN_OK && series->session;
    return rc;
}

/* The session is over, or the policy wants more: what was entered counts for nothing any more. */
static void series_start_again(struct series *series)
{
    (void)fputs("esign: ", stderr);
    show_text(stderr, esign_error_detail(series->cli->error), false);
    (void)fputs("; enter all components again.\n", stderr);
    if (strcmp(esign_error_reason(series->cli->error), "policy") == 0 && !series->whole)
        series->whole = true; /* the session goes on */
    else
        series_close(series);
}

/* All components, or the password alone.  A session without a signing is not kept for the next
 * question: it may be answered by somebody else. */
static enum cli_exit series_ask(struct series *series)
{
    if (series->started && !series->whole)
        return person_ask_password(series->cli, &series->person);
    if (series->session && !series->started)
        series_close(series);
    person_done(&series->person);
    return person_ask(series->cli, &series->person);
}

enum cli_exit series_sign(struct series *series, const struct esign_result *ticket,
                          struct esign_result **ret)
{
    struct cli *cli = series->cli;
    int tries = AUTHORISE_TRIES, sessions = AUTHORISE_TRIES;

    for (;;) {
        enum cli_exit exit = series_ask(series);
        if (exit != CLI_DONE)
            return exit;
        enum esign_rc rc = series_try(series, ticket, ret);
        if (rc == ESIGN_E_COMPONENTS_REQUIRED && series->session && --sessions > 0)
            series_start_again(series);
        else if (!authorise_again(cli, rc, &tries))
            return cli_outcome(cli, rc);
    }
}
