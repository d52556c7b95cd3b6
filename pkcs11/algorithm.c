/* The names of algorithms. */
#include "pkcs11/token.h"

static const struct {
    const char *name;
    enum token_algorithm algorithm;
} token_algorithms[] = {{"p256", TOKEN_P256},
                        {"p384", TOKEN_P384},
                        {"rsa2048", TOKEN_RSA2048},
                        {"rsa3072", TOKEN_RSA3072},
                        {"rsa4096", TOKEN_RSA4096}};

enum { TOKEN_ALGORITHM_COUNT = sizeof(token_algorithms) / sizeof(token_algorithms[0]) };

enum token_algorithm token_algorithm_by_name(const char *name)
{
    for (size_t i = 0; i < TOKEN_ALGORITHM_COUNT; i++)
        if (strcmp(token_algorithms[i].name, name) == 0)
            return token_algorithms[i].algorithm;
    return (enum token_algorithm)0;
}

const char *token_algorithm_name(enum token_algorithm a)
{
    for (size_t i = 0; i < TOKEN_ALGORITHM_COUNT; i++)
        if (token_algorithms[i].algorithm == a)
            return token_algorithms[i].name;
    return NULL;
}
