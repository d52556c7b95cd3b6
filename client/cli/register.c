#include "cli/register.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "cli/commands.h"

enum cli_exit register_read_object(const struct cli *cli, const char *path, json_t **ret)
{
    CLEANUP(buf_done) struct buf text = buf_new(0);
    struct fault f = {0};
    enum cli_exit rc = cli_read_file(cli, path, &text);

    if (rc != CLI_DONE)
        return rc;
    return json_parse_object(buf_bytes(&text), ret, &f) == ESIGN_OK ? CLI_DONE : cli_fault(cli, &f);
}

enum cli_exit register_post(struct cli *cli, const char *path, json_t *body,
                            struct esign_result **ret)
{
    CLEANUP(json_decref_p) json_t *own = body; /* its strings are wiped when they are freed */
    enum cli_exit rc = cli_components(cli, body);

    cli_set(body, "reason", cli_option(cli, OPTION_REASON));
    return rc == CLI_DONE ? cli_call(cli, path, TAKE(own), ret) : rc;
}

enum cli_exit register_take_halves(struct cli *cli, json_t *body)
{
    enum cli_exit rc =
        cli_secret(cli, body, "receipt", "First half, from the officer who asked", false);

    cli->one_time = true;
    if (rc == CLI_DONE)
        rc = cli_secret(cli, body, "secret", "Second half, from the officer who approved", false);
    return rc == CLI_DONE ? cli_secret(cli, body, "password", "New password", true) : rc;
}

enum cli_exit register_ask(struct cli *cli, const char *action, json_t *params)
{
    static const struct show_column rows[] = {
        {"approval", "approval"}, {"action", "action"}, {"object", "object"}, {"state", "state"}};
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    json_t *body = json_object();

    cli_set(body, "action", action);
    (void)json_object_set_new(body, "params", params); /* missed by name */
    enum cli_exit rc = register_post(cli, "/v1/approvals", body, &result);
    if (rc != CLI_DONE || cli_print_json(cli, result))
        return rc;
    show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    const char *receipt = esign_result_string(result, "receipt");
    if (receipt)
        (void)printf("\nfirst half of the one-time secret: %s\n"
                     "Give it to the person, in person. The officer who approves gives the other "
                     "half.\n",
                     receipt);
    (void)printf("\nA second officer runs: esign approvals approve %s\n",
                 esign_result_string(result, "approval"));
    return CLI_DONE;
}

enum cli_exit command_approvals_list(struct cli *cli)
{
    static const struct show_column columns[] = {{"APPROVAL", "approval"},
                                                 {"STATE", "state"},
                                                 {"ACTION", "action"},
                                                 {"FOR", "user_id|params.id"},
                                                 {"ASKED BY", "requested_by_user"},
                                                 {"ASKED AT", "requested"},
                                                 {"REASON", "reason"}};

    const char *path =
        options_has(cli->options, OPTION_ALL) ? "/v1/approvals" : "/v1/approvals?state=pending";

    return cli_list(cli, path, columns, sizeof(columns) / sizeof(columns[0]));
}

/* The person whose enrolment is asked for. */
static enum cli_exit register_show_person(struct cli *cli, const char *user_id, FILE *out)
{
    static const struct show_column rows[] = {
        {"printed name", "printed_name"},
        {"title", "title"},
        {"role", "role"},
        {"roles", "roles"},
        {"group", "group"},
        {"custody", "custody"},
        {"identity checked", "evidence.method"},
        {"document", "evidence.document_type"},
        {"issuer", "evidence.issuer"},
        {"last characters", "evidence.number_end"},
        {"seen", "evidence.seen"},
        {"note", "evidence.note"},
    };
    CLEANUP(esign_result_free_p) struct esign_result *person = NULL;
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/signers/", user_id, "", path);

    if (rc == CLI_DONE)
        rc = cli_call(cli, path, NULL, &person);
    if (rc == CLI_DONE)
        show_members(out, person, rows, sizeof(rows) / sizeof(rows[0]));
    return rc;
}

/* What a second officer decides on. */
static enum cli_exit register_show(struct cli *cli, const struct esign_result *approval, FILE *out)
{
    static const struct show_column rows[] = {
        {"approval", "approval"},
        {"state", "state"},
        {"action", "action"},
        {"object", "object"},
        {"asked by", "requested_by_user"},
        {"asked at", "requested"},
        {"reason", "reason"},
        {"decided by", "decided_by_user"},
        {"decided at", "decided"},
        {"decision", "decision_reason"},
        {"user id", "user_id"},
        {"id", "params.id"},
        {"name", "params.name"},
        {"location", "params.location"},
        {"uid", "params.uid"},
        {"gid", "params.gid"},
        {"rights", "params.rights"},
        {"what is lost", "params.detail"},
        {"card of", "card.subject"},
        {"card issued by", "card.issuer"},
        {"card's serial", "card.serial"},
        {"card ends", "card.not_after"},
        {"card's key", "card.algorithm"},
        {"card's SHA-256", "card.sha256"},
    };
    const char *user_id = esign_result_string(approval, "user_id");

    show_members(out, approval, rows, sizeof(rows) / sizeof(rows[0]));
    enum cli_exit rc = user_id ? register_show_person(cli, user_id, out) : CLI_DONE;
    (void)fflush(out); /* before a prompt appears on the terminal */
    return rc;
}

