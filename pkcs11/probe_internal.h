/* Between the files of the probe (probe_*.c): what a child process has, and the rows it tries. */
#pragma once

#include "config/config.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/probe.h"
#include "pkcs11/session.h"

enum probe_verdict { PROBE_UNTRIED, PROBE_PASS, PROBE_WARN, PROBE_ABSENT, PROBE_FAIL };

enum {
    PROBE_DETAIL_MAX = 400,
    PROBE_CHECKS_MAX = 64,
    PROBE_RUN_LEN = 12,       /* bytes of a key id that all objects of one run share */
    PROBE_TRY_S = 60,         /* for one row; making RSA keys is slow on cards */
    PROBE_REMOVAL_S = 120,    /* for the operator, twice */
    PROBE_SESSIONS_MAX = 64,  /* opened at once, at most */
    PROBE_ALGORITHMS_MAX = 8, /* values of enum token_algorithm */
    PROBE_EXIT_REFUSED = 40,  /* of a process whose PIN was refused */
};

/* The label of every object that the probe makes; their ids begin with probe_id_prefix. */
#define PROBE_LABEL "esignd-probe"

struct probe_result {
    enum probe_verdict verdict;
    char detail[PROBE_DETAIL_MAX];
};

struct probe_pair {
    bool tried;
    CK_RV made; /* what C_GenerateKeyPair said */
    CK_OBJECT_HANDLE public_key, private_key;
    uint8_t id[TOKEN_KEY_ID_LEN];
};

/* One child process and its token. */
struct probe {
    const struct config *config;
    size_t index;
    bool in_use, copied, removal;
    bool on_token; /* keys are made as token objects, as esignd does */
    bool logged_in, refused;
    int parent_fd; /* for messages */
    uint8_t run[PROBE_RUN_LEN];
    struct pkcs11_session s;
    struct probe_pair pairs[PROBE_ALGORITHMS_MAX]; /* by algorithm */
    uint8_t early[TOKEN_KEY_ID_LEN]; /* made by another process before our login; see has_early */
    bool has_early;
    CK_OBJECT_HANDLE wrapping_key; /* 0: not made */
    enum token_wrap wrap;          /* the first way by which a key came back; 0: none */
};

struct probe_check;
typedef void (*probe_try)(struct probe *p, const struct probe_check *check,
                          struct probe_result *ret);

/* What a row needs to be tried. */
enum probe_need {
    PROBE_NEEDS_LOGIN = 1,
    PROBE_NEEDS_QUIET = 2,   /* nobody else uses the token, or a copy is tested */
    PROBE_NEEDS_REMOVAL = 4, /* asked for by the operator */
    PROBE_STOPS = 8          /* if it fails, nothing after it is tried */
};

struct probe_check {
    const char *name;
    const char *done;    /* what is done, one sentence */
    const char *meaning; /* what it means for esignd if it does not pass */
    const char *advice;  /* what to do then */
    const char *reason;  /* with ESIGN_E_HSM, where a role is refused for it */
    unsigned needs;
    enum token_algorithm algorithm;
    enum token_wrap wrap;
    probe_try run; /* NULL: done by the parent */
};

/* The table, in the order in which it is tried (probe_table.c). */
extern const struct probe_check probe_checks[];
extern const size_t probe_check_count;
/* The row of that name; aborts if there is none. */
size_t probe_check_by_name(const char *name);

