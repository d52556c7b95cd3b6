/* LD_PRELOAD: counts the passwords that esignd (no other program) gives to esign-hash to be
 * checked, and can give away which of them belong to nobody.
 *
 *   ESIGN_HASH_WATCH   a file with struct watch, mapped before main() and any sandbox, so that a
 *                      test reads and writes it while the program runs
 *
 * The state is global because the functions that are replaced have nowhere to keep it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct watch {
    _Atomic int64_t checked; /* passwords */
    _Atomic int64_t wait_ms; /* before one that belongs to nobody: a leak that a test must find */
};

/* daemon/base/worker/FORMAT.md, daemon/hash/op.h */
enum { FDS_MAX = 4096, HEADER_LEN = 24, OP_AT = 5, OP_VERIFY = 2, PHC_LEN = 4 };

static struct watch *watch;
static atomic_bool to_hash[FDS_MAX];

/* The function behind ours. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&(name)) real_;                                                          \
        if (!real_)                                                                                \
            real_ = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name);                                  \
        real_;                                                                                     \
    })

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("ESIGN_HASH_WATCH");

    if (!path || strcmp(program_invocation_short_name, "esignd") != 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    (void)close(fd);
    watch = at;
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    static const char name[] = "/hash.sock";

    if (address->sa_family == AF_UNIX && fd >= 0 && fd < FDS_MAX) {
        const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
        size_t path_len = strnlen(path, len - offsetof(struct sockaddr_un, sun_path));
        to_hash[fd] = path_len >= sizeof name - 1 &&
                      strncmp(path + path_len - (sizeof name - 1), name, sizeof name - 1) == 0;
    }
    return REAL(connect)(fd, address, len);
}

/* The beginning of a message: header and length of the PHC string. */
static size_t beginning(const struct msghdr *message, uint8_t ret[HEADER_LEN + PHC_LEN])
{
    size_t len = 0;

    for (size_t i = 0; i < message->msg_iovlen && len < HEADER_LEN + PHC_LEN; i++) {
        size_t part = message->msg_iov[i].iov_len;
        if (part > HEADER_LEN + PHC_LEN - len)
            part = HEADER_LEN + PHC_LEN - len;
        memcpy(ret + len, message->msg_iov[i].iov_base, part);
        len += part;
    }
    return len;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static const uint8_t none[PHC_LEN];
    uint8_t text[HEADER_LEN + PHC_LEN];

    if (watch && fd >= 0 && fd < FDS_MAX && to_hash[fd] &&
        beginning(message, text) == sizeof text && text[OP_AT] == OP_VERIFY) {
        atomic_fetch_add(&watch->checked, 1);
        if (memcmp(text + HEADER_LEN, none, PHC_LEN) == 0)
            (void)poll(NULL, 0, (int)watch->wait_ms);
    }
    return REAL(sendmsg)(fd, message, flags);
}
