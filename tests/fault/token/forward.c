#include "forward.h"

/* Their parameters are those of PKCS #11, under the same names as in p11-kit's header. */

FAULT_FORWARD(C_Initialize, (void *init_args), (void)0, (init_args), (void)0)
FAULT_FORWARD(C_GetInfo, (CK_INFO * info), (void)0, (info), (void)0)
FAULT_FORWARD(C_GetSlotInfo, (CK_SLOT_ID slot_id, CK_SLOT_INFO *info), (void)0, (slot_id, info),
              (void)0)
FAULT_FORWARD(C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved), (void)0,
              (flags, slot, reserved), (void)0)
FAULT_FORWARD(C_GetMechanismList,
              (CK_SLOT_ID slot_id, CK_MECHANISM_TYPE *mechanism_list, CK_ULONG *count), (void)0,
              (slot_id, mechanism_list, count), (void)0)
FAULT_FORWARD(C_GetMechanismInfo,
              (CK_SLOT_ID slot_id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info), (void)0,
              (slot_id, type, info), (void)0)
FAULT_FORWARD(C_InitToken, (CK_SLOT_ID slot_id, CK_BYTE *pin, CK_ULONG pin_len, CK_BYTE *label),
              (void)0, (slot_id, pin, pin_len, label), (void)0)
FAULT_FORWARD(C_InitPIN, (CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG pin_len),
              FAULT_SESSION(session), (session, pin, pin_len), (void)0)
FAULT_FORWARD(C_SetPIN,
              (CK_SESSION_HANDLE session, CK_BYTE *old_pin, CK_ULONG old_len, CK_BYTE *new_pin,
               CK_ULONG new_len),
              FAULT_SESSION(session), (session, old_pin, old_len, new_pin, new_len), (void)0)
FAULT_FORWARD(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO *info),
              FAULT_SESSION(session), (session, info), (void)0)
FAULT_FORWARD(C_GetOperationState,
              (CK_SESSION_HANDLE session, CK_BYTE *operation_state, CK_ULONG *operation_state_len),
              FAULT_SESSION(session), (session, operation_state, operation_state_len), (void)0)
FAULT_FORWARD(C_SetOperationState,
              (CK_SESSION_HANDLE session, CK_BYTE *operation_state, CK_ULONG operation_state_len,
               CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key),
              FAULT_SESSION(session);
              FAULT_KEY(encryption_key);
              FAULT_KEY(authentication_key),
              (session, operation_state, operation_state_len, encryption_key, authentication_key),
              (void)0)
FAULT_FORWARD(C_Login,
              (CK_SESSION_HANDLE session, CK_USER_TYPE user_type, CK_BYTE *pin, CK_ULONG pin_len),
              FAULT_SESSION(session), (session, user_type, pin, pin_len), (void)0)
FAULT_FORWARD(C_Logout, (CK_SESSION_HANDLE session), FAULT_SESSION(session), (session), (void)0)
FAULT_FORWARD(C_CreateObject,
              (CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count,
               CK_OBJECT_HANDLE *object),
              FAULT_SESSION(session), (session, template, count, object), FAULT_GIVE_OBJECT(object))
FAULT_FORWARD(C_CopyObject,
              (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
               CK_ULONG count, CK_OBJECT_HANDLE *new_object),
              FAULT_SESSION(session);
              FAULT_OBJECT(object), (session, object, template, count, new_object),
              FAULT_GIVE_OBJECT(new_object))
FAULT_FORWARD(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object),
              FAULT_SESSION(session);
              FAULT_OBJECT(object), (session, object), (void)0)
FAULT_FORWARD(C_GetObjectSize, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size),
              FAULT_SESSION(session);
              FAULT_OBJECT(object), (session, object, size), (void)0)
FAULT_FORWARD(C_SetAttributeValue,
              (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
               CK_ULONG count),
              FAULT_SESSION(session);
              FAULT_OBJECT(object), (session, object, template, count), (void)0)
