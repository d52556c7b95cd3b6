/* A PIV card for tests, put into the virtual reader of vsmartcard (vpcd).
 *
 * card --port N --state DIR [--pin PIN] [--puk PUK] [--tries N] [--delay-ms N]
 *
 * DIR has the keys and certificates (slot.h) and the card's identifier; what is missing is made.
 * Lines of standard input steer it, each answered by one line of standard output; the end of the
 * input ends the card:
 *
 *   insert        the certificates are read again and the card is put in    inserted | no reader
 *   pull                                                                    pulled
 *   delay MS      what each command takes from now on                       ok
 *   at-sign WHAT  the next signature pulls the card, hangs it (SIGSTOP), or nothing   ok
 *   status        inserted=1 seen=1 pin_left=3 puk_left=3 verified=0 refused=0 signatures=0
 *
 * SIGSTOP hangs it as a card hangs. */
#include "base/cleanup.h"
#include "piv.h"
#include "vpcd.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

enum { LINE_SIZE = 64, TRIES = 3, EXIT_USAGE = 2 };

enum card_event { CARD_NOTHING, CARD_PULL, CARD_HANG };

struct card {
    const char *state, *pin, *puk;
    uint16_t port;
    unsigned tries, delay_ms;
    enum card_event at_sign;
    int fd;    /* -1: not in the reader */
    bool seen; /* by the reader, since it was put in */
    struct piv piv;
    struct apdu_link link;
};

static bool card_number(const char *text, unsigned max, unsigned *ret)
{
    char *end = NULL;

    errno = 0;
    uintmax_t value = strtoumax(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > max)
        return false;
    *ret = (unsigned)value;
    return true;
}

static bool card_parse(int argc, char **argv, struct card *ret)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"state", required_argument, NULL, 's'},
        {"pin", required_argument, NULL, 'n'},
        {"puk", required_argument, NULL, 'k'},
        {"tries", required_argument, NULL, 't'},
        {"delay-ms", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    unsigned port = 0;
    bool right = true;
    int c;

    while (right && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            right = card_number(optarg, UINT16_MAX, &port);
        else if (c == 's')
            ret->state = optarg;
        else if (c == 'n')
            ret->pin = optarg;
        else if (c == 'k')
            ret->puk = optarg;
        else if (c == 't')
            right = card_number(optarg, 15, &ret->tries);
        else
            right = c == 'd' && card_number(optarg, 60000, &ret->delay_ms);
    }
    ret->port = (uint16_t)port;
    return right && port > 0 && ret->state && optind == argc;
}

/* The identifier of the card in this directory, made once. */
static bool card_load_guid(struct card *card)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/guid", card->state);

    if (len <= 0 || len >= PATH_MAX)
        return false;
    CLEANUP(fclose_p) FILE *there = fopen(path, "re");
    if (there)
        return fread(card->piv.guid, PIV_GUID_LEN, 1, there) == 1;
    bytes_random(card->piv.guid, PIV_GUID_LEN);
    CLEANUP(fclose_p) FILE *made = fopen(path, "wxe");
    return made && fwrite(card->piv.guid, PIV_GUID_LEN, 1, made) == 1;
}

static void card_pull(struct card *card)
{
    close_p(&card->fd);
    card->fd = -1;
    card->seen = false;
    piv_reset(&card->piv);
    apdu_link_reset(&card->link);
}

static bool card_insert(struct card *card)
{
    if (card->fd < 0 && slots_load_certificates(card->state, card->piv.slots))
        card->fd = vpcd_insert(card->port);
    return card->fd >= 0;
}

/* What a test wants to happen in the middle of a signature.  false: the card is out. */
static bool card_meet_event(struct card *card, struct bytes message)
{
    enum card_event event = piv_is_signature(message) ? card->at_sign : CARD_NOTHING;

    if (event == CARD_NOTHING)
        return true;
    card->at_sign = CARD_NOTHING;
    if (event == CARD_HANG)
        (void)raise(SIGSTOP); /* can't fail */
    else
        card_pull(card);
    return card->fd >= 0;
}

