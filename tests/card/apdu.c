#include "apdu.h"

enum { APDU_HEAD_LEN = 4, APDU_PIECE_MAX = 256, APDU_CHAINED = 0x10, APDU_GET_RESPONSE = 0xc0 };

struct apdu_link apdu_link_new(void)
{
    return (struct apdu_link){.command = buf_new(APDU_DATA_MAX), .answer = buf_new(APDU_DATA_MAX)};
}

void apdu_link_done(struct apdu_link *link)
{
    buf_done(&link->command);
    buf_done(&link->answer);
}

void apdu_link_reset(struct apdu_link *link)
{
    buf_clear(&link->command);
    buf_clear(&link->answer);
    link->told = 0;
}

/* The data of a command with short or extended lengths; false: the lengths are wrong. */
static bool apdu_data(struct bytes message, struct bytes *ret)
{
    struct bytes rest = bytes_of(message.data + APDU_HEAD_LEN, message.len - APDU_HEAD_LEN);

    *ret = (struct bytes){0};
    if (rest.len <= 1)
        return true; /* no data; perhaps the length that is expected */
    bool extended = rest.data[0] == 0;
    if (extended && rest.len <= 3)
        return true;
    size_t head = extended ? 3 : 1;
    size_t len = extended ? (size_t)rest.data[1] << 8 | rest.data[2] : rest.data[0];
    if (rest.len < head + len)
        return false;
    *ret = bytes_of(rest.data + head, len);
    return true;
}

static void apdu_say(struct buf *out, unsigned status)
{
    buf_put_u16(out, (uint16_t)status);
}

/* The next piece of the answer, then the status: status, or how much is left. */
static void apdu_tell(struct apdu_link *link, unsigned status, struct buf *out)
{
    size_t left = link->answer.len - link->told;
    size_t piece = left > APDU_PIECE_MAX ? APDU_PIECE_MAX : left;

    if (piece > 0)
        buf_put(out, bytes_of(link->answer.data + link->told, piece));
    link->told += piece;
    left -= piece;
    if (left == 0)
        apdu_say(out, status);
    else
        apdu_say(out, APDU_MORE | (left > 0xff ? 0 : (unsigned)left));
}

void apdu_exchange(struct apdu_link *link, struct bytes message, apdu_run run, void *ctx,
                   struct buf *out)
{
    struct bytes data;

    if (message.len < APDU_HEAD_LEN || !apdu_data(message, &data)) {
        apdu_say(out, APDU_LENGTH);
        return;
    }
    struct apdu command = {message.data[0], message.data[1], message.data[2], message.data[3], {0}};
    if (command.ins == APDU_GET_RESPONSE) {
        apdu_tell(link, APDU_OK, out);
        return;
    }
    buf_put(&link->command, data);
    if ((command.cla & APDU_CHAINED) != 0) {
        apdu_say(out, buf_ok(&link->command) ? APDU_OK : APDU_NO_CHAINING);
        return;
    }
    buf_clear(&link->answer);
    link->told = 0;
    command.data = buf_bytes(&link->command);
    unsigned status = buf_ok(&link->command) ? run(ctx, &command, &link->answer) : APDU_LENGTH;
    buf_clear(&link->command);
    apdu_tell(link, buf_ok(&link->answer) ? status : APDU_FAILED, out);
}
