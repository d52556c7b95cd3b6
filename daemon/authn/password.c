#include "authn/password.h"

#include <string.h>
#include <unistr.h>

#include "base/cleanup.h"

/* Which bytes of a password are known to a guesser.  No part of the password is copied. */
struct password_cover {
    struct bytes text;
    bool known[SECRET_MAX];
};

static void password_cover_done(struct password_cover *c)
{
    secret_wipe(c->known, sizeof(c->known));
}

static uint8_t password_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* A letter, a digit or a byte of a character beyond ASCII; people put the rest between words. */
static bool password_counts(uint8_t c)
{
    c = password_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* The place behind word if it stands at `at`; 0: it does not. */
static size_t password_word_end(struct bytes text, size_t at, struct bytes word)
{
    size_t i = 0;

    while (i < word.len) {
        if (!password_counts(word.data[i])) {
            i++;
        } else if (at < text.len && !password_counts(text.data[at])) {
            at++;
        } else if (at < text.len && password_lower(text.data[at]) == password_lower(word.data[i])) {
            at++;
            i++;
        } else {
            return 0;
        }
    }
    return at;
}

static void password_cover_word(struct password_cover *c, struct bytes word)
{
    if (word.len < AUTHN_WORD_MIN)
        return;
    for (size_t at = 0; at < c->text.len; at++) {
        if (!password_counts(c->text.data[at]))
            continue;
        size_t end = password_word_end(c->text, at, word);
        for (size_t i = at; i < end; i++)
            c->known[i] = true;
    }
}

/* A name, and each word of it. */
static void password_cover_name(struct password_cover *c, const char *name)
{
    size_t len = 0;

    password_cover_word(c, bytes_of_str(name));
    for (; *name; name += len) {
        name += strspn(name, " ,.-_");
        len = strcspn(name, " ,.-_");
        password_cover_word(c, bytes_of(name, len));
    }
}

/* Whether too few characters are left. */
static bool password_is_known(const struct password_cover *c)
{
    size_t rest = 0;

    for (size_t i = 0; i < c->text.len; i++)
        if (!c->known[i] && password_counts(c->text.data[i]) && (c->text.data[i] & 0xc0) != 0x80)
            rest++;
    return rest < AUTHN_REST_MIN;
}

/* "aaaaaaaaaaaaaaa", "abcabcabcabcabc": bytes are counted, so that other alphabets are not at a
 * disadvantage. */
static bool password_is_monotonous(struct bytes text)
{
    bool seen[256] = {false};
    size_t distinct = 0;

    for (size_t i = 0; i < text.len; i++) {
        distinct += seen[text.data[i]] ? 0 : 1;
        seen[text.data[i]] = true;
    }
    secret_wipe(seen, sizeof(seen));
    return distinct < AUTHN_DISTINCT_MIN;
}

static enum esign_rc password_check_words(struct bytes text,
                                          const struct authn_password_rules *rules, struct fault *f)
{
    CLEANUP(password_cover_done) struct password_cover cover = {.text = text};

    password_cover_name(&cover, rules->user_id);
    if (password_is_known(&cover))
        return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "same_as_id",
                            "the password must not be made of the identification code");
    password_cover_name(&cover, "esignd");
    if (rules->organisation)
        password_cover_name(&cover, rules->organisation);
    for (size_t i = 0; i < json_array_size(rules->blocklist); i++)
        password_cover_word(&cover,
                            bytes_of_str(json_string_value(json_array_get(rules->blocklist, i))));
    if (password_is_known(&cover) || password_is_monotonous(text))
        return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "blocklist",
                            "the password is made of common words or repeats itself");
    return ESIGN_OK;
}

enum esign_rc authn_password_check(const struct secret *password,
                                   const struct authn_password_rules *rules, struct fault *f)
{
    struct bytes text = secret_bytes(password);

    if (text.len == 0 || u8_check(text.data, text.len) || memchr(text.data, 0, text.len))
        return fault_field(f, ESIGN_E_PASSWORD_POLICY, "password",
                           "the password must be UTF-8 text");
    if ((int64_t)u8_mbsnlen(text.data, text.len) < rules->min_chars)
        return fault_reason(f, ESIGN_E_PASSWORD_POLICY, "short",
                            "the password needs at least %lld characters",
                            (long long)rules->min_chars);
    return password_check_words(text, rules, f);
}