FAULT_FORWARD(C_FindObjectsInit,
              (CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count),
              FAULT_SESSION(session), (session, template, count), (void)0)
FAULT_FORWARD(C_FindObjectsFinal, (CK_SESSION_HANDLE session), FAULT_SESSION(session), (session),
              (void)0)
FAULT_FORWARD(C_EncryptInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key), (void)0)
FAULT_FORWARD(C_Encrypt,
              (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *encrypted_data,
               CK_ULONG *encrypted_data_len),
              FAULT_SESSION(session), (session, data, data_len, encrypted_data, encrypted_data_len),
              (void)0)
FAULT_FORWARD(C_EncryptUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part,
               CK_ULONG *encrypted_part_len),
              FAULT_SESSION(session), (session, part, part_len, encrypted_part, encrypted_part_len),
              (void)0)
FAULT_FORWARD(C_EncryptFinal,
              (CK_SESSION_HANDLE session, CK_BYTE *last_encrypted_part,
               CK_ULONG *last_encrypted_part_len),
              FAULT_SESSION(session), (session, last_encrypted_part, last_encrypted_part_len),
              (void)0)
FAULT_FORWARD(C_DecryptInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key), (void)0)
FAULT_FORWARD(C_Decrypt,
              (CK_SESSION_HANDLE session, CK_BYTE *encrypted_data, CK_ULONG encrypted_data_len,
               CK_BYTE *data, CK_ULONG *data_len),
              FAULT_SESSION(session), (session, encrypted_data, encrypted_data_len, data, data_len),
              (void)0)
FAULT_FORWARD(C_DecryptUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len,
               CK_BYTE *part, CK_ULONG *part_len),
              FAULT_SESSION(session), (session, encrypted_part, encrypted_part_len, part, part_len),
              (void)0)
FAULT_FORWARD(C_DecryptFinal,
              (CK_SESSION_HANDLE session, CK_BYTE *last_part, CK_ULONG *last_part_len),
              FAULT_SESSION(session), (session, last_part, last_part_len), (void)0)
FAULT_FORWARD(C_DigestInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism),
              FAULT_SESSION(session), (session, mechanism), (void)0)
FAULT_FORWARD(C_Digest,
              (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *digest,
               CK_ULONG *digest_len),
              FAULT_SESSION(session), (session, data, data_len, digest, digest_len), (void)0)
FAULT_FORWARD(C_DigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
              FAULT_SESSION(session), (session, part, part_len), (void)0)
FAULT_FORWARD(C_DigestKey, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, key), (void)0)
FAULT_FORWARD(C_DigestFinal, (CK_SESSION_HANDLE session, CK_BYTE *digest, CK_ULONG *digest_len),
              FAULT_SESSION(session), (session, digest, digest_len), (void)0)
FAULT_FORWARD(C_SignUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
              FAULT_SESSION(session), (session, part, part_len), (void)0)
FAULT_FORWARD(C_SignFinal, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *signature_len),
              FAULT_SESSION(session), (session, signature, signature_len), (void)0)
FAULT_FORWARD(C_SignRecoverInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key), (void)0)
FAULT_FORWARD(C_SignRecover,
              (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
               CK_ULONG *signature_len),
              FAULT_SESSION(session), (session, data, data_len, signature, signature_len), (void)0)
FAULT_FORWARD(C_VerifyInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key), (void)0)
FAULT_FORWARD(C_Verify,
              (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
               CK_ULONG signature_len),
              FAULT_SESSION(session), (session, data, data_len, signature, signature_len), (void)0)
FAULT_FORWARD(C_VerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len),
              FAULT_SESSION(session), (session, part, part_len), (void)0)
FAULT_FORWARD(C_VerifyFinal,
              (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len),
              FAULT_SESSION(session), (session, signature, signature_len), (void)0)
FAULT_FORWARD(C_VerifyRecoverInit,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
              FAULT_SESSION(session);
              FAULT_KEY(key), (session, mechanism, key), (void)0)
