/* Signers' own cards: registered by two officers, tested by their owner, ended by an officer. */
#include <string.h>

#include "base/encode.h"
#include "cli/commands.h"
#include "cli/own_card.h"
#include "cli/register.h"
#include "cli/verify.h"

enum { CREDENTIAL_CARD_MAX = 8192 };

/* The certificate of --certificate, PEM or DER, as the member of params. */
static enum cli_exit credential_card_read(const struct cli *cli, json_t *params)
{
    CLEANUP(buf_done) struct buf file = buf_new(0);
    CLEANUP(buf_done) struct buf der = buf_new(CREDENTIAL_CARD_MAX);
    CLEANUP(buf_done) struct buf text = buf_new(2 * CREDENTIAL_CARD_MAX);
    enum cli_exit rc = cli_read_file(cli, cli_option(cli, OPTION_CERTIFICATE), &file);

    if (rc != CLI_DONE)
        return rc;
    bool is_der = file.len > 0 && file.data[0] == 0x30; /* a SEQUENCE; PEM begins with text */
    const char *at = is_der ? NULL : buf_str(&file);
    if (is_der)
        buf_put(&der, buf_bytes(&file));
    if ((!is_der && (!at || !verify_pem_next(&at, "CERTIFICATE", &der))) || !buf_ok(&der))
        return cli_usage("--certificate names no file with a certificate of at most %d bytes",
                         CREDENTIAL_CARD_MAX);
    encode_base64(buf_bytes(&der), &text);
    cli_set(params, "certificate", buf_str(&text));
    return CLI_DONE;
}

enum cli_exit command_credential_card(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *params = json_object();
    enum cli_exit rc = credential_card_read(cli, params);

    cli_set(params, "user_id", cli->operands[0]);
    return rc == CLI_DONE ? register_ask(cli, "card.register", TAKE(params)) : rc;
}

enum cli_exit command_credential_revoke_card(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/card-revoke", path);

    if (rc == CLI_DONE)
        rc = register_post(cli, path, json_object(), &result);
    if (rc == CLI_DONE && !cli_print_json(cli, result))
        (void)puts("the card is ended; it signs no more");
    return rc;
}

/* The body of both requests of a test. */
static json_t *credential_test_body(const struct person *person)
{
    const struct bytes password = secret_bytes(person->password);

    return json_pack("{s:{s:s, s:s%}}", "components", "user_id", person->user_id, "password",
                     (const char *)password.data, password.len);
}

/* Ask for a challenge, have the card sign it, give the answer. */
static enum cli_exit credential_test(struct cli *cli, struct own_card *card,
                                     const struct person *person, const char *path)
{
    CLEANUP(esign_result_free_p) struct esign_result *wanted = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *done = NULL;
    CLEANUP(buf_done) struct buf value = buf_new(CREDENTIAL_CARD_MAX);
    CLEANUP(buf_done) struct buf text = buf_new(2 * CREDENTIAL_CARD_MAX);
    struct fault why = {0};
    enum cli_exit rc = cli_call(cli, path, credential_test_body(person), &wanted);

    if (rc == CLI_DONE)
        rc = own_card_sign(cli, card, wanted, &value, &why);
    if (rc != CLI_DONE)
        return rc;
    encode_base64(buf_bytes(&value), &text);
    json_t *body = credential_test_body(person);
    cli_set(body, "challenge", esign_result_string(wanted, "challenge"));
    cli_set(body, "value", buf_str(&text));
    rc = cli_call(cli, path, body, &done);
    if (rc == CLI_DONE && !cli_print_json(cli, done))
        (void)printf("the card works: tested %s\n", esign_result_string(done, "tested"));
    return rc;
}

enum cli_exit command_credential_test_card(struct cli *cli)
{
    CLEANUP(person_done) struct person person = {0};
    CLEANUP(own_card_done) struct own_card card = {0};
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", cli->operands[0], "/card-test", path);

    if (rc != CLI_DONE)
        return rc;
    (void)snprintf(person.user_id, sizeof(person.user_id), "%s", cli->operands[0]);
    rc = own_card_ready(cli, person.user_id, &card);
    if (rc == CLI_DONE)
        rc = person_ask_password(cli, &person);
    return rc == CLI_DONE ? credential_test(cli, &card, &person, path) : rc;
}
