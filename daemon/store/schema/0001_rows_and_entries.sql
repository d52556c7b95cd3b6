-- The audit trail, the rows that it tells of, and the signed checkpoints of the trail.
CREATE TABLE meta(
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;

-- seq is the leaf index of the Merkle tree, from 0, without gaps; leaf = SHA-256(0x00 || bytes).
-- leaf stands first so that reading leaves alone does not walk the overflow pages of long entries.
CREATE TABLE entry(
    seq INTEGER PRIMARY KEY,
    leaf BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- body is canonical JSON; entry_seq names the newest entry that tells of the row.
CREATE TABLE row(
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    entry_seq INTEGER NOT NULL,
    PRIMARY KEY(kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint(
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

-- store_list() is right for any member; these make it fast.
CREATE INDEX row_signer_user_id ON row(json_extract(body, '$.user_id'), id) WHERE kind = 'signer';
CREATE INDEX row_signer_state ON row(json_extract(body, '$.state'), id) WHERE kind = 'signer';
CREATE INDEX row_signature_record_key ON row(json_extract(body, '$.record_key'), id) WHERE kind = 'signature';
CREATE INDEX row_signature_user_id ON row(json_extract(body, '$.user_id'), id) WHERE kind = 'signature';
CREATE INDEX row_ticket_state ON row(json_extract(body, '$.state'), id) WHERE kind = 'ticket';
CREATE INDEX row_approval_state ON row(json_extract(body, '$.state'), id) WHERE kind = 'approval';
CREATE INDEX row_terminal_gid ON row(json_extract(body, '$.gid'), id) WHERE kind = 'terminal';
CREATE INDEX row_intent_state ON row(json_extract(body, '$.state'), id) WHERE kind = 'intent';