/* Set a result. */
void probe_say(struct probe_result *ret, enum probe_verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The result of a call that should have worked: CKR_OK passes (with no detail), a mechanism or
 * function that is not there is absent, everything else fails.  Whether it was CKR_OK. */
bool probe_worked(struct probe_result *ret, CK_RV rv, const char *call);

/* ---- messages of a child (probe_child.c) */

enum probe_message_kind {
    PROBE_BEGIN,
    PROBE_END,
    PROBE_FACT,
    PROBE_MAKE,
    PROBE_MADE,
    PROBE_SENDING, /* the PIN is sent … */
    PROBE_SENT,    /* … and the token has answered */
    PROBE_GO,      /* to a child of the bench; check: the algorithm, 0: end */
    PROBE_DONE     /* its answer: verdict and detail */
};

struct probe_message {
    int32_t kind, check, verdict;
    char name[24]; /* of a fact */
    uint8_t id[TOKEN_KEY_ID_LEN];
    char detail[PROBE_DETAIL_MAX];
};

/* A fact for the report's head ("serial"). */
void probe_fact(struct probe *p, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Have another process make a P-256 pair (RSA where that is not possible) with this id.  Whether it
 * did. */
bool probe_made_elsewhere(struct probe *p, const uint8_t id[TOKEN_KEY_ID_LEN]);

/* What a child process does; it exits and does not return. */
typedef void (*probe_main)(struct probe *p, const void *arg);
/* Run rows from the one that arg (a size_t) says; after another child has ended at the row before.
 */
void probe_child(struct probe *p, const void *arg);
/* Make a pair of the id that arg points to.  Exit 0: made, PROBE_EXIT_REFUSED, or 1. */
void probe_child_make(struct probe *p, const void *arg);
/* Remove what the probe has left and tell the row "clean". */
void probe_child_clean(struct probe *p, const void *arg);
/* Send a message; a parent that has gone ends us. */
void probe_send(const struct probe *p, const struct probe_message *m);
/* Label, serial, manufacturer, model and firmware as facts. */
void probe_token_facts(struct probe *p);

/* ---- the session (probe_open.c) */

/* Load the module, find the token, open a session; without login.  Closed by probe_close(). */
enum esign_rc probe_open(struct probe *p, struct fault *f) MUST_CHECK;
void probe_close(struct probe *p);
/* Log in with the PIN of the configuration, unless it was refused before. */
enum esign_rc probe_login(struct probe *p, struct fault *f) MUST_CHECK;

/* ---- objects (probe_object.c) */

CK_ATTRIBUTE probe_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len);
CK_ATTRIBUTE probe_flag(CK_ATTRIBUTE_TYPE type, bool on);
/* What the ids of a run's objects begin with. */
void probe_new_run(uint8_t ret[PROBE_RUN_LEN]);
/* A new id of this run. */
void probe_new_id(const struct probe *p, uint8_t ret[TOKEN_KEY_ID_LEN]);

struct probe_wanted {
    bool on_token, extractable, always_authenticate, wrap_with_trusted, shares_usage;
};
/* Make a pair of an algorithm that pkcs11_mechanism_by_algorithm() knows; ret->id is set before. */
CK_RV probe_make_pair(const struct probe *p, enum token_algorithm algorithm,
                      const struct probe_wanted *wanted, struct probe_pair *ret);
void probe_destroy_pair(const struct probe *p, struct probe_pair *pair);
/* The run's pair of an algorithm, made at the first call.  NULL: the token does not make it. */
struct probe_pair *probe_pair(struct probe *p, enum token_algorithm algorithm);
/* Any pair that there is: P-256, else RSA-3072, else RSA-2048.  ret_algorithm: of it. */
struct probe_pair *probe_any_pair(struct probe *p, enum token_algorithm *ret_algorithm);
/* Objects of the class with that id.  ret: the first. */
CK_RV probe_find(const struct probe *p, CK_OBJECT_CLASS class, const uint8_t id[TOKEN_KEY_ID_LEN],
                 CK_OBJECT_HANDLE *ret, CK_ULONG *ret_count);
/* A flag of an object: 0, 1, or -1: not given. */
int probe_read_flag(const struct probe *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
/* Destroy what the probe made: of other runs only (spare_run), or all of it.  ret_found: how many
 * there were; ret_left: how many could not be destroyed. */
CK_RV probe_remove(const struct probe *p, bool spare_run, size_t *ret_found, size_t *ret_left);

/* ---- signatures (probe_sign.c) */

/* Sign with C_SignInit and C_Sign.  ret_len: room before, length after. */
CK_RV probe_sign(const struct probe *p, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                 struct bytes input, uint8_t *ret, CK_ULONG *ret_len);
/* Sign a digest with a key as esignd does, and check the value under the pair's public key.  key:
 * pair->private_key or another handle of it. */
CK_RV probe_sign_checked(const struct probe *p, enum token_algorithm algorithm,
                         const struct probe_pair *pair, CK_OBJECT_HANDLE key, bool *ret_holds);

/* ---- the rows' functions */

#define PROBE_TRY(name)                                                                            \
    void name(struct probe *p, const struct probe_check *check, struct probe_result *ret)

PROBE_TRY(probe_try_module); /* probe_basic.c */
PROBE_TRY(probe_try_token);
PROBE_TRY(probe_try_mechanisms);
PROBE_TRY(probe_try_sizes);
PROBE_TRY(probe_try_sessions);
PROBE_TRY(probe_try_login_rules); /* probe_login.c */
PROBE_TRY(probe_try_before_login);
PROBE_TRY(probe_try_login);
PROBE_TRY(probe_try_leftovers);
PROBE_TRY(probe_try_info_after_login);
PROBE_TRY(probe_try_key); /* probe_key.c */
PROBE_TRY(probe_try_attributes);
PROBE_TRY(probe_try_unreadable);
PROBE_TRY(probe_try_unchangeable);
PROBE_TRY(probe_try_sign); /* probe_sign.c */
PROBE_TRY(probe_try_pss);
PROBE_TRY(probe_try_length);
PROBE_TRY(probe_try_wrap); /* probe_wrap.c */
PROBE_TRY(probe_try_wrap_key);
PROBE_TRY(probe_try_unwrap_template);
PROBE_TRY(probe_try_trusted);
PROBE_TRY(probe_try_elsewhere); /* probe_life.c */
PROBE_TRY(probe_try_data);
PROBE_TRY(probe_try_session_end);
PROBE_TRY(probe_try_relogin);
PROBE_TRY(probe_try_always);
PROBE_TRY(probe_try_removal);

/* ---- the report (probe_report.c) */

/* Everything of one run, in the parent. */
struct probe_run {
    const struct config *config;
    size_t index;
    bool in_use, copied, removal;
    struct probe_result results[PROBE_CHECKS_MAX]; /* by row */
    json_t *facts;                                 /* name: text */
};
/* The report as JSON.  NULL: no memory. */
json_t *probe_report(const struct probe_run *run);

/* ---- processes (probe_process.c) */

/* What children are started with. */
struct probe_parent {
    struct probe_run run;
    uint8_t id[PROBE_RUN_LEN];
    bool refused; /* a child's PIN was refused: no other sends it */
};

/* A child while it runs. */
struct probe_kid {
    pid_t pid;
    int fd;      /* its messages */
    int current; /* row that it is trying, -1: none */
    int64_t until_ms;
};

int64_t probe_now_ms(void);
/* Fork a child with a socket to us, which may run for PROBE_TRY_S.  arg: of run, lives until the
 * fork.  ESIGN_E_INTERNAL. */
enum esign_rc probe_start(const struct probe_parent *parent, probe_main run, const void *arg,
                          struct probe_kid *ret, struct fault *f) MUST_CHECK;
/* Wait for the end, which has come or is forced.  Its status. */
int probe_reap(struct probe_kid *kid);
/* The next message of a child.  false: it has ended, or its time is over (*ret_late). */
bool probe_receive(const struct probe_kid *kid, struct probe_message *ret, bool *ret_late);
/* Run a child that answers by its exit code, and kill it when it takes too long.  ret_last: its
 * last message, if it sent any. */
int probe_run_short(const struct probe_parent *parent, probe_main run, const void *arg,
                    struct probe_message *ret_last);
/* Put a fact among those of the run. */
void probe_take_fact(struct probe_run *run, const struct probe_message *m);
/* Remove everything in a process of its own; the verdict is the row "clean" (probe.c). */
void probe_clean(struct probe_parent *parent);

/* ---- a copy of a token of SoftHSM (probe_copy.c) */

struct probe_copy {
    char path[64]; /* empty: none */
    int lock_fd;   /* held as long as the copy is used; -1: none */
};
/* Remove copies of earlier runs that were broken off.  ret_count: how many. */
enum esign_rc probe_copy_sweep(size_t *ret_count, struct fault *f) MUST_CHECK;
/* Copy the token's description, without its keys, into a directory of our own, and have the
 * configuration name it.  *ret_made false: not a token of SoftHSM, nothing is done. ESIGN_E_POLICY:
 * it can't be copied.  ret: probe_copy_remove() it, also after a failure. */
enum esign_rc probe_copy_make(struct config *config, size_t index, struct probe_copy *ret,
                              bool *ret_made, struct fault *f) MUST_CHECK;
void probe_copy_remove(struct probe_copy *copy); /* an empty one is allowed */
