#include "cli/authorise.h"

#include <string.h>

#include "cli/hold.h"
#include "cli/own_card.h"
#include "cli/repeat.h"

/* One try to sign. */
struct authorise_try {
    const struct esign_result *ticket;
    const struct person *person;
    struct esign_result **ret;
    bool card;
};

/* One call with the components that person holds. */
static enum esign_rc authorise_call(struct cli *cli, const char *key, void *ctx)
{
    const struct authorise_try *try = ctx;
    const struct esign_authorisation authorisation = {
        .ticket = esign_result_string(try->ticket, "ticket"),
        .nonce = esign_result_string(try->ticket, "nonce"),
        .presented_hash = esign_result_string(try->ticket, "record.hash"),
        .components = person_components(try->person),
        .card = try->card,
        .idempotency_key = key,
    };

    return esign_ticket_authorise(cli->daemon, &authorisation, try->ret, cli->error);
}

bool authorise_again(const struct cli *cli, enum esign_rc rc, int *tries)
{
    int wait_s = esign_error_retry_after(cli->error);

    if ((rc != ESIGN_E_AUTH_FAILED && rc != ESIGN_E_RATE) || cli->ask.fd >= 0 || hold_is_ended())
        return false;
    bool judged = rc == ESIGN_E_AUTH_FAILED || wait_s <= 0; /* else it was not looked at */
    if (judged && --*tries <= 0)
        return false;
    if (rc == ESIGN_E_AUTH_FAILED)
        (void)fputs("esign: user id or password is wrong; enter them again.\n", stderr);
    else if (wait_s > 0)
        (void)fprintf(stderr, "esign: too many tries; wait %d s, then enter them again.\n", wait_s);
    else
        (void)fputs("esign: too many tries; wait a little, then enter them again.\n", stderr);
    return true;
}

enum cli_exit authorise_ticket(struct cli *cli, const struct esign_result *ticket,
                               struct person *person, struct esign_result **ret)
{
    bool id_is_known = person->user_id[0] != '\0';
    CLEANUP(own_card_done) struct own_card card = {0};
    struct authorise_try try = {ticket, person, ret, options_has(cli->options, OPTION_CARD)};
    int tries = AUTHORISE_TRIES;

    enum cli_exit known = id_is_known ? CLI_DONE : person_ask_id(cli, person);
    if (known == CLI_DONE && try.card)
        known = own_card_ready(cli, person->user_id, &card);
    if (known != CLI_DONE)
        return known;
    person_tell_reset(cli, person);
    for (;;) {
        enum cli_exit exit = person_ask(cli, person);
        if (exit != CLI_DONE)
            return exit;
        enum esign_rc rc = repeat_lost(cli, authorise_call, &try);
        if (rc == ESIGN_OK && try.card)
            return own_card_finish(cli, &card, person, ret);
        if (!authorise_again(cli, rc, &tries))
            return cli_outcome(cli, rc);
        if (!id_is_known && !cli_option(cli, OPTION_AS))
            person_done(person);
    }
}

/* Whether the last call may have signed without our knowing. */
static bool authorise_is_unknown(const struct esign_error *error)
{
    const char *reason = esign_error_reason(error);

    return esign_error_code(error) == ESIGN_E_DEADLINE || strcmp(reason, "closed") == 0 ||
           strcmp(reason, "reply") == 0 || strcmp(reason, "memory") == 0;
}

/* End the ticket and tell how it stands: text before its id. */
static const char *authorise_end(struct cli *cli, const char *id)
{
    const struct esign_error *error = cli->error;
    char reason[100];

    if (authorise_is_unknown(error))
        return "  Whether it was signed is not known: esign ticket show ";
    if (esign_error_retryable(error))
        return "  The ticket stays open: esign approve ";
    (void)snprintf(reason, sizeof(reason), "not signed at the terminal: %.60s",
                   esign_error_code(error) == ESIGN_OK ? "nobody answered"
                                                       : esign_error_name(error));
    if (esign_ticket_cancel(cli->daemon, id, reason, NULL, NULL) == ESIGN_OK)
        return "  Nothing was signed; cancelled is the ticket ";
    return "  Nothing was signed: esign ticket show ";
}

void authorise_give_up(struct cli *cli, const struct esign_result *ticket)
{
    const char *id = esign_result_string(ticket, "ticket");

    if (!id)
        return;
    (void)fputs(authorise_end(cli, id), stderr);
    show_text(stderr, id, false);
    (void)fputc('\n', stderr);
}
