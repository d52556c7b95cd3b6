/* Signers' own cards: their answers, their tests and their end. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/encode.h"

/* The member "value": base64 of what the card gave. */
static enum esign_rc card_value(const json_t *body, struct buf *ret, struct fault *f)
{
    const char *text = json_str(body, "value");

    if (!text)
        return ESIGN_OK;
    return decode_base64(text, strlen(text), ret) == ESIGN_OK
               ? ESIGN_OK
               : fault_field(f, ESIGN_E_PROTO, "value",
                             "the value must be base64 of at most %d bytes", TOKEN_SIGNATURE_MAX);
}

/* The second half of a ceremony that was authorised. */
HANDLER(handle_ticket_value)
{
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    struct sign_answer answer = {.ticket_id = request->id,
                                 .signature_id = json_str(request->body, "signature_id"),
                                 .session = json_str(request->body, "session"),
                                 .deadline_at_ms = request->deadline_at_ms};
    json_t *signature = NULL;
    enum esign_rc rc = handler_entry(request, f);

    if (rc == ESIGN_OK)
        rc = handler_place(request, &answer.place, f);
    if (rc == ESIGN_OK)
        rc = card_value(request->body, &value, f);
    if (rc != ESIGN_OK)
        return rc;
    answer.value = buf_bytes(&value);
    rc = sign_answer(handler_site(request), &answer, &signature, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, signature, f) : rc;
}

/* Without challenge and value a test begins, with them it ends. */
static enum esign_rc card_test(const struct api_request *request, const struct authn_person *person,
                               json_t **ret, struct fault *f)
{
    CLEANUP(buf_done) struct buf value = buf_new(TOKEN_SIGNATURE_MAX);
    const struct register_origin origin = handler_origin(request);
    const char *challenge = json_str(request->body, "challenge");

    if (strcasecmp(request->id, person->user_id) != 0) /* codes are ASCII */
        return fault_set(f, ESIGN_E_AUTHZ, "only its owner tests a card");
    if (!challenge != !json_str(request->body, "value"))
        return fault_field(f, ESIGN_E_PROTO, "challenge", "challenge and value go together");
    enum esign_rc rc = card_value(request->body, &value, f);
    if (rc != ESIGN_OK)
        return rc;
    return challenge ? register_card_tested(handler_site(request), &origin, person, challenge,
                                            buf_bytes(&value), ret, f)
                     : register_card_challenge(handler_site(request), &origin, person, ret, f);
}

HANDLER(handle_card_test)
{
    CLEANUP(authn_person_done) struct authn_person person = {0};
    char object[API_ID_MAX + 16];
    json_t *done = NULL;
    enum esign_rc rc = handler_officer(request, "signer", NULL, &person, f);

    if (rc != ESIGN_OK)
        return rc;
    rc = card_test(request, &person, &done, f);
    (void)snprintf(object, sizeof(object), "signer/%s", person.signer_id);
    rc = handler_settle(request, &person, "card.test", object, rc, f);
    return rc == ESIGN_OK ? handler_reply(reply, 200, done, f) : rc;
}

HANDLER(handle_card_revoke)
{
    return handler_signer_act(request, "regadmin", "card.revoke", register_revoke_card, reply, f);
}