FAULT_FORWARD(C_VerifyRecover,
              (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len, CK_BYTE *data,
               CK_ULONG *data_len),
              FAULT_SESSION(session), (session, signature, signature_len, data, data_len), (void)0)
FAULT_FORWARD(C_DigestEncryptUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part,
               CK_ULONG *encrypted_part_len),
              FAULT_SESSION(session), (session, part, part_len, encrypted_part, encrypted_part_len),
              (void)0)
FAULT_FORWARD(C_DecryptDigestUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len,
               CK_BYTE *part, CK_ULONG *part_len),
              FAULT_SESSION(session), (session, encrypted_part, encrypted_part_len, part, part_len),
              (void)0)
FAULT_FORWARD(C_SignEncryptUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part,
               CK_ULONG *encrypted_part_len),
              FAULT_SESSION(session), (session, part, part_len, encrypted_part, encrypted_part_len),
              (void)0)
FAULT_FORWARD(C_DecryptVerifyUpdate,
              (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len,
               CK_BYTE *part, CK_ULONG *part_len),
              FAULT_SESSION(session), (session, encrypted_part, encrypted_part_len, part, part_len),
              (void)0)
FAULT_FORWARD(C_GenerateKey,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template,
               CK_ULONG count, CK_OBJECT_HANDLE *key),
              FAULT_SESSION(session), (session, mechanism, template, count, key),
              FAULT_GIVE_OBJECT(key))
FAULT_FORWARD(C_GenerateKeyPair,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
               CK_ATTRIBUTE *public_key_template, CK_ULONG public_key_attribute_count,
               CK_ATTRIBUTE *private_key_template, CK_ULONG private_key_attribute_count,
               CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key),
              FAULT_SESSION(session),
              (session, mechanism, public_key_template, public_key_attribute_count,
               private_key_template, private_key_attribute_count, public_key, private_key),
              FAULT_GIVE_OBJECT(public_key);
              FAULT_GIVE_OBJECT(private_key))
FAULT_FORWARD(C_WrapKey,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,
               CK_OBJECT_HANDLE key, CK_BYTE *wrapped_key, CK_ULONG *wrapped_key_len),
              FAULT_SESSION(session);
              FAULT_KEY(wrapping_key);
              FAULT_KEY(key), (session, mechanism, wrapping_key, key, wrapped_key, wrapped_key_len),
              (void)0)
FAULT_FORWARD(C_UnwrapKey,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key,
               CK_BYTE *wrapped_key, CK_ULONG wrapped_key_len, CK_ATTRIBUTE *template,
               CK_ULONG attribute_count, CK_OBJECT_HANDLE *key),
              FAULT_SESSION(session);
              FAULT_KEY(unwrapping_key),
              (session, mechanism, unwrapping_key, wrapped_key, wrapped_key_len, template,
               attribute_count, key),
              FAULT_GIVE_OBJECT(key))
FAULT_FORWARD(C_DeriveKey,
              (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_key,
               CK_ATTRIBUTE *template, CK_ULONG attribute_count, CK_OBJECT_HANDLE *key),
              FAULT_SESSION(session);
              FAULT_KEY(base_key), (session, mechanism, base_key, template, attribute_count, key),
              FAULT_GIVE_OBJECT(key))
FAULT_FORWARD(C_SeedRandom, (CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len),
              FAULT_SESSION(session), (session, seed, seed_len), (void)0)
FAULT_FORWARD(C_GenerateRandom,
              (CK_SESSION_HANDLE session, CK_BYTE *random_data, CK_ULONG random_len),
              FAULT_SESSION(session), (session, random_data, random_len), (void)0)
FAULT_FORWARD(C_GetFunctionStatus, (CK_SESSION_HANDLE session), FAULT_SESSION(session), (session),
              (void)0)
