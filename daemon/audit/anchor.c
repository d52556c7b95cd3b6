#include "audit/anchor.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 2 * AUDIT_NOTE_MAX, PATH_SIZE = 4096 };

/* Ends a line that a crash has cut: no JSON ends in this. */
static const char CUT[] = "#cut\n";

static enum esign_rc io_fault(const char *doing, const char *path, struct fault *f)
{
    int error = errno;
    return fault_cause(f, ESIGN_E_AUDIT_UNAVAILABLE, (unsigned long)error, "anchor %s: %s: %s",
                       path, doing, strerror(error));
}

static enum esign_rc note_line(struct bytes note, struct buf *out)
{
    CLEANUP(json_decref_p)
    json_t *line = json_pack("{s:i, s:s%}", "format", 1, "note", note.data, note.len);
    if (!line)
        return ESIGN_E_INTERNAL;
    enum esign_rc rc = json_canonical(line, out);
    buf_put_u8(out, '\n');
    return rc ? rc : buf_ok(out) ? ESIGN_OK : ESIGN_E_TOO_LARGE;
}

/* Whether a crash has cut the line: its end, or pages within it, which then read as zeros. */
static bool is_cut(const char *line, size_t len)
{
    const size_t cut = sizeof CUT - 1;
    return line[len - 1] != '\n' || memchr(line, 0, len) ||
           (len >= cut && bytes_equal(bytes_of(line + len - cut, cut), bytes_of_str(CUT)));
}

/* The note of a line, appended to out; nothing if the line is malformed. */
static void parse_line(struct bytes line, struct buf *out)
{
    CLEANUP(json_decref_p) json_t *value = NULL;
    CLEANUP(buf_done) struct buf again = buf_new(LINE_MAX_LEN);
    if (json_parse_object(line, &value, NULL) || json_int(value, "format", 0) != 1 ||
        json_object_size(value) != 2 || !json_str(value, "note") ||
        note_line(bytes_of_str(json_str(value, "note")), &again) ||
        !bytes_equal(bytes_of(again.data, again.len - 1), line))
        return;
    buf_put_str(out, json_str(value, "note"));
    if (!buf_ok(out))
        buf_clear(out);
}

enum esign_rc audit_read_anchor(const char *path, audit_anchor_fn fn, void *ctx, struct fault *f)
{
    CLEANUP(fclose_p) FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return fault_set(f, ESIGN_E_NOT_FOUND, "there is no anchor file %s", path);
    if (!file)
        return io_fault("open", path, f);
    CLEANUP(free_p) char *text = NULL;
    size_t room = 0;
    ssize_t len;
    for (int64_t number = 1; (len = getline(&text, &room, file)) > 0; number++) {
        if (is_cut(text, (size_t)len))
            continue;
        CLEANUP(buf_done) struct buf note = buf_new(AUDIT_NOTE_MAX);
        parse_line(bytes_of(text, (size_t)len - 1), &note);
        enum esign_rc rc = fn(ctx, number, buf_bytes(&note), f);
        if (rc)
            return rc;
    }
    return ferror(file) ? io_fault("read", path, f) : ESIGN_OK;
}

static bool write_all(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.data, bytes.len);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0)
            bytes = bytes_of(bytes.data + written, bytes.len - (size_t)written);
    }
    return true;
}

/* Make the name of a new file durable. */
static bool sync_directory(const char *path)
{
    char copy[PATH_SIZE];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return false;
    CLEANUP(close_p) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

/* The end of the file: whether a line is cut there, and whether the last line is this one. */
static bool look_at_end(int fd, struct bytes line, bool *ret_cut, bool *ret_same)
{
    struct stat st;
    uint8_t end[LINE_MAX_LEN];
    if (fstat(fd, &st) != 0)
        return false;
    *ret_cut = *ret_same = false;
    if (st.st_size == 0)
        return true;
    size_t len = (uint64_t)st.st_size < line.len ? (size_t)st.st_size : line.len;
    if (pread(fd, end, len, st.st_size - (off_t)len) != (ssize_t)len)
        return false;
    *ret_cut = end[len - 1] != '\n';
    *ret_same = bytes_equal(bytes_of(end, len), line);
    return true;
}

enum esign_rc audit_append_anchor(const char *path, struct bytes note, struct fault *f)
{
    CLEANUP(buf_done) struct buf line = buf_new(LINE_MAX_LEN);
    enum esign_rc rc = note_line(note, &line);
    if (rc)
        return fault_set(f, rc, "anchor: the checkpoint does not fit a line");
    CLEANUP(close_p)
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return io_fault("open", path, f);
    bool cut;
    bool same;
    if (!look_at_end(fd, buf_bytes(&line), &cut, &same))
        return io_fault("read", path, f);
    if (same)
        return ESIGN_OK;
    if ((cut && !write_all(fd, bytes_of_str(CUT))) || !write_all(fd, buf_bytes(&line)))
        return io_fault("write", path, f);
    if (fsync(fd) != 0 || !sync_directory(path))
        return io_fault("sync", path, f);
    return ESIGN_OK;
}
