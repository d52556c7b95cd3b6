#include <string.h>

#include "cli/commands.h"

#define SET(name) OPTION_SET(OPTION_##name)
#define PERSON    (SET(AS) | SET(PASSWORD_FD))
#define LIST      (SET(LIMIT) | SET(AFTER))
#define REQUEST                                                                                    \
    (SET(RECORD) | SET(MEANING) | SET(MEDIA_TYPE) | SET(PLAN) | SET(STEP) | SET(REASON) |          \
     SET(COMMENT) | SET(DIGEST_ONLY))
#define CARD    (SET(CARD) | SET(MODULE) | SET(PIN_FD) | SET(TOKEN_PROGRAM))
#define TOKENS  (SET(CONFIG) | SET(CREDENTIALS) | SET(TOKEN_PROGRAM))
#define OFFLINE (SET(OFFLINE) | SET(TRUST) | SET(LOG_KEY) | SET(PROOF) | SET(DOCUMENT_PROGRAM))

/* words, operands, how many, text, options, required of these, function */
const struct command command_rows[] = {
    {"status", "", 0, "Show the state of the service, and whether it can sign.", SET(HEALTH), 0,
     command_status},
    {"init", "", 0,
     "Initialise the service: make missing tokens (as root), the CA, the audit trail's key and the "
     "first officers.",
     SET(OFFICERS) | SET(PASSWORD_FD) | TOKENS, SET(OFFICERS), command_init},
    {"token init", "NAME", 1, "Make one token of the configuration, with new PIN files.", TOKENS, 0,
     command_token_init},
    {"token test", "NAME", 1, "Try what a token can do, before it is used.",
     PERSON | SET(REASON) | SET(STORE) | SET(REMOVAL) | TOKENS, 0, command_token_test},
    {"token bench", "NAME", 1, "Measure how many signatures a token makes.",
     SET(SECONDS) | SET(WORKERS) | SET(ALGORITHM) | TOKENS, 0, command_token_bench},
    {"token tests show", "TEST", 1, "Show the report of a recorded test.", 0, 0,
     command_token_tests_show},
    {"token tests", "", 0, "List recorded tests of tokens.", LIST, 0, command_token_tests},
    {"token backup", "NAME", 1, "Copy a token of SoftHSM2, also while it is in use.",
     TOKENS | SET(TO), SET(TO), command_token_backup},
    {"token restore", "NAME", 1, "Put a token of SoftHSM2 back while its service is stopped.",
     TOKENS | SET(FROM), SET(FROM), command_token_restore},
    {"token list", "", 0, "List the tokens.", 0, 0, command_token_list},
    {"ca", "", 0, "Print the certificate of the issuing CA (PEM).", SET(OUT), 0, command_ca},
    {"sign", "FILE", 1, "Sign a record now, with the signer's components.",
     REQUEST | PERSON | CARD | SET(OUT), SET(RECORD) | SET(MEANING), command_sign},
    {"ticket create", "FILE", 1, "Ask for a signature; the signer approves it later.",
     REQUEST | SET(SIGNER), SET(RECORD) | SET(MEANING), command_ticket_create},
    {"ticket show", "TICKET", 1, "Show one ticket.", 0, 0, command_ticket_show},
    {"tickets", "", 0, "List tickets that wait to be signed, with --as those for this person.",
     SET(AS) | SET(ALL) | LIST, 0, command_tickets},
    {"approve", "TICKET ...", 1,
     "See what tickets ask for and sign them, several in one session of the signer.",
     PERSON | CARD | SET(RECORD_FILE) | SET(OUT) | SET(ONE_SHOT), 0, command_approve},
    {"decline", "TICKET", 1, "See what a ticket asks for and refuse to sign it, with a reason.",
     PERSON | SET(REASON), 0, command_decline},
    {"cancel", "TICKET", 1, "Take a ticket back, with a reason.", SET(REASON), SET(REASON),
     command_cancel},
    {"verify", "SIGNATURE", 1, "Judge a signature (a file, CMS in DER).",
     SET(RECORD_FILE) | SET(RECORD) | SET(REPORT) | OFFLINE, 0, command_verify},
    {"signature list", "", 0, "List signatures, also of one record or signer.",
     SET(RECORD) | SET(SIGNER) | LIST, 0, command_signature_list},
    {"signature show", "SIGNATURE_ID", 1, "Show one signature; -o writes it to a file.", SET(OUT),
     0, command_signature_show},
    {"signature proof", "SIGNATURE_ID", 1,
     "Print the proof that a signature stands in the audit trail.", SET(OUT), 0,
     command_signature_proof},
    {"signature manifestation", "SIGNATURE_ID", 1,
     "Print the block that must stand in every readable form of the record.", SET(OUT), 0,
     command_signature_manifestation},
    {"signer enroll", "", 0, "Ask for the enrolment of a person; a second officer approves it.",
     PERSON | SET(PERSON) | SET(REASON), SET(PERSON) | SET(REASON), command_signer_enroll},
    {"signer approve", "APPROVAL", 1, "Approve the enrolment that another officer asked for.",
     PERSON | SET(REASON), 0, command_approvals_approve},
    {"signer activate", "USER_ID", 1,
     "Set one's own password with the two halves of the one-time secret.",
     SET(PASSWORD_FD) | SET(ACCEPT) | SET(ALGORITHM), 0, command_signer_activate},
    {"signer list", "", 0, "List signers.", LIST, 0, command_signer_list},
    {"signer show", "USER_ID", 1, "Show one signer.", 0, 0, command_signer_show},
    {"signer history", "USER_ID", 1, "Show what was done to a signer.", 0, 0,
     command_signer_history},
    {"signer unlock", "USER_ID", 1, "Unlock a signer after too many failures.",
     PERSON | SET(REASON), SET(REASON), command_signer_unlock},
    {"signer unlock-officer", "USER_ID", 1,
     "Unlock a locked officer, as root, when no officer is left who could.", SET(REASON),
     SET(REASON), command_signer_unlock_officer},
    {"signer revoke", "USER_ID", 1, "End a signer's right to sign, at once and for good.",
     PERSON | SET(REASON), SET(REASON), command_signer_revoke},
    {"credential change", "", 0, "Change one's own password.", PERSON, 0,
     command_credential_change},
    {"credential must-change", "USER_ID", 1,
     "Demand that a signer changes the password before anything else.", PERSON | SET(REASON),
     SET(REASON), command_credential_must_change},
    {"credential reset", "USER_ID", 1,
     "Ask for the end of a forgotten password; a second officer approves it.", PERSON | SET(REASON),
     SET(REASON), command_credential_reset},
    {"credential set", "USER_ID", 1,
     "Set one's own new password after a reset, with the two halves of the one-time secret.",
     SET(PASSWORD_FD), 0, command_credential_set},
    {"credential card", "USER_ID", 1,
     "Ask for the registration of a signer's own card; a second officer approves it.",
     PERSON | SET(REASON) | SET(CERTIFICATE), SET(REASON) | SET(CERTIFICATE),
     command_credential_card},
    {"credential test-card", "USER_ID", 1,
     "Test one's own card: before its first use, and when the policy wants it again.",
     SET(PASSWORD_FD) | SET(MODULE) | SET(PIN_FD) | SET(TOKEN_PROGRAM), 0,
     command_credential_test_card},
    {"credential revoke-card", "USER_ID", 1, "End a signer's card at once, such as a lost one.",
     PERSON | SET(REASON), SET(REASON), command_credential_revoke_card},
    {"approvals list", "", 0, "List what waits for a second officer.", SET(ALL) | LIST, 0,
     command_approvals_list},
    {"approvals show", "APPROVAL", 1, "Show one of them.", 0, 0, command_approvals_show},
    {"approvals approve", "APPROVAL", 1, "Approve what another officer asked for.",
     PERSON | SET(REASON), 0, command_approvals_approve},
    {"approvals decline", "APPROVAL", 1, "Refuse what another officer asked for.",
     PERSON | SET(REASON), SET(REASON), command_approvals_decline},
    {"approvals", "", 0, "The same as approvals list.", SET(ALL) | LIST, 0, command_approvals_list},
    {"backup check", "DIR", 1, "Check a backup without putting it back.", 0, 0,
     command_backup_check},
    {"backup", "", 0,
     "Copy store, anchor, tokens and configuration (as root, with an officer's components).",
     TOKENS | PERSON | SET(TO) | SET(REASON), SET(TO) | SET(REASON), command_backup},
    {"restore accept", "", 0,
     "Ask that a store that was put back be used, with what is lost; a second officer approves it.",
     PERSON | SET(REASON), SET(REASON), command_restore_accept},
    {"restore", "", 0, "Put a backup back while the services are stopped (as root).",
     TOKENS | SET(FROM) | SET(ACCEPT_LOSS), SET(FROM), command_restore},
    {"application add", "ID", 1, "Ask for the registration of an application.",
     PERSON | SET(REASON) | SET(NAME) | SET(UID) | SET(RIGHTS),
     SET(REASON) | SET(NAME) | SET(UID) | SET(RIGHTS), command_application_add},
    {"application list", "", 0, "List applications.", LIST, 0, command_application_list},
    {"terminal add", "ID", 1, "Ask for the registration of a terminal.",
     PERSON | SET(REASON) | SET(LOCATION) | SET(UID) | SET(GID), SET(REASON) | SET(LOCATION),
     command_terminal_add},
    {"terminal list", "", 0, "List terminals.", LIST, 0, command_terminal_list},
    {"meaning list", "", 0, "List meanings of signatures.", LIST, 0, command_meaning_list},
    {"plan list", "", 0, "List signature plans.", LIST, 0, command_plan_list},
    {"audit list", "", 0, "List entries of the audit trail.", SET(LAST) | LIST, 0,
     command_audit_list},
    {"audit show", "SEQ", 1, "Print one entry, exactly as it is hashed.", 0, 0, command_audit_show},
    {"audit verify", "", 0, "Recompute the whole audit trail.", 0, 0, command_audit_verify},
    {"audit prove", "SEQ", 1, "Print the proof that an entry stands in the trail.", SET(OUT), 0,
     command_audit_prove},
    {"audit export", "", 0, "Print the entries, one a line, exactly as they are hashed.",
     SET(OUT) | LIST, 0, command_audit_export},
};

