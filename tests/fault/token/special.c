/* The functions whose results the rules change, and those that begin and end sessions. */
#include "forward.h"
#include "value.h"

static CK_RV forward_C_Finalize(void *reserved)
{
    struct fault_call call = fault_begin(FAULT_C_Finalize);

    if (call.go)
        call.rv = fault_real()->C_Finalize(reserved);
    if (call.rv == CKR_OK)
        fault_state_end_sessions();
    return fault_end(&call);
}

static CK_RV forward_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
    struct fault_call call = fault_begin(FAULT_C_GetSlotList);

    if (call.go && fault_rules_now()->away)
        *count = 0;
    else if (call.go)
        call.rv = fault_real()->C_GetSlotList(present, list, count);
    if (call.rv == CKR_OK)
        *count = fault_length(&call, *count);
    return fault_end(&call);
}

static CK_RV forward_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    struct fault_call call = fault_begin(FAULT_C_GetTokenInfo);

    if (call.go)
        call.rv = fault_real()->C_GetTokenInfo(slot, info);
    if (call.go && call.rv == CKR_OK) {
        info->flags |= call.flags;
        if (call.sessions > 0)
            info->ulMaxSessionCount = info->ulMaxRwSessionCount = call.sessions;
    }
    return fault_end(&call);
}

static CK_RV forward_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application,
                                   CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
    struct fault_call call = fault_begin(FAULT_C_OpenSession);

    if (call.go && !fault_state_begin_session(call.sessions)) {
        call.rv = CKR_SESSION_COUNT;
    } else if (call.go) {
        call.rv = fault_real()->C_OpenSession(slot, flags, application, notify, session);
        if (call.rv == CKR_OK)
            fault_handle_out(session, call.session_tag);
        else
            fault_state_end_session();
    }
    return fault_end(&call);
}

FAULT_FORWARD(C_CloseSession, (CK_SESSION_HANDLE session), FAULT_SESSION(session), (session),
              fault_state_end_session())
FAULT_FORWARD(C_CloseAllSessions, (CK_SLOT_ID slot), (void)0, (slot), fault_state_end_sessions())

static void special_lie(const struct fault_call *call, CK_ATTRIBUTE *template, CK_ULONG count)
{
    for (CK_ULONG i = 0; i < count; i++)
        template[i].ulValueLen = fault_length(call, template[i].ulValueLen);
}

FAULT_FORWARD(C_GetAttributeValue,
              (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
               CK_ULONG count),
              FAULT_SESSION(session);
              FAULT_OBJECT(object), (session, object, template, count),
              special_lie(&call, template, count))

static CK_RV forward_C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *object,
                                   CK_ULONG most, CK_ULONG *count)
{
    struct fault_call call = fault_begin(FAULT_C_FindObjects);

    FAULT_SESSION(session);
    if (call.go)
        call.rv = fault_real()->C_FindObjects(session, object, most, count);
    if (call.go && call.rv == CKR_OK) {
        for (CK_ULONG i = 0; i < *count; i++)
            FAULT_GIVE_OBJECT(&object[i]);
        *count = fault_length(&call, *count);
    }
    return fault_end(&call);
}

/* What the last C_SignInit was of: a caller has one session and one thread. */
static struct fault_signature special_signature;

FAULT_FORWARD(C_SignInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key),
              special_signature.mechanism = mechanism->mechanism;
              special_signature.key = key)

static CK_RV forward_C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *value,
                            CK_ULONG *value_len)
{
    struct fault_call call = fault_begin(FAULT_C_Sign);

    FAULT_SESSION(session);
    if (call.go) {
        struct fault_signature s = special_signature;
        s.real = fault_real();
        s.session = session;
        s.data = data;
        s.len = len;
        s.value = value;
        s.value_len = value_len;
        call.rv = fault_value_sign(&s, call.hit ? call.rule.value : FAULT_VALUE_RIGHT);
        if (call.rv == CKR_OK)
            *value_len = fault_length(&call, *value_len);
    }
    return fault_end(&call);
}

void fault_special_list(CK_FUNCTION_LIST *list)
{
    list->C_Finalize = forward_C_Finalize;
    list->C_GetSlotList = forward_C_GetSlotList;
    list->C_GetTokenInfo = forward_C_GetTokenInfo;
    list->C_OpenSession = forward_C_OpenSession;
    list->C_CloseSession = forward_C_CloseSession;
    list->C_CloseAllSessions = forward_C_CloseAllSessions;
    list->C_GetAttributeValue = forward_C_GetAttributeValue;
    list->C_FindObjects = forward_C_FindObjects;
    list->C_SignInit = forward_C_SignInit;
    list->C_Sign = forward_C_Sign;
}
