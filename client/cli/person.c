#include "cli/person.h"

#include "base/secret.h"

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