enum cli_exit command_approvals_show(struct cli *cli)
{
    CLEANUP(esign_result_free_p) struct esign_result *approval = NULL;
    char path[CLI_PATH_MAX];
    enum cli_exit rc = cli_path("/v1/approvals/", cli->operands[0], "", path);

    if (rc == CLI_DONE)
        rc = cli_call(cli, path, NULL, &approval);
    if (rc != CLI_DONE || cli_print_json(cli, approval))
        return rc;
    return register_show(cli, approval, stdout);
}

static enum cli_exit register_decide(struct cli *cli, const char *verb)
{
    static const struct show_column rows[] = {
        {"approval", "approval"}, {"state", "state"}, {"object", "object"}};
    CLEANUP(esign_result_free_p) struct esign_result *approval = NULL;
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    char path[CLI_PATH_MAX];
    /* with --json the officer still must see it, but stdout belongs to the reply */
    FILE *out = options_has(cli->options, OPTION_JSON) ? stderr : stdout;
    enum cli_exit rc = cli_path("/v1/approvals/", cli->operands[0], "", path);

    if (rc == CLI_DONE)
        rc = cli_call(cli, path, NULL, &approval);
    if (rc == CLI_DONE)
        rc = register_show(cli, approval, out);
    if (rc == CLI_DONE)
        rc = cli_path("/v1/approvals/", cli->operands[0], verb, path);
    if (rc == CLI_DONE)
        rc = register_post(cli, path, json_object(), &result);
    if (rc != CLI_DONE || cli_print_json(cli, result))
        return rc;
    (void)putchar('\n');
    show_members(stdout, result, rows, sizeof(rows) / sizeof(rows[0]));
    const char *secret = esign_result_string(result, "secret");
    const char *action = esign_result_string(result, "action");
    bool reset = action && strcmp(action, "credential.reset") == 0;
    if (secret)
        (void)printf("\nsecond half of the one-time secret: %s\n"
                     "Give it to the person, in person, who then runs: esign %s USER_ID\n%s",
                     secret, reset ? "credential set" : "signer activate",
                     reset ? "(who was not activated before: esign signer activate USER_ID)\n"
                           : "");
    return CLI_DONE;
}

enum cli_exit command_approvals_approve(struct cli *cli)
{
    return register_decide(cli, "/approve");
}

enum cli_exit command_approvals_decline(struct cli *cli)
{
    return register_decide(cli, "/decline");
}

/* A system user or group by name or number as an integer member; the option may be missing. */
static enum cli_exit register_set_id(const struct cli *cli, json_t *params, const char *member,
                                     enum cli_option option)
{
    const char *text = cli_option(cli, option);
    uint64_t number = 0;

    if (!text)
        return CLI_DONE;
    if (!options_number(text, UINT32_MAX - 1, &number)) {
        const struct passwd *user = option == OPTION_UID ? getpwnam(text) : NULL;
        const struct group *group = option == OPTION_GID ? getgrnam(text) : NULL;
        if (!user && !group)
            return cli_usage("there is no system %s \"%s\"",
                             option == OPTION_UID ? "user" : "group", text);
        number = user ? user->pw_uid : group->gr_gid;
    }
    (void)json_object_set_new(params, member,
                              json_integer((json_int_t)number)); /* missed by name */
    return CLI_DONE;
}

enum cli_exit command_application_add(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *params = json_object();
    json_t *rights = json_array();
    const char *list = cli_option(cli, OPTION_RIGHTS);

    cli_set(params, "id", cli->operands[0]);
    cli_set(params, "name", cli_option(cli, OPTION_NAME));
    for (size_t len = strcspn(list, ","); *list; len = strcspn(list, ",")) {
        (void)json_array_append_new(rights, json_stringn(list, len)); /* refused by the daemon */
        list += list[len] ? len + 1 : len;
    }
    (void)json_object_set_new(params, "rights", rights); /* missed by name */
    enum cli_exit rc = register_set_id(cli, params, "uid", OPTION_UID);
    return rc == CLI_DONE ? register_ask(cli, "application.add", TAKE(params)) : rc;
}

enum cli_exit command_terminal_add(struct cli *cli)
{
    CLEANUP(json_decref_p) json_t *params = json_object();
    enum cli_exit rc = CLI_DONE;

    if (!cli_option(cli, OPTION_UID) == !cli_option(cli, OPTION_GID))
        return cli_usage("terminal add needs --uid or --gid, and not both");
    cli_set(params, "id", cli->operands[0]);
    cli_set(params, "location", cli_option(cli, OPTION_LOCATION));
    rc = register_set_id(cli, params, "uid", OPTION_UID);
    if (rc == CLI_DONE)
        rc = register_set_id(cli, params, "gid", OPTION_GID);
    return rc == CLI_DONE ? register_ask(cli, "terminal.add", TAKE(params)) : rc;
}

enum cli_exit command_application_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"APPLICATION", "id"}, {"NAME", "name"}, {"UID", "uid"}, {"RIGHTS", "rights"}};

    return cli_list(cli, "/v1/applications", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_terminal_list(struct cli *cli)
{
    static const struct show_column columns[] = {
        {"TERMINAL", "id"}, {"LOCATION", "location"}, {"UID", "uid"}, {"GID", "gid"}};

    return cli_list(cli, "/v1/terminals", columns, sizeof(columns) / sizeof(columns[0]));
}

enum cli_exit command_restore_accept(struct cli *cli)
{
    return register_ask(cli, "restore.accept", json_object());
}
