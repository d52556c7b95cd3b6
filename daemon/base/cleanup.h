/* Cleanup on scope exit, and the destructors of foreign types in that form. */
#pragma once

#include <dirent.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f) __attribute__((cleanup(f)))

/* Hand over ownership: the value of p, and p becomes NULL. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __typeof__(p) take_value_ = (p);                                                           \
        (p) = NULL;                                                                                \
        take_value_;                                                                               \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_value_ = (fd);                                                                    \
        (fd) = -1;                                                                                 \
        take_value_;                                                                               \
    })

#define DEFINE_CLEANUP(type, destroy)                                                              \
    static inline void destroy##_p(type *p)                                                        \
    {                                                                                              \
        if (*p)                                                                                    \
            destroy(*p);                                                                           \
    }

static inline void free_p(void *p)
{
    free(*(void **)p);
}

static inline void close_p(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing is left to be done about a failed close */
}

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(FILE *, fclose)
DEFINE_CLEANUP(DIR *, closedir)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(CMS_ContentInfo *, CMS_ContentInfo_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(BIGNUM *, BN_free)
