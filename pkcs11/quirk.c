#include "pkcs11/quirk.h"

#include "pkcs11/uri.h"

#include <string.h>

static const struct pkcs11_quirk quirk_none = {"unknown", "", false, false, false};

/* p11-kit's client is in no row: what is behind it has its files elsewhere. */
static const struct pkcs11_quirk quirk_rows[] = {
    {"SoftHSM2", "SoftHSM", true, false, false},
    {"NSS", "Mozilla Foundation", false, true, false},
    {"tpm2-pkcs11", "tpm2-software.github.io", false, false, true},
};

const struct pkcs11_quirk *pkcs11_quirk_find(const CK_INFO *info)
{
    char manufacturer[sizeof(info->manufacturerID) + 1];

    pkcs11_unpad(info->manufacturerID, sizeof(info->manufacturerID), manufacturer);
    for (size_t i = 0; i < sizeof(quirk_rows) / sizeof(quirk_rows[0]); i++)
        if (strcmp(quirk_rows[i].manufacturer, manufacturer) == 0)
            return &quirk_rows[i];
    return &quirk_none;
}