FAULT_FORWARD(C_CancelFunction, (CK_SESSION_HANDLE session), FAULT_SESSION(session), (session),
              (void)0)

void fault_forward_list(CK_FUNCTION_LIST *list)
{
    list->C_Initialize = forward_C_Initialize;
    list->C_GetInfo = forward_C_GetInfo;
    list->C_GetSlotInfo = forward_C_GetSlotInfo;
    list->C_WaitForSlotEvent = forward_C_WaitForSlotEvent;
    list->C_GetMechanismList = forward_C_GetMechanismList;
    list->C_GetMechanismInfo = forward_C_GetMechanismInfo;
    list->C_InitToken = forward_C_InitToken;
    list->C_InitPIN = forward_C_InitPIN;
    list->C_SetPIN = forward_C_SetPIN;
    list->C_GetSessionInfo = forward_C_GetSessionInfo;
    list->C_GetOperationState = forward_C_GetOperationState;
    list->C_SetOperationState = forward_C_SetOperationState;
    list->C_Login = forward_C_Login;
    list->C_Logout = forward_C_Logout;
    list->C_CreateObject = forward_C_CreateObject;
    list->C_CopyObject = forward_C_CopyObject;
    list->C_DestroyObject = forward_C_DestroyObject;
    list->C_GetObjectSize = forward_C_GetObjectSize;
    list->C_SetAttributeValue = forward_C_SetAttributeValue;
    list->C_FindObjectsInit = forward_C_FindObjectsInit;
    list->C_FindObjectsFinal = forward_C_FindObjectsFinal;
    list->C_EncryptInit = forward_C_EncryptInit;
    list->C_Encrypt = forward_C_Encrypt;
    list->C_EncryptUpdate = forward_C_EncryptUpdate;
    list->C_EncryptFinal = forward_C_EncryptFinal;
    list->C_DecryptInit = forward_C_DecryptInit;
    list->C_Decrypt = forward_C_Decrypt;
    list->C_DecryptUpdate = forward_C_DecryptUpdate;
    list->C_DecryptFinal = forward_C_DecryptFinal;
    list->C_DigestInit = forward_C_DigestInit;
    list->C_Digest = forward_C_Digest;
    list->C_DigestUpdate = forward_C_DigestUpdate;
    list->C_DigestKey = forward_C_DigestKey;
    list->C_DigestFinal = forward_C_DigestFinal;
    list->C_SignUpdate = forward_C_SignUpdate;
    list->C_SignFinal = forward_C_SignFinal;
    list->C_SignRecoverInit = forward_C_SignRecoverInit;
    list->C_SignRecover = forward_C_SignRecover;
    list->C_VerifyInit = forward_C_VerifyInit;
    list->C_Verify = forward_C_Verify;
    list->C_VerifyUpdate = forward_C_VerifyUpdate;
    list->C_VerifyFinal = forward_C_VerifyFinal;
    list->C_VerifyRecoverInit = forward_C_VerifyRecoverInit;
    list->C_VerifyRecover = forward_C_VerifyRecover;
    list->C_DigestEncryptUpdate = forward_C_DigestEncryptUpdate;
    list->C_DecryptDigestUpdate = forward_C_DecryptDigestUpdate;
    list->C_SignEncryptUpdate = forward_C_SignEncryptUpdate;
    list->C_DecryptVerifyUpdate = forward_C_DecryptVerifyUpdate;
    list->C_GenerateKey = forward_C_GenerateKey;
    list->C_GenerateKeyPair = forward_C_GenerateKeyPair;
    list->C_WrapKey = forward_C_WrapKey;
    list->C_UnwrapKey = forward_C_UnwrapKey;
    list->C_DeriveKey = forward_C_DeriveKey;
    list->C_SeedRandom = forward_C_SeedRandom;
    list->C_GenerateRandom = forward_C_GenerateRandom;
    list->C_GetFunctionStatus = forward_C_GetFunctionStatus;
    list->C_CancelFunction = forward_C_CancelFunction;
}
