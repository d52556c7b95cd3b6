#include "vpcd.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int vpcd_insert(uint16_t port)
{
    const struct sockaddr_in reader = {.sin_family = AF_INET,
                                       .sin_port = htons(port),
                                       .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    CLEANUP(close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&reader, sizeof(reader)) != 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
    return TAKE_FD(fd);
}

static bool vpcd_read_all(int fd, uint8_t *to, size_t len)
{
    int on = 1;

    while (len > 0) {
        /* vpcd writes length and body apart: a delayed acknowledgement would cost 40 ms each */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
        ssize_t got = recv(fd, to, len, 0);
        if (got <= 0)
            return false;
        to += got;
        len -= (size_t)got;
    }
    return true;
}

bool vpcd_receive(int fd, struct buf *ret)
{
    uint8_t head[2];

    buf_clear(ret);
    if (!vpcd_read_all(fd, head, sizeof(head)))
        return false;
    size_t len = (size_t)head[0] << 8 | head[1];
    uint8_t *room = buf_reserve(ret, len);
    return len == 0 || (room && vpcd_read_all(fd, room, len));
}

enum vpcd_kind vpcd_kind(struct bytes message)
{
    if (message.len > 1)
        return VPCD_APDU;
    switch (message.len == 1 ? message.data[0] : VPCD_UNKNOWN) {
    case VPCD_OFF:
        return VPCD_OFF;
    case VPCD_ON:
        return VPCD_ON;
    case VPCD_RESET:
        return VPCD_RESET;
    case VPCD_ATR:
        return VPCD_ATR;
    default:
        return VPCD_UNKNOWN;
    }
}

bool vpcd_send(int fd, struct bytes answer)
{
    CLEANUP(buf_done) struct buf frame = buf_new(2 + VPCD_MESSAGE_MAX);

    buf_put_u16(&frame, (uint16_t)answer.len);
    buf_put(&frame, answer);
    for (size_t sent = 0; buf_ok(&frame) && sent < frame.len;) {
        ssize_t n = send(fd, frame.data + sent, frame.len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return buf_ok(&frame);
}
