#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

const struct option_row option_rows[OPTION_COUNT] = {
    [OPTION_SOCKET] = {"socket", 's', "PATH",
                       "The daemon's socket instead of $ESIGN_SOCKET or "
                       "/run/esignd/esignd.sock."},
    [OPTION_JSON] = {"json", 'j', NULL, "Print what the daemon answered, as JSON."},
    [OPTION_PASSWORD_FD] = {"password-fd", 0, "N",
                            "Read secrets from this descriptor, one a line, instead of the "
                            "terminal."},
    [OPTION_HELP] = {"help", 'h', NULL, "Show help, also for one command."},
    [OPTION_VERSION] = {"version", 'V', NULL, "Show the version."},
    [OPTION_AS] = {"as", 'a', "USER_ID", "Act as this person; asked for if it is needed."},
    [OPTION_RECORD] = {"record", 'r', "TYPE:ID:VERSION", "Which record this is."},
    [OPTION_MEANING] = {"meaning", 'm', "CODE", "Meaning of the signature (esign meaning list)."},
    [OPTION_MEDIA_TYPE] = {"media-type", 0, "TYPE",
                           "Media type of the record; application/octet-stream unless given."},
    [OPTION_PLAN] = {"plan", 0, "ID", "Signature plan; single unless given (esign plan list)."},
    [OPTION_STEP] = {"step", 0, "ID", "Step of the plan."},
    [OPTION_SIGNER] = {"signer", 0, "USER_ID", "The person who shall sign, or has signed."},
    [OPTION_REASON] = {"reason", 0, "TEXT", "Why."},
    [OPTION_COMMENT] = {"comment", 0, "TEXT", "Comment that is signed too."},
    [OPTION_OUT] = {"out", 'o', "FILE", "Write the result to this file."},
    [OPTION_DIGEST_ONLY] = {"digest-only", 0, NULL,
                            "Send the record's digest instead of its bytes."},
    [OPTION_RECORD_FILE] = {"record-file", 'f', "FILE", "The record's bytes."},
    [OPTION_OFFLINE] = {"offline", 0, NULL, "Judge the signature here, without a daemon."},
    [OPTION_TRUST] = {"trust", 0, "CA.pem", "Certificates that are trusted (esign ca)."},
    [OPTION_LOG_KEY] = {"log-key", 0, "KEY",
                        "Public key of the audit trail: a PEM file or the base64 in the member "
                        "log_spki of esign ca --json."},
    [OPTION_PROOF] =
        {"proof", 0, "FILE",
         "Proof that the signature stands in the audit trail (esign signature proof)."},
    [OPTION_REPORT] = {"report", 0, "simple|detailed", "How much is said; simple unless given."},
    [OPTION_DOCUMENT_PROGRAM] = {"document-program", 0, "PATH", "esign-document to be used."},
    [OPTION_TOKEN_PROGRAM] = {"token-program", 0, "PATH", "esign-token to be used."},
    [OPTION_OFFICERS] = {"officers", 0, "FILE",
                         "JSON file with organisation, ca_name, officers and terminal."},
    [OPTION_PERSON] = {"person", 0, "FILE",
                       "JSON file with the person's data and identity evidence."},
    [OPTION_CONFIG] = {"config", 'c', "FILE",
                       "Configuration; /etc/esignd/esignd.conf unless given."},
    [OPTION_CREDENTIALS] = {"credentials", 0, "DIR",
                            "Where PIN files are; /etc/esignd/credentials unless given."},
    [OPTION_ACCEPT] = {"accept", 0, "CODE:VERSION",
                       "Accept this statement without being asked on the terminal."},
    [OPTION_ALGORITHM] =
        {"algorithm", 0, "NAME",
         "Algorithm of the new key, or of the keys to measure: p256, p384, rsa3072 or rsa4096."},
    [OPTION_NAME] = {"name", 0, "TEXT", "Name for people."},
    [OPTION_RIGHTS] = {"rights", 0, "LIST",
                       "Rights, separated by commas: ticket, entry_app, digest_only, verify, "
                       "read."},
    [OPTION_LOCATION] = {"location", 0, "TEXT", "Where the terminal stands."},
    [OPTION_UID] = {"uid", 0, "USER", "System user, name or number."},
    [OPTION_GID] = {"gid", 0, "GROUP", "System group, name or number."},
    [OPTION_LIMIT] = {"limit", 0, "N", "At most this many lines."},
    [OPTION_AFTER] = {"after", 0, "ID", "Go on after this one."},
    [OPTION_LAST] = {"last", 0, "N", "Only the newest N, in order."},
    [OPTION_HEALTH] = {"health", 0, NULL, "One line for monitors: whether the service can sign."},
    [OPTION_ALL] = {"all", 0, NULL,
                    "Also what is over: signed, approved, declined, cancelled or expired."},
    [OPTION_CARD] = {"card", 0, NULL, "Sign with one's own card, which is asked for its PIN."},
    [OPTION_MODULE] = {"module", 0, "PATH",
                       "PKCS#11 module of the card; that of /etc/esignd/card.conf, or OpenSC's, "
                       "unless given."},
    [OPTION_PIN_FD] = {"pin-fd", 0, "N", "Read the card's PIN from this descriptor."},
    [OPTION_CERTIFICATE] = {"certificate", 0, "FILE", "The card's certificate, PEM or DER."},
    [OPTION_ONE_SHOT] = {"one-shot", 0, NULL,
                         "Ask for all components at each ticket instead of opening a session."},
    [OPTION_STORE] = {"store", 0, NULL,
                      "Have the service keep the report as a test record, with an officer's "
                      "components."},
    [OPTION_REMOVAL] = {"removal", 0, NULL, "Also ask to take the token away and to put it back."},
    [OPTION_TO] = {"to", 0, "DIR", "The new directory for the backup."},
    [OPTION_FROM] = {"from", 0, "DIR", "The backup."},
    [OPTION_ACCEPT_LOSS] = {"accept-loss", 0, NULL,
                            "Put back a store that is older than its anchor: the newest is lost."},
    [OPTION_SECONDS] = {"seconds", 0, "N", "How long each measurement lasts; 2 unless given."},
    [OPTION_WORKERS] = {"workers", 0, "LIST",
                        "Numbers of worker processes, separated by commas; 1,2,4 unless given."},
};

