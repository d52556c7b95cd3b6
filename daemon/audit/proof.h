/* Offline proofs of inclusion, in C2SP tlog-proof form. */
#pragma once

#include "audit/checkpoint.h"

/* Bytes of a proof: header, index, 63 hashes in base64, a note. */
enum { AUDIT_PROOF_MAX = 64 + 32 + 63 * 45 + AUDIT_NOTE_MAX };

/* Append the proof of entry seq: hashes as audit_inclusion gives them, note as signed.
 * Source: C2SP tlog-proof@v1. */
void audit_put_proof(int64_t seq, struct bytes hashes, struct bytes note, struct buf *out);
