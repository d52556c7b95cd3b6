#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/secret.h"

enum { CLI_ID_MAX = 200, CLI_BODY_MAX = 1024 * 1024 };

DEFINE_CLEANUP(struct secret *, secret_free)

#define CLI_HINT_RIGHT                                                                             \
    "Two officers give rights to applications; `esign application list` shows them, at a "         \
    "terminal."
#define CLI_HINT_ROLE "`esign signer list` shows who has this role and can help."

/* What the person can do about an error; the first row that fits. */
static const struct cli_hint {
    enum esign_rc code;
    const char *reason; /* NULL: any */
    const char *text;
} cli_hints[] = {
    {ESIGN_E_BUSY, "no_socket",
     "Start it (systemctl start esignd), or name its socket with --socket or $ESIGN_SOCKET."},
    {ESIGN_E_BUSY, "refused",
     "The administrator looks why it stopped (journalctl -u esignd) and starts it again."},
    {ESIGN_E_PEER_DENIED, "permission",
     "The administrator adds this user to the group (usermod -a -G esign USER); log in again."},
    {ESIGN_E_DEADLINE, "no_answer",
     "It is there but did not answer: look with `esign ticket show` before you repeat a signing."},
    {ESIGN_E_DEADLINE, NULL, "Look with `esign ticket show` before you repeat a signing."},
    {ESIGN_E_PEER_DENIED, NULL,
     "An officer registers this user: `esign terminal add` or `esign application add`."},
    {ESIGN_E_AUTH_FAILED, NULL, "Check user id and password. Repeated failures lock the signer."},
    {ESIGN_E_SIGNER_STATE, "locked",
     "An officer unlocks: `esign signer unlock USER_ID --reason TEXT`."},
    {ESIGN_E_CRED_STATE, "must_change", "Change the password: `esign credential change`."},
    {ESIGN_E_CRED_STATE, "expired", "Change the password: `esign credential change`."},
    {ESIGN_E_CRED_STATE, "revoked",
     "Set a new one with the two halves of the one-time secret: `esign credential set USER_ID`."},
    {ESIGN_E_CRED_STATE, "used",
     "An officer asks for a new one: `esign credential reset USER_ID --reason TEXT`."},
    {ESIGN_E_AUTHZ, "entry_app",
     "The signer enters the password at a terminal: `esign approve TICKET`; or two officers give "
     "the application this right."},
    {ESIGN_E_AUTHZ, "digest_only",
     "Send the record itself; or two officers give the application this right."},
    {ESIGN_E_AUTHZ, "ticket", CLI_HINT_RIGHT},
    {ESIGN_E_AUTHZ, "verify", CLI_HINT_RIGHT},
    {ESIGN_E_AUTHZ, "read", CLI_HINT_RIGHT},
    {ESIGN_E_AUTHZ, "signer", CLI_HINT_ROLE},
    {ESIGN_E_AUTHZ, "regadmin", CLI_HINT_ROLE},
    {ESIGN_E_AUTHZ, "secofficer", CLI_HINT_ROLE},
    {ESIGN_E_AUTHZ, NULL,
     "`esign status` shows what you are taken for, `esign ticket show` whose a ticket is."},
    {ESIGN_E_MEANING, NULL, "`esign meaning list` shows what can be used."},
    {ESIGN_E_TERMINAL, NULL, "An officer registers the terminal: `esign terminal add`."},
    {ESIGN_E_DUAL_REQUIRED, "last-officers",
     "Enrol a further officer first: `esign signer enroll`."},
    {ESIGN_E_DUAL_REQUIRED, NULL, "A second officer runs `esign approvals approve`."},
    {ESIGN_E_DUAL_SELF, NULL, "Somebody else must do this."},
    {ESIGN_E_STOPPED, "restored",
     "`esign status` shows what is lost. Two officers decide: `esign restore accept`, `esign "
     "approvals approve`."},
    {ESIGN_E_HSM, "pin",
     "The administrator corrects the PIN file of that token and restarts its service."},
    {ESIGN_E_HSM, "unavailable",
     "`esign status` shows the tokens; one that was never made: `esign token init NAME` as root, "
     "then restart its service."},
    {ESIGN_E_HSM, NULL, "`esign status` shows the tokens."},
    {ESIGN_E_CLOCK, NULL, "`esign status` shows the clock; the administrator synchronises it."},
    {ESIGN_E_AUDIT_UNAVAILABLE, NULL,
     "Nothing is signed until the administrator has repaired this: `esign audit verify`."},
    {ESIGN_E_PASSWORD_POLICY, "reused", "Choose a password that was never used here."},
    {ESIGN_E_PASSWORD_POLICY, NULL, "Choose a longer or less common password."},
    {ESIGN_E_INTERNAL, NULL, "The administrator finds more in the service's log."},
};

