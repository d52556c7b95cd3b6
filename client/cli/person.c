#include "cli/person.h"

#include <string.h>

#include "base/encode.h"
#include "base/secret.h"

enum { PERSON_ID_MAX = 64, PERSON_RESET_MAX = 320 };

void person_done(struct person *person)
{
    secret_free(person->password);
    *person = (struct person){0};
}

enum cli_exit person_ask_id(const struct cli *cli, struct person *ret)
{
    return cli_user(cli, ret->user_id);
}

enum cli_exit person_ask_password(const struct cli *cli, struct person *person)
{
    char prompt[ASK_LINE_MAX + 32];
    struct fault f = {0};

    secret_free(TAKE(person->password));
    (void)snprintf(prompt, sizeof(prompt), "Password of %s", person->user_id);
    enum esign_rc rc = ask_secret(&cli->ask, prompt, false, &person->password, &f);
    person->nothing = rc == ESIGN_E_PROTO && cli->ask.fd < 0;
    return rc == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

/* At a terminal, since an application need not have the right to ask. */
static bool person_is_at_terminal(const struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *status = NULL;

    if (esign_status(cli->daemon, &status, NULL) != ESIGN_OK)
        return false;
    const char *kind = esign_result_string(status, "peer.kind");
    return kind && strcmp(kind, "terminal") == 0;
}

void person_tell_reset(const struct cli *cli, const struct person *person)
{
    CLEANUP(esign_result_free_p) struct esign_result *signer = NULL;
    char path[CLI_PATH_MAX], text[PERSON_RESET_MAX];

    if (!person_is_at_terminal(cli) || !text_is_id(person->user_id, PERSON_ID_MAX) ||
        cli_path("/v1/signers/", person->user_id, "", path) != CLI_DONE ||
        esign_call(cli->daemon, "GET", path, NULL, 0, &signer, NULL) != ESIGN_OK ||
        !esign_result_flag(signer, "credential.reset_unseen"))
        return;
    const char *at = esign_result_string(signer, "credential.reset_at");
    const char *asked = esign_result_string(signer, "credential.reset_by.0");
    const char *approved = esign_result_string(signer, "credential.reset_by.1");
    (void)snprintf(text, sizeof(text),
                   "The password of %.64s was reset on %.64s by %.64s and %.64s.", person->user_id,
                   at ? at : "?", asked ? asked : "?", approved ? approved : "?");
    show_text(stderr, text, false);
    (void)fputc('\n', stderr);
}

enum cli_exit person_ask(const struct cli *cli, struct person *person)
{
    enum cli_exit rc = person->user_id[0] ? CLI_DONE : person_ask_id(cli, person);

    return rc == CLI_DONE ? person_ask_password(cli, person) : rc;
}

struct esign_components person_components(const struct person *person)
{
    struct bytes password = person->password ? secret_bytes(person->password) : (struct bytes){0};

    return (struct esign_components){
        .user_id = person->user_id[0] ? person->user_id : NULL,
        .password = (const char *)password.data,
        .password_len = password.len,
    };
}