static void card_command(struct card *card, struct bytes message)
{
    const struct timespec pause = {card->delay_ms / 1000, (long)(card->delay_ms % 1000) * 1000000};
    CLEANUP(buf_done) struct buf answer = buf_new(VPCD_MESSAGE_MAX);

    (void)nanosleep(&pause, NULL); /* a signal only makes the card faster */
    if (!card_meet_event(card, message))
        return;
    apdu_exchange(&card->link, message, piv_run, &card->piv, &answer);
    if (!vpcd_send(card->fd, buf_bytes(&answer)))
        card_pull(card);
}

/* One message of the reader. */
static void card_serve(struct card *card)
{
    static const uint8_t atr[] = {0x3b, 0x88, 0x80, 0x01, 'e', 's', 'i',
                                  'g',  'n',  'P',  'I',  'V', 0x30};
    CLEANUP(buf_done) struct buf message = buf_new(VPCD_MESSAGE_MAX);

    if (!vpcd_receive(card->fd, &message)) {
        card_pull(card);
        return;
    }
    switch (vpcd_kind(buf_bytes(&message))) {
    case VPCD_OFF:
    case VPCD_ON:
    case VPCD_RESET:
        piv_reset(&card->piv);
        apdu_link_reset(&card->link);
        return;
    case VPCD_ATR:
        card->seen = true;
        if (!vpcd_send(card->fd, bytes_of(atr, sizeof(atr))))
            card_pull(card);
        return;
    case VPCD_APDU:
        card_command(card, buf_bytes(&message));
        return;
    case VPCD_UNKNOWN:
        return;
    }
}

static void card_tell(const struct card *card)
{
    const struct piv *piv = &card->piv;

    printf("inserted=%d seen=%d pin_left=%u puk_left=%u verified=%u refused=%u signatures=%u\n",
           card->fd >= 0, card->seen, piv->pin.tries_left, piv->puk.tries_left, piv->verified_count,
           piv->refused_count, piv->signature_count);
}

static bool card_plan(struct card *card, const char *what)
{
    static const char *const names[] = {"nothing", "pull", "hang"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(what, names[i]) == 0) {
            card->at_sign = (enum card_event)i;
            return true;
        }
    return false;
}

/* One line of the test. */
static void card_steer(struct card *card, char *line)
{
    char *argument = line + strcspn(line, " \n");

    if (*argument != '\0')
        *argument++ = '\0';
    argument[strcspn(argument, "\n")] = '\0';
    if (strcmp(line, "status") == 0) {
        card_tell(card);
    } else if (strcmp(line, "pull") == 0) {
        card_pull(card);
        puts("pulled");
    } else if (strcmp(line, "insert") == 0) {
        puts(card_insert(card) ? "inserted" : "no reader");
    } else if ((strcmp(line, "delay") == 0 && card_number(argument, 60000, &card->delay_ms)) ||
               (strcmp(line, "at-sign") == 0 && card_plan(card, argument))) {
        puts("ok");
    } else {
        puts("what?");
    }
}

/* Serve reader and test until the test's end of input. */
static void card_run(struct card *card)
{
    char line[LINE_SIZE];

    for (;;) {
        struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {card->fd, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (card->fd >= 0 && fds[1].revents != 0)
            card_serve(card);
        if (fds[0].revents == 0)
            continue;
        if (!fgets(line, sizeof(line), stdin))
            return;
        card_steer(card, line);
    }
}

int main(int argc, char **argv)
{
    struct card card = {.pin = "123456", .puk = "12345678", .tries = TRIES, .fd = -1};

    if (!card_parse(argc, argv, &card) || !piv_secret_set(&card.piv.pin, card.pin, card.tries) ||
        !piv_secret_set(&card.piv.puk, card.puk, card.tries)) {
        fprintf(stderr, "usage: card --port N --state DIR [--pin PIN] [--puk PUK] [--tries N] "
                        "[--delay-ms N]\n");
        return EXIT_USAGE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see every line */
    card.link = apdu_link_new();
    bool loaded = slots_load(card.state, card.piv.slots) && card_load_guid(&card);
    if (loaded)
        card_run(&card);
    card_pull(&card);
    slots_done(card.piv.slots);
    apdu_link_done(&card.link);
    return loaded ? EXIT_SUCCESS : EXIT_FAILURE;
}