const size_t command_row_count = sizeof(command_rows) / sizeof(command_rows[0]);

/* How many words of the line a command's words are; 0: they are others. */
static int command_fits(const struct command *command, char *const *words, int count)
{
    const char *at = command->words;
    int fit = 0;

    while (*at) {
        size_t len = strcspn(at, " ");
        if (fit >= count || strlen(words[fit]) != len || strncmp(words[fit], at, len) != 0)
            return 0;
        fit++;
        at += at[len] ? len + 1 : len;
    }
    return fit;
}

const struct command *command_find(char *const *words, int count, int *ret_words)
{
    for (size_t i = 0; i < command_row_count; i++) {
        int fit = command_fits(&command_rows[i], words, count);
        if (fit == 0)
            continue;
        *ret_words = fit;
        return &command_rows[i];
    }
    return NULL;
}

void command_list_like(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < command_row_count; i++) {
        const char *words = command_rows[i].words;
        if (strncmp(words, word, len) == 0 && words[len] == ' ')
            (void)fprintf(stderr, "  esign %s %s\n", words, command_rows[i].operands);
    }
}

static void command_print_options(uint64_t set)
{
    enum { INDENT = 32 };

    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (!(set & OPTION_SET(i)))
            continue;
        int width = row->letter ? printf("  -%c, --%s", row->letter, row->name)
                                : printf("      --%s", row->name);
        if (row->argument)
            width += printf(" %s", row->argument);
        if (width < INDENT)
            (void)printf("%*s%s\n", INDENT - width, "", row->text);
        else
            (void)printf("\n%*s%s\n", INDENT, "", row->text);
    }
}

static void command_help_all(void)
{
    enum { INDENT = 46 };

    (void)puts("Usage: esign COMMAND [OPTION ...] [OPERAND]\n\nCommands:");
    for (size_t i = 0; i < command_row_count; i++) {
        int width = printf("  esign %s %s", command_rows[i].words, command_rows[i].operands);
        (void)printf("%*s%s\n", width < INDENT ? INDENT - width : 1, "", command_rows[i].text);
    }
    (void)puts("\nOptions of every command (esign COMMAND --help shows the others):");
    command_print_options(OPTION_COMMON);
    (void)puts("\nExit: 0 done or valid, 1 refused or not valid, 2 usage, 3 daemon unreachable, "
               "4 indeterminate.\nSee esign(1).");
}

void command_help(const struct command *command)
{
    if (!command) {
        command_help_all();
        return;
    }
    (void)printf("Usage: esign %s%s%s", command->words, *command->operands ? " " : "",
                 command->operands);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (command->required & OPTION_SET(i))
            (void)printf(" --%s %s", option_rows[i].name, option_rows[i].argument);
    (void)printf(" [OPTION ...]\n\n%s\n\nOptions:\n", command->text);
    command_print_options(command->options | OPTION_COMMON);
}
