/* Secrets and answers from the person: from the terminal with echo off, or line by line from
 * --password-fd.  Never from argv or the environment.  Source: 21 CFR 11.300. */
#pragma once

#include "base/secret.h"

struct ask {
    int fd;              /* of --password-fd or --pin-fd; -1: the terminal */
    const char *instead; /* the option that serves where there is none; NULL: --password-fd N */
    /* Called about every ASK_MEANWHILE_MS while a person thinks; NULL: nothing. */
    void (*meanwhile)(void *ctx);
    void *ctx;
};

enum { ASK_MEANWHILE_MS = 10000 };

#define ASK_NOTHING "nothing" /* the reason when an empty line was entered */

/* One secret.  prompt: shown on the terminal, without the colon.  twice: it is new, so on the
 * terminal it is asked for two times and must be the same.  Blocks until it is entered; signals
 * that end or stop the program put the terminal back first.  ret: owned by the caller.
 * ESIGN_E_PROTO: nothing was entered (reason ASK_NOTHING), or not the same; ESIGN_E_TOO_LARGE;
 * ESIGN_E_POLICY: there is no terminal; ESIGN_E_CONFLICT, reason "interrupted": a signal came that
 * is held back (hold.h). */
enum esign_rc ask_secret(const struct ask *ask, const char *prompt, bool twice, struct secret **ret,
                         struct fault *f) MUST_CHECK;

enum { ASK_LINE_MAX = 512 };

/* One line with echo, always from the terminal.  instead: the option that serves where there is
 * none, for the message.  ret: ASK_LINE_MAX bytes.  As ask_secret. */
enum esign_rc ask_line(const char *prompt, const char *instead, char *ret,
                       struct fault *f) MUST_CHECK;