static void cli_print_hint(const struct cli *cli, enum esign_rc code, const char *reason)
{
    if (code == ESIGN_E_AUTH_FAILED && cli->one_time)
        return;
    if (code == ESIGN_E_AUTHZ && !*reason && geteuid() == 0) {
        (void)fputs(
            "  Root can do nothing but `esign status` and what initialises, repairs or backs up "
            "the service; run it as\n  the user of a terminal or application.\n",
            stderr);
        return;
    }
    for (size_t i = 0; i < sizeof(cli_hints) / sizeof(cli_hints[0]); i++) {
        const struct cli_hint *hint = &cli_hints[i];
        if (hint->code != code || (hint->reason && strcmp(hint->reason, reason) != 0))
            continue;
        (void)fprintf(stderr, "  %s\n", hint->text);
        return;
    }
}

static void cli_print_error(const char *name, const char *reason, const char *detail,
                            const char *field)
{
    (void)fputs("esign: ", stderr);
    show_text(stderr, name, false);
    if (*reason) {
        (void)fputc('(', stderr);
        show_text(stderr, reason, false);
        (void)fputc(')', stderr);
    }
    (void)fputs(": ", stderr);
    show_text(stderr, detail, false);
    if (*field) {
        (void)fputs(" (field: ", stderr);
        show_text(stderr, field, false);
        (void)fputc(')', stderr);
    }
    (void)fputc('\n', stderr);
}

enum cli_exit cli_failed(const struct cli *cli)
{
    const struct esign_error *e = cli->error;

    cli_print_error(esign_error_name(e), esign_error_reason(e), esign_error_detail(e),
                    esign_error_field(e));
    cli_print_hint(cli, esign_error_code(e), esign_error_reason(e));
    if (esign_error_retry_after(e) > 0)
        (void)fprintf(stderr, "  Wait %d s, then the same can be tried again.\n",
                      esign_error_retry_after(e));
    else if (esign_error_retryable(e) && exit_of_error(e) != CLI_UNREACHABLE)
        (void)fputs("  The same can be tried again.\n", stderr);
    return exit_of_error(e);
}

enum cli_exit cli_fault(const struct cli *cli, const struct fault *f)
{
    (void)cli;                                 /* as cli_failed */
    if (strcmp(f->reason, ASK_NOTHING) == 0) { /* a person's decision, not an error */
        (void)fprintf(stderr, "esign: %s\n", f->detail);
        return CLI_REFUSED;
    }
    cli_print_error(fault_name(f->rc), f->reason, f->detail[0] ? f->detail : fault_text(f->rc),
                    f->field);
    if (f->cause)
        (void)fprintf(stderr, "  cause: %lu\n", f->cause);
    return CLI_REFUSED;
}

enum cli_exit cli_usage(const char *fmt, ...)
{
    va_list ap;

    (void)fputs("esign: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return CLI_USAGE;
}

enum cli_exit cli_outcome(const struct cli *cli, enum esign_rc rc)
{
    return rc == ESIGN_OK ? CLI_DONE : cli_failed(cli);
}

enum cli_exit cli_call(struct cli *cli, const char *path, json_t *body, struct esign_result **ret)
{
    CLEANUP(buf_done) struct buf text = buf_new(CLI_BODY_MAX);
    const char *method = body ? "POST" : "GET";
    enum esign_rc rc = body ? json_canonical(body, &text) : ESIGN_OK;

