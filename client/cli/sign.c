#include "cli/sign.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "cli/authorise.h"
#include "cli/commands.h"
#include "cli/hold.h"
#include "cli/present.h"
#include "cli/repeat.h"

void sign_request_done(struct sign_request *request)
{
    buf_done(&request->file);
}

enum cli_exit sign_request_read(const struct cli *cli, struct sign_request *ret)
{
    *ret = (struct sign_request){.file = buf_new(0)};
    if (!cli_parse_record(cli_option(cli, OPTION_RECORD), &ret->record))
        return cli_usage("--record is TYPE:ID:VERSION, such as batch-record:BR-7:3");
    enum cli_exit rc = cli_read_file(cli, cli->operands[0], &ret->file);
    if (rc != CLI_DONE)
        return rc;
    ret->request = (struct esign_request){
        .record = {.type = ret->record.type,
                   .id = ret->record.id,
                   .version = ret->record.version,
                   .media_type = cli_option(cli, OPTION_MEDIA_TYPE)},
        .meaning = cli_option(cli, OPTION_MEANING),
        .plan = cli_option(cli, OPTION_PLAN),
        .step = cli_option(cli, OPTION_STEP),
        .signer = cli_option(cli, OPTION_SIGNER),
        .reason = cli_option(cli, OPTION_REASON),
        .comment = cli_option(cli, OPTION_COMMENT),
    };
    struct esign_record *record = &ret->request.record;
    if (options_has(cli->options, OPTION_DIGEST_ONLY)) {
        uint8_t digest[SHA256_LEN];
        bytes_sha256(buf_bytes(&ret->file), (struct bytes){0}, digest);
        encode_hex(bytes_of(digest, sizeof(digest)), ret->sha256);
        record->sha256 = ret->sha256;
        record->length = ret->file.len;
    } else {
        record->content = ret->file.len > 0 ? (const void *)ret->file.data : "";
        record->content_len = ret->file.len;
    }
    return CLI_DONE;
}

enum cli_exit sign_write(const struct cli *cli, const struct esign_result *signature,
                         const char *path)
{
    CLEANUP(free_p) void *value = NULL;
    size_t len = 0;
    struct fault f = {0};
    enum esign_rc rc = esign_result_bytes(signature, "value", &value, &len);

    if (rc != ESIGN_OK) {
        (void)fault_set(&f, rc, "the reply holds no signature value");
        return cli_fault(cli, &f);
    }
    return cli_write_file(cli, path, bytes_of(value, len), 0644);
}

enum cli_exit sign_check_out(const struct cli *cli, const char *path)
{
    struct fault f = {0};
    int cause = cli_check_file(path);

    if (cause == 0)
        return CLI_DONE;
    (void)fault_set(&f, ESIGN_E_CONFLICT,
                    "%.120s can't be written: %.60s; nothing was signed. Use -o FILE", path,
                    strerror(cause));
    return cli_fault(cli, &f);
}

/* As sign_check_out(), for a name that nobody gave: what is there may be the only copy. */
static enum cli_exit sign_check_new(const struct cli *cli, const char *path)
{
    struct fault f = {0};

    if (access(path, F_OK) != 0)
        return sign_check_out(cli, path);
    (void)fault_set(&f, ESIGN_E_CONFLICT,
                    "%.120s is there already; nothing was signed. Use -o FILE", path);
    return cli_fault(cli, &f);
}

/* Write a signature that was just made. */
static enum cli_exit sign_keep(const struct cli *cli, const struct esign_result *signature,
                               const char *path)
{
    CLEANUP(free_p) void *value = NULL;
    const char *id = esign_result_string(signature, "signature");
    size_t len = 0;

    if (!id || esign_result_bytes(signature, "value", &value, &len) != ESIGN_OK)
        return sign_write(cli, signature, path);
    int cause = cli_put_file(path, bytes_of(value, len), 0644);
    if (cause == 0)
        return CLI_DONE;
    (void)fputs("esign: signed: ", stderr);
    show_text(stderr, id, false);
    (void)fputs(", but ", stderr);
    show_text(stderr, path, false);
    (void)fprintf(stderr,
                  " can't be written: %s. The signature is valid; do not sign again: "
                  "esign signature show ",
                  strerror(cause));
    show_text(stderr, id, false);
    (void)fputs(" -o FILE\n", stderr);
    return CLI_REFUSED;
}

enum cli_exit sign_finish(const struct cli *cli, const struct esign_result *signature,
                          const char *path)
{
    enum cli_exit rc = sign_keep(cli, signature, path);

    if (cli_print_json(cli, signature))
        return rc;
    const char *id = esign_result_string(signature, "signature");
    const char *text = esign_result_string(signature, "manifestation");
    (void)fputs("signed: ", stdout);
    show_text(stdout, id ? id : "", false);
    (void)putchar('\n');
    if (text) {
        show_text(stdout, text, true);
        (void)putchar('\n');
    }
    if (rc == CLI_DONE)
        (void)printf("written: %s\n", path);
    return rc;
}

