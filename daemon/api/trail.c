/* /v1/audit: reading, proving and checking the audit trail. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "base/cleanup.h"

enum { TRAIL_EXPORT_DEFAULT = 1000 };

static enum esign_rc trail_add(struct site *s, int64_t seq, json_t *items, struct fault *f)
{
    CLEANUP(buf_done) struct buf text = buf_new(STORE_ENTRY_MAX);
    json_t *entry = NULL;
    enum esign_rc rc = store_entry(site_store(s), seq, &text, f);

    if (rc == ESIGN_OK)
        rc = json_parse_object(buf_bytes(&text), &entry, f);
    if (rc != ESIGN_OK)
        return rc;
    return json_array_append_new(items, entry) == 0
               ? ESIGN_OK
               : fault_set(f, ESIGN_E_INTERNAL, "no memory for a list");
}

/* First sequence and end of the page that is asked for. */
static int64_t trail_page(const struct api_request *request, int64_t fallback, int64_t *ret_end)
{
    int64_t size = store_size(site_store(handler_site(request)));
    int64_t first = api_query_number(&request->query, "after", -1) + 1;
    int64_t limit = api_query_number(&request->query, "limit", fallback);

    *ret_end = size - first < limit ? size : first + limit;
    return first;
}

/* "last" instead of a page: so many of the newest, in the order of the trail. */
static enum esign_rc trail_range(const struct api_request *request, int64_t *ret_first,
                                 int64_t *ret_end, struct fault *f)
{
    int64_t last = api_query_number(&request->query, "last", -1);

    if (last < 0) {
        *ret_first = trail_page(request, HANDLER_LIST_DEFAULT, ret_end);
        return ESIGN_OK;
    }
    if (api_query_number(&request->query, "after", -1) >= 0 ||
        api_query_number(&request->query, "limit", -1) >= 0)
        return fault_field(f, ESIGN_E_PROTO, "last", "ask for last, or for after and limit");
    *ret_end = store_size(site_store(handler_site(request)));
    *ret_first = last < *ret_end ? *ret_end - last : 0;
    return ESIGN_OK;
}

HANDLER(handle_audit_entries)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *items = json_array();
    char next[32];
    int64_t end = 0, first = 0;
    enum esign_rc rc = trail_range(request, &first, &end, f);

    for (int64_t seq = first; rc == ESIGN_OK && seq < end; seq++)
        rc = trail_add(s, seq, items, f);
    if (rc != ESIGN_OK)
        return rc;
    (void)snprintf(next, sizeof(next), "%lld", (long long)(end - 1));
    return handler_reply(reply, 200,
                         json_pack("{s:O, s:s*}", "items", items, "next",
                                   end > first && end < store_size(site_store(s)) ? next : NULL),
                         f);
}

HANDLER(handle_audit_entry)
{
    CLEANUP(buf_done) struct buf text = buf_new(STORE_ENTRY_MAX);
    int64_t seq = 0;

    for (const char *c = request->id; *c; c++) {
        if (*c < '0' || *c > '9' || seq > INT64_MAX / 100)
            return fault_field(f, ESIGN_E_PROTO, "id", "an entry is named by its number");
        seq = seq * 10 + (*c - '0');
    }
    enum esign_rc rc = store_entry(site_store(handler_site(request)), seq, &text, f);
    if (rc != ESIGN_OK)
        return rc;
    const char *entry = buf_str(&text);
    return handler_reply(
        reply, 200, entry ? json_pack("{s:s, s:I}", "entry", entry, "seq", (json_int_t)seq) : NULL,
        f);
}

HANDLER(handle_audit_checkpoint)
{
    CLEANUP(buf_done) struct buf note = buf_new(4096);
    int64_t size = 0;
    enum esign_rc rc = store_checkpoint(site_store(handler_site(request)), &note, &size, f);

    if (rc != ESIGN_OK)
        return rc;
    const char *text = buf_str(&note);
    return handler_reply(
        reply, 200, text ? json_pack("{s:s, s:I}", "note", text, "size", (json_int_t)size) : NULL,
        f);
}

HANDLER(handle_audit_verification)
{
    struct site *s = handler_site(request);
    CLEANUP(json_decref_p) json_t *row = NULL;
    CLEANUP(buf_done) struct buf spki = buf_new(TOKEN_SPKI_MAX);
    struct audit_report report = {0};
    enum esign_rc rc = store_get(site_store(s), "site", "site", &row, NULL, f);

    if (rc == ESIGN_OK)
        rc = site_decode(row, "log_spki", &spki, f);
    if (rc == ESIGN_OK)
        rc = audit_verify(site_audit(s), buf_bytes(&spki),
                          config_str(site_config(s), "audit.anchor"), &report, f);
    if (rc != ESIGN_OK)
        return rc;
    bool broken = report.bad_seq >= 0;
    return handler_reply(reply, 200,
                         json_pack("{s:I, s:I, s:I, s:s, s:s}", "size", (json_int_t)report.size,
                                   "bad_seq", (json_int_t)report.bad_seq, "checkpoint_size",
                                   (json_int_t)report.checkpoint_size, "result",
                                   broken ? "broken" : "ok", "detail", report.detail),
                         f);
}

/* The exact bytes, one entry a line: what a stranger needs to recompute the tree. */
HANDLER(handle_audit_export)
{
    struct site *s = handler_site(request);
    int64_t end = 0, first = trail_page(request, TRAIL_EXPORT_DEFAULT, &end);
    enum esign_rc rc = ESIGN_OK;

    reply->text = buf_new(API_REPLY_MAX);
    reply->content_type = "application/jsonl";
    for (int64_t seq = first; rc == ESIGN_OK && seq < end; seq++) {
        CLEANUP(buf_done) struct buf entry = buf_new(STORE_ENTRY_MAX);
        rc = store_entry(site_store(s), seq, &entry, f);
        if (reply->text.len + entry.len + 1 > API_REPLY_MAX)
            break; /* the client goes on after the last entry that it got */
        buf_put(&reply->text, buf_bytes(&entry));
        buf_put_str(&reply->text, "\n");
    }
    return rc;
}
