/* The components of the person who acts: user id and password. */
#pragma once

#include "cli/cli.h"

struct person {
    char user_id[ASK_LINE_MAX]; /* "": not known yet */
    struct secret *password;    /* NULL: not asked yet */
    bool ended;                 /* the request is over, although nothing was signed */
    bool nothing;               /* was entered at the last question, on a terminal */
};

/* Wipe and free. */
void person_done(struct person *person);

/* The identification code: --as, or asked on the terminal. */
enum cli_exit person_ask_id(const struct cli *cli, struct person *ret);

/* The password of person->user_id, from the terminal or --password-fd; replaces an earlier one. */
enum cli_exit person_ask_password(const struct cli *cli, struct person *person);

/* All components; an identification code that is known already is kept. */
enum cli_exit person_ask(const struct cli *cli, struct person *person);

/* At a terminal: say on stderr that officers have reset the password since the last signing.  What
 * can't be asked is not told.  Source: requirements 1.6 A1. */
void person_tell_reset(const struct cli *cli, const struct person *person);

/* For a call of the library; borrows from person. */
struct esign_components person_components(const struct person *person);
