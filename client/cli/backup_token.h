/* The files of one SoftHSM2 token: copied from a service that is in use, and put back. */
#pragma once

#include "cli/backup_site.h"

/* Copy the token to the new directory to, whose parent exists, as to/UUID/…; repeated while keys
 * are being made, then tried: the copy is loaded and logged in to with the token's PIN.  ret: what
 * the manifest tells of it, owned by the caller: {"name", "directory", "serial", "keys"}.
 * Messages are printed. */
enum cli_exit backup_token_copy(struct cli *cli, const struct backup_site *site,
                                const struct backup_token *token, const char *to, json_t **ret);

/* A token that is about to be put back: a copy beside its place, tried with the PIN. */
struct backup_stage {
    char directory[PATH_MAX]; /* empty: none; with tokens/UUID in it */
    char made[PATH_MAX];      /* the copy */
    char place[PATH_MAX];     /* where it belongs */
    char replaced[PATH_MAX];  /* where the one went that stood there; empty: none did */
    int held_fd;              /* the lock of the token's directory */
};

/* Lock the token's directory and prepare.  from: the directory with UUID/…; entry: what the
 * manifest tells of it.  CLI_REFUSED with a message: its service runs, another token stands there,
 * the PIN is missing or wrong, keys are missing.  ret: backup_stage_done() it in any case. */
enum cli_exit backup_token_stage(struct cli *cli, const struct backup_site *site,
                                 const struct backup_token *token, const char *from,
                                 const json_t *entry, struct backup_stage *ret);
/* Switch; the one that stood there is kept beside.  Only renames. */
enum esign_rc backup_token_switch(struct backup_stage *stage, struct fault *f) MUST_CHECK;
/* Undo a switch. */
void backup_token_switch_back(struct backup_stage *stage);
/* Remove what was prepared, give the lock back. */
void backup_stage_done(struct backup_stage *stage);
