/* Signs records one after the other for a person who is at this application's screen, in one
 * session: all components for the first, the password alone for each further one.
 *
 *   session USER_ID MEANING TERMINAL FILE... <passwords
 *
 * Each line of standard input stands for what the person types in the dialog of one record: it must
 * be asked for each time, after the record was shown, and must not be kept.  TERMINAL is where the
 * person sits, as the application declares it: nobody checks that, and the signature says so.  The
 * user that runs it must be a registered application with the right entry_app.
 * Build: cc session.c $(pkg-config --cflags --libs esign) */
#include <esign/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct signing {
    struct esign *esign;
    struct esign_error *error;
    struct esign_session *session; /* NULL: none is open */
    int count;                     /* signings in it */
    const char *user_id, *meaning, *terminal;
};

static char record[1024 * 1024], password[1024];

static int failed(const char *what, const struct esign_error *error)
{
    fprintf(stderr, "%s: %s: %s\n", what, esign_error_name(error), esign_error_detail(error));
    return 1;
}

/* The dialog: shows the record, asks for the password.  Its length; -1: the person went away. */
static long ask(const char *name, int all)
{
    printf("%s: %s\n", name, all ? "user id and password" : "password");
    return fgets(password, sizeof(password), stdin) ? (long)strcspn(password, "\n") : -1;
}

/* Opened when the first record is signed. */
static enum esign_rc open_session(struct signing *s, size_t password_len)
{
    const struct esign_opening opening = {.components = {s->user_id, password, password_len},
                                          .terminal = s->terminal};
    struct esign_result *opened = NULL;
    enum esign_rc rc = esign_session_open(s->esign, &opening, &s->session, &opened, s->error);
    const char *last = rc == ESIGN_OK ? esign_result_string(opened, "last_signing.time") : NULL;

    if (last)
        printf("you signed last at %s\n", last);
    esign_result_free(opened);
    s->count = 0;
    return rc;
}

/* One record, with what the person types. */
static enum esign_rc sign(struct signing *s, const char *name, size_t len, size_t password_len)
{
    struct esign_components components = {NULL, password, password_len};
    struct esign_result *signature = NULL;
    enum esign_rc rc = s->session ? ESIGN_OK : open_session(s, password_len);

    if (rc != ESIGN_OK)
        return rc;
    if (s->count == 0)
        components.user_id = s->user_id; /* the first signing: all components */
    const struct esign_request request = {.record = {.type = "example",
                                                     .id = name,
                                                     .version = "1",
                                                     .content = record,
                                                     .content_len = len},
                                          .meaning = s->meaning,
                                          .session = s->session};
    rc = esign_sign(s->esign, &request, &components, &signature, s->error);
    if (rc == ESIGN_OK) {
        s->count++;
        printf("%s\n", esign_result_string(signature, "manifestation"));
    }
    esign_result_free(signature);
    return rc;
}

/* Show, ask, sign; once more with all components if the session was over. */
static enum esign_rc sign_file(struct signing *s, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(record, 1, sizeof(record), file) : 0;
    enum esign_rc rc = ESIGN_E_COMPONENTS_REQUIRED;

    if (!file || fclose(file) != 0)
        return ESIGN_E_NOT_FOUND;
    for (int i = 0; i < 2 && rc == ESIGN_E_COMPONENTS_REQUIRED; i++) {
        long typed = ask(name, s->count == 0);
        if (typed < 0)
            return ESIGN_E_COMPONENTS_REQUIRED;
        rc = sign(s, name, len, (size_t)typed);
        memset(password, 0, sizeof(password));
        if (rc == ESIGN_E_COMPONENTS_REQUIRED) {
            (void)esign_session_close(s->session, NULL); /* it is over already */
            s->session = NULL;
            s->count = 0;
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct signing s = {.error = esign_error_new()};
    int code = 0;

    if (argc < 5)
        return fprintf(stderr, "usage: session USER_ID MEANING TERMINAL FILE...\n"), 2;
    s.user_id = argv[1];
    s.meaning = argv[2];
    s.terminal = argv[3];
    if (esign_open(getenv("ESIGN_SOCKET"), &s.esign, s.error) != ESIGN_OK)
        return failed("open", s.error);
    for (int i = 4; i < argc && code == 0; i++)
        if (sign_file(&s, argv[i]) != ESIGN_OK)
            code = failed(argv[i], s.error);
    if (s.session && esign_session_close(s.session, s.error) != ESIGN_OK)
        code = failed("close", s.error);
    esign_close(s.esign);
    esign_error_free(s.error);
    return code;
}
