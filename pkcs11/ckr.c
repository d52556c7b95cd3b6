#include "pkcs11/ckr.h"

#include <stddef.h>

static const struct ckr_row {
    const char *name;
    CK_RV rv;
    enum pkcs11_ckr_class class;
} ckr_rows[] = {
#define CKR_ROW(rv, class)                                                                         \
    {                                                                                              \
#rv, rv, PKCS11_CKR_##class                                                                \
    }
    CKR_ROW(CKR_OK, REQUEST),
    CKR_ROW(CKR_CANCEL, REQUEST),
    CKR_ROW(CKR_HOST_MEMORY, GONE),
    CKR_ROW(CKR_SLOT_ID_INVALID, GONE),
    CKR_ROW(CKR_GENERAL_ERROR, GONE),
    CKR_ROW(CKR_FUNCTION_FAILED, GONE),
    CKR_ROW(CKR_ARGUMENTS_BAD, REQUEST),
    CKR_ROW(CKR_NO_EVENT, REQUEST),
    CKR_ROW(CKR_NEED_TO_CREATE_THREADS, GONE),
    CKR_ROW(CKR_CANT_LOCK, GONE),
    CKR_ROW(CKR_ATTRIBUTE_READ_ONLY, REQUEST),
    CKR_ROW(CKR_ATTRIBUTE_SENSITIVE, REQUEST),
    CKR_ROW(CKR_ATTRIBUTE_TYPE_INVALID, REQUEST),
    CKR_ROW(CKR_ATTRIBUTE_VALUE_INVALID, REQUEST),
    CKR_ROW(CKR_DATA_INVALID, REQUEST),
    CKR_ROW(CKR_DATA_LEN_RANGE, REQUEST),
    CKR_ROW(CKR_DEVICE_ERROR, GONE),
    CKR_ROW(CKR_DEVICE_MEMORY, GONE),
    CKR_ROW(CKR_DEVICE_REMOVED, GONE),
    CKR_ROW(CKR_FUNCTION_CANCELED, GONE),
    CKR_ROW(CKR_FUNCTION_NOT_SUPPORTED, REQUEST),
    CKR_ROW(CKR_KEY_HANDLE_INVALID, STALE),
    CKR_ROW(CKR_KEY_SIZE_RANGE, REQUEST),
    CKR_ROW(CKR_KEY_TYPE_INCONSISTENT, REQUEST),
    CKR_ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, REQUEST),
    CKR_ROW(CKR_MECHANISM_INVALID, REQUEST),
    CKR_ROW(CKR_MECHANISM_PARAM_INVALID, REQUEST),
    CKR_ROW(CKR_OBJECT_HANDLE_INVALID, STALE),
    CKR_ROW(CKR_OPERATION_ACTIVE, GONE),
    CKR_ROW(CKR_OPERATION_NOT_INITIALIZED, GONE),
    CKR_ROW(CKR_PIN_INCORRECT, PIN),
    CKR_ROW(CKR_PIN_INVALID, PIN),
    CKR_ROW(CKR_PIN_LEN_RANGE, PIN),
    CKR_ROW(CKR_PIN_EXPIRED, PIN),
    CKR_ROW(CKR_PIN_LOCKED, PIN),
    CKR_ROW(CKR_SESSION_CLOSED, GONE),
    CKR_ROW(CKR_SESSION_COUNT, GONE),
    CKR_ROW(CKR_SESSION_HANDLE_INVALID, GONE),
    CKR_ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED, GONE),
    CKR_ROW(CKR_SESSION_READ_ONLY, REQUEST),
    CKR_ROW(CKR_SESSION_EXISTS, GONE),
    CKR_ROW(CKR_SESSION_READ_ONLY_EXISTS, GONE),
    CKR_ROW(CKR_SESSION_READ_WRITE_SO_EXISTS, GONE),
    CKR_ROW(CKR_TEMPLATE_INCOMPLETE, REQUEST),
    CKR_ROW(CKR_TEMPLATE_INCONSISTENT, REQUEST),
    CKR_ROW(CKR_TOKEN_NOT_PRESENT, GONE),
    CKR_ROW(CKR_TOKEN_NOT_RECOGNIZED, GONE),
    CKR_ROW(CKR_TOKEN_WRITE_PROTECTED, REQUEST),
    CKR_ROW(CKR_USER_ALREADY_LOGGED_IN, REQUEST),
    CKR_ROW(CKR_USER_NOT_LOGGED_IN, GONE),
    CKR_ROW(CKR_USER_PIN_NOT_INITIALIZED, PIN),
    CKR_ROW(CKR_USER_TYPE_INVALID, PIN),
    CKR_ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, GONE),
    CKR_ROW(CKR_USER_TOO_MANY_TYPES, GONE),
    CKR_ROW(CKR_KEY_NOT_WRAPPABLE, REQUEST),
    CKR_ROW(CKR_KEY_UNEXTRACTABLE, REQUEST),
    CKR_ROW(CKR_WRAPPED_KEY_INVALID, REQUEST),
    CKR_ROW(CKR_WRAPPED_KEY_LEN_RANGE, REQUEST),
    CKR_ROW(CKR_WRAPPING_KEY_HANDLE_INVALID, STALE),
    CKR_ROW(CKR_WRAPPING_KEY_SIZE_RANGE, REQUEST),
    CKR_ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, REQUEST),
    CKR_ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID, STALE),
    CKR_ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE, REQUEST),
    CKR_ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, REQUEST),
    CKR_ROW(CKR_DOMAIN_PARAMS_INVALID, REQUEST),
    CKR_ROW(CKR_CURVE_NOT_SUPPORTED, REQUEST),
    CKR_ROW(CKR_RANDOM_NO_RNG, GONE),
    CKR_ROW(CKR_BUFFER_TOO_SMALL, REQUEST),
    CKR_ROW(CKR_CRYPTOKI_NOT_INITIALIZED, GONE),
    CKR_ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED, REQUEST),
    CKR_ROW(CKR_FUNCTION_REJECTED, REQUEST),
#undef CKR_ROW
};

static const struct ckr_row *ckr_find(CK_RV rv)
{
    for (size_t i = 0; i < sizeof(ckr_rows) / sizeof(ckr_rows[0]); i++)
        if (ckr_rows[i].rv == rv)
            return &ckr_rows[i];
    return NULL;
}

const char *pkcs11_ckr_name(CK_RV rv)
{
    const struct ckr_row *row = ckr_find(rv);

    return row ? row->name : "CKR_?";
}

enum pkcs11_ckr_class pkcs11_ckr_class(CK_RV rv)
{
    const struct ckr_row *row = ckr_find(rv);

    return row ? row->class : PKCS11_CKR_GONE;
}

static const char *ckr_reason(enum pkcs11_ckr_class class)
{
    switch (class) {
    case PKCS11_CKR_REQUEST:
    case PKCS11_CKR_STALE:
        return "key";
    case PKCS11_CKR_PIN:
        return "pin";
    case PKCS11_CKR_GONE:
        return "unavailable";
    }
    return "unavailable";
}

enum esign_rc pkcs11_fail(struct fault *f, CK_RV rv, const char *call)
{
    enum esign_rc rc = fault_reason(f, ESIGN_E_HSM, ckr_reason(pkcs11_ckr_class(rv)),
                                    "%s: %s (0x%lx)", call, pkcs11_ckr_name(rv), rv);

    if (f)
        f->cause = rv;
    return rc;
}
