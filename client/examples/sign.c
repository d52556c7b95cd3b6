/* Signs a file for a person who is at this application's screen, and verifies the signature.
 *
 *   sign FILE RECORD_ID VERSION MEANING USER_ID <password
 *
 * The user that runs it must be a registered application with the rights entry_app and verify.
 * Build: cc sign.c $(pkg-config --cflags --libs esign) */
#include <esign/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char record[1024 * 1024], password[1024];

static int failed(const char *what, const struct esign_error *error)
{
    fprintf(stderr, "%s: %s: %s\n", what, esign_error_name(error), esign_error_detail(error));
    return 1;
}

int main(int argc, char **argv)
{
    struct esign_error *error = esign_error_new();
    struct esign *esign = NULL;
    struct esign_result *signature = NULL, *verdict = NULL;
    FILE *file = argc == 6 ? fopen(argv[1], "rb") : NULL;
    void *cms = NULL;
    size_t cms_len = 0;

    if (!file || !fgets(password, sizeof(password), stdin))
        return fprintf(stderr, "usage: sign FILE RECORD_ID VERSION MEANING USER_ID\n"), 2;
    const struct esign_request request = {
        .record = {.type = "example",
                   .id = argv[2],
                   .version = argv[3],
                   .content = record,
                   .content_len = fread(record, 1, sizeof(record), file)},
        .meaning = argv[4],
    };
    const struct esign_components components = {argv[5], password, strcspn(password, "\n")};
    if (fclose(file) != 0 || esign_open(getenv("ESIGN_SOCKET"), &esign, error) != ESIGN_OK)
        return failed("open", error);
    if (esign_sign(esign, &request, &components, &signature, error) != ESIGN_OK)
        return failed("sign", error);
    memset(password, 0, sizeof(password));
    printf("%s\n", esign_result_string(signature, "manifestation"));

    if (esign_result_bytes(signature, "value", &cms, &cms_len) != ESIGN_OK)
        return 1;
    const struct esign_validation validation = {cms, cms_len, request.record};
    if (esign_validate(esign, &validation, &verdict, error) != ESIGN_OK)
        return failed("verify", error);
    printf("%s %s\n", esign_result_string(verdict, "indication"),
           esign_result_string(verdict, "reason"));
    int valid = strcmp(esign_result_string(verdict, "indication"), "TOTAL_PASSED") == 0;
    esign_free(cms);
    esign_result_free(verdict);
    esign_result_free(signature);
    esign_close(esign);
    esign_error_free(error);
    return valid ? 0 : 1;
}
