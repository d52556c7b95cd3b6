/* For LD_PRELOAD: a program that is careless with its secrets, as $ESIGN_CARELESS says.
 *
 * keep: what is overwritten was copied before; swap: nothing is locked; dumpable, limit: the two
 * refusals of cores fail silently.  What the tests of secrets find with it they would find in the
 * product.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static bool careless_is(const char *word)
{
    const char *words = getenv("ESIGN_CARELESS");

    return words && strstr(words, word);
}

/* Put a copy away, and forget where. */
static void careless_keep(const void *data, size_t len)
{
    void *copy = careless_is("keep") ? malloc(len) : NULL;

    if (copy)
        memcpy(copy, data, len);
    __asm__ volatile("" : : "r"(copy) : "memory"); /* somebody may look at it */
}

/* Instead of libc's, as -D_FORTIFY_SOURCE calls it. */
void __explicit_bzero_chk(void *data, size_t len, size_t room);
void __explicit_bzero_chk(void *data, size_t len, size_t room)
{
    (void)room;
    careless_keep(data, len);
    explicit_bzero(data, len);
}

/* Instead of libsodium's. */
void sodium_memzero(void *data, size_t len);
void sodium_memzero(void *data, size_t len)
{
    careless_keep(data, len);
    explicit_bzero(data, len);
}

void sodium_stackzero(size_t len);
void sodium_stackzero(size_t len)
{
    careless_keep((char *)__builtin_frame_address(0) - len, len);
}

int mlock(const void *data, size_t len)
{
    int (*real)(const void *, size_t) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "mlock");
    return careless_is("swap") ? 0 : real(data, len);
}

int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
    int (*real)(__rlimit_resource_t, const struct rlimit *) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "setrlimit");
    return what == RLIMIT_CORE && careless_is("limit") ? 0 : real(what, limit);
}

int prctl(int option, ...)
{
    int (*real)(int, ...) = NULL;
    unsigned long a[4];
    va_list ap;

    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(ap, unsigned long);
    va_end(ap);
    *(void **)&real = dlsym(RTLD_NEXT, "prctl");
    if (option == PR_SET_DUMPABLE && careless_is("dumpable"))
        return 0;
    return real(option, a[0], a[1], a[2], a[3]);
}
