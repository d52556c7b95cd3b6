/* The commands: one row each in table.c, which also makes the help. */
#pragma once

#include "cli/cli.h"

struct command {
    const char *words;    /* "signer enroll" */
    const char *operands; /* for the help, one word an operand: "USER_ID" */
    int operand_count;    /* exactly so many, or at least if operands ends with "..." */
    const char *text;     /* one sentence */
    uint64_t options;     /* besides OPTION_COMMON */
    uint64_t required;    /* of these */
    cli_run run;
};

extern const struct command command_rows[];
extern const size_t command_row_count;

/* The command that words begin with; the longest that fits.  ret_words: how many words it has.
 * NULL: there is none. */
const struct command *command_find(char *const *words, int count, int *ret_words);

/* Name the commands that begin with a word on standard error, if there are any. */
void command_list_like(const char *word);

/* Help on all commands, or (command not NULL) on one. */
void command_help(const struct command *command);

/* status.c */
enum cli_exit command_status(struct cli *cli);
enum cli_exit command_ca(struct cli *cli);
enum cli_exit command_token_list(struct cli *cli);
enum cli_exit command_meaning_list(struct cli *cli);
enum cli_exit command_plan_list(struct cli *cli);

/* init.c, tokens.c */
enum cli_exit command_init(struct cli *cli);
enum cli_exit command_token_init(struct cli *cli);

/* token_bench.c */
enum cli_exit command_token_bench(struct cli *cli);

/* token_test.c */
enum cli_exit command_token_test(struct cli *cli);
enum cli_exit command_token_tests(struct cli *cli);
enum cli_exit command_token_tests_show(struct cli *cli);

/* sign.c */
enum cli_exit command_sign(struct cli *cli);
enum cli_exit command_ticket_create(struct cli *cli);

/* approve.c */
enum cli_exit command_approve(struct cli *cli);

/* ticket.c */
enum cli_exit command_tickets(struct cli *cli);
enum cli_exit command_ticket_show(struct cli *cli);
enum cli_exit command_decline(struct cli *cli);
enum cli_exit command_cancel(struct cli *cli);

/* verify.c, offline.c */
enum cli_exit command_verify(struct cli *cli);

/* signature.c */
enum cli_exit command_signature_list(struct cli *cli);
enum cli_exit command_signature_show(struct cli *cli);
enum cli_exit command_signature_proof(struct cli *cli);
enum cli_exit command_signature_manifestation(struct cli *cli);

/* signer.c */
enum cli_exit command_signer_enroll(struct cli *cli);
enum cli_exit command_signer_list(struct cli *cli);
enum cli_exit command_signer_show(struct cli *cli);
enum cli_exit command_signer_activate(struct cli *cli);
enum cli_exit command_signer_revoke(struct cli *cli);
enum cli_exit command_signer_unlock(struct cli *cli);
enum cli_exit command_signer_unlock_officer(struct cli *cli);
enum cli_exit command_signer_history(struct cli *cli);

/* credential.c */
enum cli_exit command_credential_change(struct cli *cli);
enum cli_exit command_credential_must_change(struct cli *cli);
enum cli_exit command_credential_reset(struct cli *cli);
enum cli_exit command_credential_card(struct cli *cli);
enum cli_exit command_credential_test_card(struct cli *cli);
enum cli_exit command_credential_revoke_card(struct cli *cli);
enum cli_exit command_restore_accept(struct cli *cli);
enum cli_exit command_restore(struct cli *cli);
enum cli_exit command_backup(struct cli *cli);
enum cli_exit command_backup_check(struct cli *cli);
enum cli_exit command_token_backup(struct cli *cli);
enum cli_exit command_token_restore(struct cli *cli);
enum cli_exit command_credential_set(struct cli *cli);

/* register.c */
enum cli_exit command_approvals_list(struct cli *cli);
enum cli_exit command_approvals_show(struct cli *cli);
enum cli_exit command_approvals_approve(struct cli *cli);
enum cli_exit command_approvals_decline(struct cli *cli);
enum cli_exit command_application_add(struct cli *cli);
enum cli_exit command_application_list(struct cli *cli);
enum cli_exit command_terminal_add(struct cli *cli);
enum cli_exit command_terminal_list(struct cli *cli);

/* audit.c */
enum cli_exit command_audit_list(struct cli *cli);
enum cli_exit command_audit_show(struct cli *cli);
enum cli_exit command_audit_verify(struct cli *cli);
enum cli_exit command_audit_prove(struct cli *cli);
enum cli_exit command_audit_export(struct cli *cli);
