/* Signatures of ours for other people's software: writes ca.der and signature.der. */
#include "cms/soft_token.h"

#include "base/cleanup.h"

#include <time.h>

static bool write_file(const char *folder, const char *name, struct bytes bytes)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *out = fopen(path, "wb");
    if (!out)
        return false;
    bool good = fwrite(bytes.data, 1, bytes.len, out) == bytes.len;
    return fclose(out) == 0 && good;
}

static bool read_file(const char *path, struct buf *ret)
{
    CLEANUP(fclose_p) FILE *in = fopen(path, "rb");
    char block[4096];
    size_t len = 0;
    if (!in)
        return false;
    while ((len = fread(block, 1, sizeof block, in)) > 0)
        buf_put(ret, bytes_of(block, len));
    return !ferror(in) && buf_ok(ret);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum token_algorithm algorithm;
    } rows[] = {{"p256", TOKEN_P256}, {"p384", TOKEN_P384}, {"rsa3072", TOKEN_RSA3072}};
    CLEANUP(buf_done) struct buf record = buf_new(16 * 1024 * 1024);
    CLEANUP(buf_done) struct buf cms = buf_new(CMS_SIGNED_MAX);
    const struct soft_choice choice = {0};
    enum token_algorithm algorithm = 0;

    for (size_t i = 0; argc == 4 && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(argv[1], rows[i].name) == 0)
            algorithm = rows[i].algorithm;
    if (!algorithm || !read_file(argv[3], &record)) {
        fprintf(stderr, "usage: make_signature p256|p384|rsa3072 FOLDER RECORD\n");
        return 2;
    }
    struct soft_world w;
    soft_world_init_at(&w, algorithm, (int64_t)time(NULL));
    soft_sign(&w, buf_bytes(&record), &choice, &cms);
    bool good = write_file(argv[2], "ca.der", buf_bytes(&w.ca_cert)) &&
                write_file(argv[2], "signature.der", buf_bytes(&cms));
    soft_world_done(&w);
    return good ? 0 : 1;
}
