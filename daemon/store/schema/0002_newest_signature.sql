-- store_tally() of a signer's signatures, at every opening of a session.
CREATE INDEX row_signature_user_entry ON row(json_extract(body, '$.user_id'), entry_seq) WHERE kind = 'signature';
