-- Every signature moves its ticket and its intent through states that nobody lists: they cost two
-- pages a transaction.  A query for a state finds an index only if it says that the state is
-- another one (store/read.c, UNLISTED).
DROP INDEX row_ticket_state;
DROP INDEX row_intent_state;
CREATE INDEX row_ticket_state ON row(json_extract(body, '$.state'), id)
    WHERE kind = 'ticket' AND json_extract(body, '$.state') NOT IN ('signing', 'signed');
CREATE INDEX row_intent_state ON row(json_extract(body, '$.state'), id)
    WHERE kind = 'intent' AND json_extract(body, '$.state') NOT IN ('done');