enum { OPTIONS_CODE = 1000 }; /* getopt's number of the first row, beyond all letters */

/* getopt's tables from ours. */
static void options_tables(struct option *ret_long, char *ret_short)
{
    *ret_short++ = ':';
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        ret_long[i] = (struct option){row->name, row->argument ? 1 : 0, NULL, OPTIONS_CODE + i};
        if (!row->letter)
            continue;
        *ret_short++ = row->letter;
        if (row->argument)
            *ret_short++ = ':';
    }
    *ret_short = '\0';
}

static int options_row(int code)
{
    if (code >= OPTIONS_CODE)
        return code - OPTIONS_CODE;
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].letter == code)
            return i;
    return -1;
}

/* Whether one option that getopt found is usable. */
static bool options_take(int row, const char *value, struct options *ret, char *ret_problem)
{
    if (ret->values[row]) {
        (void)snprintf(ret_problem, OPTIONS_PROBLEM_MAX, "--%s is given twice",
                       option_rows[row].name);
        return false;
    }
    if (value && !*value) {
        (void)snprintf(ret_problem, OPTIONS_PROBLEM_MAX, "--%s is empty", option_rows[row].name);
        return false;
    }
    ret->values[row] = value ? value : "";
    return true;
}

/* The long option of exactly that name, or NULL: abbreviations would take --password SECRET for
 * --password-fd. */
static const struct option *options_exact(const struct option *long_options, const char *argument)
{
    size_t len = strcspn(argument + 2, "=");

    for (const struct option *o = long_options; o->name; o++)
        if (strlen(o->name) == len && strncmp(o->name, argument + 2, len) == 0)
            return o;
    return NULL;
}

/* Every long option by its whole name; what is wrong is named without its value. */
static bool options_names(int argc, char **argv, const struct option *long_options,
                          char *ret_problem)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        const struct option *exact = options_exact(long_options, argv[i]);
        if (exact) {
            i += exact->has_arg == required_argument && !strchr(argv[i], '=') ? 1 : 0;
            continue;
        }
        bool secret = strncmp(argv[i], "--pass", 6) == 0 || strncmp(argv[i], "--pin", 5) == 0;
        (void)snprintf(ret_problem, OPTIONS_PROBLEM_MAX,
                       secret ? "passwords are never given as arguments, others can see them: "
                                "change this one, and use the terminal or --password-fd N%.0s"
                              : "there is no option %.60s",
                       argv[i]);
        ret_problem[strcspn(ret_problem, "=")] = '\0';
        return false;
    }
    return true;
}

bool options_read(int argc, char **argv, struct options *ret, char *ret_problem)
{
    struct option long_options[OPTION_COUNT + 1] = {0};
    char short_options[2 * OPTION_COUNT + 2];

    *ret = (struct options){0};
    options_tables(long_options, short_options);
    opterr = 0; /* we say it ourselves */
    if (!options_names(argc, argv, long_options, ret_problem))
        return false;
    for (;;) {
        int at = optind;
        int code = getopt_long(argc, argv, short_options, long_options, NULL);
        if (code == -1)
            break;
        int row = code == '?' || code == ':' ? -1 : options_row(code);
        if (row < 0) {
            (void)snprintf(ret_problem, OPTIONS_PROBLEM_MAX,
                           code == ':' ? "%.100s needs a value" : "%.100s is no option of esign",
                           argv[at > 0 && at < argc ? at : argc - 1]);
            return false;
        }
        if (!options_take(row, optarg, ret, ret_problem))
            return false;
    }
    ret->operands = argv + optind;
    ret->operand_count = argc - optind;
    return true;
}

uint64_t options_given(const struct options *options)
{
    uint64_t set = 0;

    for (int i = 0; i < OPTION_COUNT; i++)
        if (options->values[i])
            set |= OPTION_SET(i);
    return set;
}

bool options_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (!*text || strlen(text) > 19)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}
