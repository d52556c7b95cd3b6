#include "pkcs11/turn.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct pkcs11_turn {
    pthread_mutex_t mutex;
    _Atomic int64_t renewed_ms;
    _Atomic bool pin_refused, pin_accepted;
    _Atomic unsigned logins_open; /* begun and not ended */
    _Atomic unsigned room_said, room_found;
    _Atomic uint32_t trouble; /* a hash of the text; 0: none */
};

enum esign_rc pkcs11_turn_new(struct pkcs11_turn **ret, struct fault *f)
{
    pthread_mutexattr_t shared;
    struct pkcs11_turn *turn =
        mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (turn == MAP_FAILED)
        return fault_cause(f, ESIGN_E_INTERNAL, (unsigned long)errno, "no shared memory");
    /* these five fail only for wrong arguments */
    (void)pthread_mutexattr_init(&shared);
    (void)pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&turn->mutex, &shared);
    (void)pthread_mutexattr_destroy(&shared);
    *ret = turn;
    return ESIGN_OK;
}

void pkcs11_turn_free(struct pkcs11_turn *turn)
{
    if (turn)
        (void)munmap(turn, sizeof(*turn)); /* a mapping of ours */
}

enum esign_rc pkcs11_turn_take(struct pkcs11_turn *turn, int64_t deadline_at_ms, struct fault *f)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_at_ms / 1000),
                                   .tv_nsec = (long)(deadline_at_ms % 1000) * 1000000};
    int rc = pthread_mutex_clocklock(&turn->mutex, CLOCK_MONOTONIC, &until);

    if (rc == EOWNERDEAD) /* nothing is kept here that its death could have left wrong */
        rc = pthread_mutex_consistent(&turn->mutex);
    if (rc != 0)
        return fault_set(f, ESIGN_E_DEADLINE,
                         "another worker has been opening the token for too long");
    return ESIGN_OK;
}

void pkcs11_turn_end(struct pkcs11_turn *turn)
{
    (void)pthread_mutex_unlock(&turn->mutex); /* the caller has it */
}

void pkcs11_turn_renew(struct pkcs11_turn *turn, int64_t before_ms)
{
    int64_t present = atomic_load(&turn->renewed_ms);

    while (present < before_ms &&
           !atomic_compare_exchange_weak(&turn->renewed_ms, &present, before_ms))
        ;
}

int64_t pkcs11_turn_renewed(const struct pkcs11_turn *turn)
{
    return atomic_load(&turn->renewed_ms);
}

void pkcs11_turn_refuse_pin(struct pkcs11_turn *turn)
{
    atomic_store(&turn->pin_refused, true);
}

bool pkcs11_turn_pin_refused(const struct pkcs11_turn *turn)
{
    return atomic_load(&turn->pin_refused);
}

bool pkcs11_turn_begin_login(struct pkcs11_turn *turn)
{
    if (!atomic_load(&turn->pin_accepted) &&
        atomic_load(&turn->logins_open) >= PKCS11_TURN_LOGINS_MAX)
        return false;
    (void)atomic_fetch_add(&turn->logins_open, 1);
    return true;
}

void pkcs11_turn_end_login(struct pkcs11_turn *turn, bool accepted)
{
    atomic_store(&turn->logins_open, 0); /* the module can answer clearly */
    if (accepted)
        atomic_store(&turn->pin_accepted, true);
}

/* FNV-1a.  Two texts of one hash would cost a line in the log. */
static uint32_t turn_hash(const char *text)
{
    uint32_t hash = 2166136261U;

    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    return hash == 0 ? 1 : hash;
}

bool pkcs11_turn_note_trouble(struct pkcs11_turn *turn, const char *text)
{
    uint32_t hash = text ? turn_hash(text) : 0;

    return atomic_exchange(&turn->trouble, hash) != hash;
}

bool pkcs11_turn_set_room(struct pkcs11_turn *turn, unsigned said, unsigned found)
{
    unsigned said_before = atomic_exchange(&turn->room_said, said);
    unsigned found_before = atomic_exchange(&turn->room_found, found);

    return said != said_before || found != found_before;
}

unsigned pkcs11_turn_room_said(const struct pkcs11_turn *turn)
{
    return atomic_load(&turn->room_said);
}

unsigned pkcs11_turn_room(const struct pkcs11_turn *turn)
{
    unsigned said = atomic_load(&turn->room_said), found = atomic_load(&turn->room_found);

    return said == 0 || (found > 0 && found < said) ? found : said;
}