    json_wipe(body);
    json_decref(body);
    if (rc != ESIGN_OK) {
        struct fault f;
        rc = fault_set(&f, rc,
                       "the request can't be written: a file given has numbers with a "
                       "fraction, null, or is too large");
        return cli_fault(cli, &f);
    }
    rc = esign_call(cli->daemon, method, path, (const char *)text.data, text.len, ret, cli->error);
    buf_done(&text); /* it may hold a password: before anything is printed, which may block */
    return cli_outcome(cli, rc);
}

bool cli_print_json(const struct cli *cli, const struct esign_result *result)
{
    size_t len = 0;

    if (!options_has(cli->options, OPTION_JSON))
        return false;
    const char *text = esign_result_text(result, &len);
    (void)fwrite(text, 1, len, stdout); /* a failing stdout is found once, at the end of main() */
    if (len == 0 || text[len - 1] != '\n')
        (void)putchar('\n');
    return true;
}

/* The path of one part of a list. */
static enum cli_exit cli_list_path(const struct cli *cli, const char *path, const char *after,
                                   char *ret)
{
    const char *limit = cli_option(cli, OPTION_LIMIT);
    const char *sign = strchr(path, '?') ? "&" : "?";
    uint64_t number = 0;

    if (limit && !options_number(limit, 1000000, &number))
        return cli_usage("--limit is a number up to 1000000");
    if (after && !text_is_id(after, CLI_ID_MAX))
        return cli_usage("--after is the id at which the part before ended");
    int len = snprintf(ret, CLI_PATH_MAX, "%s%s%s%s%s%s%s", path, after ? sign : "",
                       after ? "after=" : "", after ? after : "",
                       !limit  ? ""
                       : after ? "&"
                               : sign,
                       limit ? "limit=" : "", limit ? limit : "");
    return len > 0 && len < CLI_PATH_MAX ? CLI_DONE : cli_usage("the options are too long");
}

enum { CLI_COLUMNS_MAX = 12, CLI_PARTS_MAX = 10000 };

enum cli_exit cli_list(struct cli *cli, const char *path, const struct show_column *columns,
                       size_t column_count)
{
    size_t widths[CLI_COLUMNS_MAX] = {0}, shown = 0;
    char part[CLI_PATH_MAX], after[CLI_ID_MAX + 1] = "";
    const char *first = cli_option(cli, OPTION_AFTER);

    for (int i = 0; i < CLI_PARTS_MAX; i++) {
        CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
        enum cli_exit rc = cli_list_path(cli, path, after[0] ? after : first, part);
        if (rc == CLI_DONE)
            rc = cli_call(cli, part, NULL, &result);
        if (rc != CLI_DONE || cli_print_json(cli, result))
            return rc;
        show_table(result, columns, column_count, widths);
        shown += esign_result_count(result, "items");
        const char *next = esign_result_string(result, "next");
        int64_t number = esign_result_integer(result, "next", -1);
        if ((!next && number < 0) || cli_option(cli, OPTION_LIMIT))
            break;
        if (next)
            (void)snprintf(after, sizeof(after), "%s", next); /* too long: refused as no id */
        else
            (void)snprintf(after, sizeof(after), "%lld", (long long)number);
    }
    if (shown == 0)
        (void)puts("none");
    return CLI_DONE;
}

enum cli_exit cli_show(struct cli *cli, const char *path, const struct show_column *rows,
                       size_t row_count)
{
    CLEANUP(esign_result_free_p) struct esign_result *result = NULL;
    enum cli_exit rc = cli_call(cli, path, NULL, &result);

    if (rc == CLI_DONE && !cli_print_json(cli, result))
        show_members(stdout, result, rows, row_count);
    return rc;
}

enum cli_exit cli_path(const char *prefix, const char *operand, const char *suffix, char *ret)
{
    if (!text_is_id(operand, CLI_ID_MAX))
        return cli_usage("\"%s\" is no id: letters, digits, '.', '_', '-', first a letter or digit",
                         operand);
    (void)snprintf(ret, CLI_PATH_MAX, "%s%s%s", prefix, operand, suffix); /* all parts are short */
    return CLI_DONE;
}

enum cli_exit cli_user(const struct cli *cli, char *ret)
{
    const char *as = cli_option(cli, OPTION_AS);
    struct fault f = {0};

    if (!as && cli->ask.fd >= 0)
        return cli_usage("--password-fd needs --as USER_ID");
    if (!as && ask_line("User id", "--as USER_ID", ret, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    if (as && !text_is_id(as, CLI_USER_MAX))
        return cli_usage("\"%s\" is no user id", as);
    if (as)
        (void)snprintf(ret, ASK_LINE_MAX, "%s", as); /* checked to be short */
    return CLI_DONE;
}

enum cli_exit cli_secret(const struct cli *cli, json_t *object, const char *member,
                         const char *prompt, bool twice)
{
    CLEANUP(secret_free_p) struct secret *secret = NULL;
    struct fault f = {0};

    if (ask_secret(&cli->ask, prompt, twice, &secret, &f) != ESIGN_OK)
        return cli_fault(cli, &f);
    struct bytes bytes = secret_bytes(secret);
    json_t *value = json_stringn((const char *)bytes.data, bytes.len);
    if (!value || json_object_set_new(object, member, value) != 0) {
        (void)fault_set(&f, ESIGN_E_PROTO, "a secret must be UTF-8 text");
        return cli_fault(cli, &f);
    }
    return CLI_DONE;
}

enum cli_exit cli_components(const struct cli *cli, json_t *body)
{
    char user[ASK_LINE_MAX], prompt[ASK_LINE_MAX + 32];
    enum cli_exit rc = cli_user(cli, user);

    if (rc != CLI_DONE)
        return rc;
    json_t *components = json_object();
    cli_set(components, "user_id", user);
    (void)json_object_set_new(body, "components", components); /* NULL shows in the next call */
    (void)snprintf(prompt, sizeof(prompt), "Password of %s", user);
    return cli_secret(cli, components, "password", prompt, false);
}

void cli_set(json_t *object, const char *member, const char *value)
{
    if (value) /* what can't be set (no UTF-8, no memory) is missed by the daemon by name */
        (void)json_object_set_new(object, member, json_string(value));
}

bool cli_parse_record(const char *text, struct cli_record *ret)
{
    size_t len = strlen(text);
    const char *first = strchr(text, ':'), *last = strrchr(text, ':');

    if (len >= sizeof(ret->storage) || !first || first == last || first == text ||
        last == first + 1 || !last[1])
        return false;
    memcpy(ret->storage, text, len + 1);
    ret->storage[first - text] = '\0';
    ret->storage[last - text] = '\0';
    ret->type = ret->storage;
    ret->id = ret->storage + (first - text) + 1;
    ret->version = ret->storage + (last - text) + 1;
    return true;
}