/* One request to the daemon. */
struct sign_asked {
    const struct esign_request *request;
    const struct person *person; /* NULL: a ticket, which needs nobody */
    struct esign_result **ret;
};

static enum esign_rc sign_call(struct cli *cli, const char *key, void *ctx)
{
    const struct sign_asked *asked = ctx;
    const struct esign_components components = person_components(asked->person);
    struct esign_request request = *asked->request;

    request.idempotency_key = key;
    return esign_sign(cli->daemon, &request, &components, asked->ret, cli->error);
}

static enum esign_rc sign_ticket_call(struct cli *cli, const char *key, void *ctx)
{
    const struct sign_asked *asked = ctx;
    struct esign_request request = *asked->request;

    request.idempotency_key = key;
    return esign_ticket_create(cli->daemon, &request, asked->ret, cli->error);
}

/* An application with the right entry_app: one request. */
static enum cli_exit sign_as_application(struct cli *cli, const struct esign_request *request,
                                         struct esign_result **ret)
{
    CLEANUP(person_done) struct person person = {0};
    enum cli_exit rc = person_ask(cli, &person);

    if (rc != CLI_DONE)
        return rc;
    struct sign_asked asked = {request, &person, ret};
    return cli_outcome(cli, repeat_lost(cli, sign_call, &asked));
}

/* A terminal: a ticket for the person who is there, who authorises it at once.  Nothing stays open
 * behind a signing that was given up, by a signal neither. */
static enum cli_exit sign_as_terminal(struct cli *cli, struct esign_request *request,
                                      struct esign_result **ret)
{
    CLEANUP(person_done) struct person person = {0};
    enum cli_exit rc = person_ask_id(cli, &person);

    if (rc != CLI_DONE)
        return rc;
    request->signer = person.user_id;
    CLEANUP(hold_done) struct hold hold;
    hold_begin(&hold);
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    struct sign_asked asked = {request, NULL, &ticket};
    rc = cli_outcome(cli, repeat_lost(cli, sign_ticket_call, &asked));
    if (rc != CLI_DONE)
        return rc;
    rc = present_check(cli, ticket);
    if (rc == CLI_DONE) {
        present_ticket(cli, ticket);
        rc = authorise_ticket(cli, ticket, &person, ret);
    }
    if (rc != CLI_DONE)
        authorise_give_up(cli, ticket);
    return rc;
}

enum cli_exit command_sign(struct cli *cli)
{
    CLEANUP(sign_request_done) struct sign_request request;
    CLEANUP(esign_result_free_p) struct esign_result *status = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *signature = NULL;
    char path[PATH_MAX];
    const char *out = cli_option(cli, OPTION_OUT);
    enum cli_exit rc = sign_request_read(cli, &request);

    if (rc == CLI_DONE && !out && strcmp(cli->operands[0], "-") == 0)
        rc = cli_usage("a record from standard input needs -o FILE");
    int len = snprintf(path, sizeof(path), "%s.p7s", cli->operands[0]);
    if (rc == CLI_DONE && !out && (len < 0 || (size_t)len >= sizeof(path)))
        rc = cli_usage("the file's name is too long; give -o FILE");
    if (rc == CLI_DONE)
        rc = out ? sign_check_out(cli, out) : sign_check_new(cli, path);
    if (!out)
        out = path;
    if (rc == CLI_DONE)
        rc = cli_outcome(cli, esign_status(cli->daemon, &status, cli->error));
    if (rc != CLI_DONE)
        return rc;
    const char *kind = esign_result_string(status, "peer.kind");
    bool application = kind && strcmp(kind, "application") == 0;
    if (application && options_has(cli->options, OPTION_CARD))
        return cli_usage("--card is for signers at a terminal");
    rc = application ? sign_as_application(cli, &request.request, &signature)
                     : sign_as_terminal(cli, &request.request, &signature);
    return rc == CLI_DONE ? sign_finish(cli, signature, out) : rc;
}

enum cli_exit command_ticket_create(struct cli *cli)
{
    CLEANUP(sign_request_done) struct sign_request request;
    CLEANUP(esign_result_free_p) struct esign_result *ticket = NULL;
    struct sign_asked asked = {&request.request, NULL, &ticket};
    enum cli_exit rc = sign_request_read(cli, &request);

    if (rc == CLI_DONE)
        rc = cli_outcome(cli, repeat_lost(cli, sign_ticket_call, &asked));
    if (rc != CLI_DONE || cli_print_json(cli, ticket))
        return rc;
    const char *id = esign_result_string(ticket, "ticket");
    const char *expires = esign_result_string(ticket, "expires");
    (void)fputs("ticket: ", stdout);
    show_text(stdout, id ? id : "", false);
    (void)fputs("\nThe signer runs `esign approve ", stdout);
    show_text(stdout, id ? id : "", false);
    (void)fputs("` before ", stdout);
    show_text(stdout, expires ? expires : "it expires", false);
    (void)putchar('\n');
    return CLI_DONE;
}
