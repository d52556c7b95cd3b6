/* The real esign-token on a private SoftHSM, for tests: a directory with configuration, credentials
 * and tokens, and the service as a child of the test.  Run as root, the service gets an ordinary
 * user, since root may write what is read-only. */
#pragma once

#include "base/clock.h"
#include "base/encode.h"
#include "pkcs11/token.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "req.h"

enum { SERVICE_UID = 65534, SERVICE_WAIT_MS = 60 * 1000, SERVICE_CALL_MS = 20 * 1000 };

struct service {
    char directory[64];
    pid_t supervisor; /* 0: not running */
    struct token *token;
    bool remembers;            /* it has a state directory */
    const char *module_sha256; /* option; NULL: not set */
};

static inline int64_t service_now(void)
{
    return clock_mono_ms(clock_system());
}

static inline void service_path(const struct service *s, const char *name, char ret[PATH_MAX])
{
    assert_true(snprintf(ret, PATH_MAX, "%s/%s", s->directory, name) < PATH_MAX);
}

/* A file of the service's user with that content. */
static inline void service_write(const struct service *s, const char *name, mode_t mode,
                                 struct bytes content)
{
    char path[PATH_MAX];

    service_path(s, name, path);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.len), content.len);
    if (getuid() == 0)
        assert_int_equal(fchown(fd, SERVICE_UID, SERVICE_UID), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static inline void service_set(const struct service *s, const char *name)
{
    service_write(s, name, 0644, bytes_of_str("x"));
}

static inline void service_unset(const struct service *s, const char *name)
{
    char path[PATH_MAX];

    service_path(s, name, path);
    (void)unlink(path);
}

static inline size_t service_size(const struct service *s, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    service_path(s, name, path);
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static inline void service_make_directory(const struct service *s, const char *name)
{
    char path[PATH_MAX];

    service_path(s, name, path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (getuid() == 0)
        assert_int_equal(chown(path, SERVICE_UID, SERVICE_UID), 0);
}

/* The program and the shim, copied to where the service's user can read them. */
static inline void service_copy(const struct service *s, const char *from, const char *name)
{
    struct buf content = buf_new(64 * 1024 * 1024);
    FILE *in = fopen(from, "re");
    assert_non_null(in);
    uint8_t part[8192];
    size_t n;
    while ((n = fread(part, 1, sizeof(part), in)) > 0)
        buf_put(&content, bytes_of(part, n));
    assert_int_equal(fclose(in), 0);
    assert_true(buf_ok(&content) && content.len > 0);
    service_write(s, name, 0755, buf_bytes(&content));
    buf_done(&content);
}

static inline void service_write_config(const struct service *s, const char *uri, unsigned workers)
{
    struct buf c = buf_new(8192);

    buf_put_fmt(&c, "system_class = \"closed\";\nsystem = \"test\";\nseparation = \"%s\";\n",
                getuid() == 0 ? "users" : "none");
    buf_put_str(&c, "users: { daemon = \"root\"; };\n"
                    "roles: { signer = \"t\"; ca = \"t\"; log = \"t\"; };\n");
    buf_put_fmt(&c,
                "tokens = ( { name = \"t\"; module = \"%s/shim.so\"; uri = \"%s\"; workers = %u;\n"
                "  socket = \"%s/sock\"; environment = ( \"SOFTHSM2_CONF=%s/softhsm2.conf\",\n"
                "  \"SHIM_MODULE=/usr/lib/softhsm/libsofthsm2.so\", \"SHIM_DIR=%s\" ); } );\n",
                s->directory, uri, workers, s->directory, s->directory, s->directory);
    if (s->module_sha256) {
        c.len -= strlen(" } );\n");
        buf_put_fmt(&c, " module_sha256 = \"%s\"; } );\n", s->module_sha256);
    }
    assert_true(buf_ok(&c));
    service_write(s, "conf", 0644, buf_bytes(&c));
    buf_done(&c);
}

static inline void service_new(struct service *s, unsigned workers)
{
    struct buf c = buf_new(4096);

    (void)snprintf(s->directory, sizeof(s->directory), "/tmp/esign-token-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    if (getuid() == 0)
        assert_int_equal(chown(s->directory, SERVICE_UID, SERVICE_UID), 0);
    service_make_directory(s, "tokens");
    service_make_directory(s, "away");
    service_make_directory(s, "credentials");
    service_make_directory(s, "state");
    service_write(s, "credentials/pin", 0400, bytes_of_str("user-pin-4711"));
    service_write(s, "credentials/so-pin", 0400, bytes_of_str("so-pin-0815"));
    buf_put_fmt(&c, "directories.tokendir = %s/tokens\nobjectstore.backend = file\n", s->directory);
    service_write(s, "softhsm2.conf", 0644, buf_bytes(&c));
    buf_done(&c);
    service_copy(s, ESIGN_TOKEN_PROGRAM, "esign-token");
    service_copy(s, ESIGN_SHIM_MODULE, "shim.so");
    service_write_config(s, "pkcs11:token=esign%20test", workers);
}

/* Start the program; last argument NULL or "--init". */
static inline pid_t service_spawn(const struct service *s, const char *last)
{
    char program[PATH_MAX], config[PATH_MAX], credentials[PATH_MAX], state[PATH_MAX];

    service_path(s, "esign-token", program);
    service_path(s, "conf", config);
    service_path(s, "credentials", credentials);
    service_path(s, "state", state);
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (getuid() == 0 &&
        (setgroups(0, NULL) != 0 || setgid(SERVICE_UID) != 0 || setuid(SERVICE_UID) != 0))
        _exit(99);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || setenv("CREDENTIALS_DIRECTORY", credentials, 1) != 0 ||
        (s->remembers && setenv("STATE_DIRECTORY", state, 1) != 0))
        _exit(99);
    char *argv[] = {program,       (char[]){"--config"},    config, (char[]){"--token"},
                    (char[]){"t"}, (char *)(uintptr_t)last, NULL};
    execv(program, argv);
    _exit(99);
}

static inline int service_run_init(const struct service *s)
{
    pid_t pid = service_spawn(s, "--init");
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void service_start(struct service *s)
{
    char path[PATH_MAX];

    s->supervisor = service_spawn(s, NULL);
    service_path(s, "sock", path);
    assert_int_equal(token_open("t", path, 4, &s->token, NULL), ESIGN_OK);
}

static inline int service_end(struct service *s)
{
    int status = 0;

    token_close(s->token);
    s->token = NULL;
    assert_int_equal(kill(s->supervisor, SIGTERM), 0);
    assert_int_equal(waitpid(s->supervisor, &status, 0), s->supervisor);
    s->supervisor = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void service_pause(void)
{
    const struct timespec ts = {.tv_nsec = 2 * 1000 * 1000};

    (void)nanosleep(&ts, NULL); /* between two looks at a condition */
}

/* Ask for the token's facts until the answer is as wanted.  reason: NULL for success. */
static inline void service_wait_for(const struct service *s, const char *reason)
{
    int64_t until = service_now() + SERVICE_WAIT_MS;

    for (;;) {
        struct token_info info;
        struct fault f = {0};
        enum esign_rc rc = token_info(s->token, service_now() + SERVICE_CALL_MS, &info, &f);
        if (reason ? rc == ESIGN_E_HSM && strcmp(f.reason, reason) == 0 : rc == ESIGN_OK)
            return;
        if (service_now() > until)
            fail_msg("rc %d reason '%s': %s", (int)rc, f.reason, f.detail);
        service_pause();
    }
}

/* The worker processes that live now. */
static inline size_t service_workers(const struct service *s, pid_t *ret, size_t max)
{
    char path[64], text[1024];
    size_t count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->supervisor,
                   (int)s->supervisor);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    assert_true(len >= 0);
    assert_int_equal(close(fd), 0);
    text[len] = '\0';
    pid_t pid = 0;
    for (const char *c = text; *c && count < max; c++) { /* numbers, a blank after each */
        if (*c >= '0' && *c <= '9') {
            pid = pid * 10 + (*c - '0');
        } else if (pid > 0) {
            ret[count++] = pid;
            pid = 0;
        }
    }
    return count;
}

/* The directory of the one token, as "tokens/UUID". */
static inline void service_token_directory(const struct service *s, char ret[PATH_MAX])
{
    char path[PATH_MAX];

    service_path(s, "tokens", path);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    ret[0] = '\0';
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            (void)snprintf(ret, PATH_MAX, "tokens/%s", e->d_name);
    (void)closedir(dir);
    assert_true(ret[0] != '\0');
}

static inline void service_read(const struct service *s, const char *name, struct buf *ret)
{
    char path[PATH_MAX];

    service_path(s, name, path);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    uint8_t *room = buf_reserve(ret, 4096);
    assert_non_null(room);
    ret->len = fread(room, 1, 4096, in);
    assert_int_equal(fclose(in), 0);
}

static inline void service_remove(const struct service *s)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        execlp("rm", "rm", "-rf", s->directory, (char *)NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
