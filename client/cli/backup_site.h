/* Where a site's files are, for backups: read from its configuration. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "cli/cli.h"

enum { BACKUP_TOKENS_MAX = 16, BACKUP_NAME_MAX = 96 };

struct backup_token {
    char name[BACKUP_NAME_MAX], user[BACKUP_NAME_MAX];
    char directory[PATH_MAX]; /* of SoftHSM2's tokens; empty: another module */
    char conf[PATH_MAX];      /* its softhsm2.conf; empty: as above */
    char module[PATH_MAX];
};

struct backup_site {
    bool separated; /* each service has a user of its own */
    char config[PATH_MAX], store[PATH_MAX], anchor[PATH_MAX], policy[PATH_MAX];
    char copies[PATH_MAX]; /* where esignd puts copies of its store */
    char daemon_user[BACKUP_NAME_MAX];
    unsigned token_count;
    struct backup_token tokens[BACKUP_TOKENS_MAX];
};

/* Read --config.  CLI_REFUSED with a message: it can't be read, a path is too long, or this is not
 * root although services have users of their own. */
enum cli_exit backup_site_read(const struct cli *cli, struct backup_site *ret);

/* The token of that name, or NULL with a message. */
const struct backup_token *backup_site_token(const struct backup_site *site, const char *name);

/* The ids that a user's files get; where all run as one, those of this process.  ESIGN_E_POLICY:
 * there is no such user. */
enum esign_rc backup_site_owner(const struct backup_site *site, const char *user, uid_t *ret_uid,
                                gid_t *ret_gid, struct fault *f) MUST_CHECK;

/* Write the configuration to path (mode 0644) with another softhsm2.conf for one token. */
enum esign_rc backup_site_write_config(const struct backup_site *site,
                                       const struct backup_token *token, const char *softhsm_conf,
                                       const char *path, struct fault *f) MUST_CHECK;
