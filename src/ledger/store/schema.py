"""The tables of the ledger's own store. Projections bring theirs (projections/)."""

from __future__ import annotations

SCHEMA_VERSION = 10
"""Counts the changes here. A version adds tables and indexes, and changes no table (`Ledger.bring_up_to_date`)."""

APPROVED = "type IN ('goodwill-approved.v1', 'refund-approved.v1')"
"""The condition for approvals by people. Who asks by these words is led to them by an index."""
OF_SYSTEM = "account = 'system'"
"""The condition for the events of the ledger's own account, likewise."""

TABLES = (
    # What the store is: schema version, number of shards, whether it is a sandbox, and a sandbox's clock.
    "CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # One row per sequence, which counts a shard's events, dead letters or messages set aside
    # (ledger/store/positions.py). Held until commit, so that positions have no holes and follow commit order.
    "CREATE TABLE IF NOT EXISTS sequences (name TEXT PRIMARY KEY, position BIGINT NOT NULL)",
    # One head per account, compared and set by every transaction that decides about it. `due_at` (microseconds since
    # 1970) is the next instant at which time alone can change its assessment.
    """CREATE TABLE IF NOT EXISTS heads (
        account TEXT PRIMARY KEY, shard INTEGER NOT NULL, version BIGINT NOT NULL, leaf_hash TEXT,
        recorded_at BIGINT NOT NULL, due_at BIGINT)""",
    "CREATE INDEX IF NOT EXISTS heads_due ON heads (due_at, account) WHERE due_at IS NOT NULL",
    'CREATE INDEX IF NOT EXISTS heads_account ON heads (account COLLATE "C")',
    # The memory of long accounts up to one of their events, so that they are opened without all of them: a cache, and
    # used only where the store's key says that it made it (ledger/application/snapshots.py). Rows may be deleted.
    """CREATE TABLE IF NOT EXISTS snapshots (
        account TEXT PRIMARY KEY, version BIGINT NOT NULL, leaf_hash TEXT NOT NULL, program TEXT NOT NULL,
        mac TEXT NOT NULL, form BYTES NOT NULL, numbers BYTES NOT NULL, envelopes BYTES NOT NULL)""",
    # The events. `envelope` is what is hashed; the other columns are copies for finding things.
    """CREATE TABLE IF NOT EXISTS events (
        shard INTEGER NOT NULL, position BIGINT NOT NULL, account TEXT NOT NULL, account_version BIGINT NOT NULL,
        stream TEXT NOT NULL, stream_version BIGINT NOT NULL, type TEXT NOT NULL, event_id TEXT NOT NULL,
        envelope BYTES NOT NULL, PRIMARY KEY (shard, position))""",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_account ON events (account, account_version)",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_stream ON events (stream, stream_version)",
    "CREATE UNIQUE INDEX IF NOT EXISTS events_event_id ON events (event_id)",
    # Of most events there is no entry in these two: taking in messages costs the same without them. The ledger's own
    # account is the one that goes on for ever, and is asked for events of a type.
    f"""CREATE INDEX IF NOT EXISTS events_of_system ON events (account, type, account_version)
        WHERE {OF_SYSTEM}""",
    f"CREATE INDEX IF NOT EXISTS events_approved ON events (account, account_version) WHERE {APPROVED}",
    # Which messages were taken, and a keyed digest of what they said.
    """CREATE TABLE IF NOT EXISTS inbox (
        id TEXT NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (id, source))""",
    # Which requests were carried out, each under the key that its caller gave it: a keyed digest of what was asked,
    # the fact that it became, and the account's version after it. The answer is made from the events between them.
    """CREATE TABLE IF NOT EXISTS requests (
        caller TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, account TEXT NOT NULL, event_id TEXT NOT NULL,
        account_version BIGINT NOT NULL, taken_at BIGINT NOT NULL, PRIMARY KEY (caller, key))""",
    # The agreements' catalogue: a row per name, locked by whoever publishes it or decides by it.
    "CREATE TABLE IF NOT EXISTS catalogue (name TEXT PRIMARY KEY, versions BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS agreements (
        name TEXT NOT NULL, version BIGINT NOT NULL, sha256 TEXT NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (name, version))""",
    """CREATE TABLE IF NOT EXISTS awaiting_agreement (
        account TEXT NOT NULL, agreement TEXT NOT NULL, PRIMARY KEY (agreement, account))""",
    # Facts that wait for another.
    """CREATE TABLE IF NOT EXISTS waiting (
        event_id TEXT PRIMARY KEY, account TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL,
        waits_for TEXT NOT NULL, since BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS waiting_account ON waiting (account)",
    """CREATE INDEX IF NOT EXISTS waiting_oldest
        ON waiting (account COLLATE "C", since, id COLLATE "C", source COLLATE "C")""",
    # Refunds that are approved and not submitted yet.
    """CREATE TABLE IF NOT EXISTS approved_refunds (
        account TEXT NOT NULL, refund_id TEXT NOT NULL, since BIGINT NOT NULL, PRIMARY KEY (account, refund_id))""",
    """CREATE INDEX IF NOT EXISTS approved_refunds_oldest
        ON approved_refunds (since, account COLLATE "C", refund_id COLLATE "C")""",
    # What processors' files list, so that no payout is listed twice unseen: by a digest of what a row is about, with
    # one of all that it says. `file` begins the SHA-256 of its bytes. Nothing of a file stands here openly.
    """CREATE TABLE IF NOT EXISTS listed_payouts (
        name TEXT NOT NULL, file TEXT NOT NULL, line BIGINT NOT NULL, digest TEXT NOT NULL, day TEXT NOT NULL,
        status TEXT NOT NULL, PRIMARY KEY (name, file, line))""",
    # Refused messages; their bodies lie in the vault under `dead_letter_id`.
    """CREATE TABLE IF NOT EXISTS dead_letters (
        position BIGINT PRIMARY KEY, dead_letter_id TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, reason TEXT NOT NULL,
        field TEXT, source TEXT, id TEXT, account TEXT, channel TEXT NOT NULL, refused_at BIGINT NOT NULL)""",
    # Messages that kept failing though they are well-formed; bodies lie in the vault. `reader` and `message_offset`
    # say where on Kafka each was read.
    """CREATE TABLE IF NOT EXISTS set_aside (
        position BIGINT PRIMARY KEY, set_aside_id TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, reason TEXT NOT NULL,
        source TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, channel TEXT NOT NULL, reader TEXT,
        message_offset BIGINT, set_aside_at BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS set_aside_reader ON set_aside (reader, message_offset)",
    "CREATE INDEX IF NOT EXISTS set_aside_account ON set_aside (account)",
    # What became of dead letters and of messages set aside: each is closed once.
    """CREATE TABLE IF NOT EXISTS closures (
        kept TEXT NOT NULL, kept_id TEXT NOT NULL, outcome TEXT NOT NULL, actor TEXT NOT NULL,
        closed_at BIGINT NOT NULL, PRIMARY KEY (kept, kept_id))""",
    # How far each reader has come, and the epoch of whoever may move it.
    """CREATE TABLE IF NOT EXISTS readers (
        reader TEXT PRIMARY KEY, position BIGINT NOT NULL, epoch BIGINT NOT NULL)""",
    # Where each generation of a sequence begins: after the last position that it `keeps` of those before it. Of the
    # first generation there is no row.
    """CREATE TABLE IF NOT EXISTS generations (
        sequence TEXT NOT NULL, generation BIGINT NOT NULL, keeps BIGINT NOT NULL,
        PRIMARY KEY (sequence, generation))""",
    # Notices to customers: the queue of e-mails, and what became of each. No address and no word of them stands here.
    """CREATE TABLE IF NOT EXISTS notices (
        notice_id TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, event_id TEXT NOT NULL,
        position BIGINT NOT NULL, status TEXT NOT NULL, attempts BIGINT NOT NULL, repeat BIGINT NOT NULL,
        queued_at BIGINT NOT NULL, next_attempt_at BIGINT, claimed_at BIGINT, last_error TEXT)""",
    "CREATE INDEX IF NOT EXISTS notices_account ON notices (account, position)",
    "CREATE INDEX IF NOT EXISTS notices_status ON notices (status, next_attempt_at, position)",
    'CREATE INDEX IF NOT EXISTS notices_oldest ON notices (status, queued_at, position, notice_id COLLATE "C")',
    """CREATE INDEX IF NOT EXISTS notices_on_their_way ON notices (account, position)
        WHERE status IN ('queued', 'sending')""",
    # The one-time link of each activation: how often it was tried, and whether somebody has it or had it.
    """CREATE TABLE IF NOT EXISTS activation_links (
        notice_id TEXT PRIMARY KEY, tries BIGINT NOT NULL, tries_since BIGINT NOT NULL, claimed_at BIGINT,
        collected_at BIGINT)""",
    # The returns of refunds that a processor is asked for one by one (the topic of requests needs none of this), in
    # major units. `next_attempt_at` is null once a return is answered; `reference` is the processor's for one that it
    # has under way.
    """CREATE TABLE IF NOT EXISTS asked_returns (
        return_id TEXT PRIMARY KEY, account TEXT NOT NULL, refund_id TEXT NOT NULL, payment_id TEXT NOT NULL,
        amount TEXT NOT NULL, currency TEXT NOT NULL, queued_at BIGINT NOT NULL, attempts BIGINT NOT NULL,
        next_attempt_at BIGINT, reference TEXT, last_error TEXT)""",
    """CREATE INDEX IF NOT EXISTS asked_returns_next ON asked_returns (next_attempt_at, return_id)
        WHERE next_attempt_at IS NOT NULL""",
    # Who is signed in, and by what one-time links somebody can be: each known by the SHA-256 of its token. A customer
    # has no principal, but the accounts that their e-mail address is of. These rows are deleted as they run out.
    """CREATE TABLE IF NOT EXISTS sessions (
        digest TEXT PRIMARY KEY, principal TEXT, language TEXT NOT NULL, created_at BIGINT NOT NULL,
        seen_at BIGINT NOT NULL, ends_at BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS sessions_principal ON sessions (principal)",
    "CREATE INDEX IF NOT EXISTS sessions_seen ON sessions (seen_at)",
    """CREATE TABLE IF NOT EXISTS sign_in_links (
        digest TEXT PRIMARY KEY, principal TEXT, language TEXT NOT NULL, expires_at BIGINT NOT NULL,
        used_at BIGINT)""",
    "CREATE INDEX IF NOT EXISTS sign_in_links_expire ON sign_in_links (expires_at)",
    """CREATE TABLE IF NOT EXISTS sign_in_accounts (
        digest TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (digest, account))""",
    "CREATE INDEX IF NOT EXISTS sign_in_accounts_account ON sign_in_accounts (account)",
    # Personal data, encrypted; keys are kept in a database of their own.
    """CREATE TABLE IF NOT EXISTS vault (
        ref TEXT PRIMARY KEY, subject TEXT NOT NULL, nonce BYTES NOT NULL, ciphertext BYTES NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS vault_subject ON vault (subject, ref)",
    # By which words customers are found: a keyed hash of each, of an e-mail address, a name or a telephone number,
    # with the account and the vault's entry that has it. The row `vault_index` of `store` says under which key it is
    # whole.
    """CREATE TABLE IF NOT EXISTS vault_index (
        token BYTES NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL, ref TEXT NOT NULL)""",
    'CREATE UNIQUE INDEX IF NOT EXISTS vault_index_token ON vault_index (token, account COLLATE "C", ref)',
    "CREATE INDEX IF NOT EXISTS vault_index_ref ON vault_index (ref)",
    # One row: which vault is the store's, and the last of its keys with which anything was encrypted.
    """CREATE TABLE IF NOT EXISTS vault_bound (
        vault_id TEXT PRIMARY KEY, serial BIGINT NOT NULL, mark TEXT NOT NULL)""",
    # What of the vault nobody can read any more, and the event by which a person accepted that.
    "CREATE TABLE IF NOT EXISTS vault_lost (ref TEXT PRIMARY KEY, loss_id TEXT NOT NULL)",
    # The accounts of which everything that the vault had was erased: what comes later is recorded without words.
    "CREATE TABLE IF NOT EXISTS erasures (account TEXT PRIMARY KEY, erased_at BIGINT NOT NULL)",
    # The Merkle trees over the shards' envelopes, by C2SP tlog-tiles: of each tile as many hashes as there are yet.
    # How far a tree has come is the position of its reader.
    """CREATE TABLE IF NOT EXISTS audit_tiles (
        shard INTEGER NOT NULL, level INTEGER NOT NULL, number BIGINT NOT NULL, hashes BYTES NOT NULL,
        PRIMARY KEY (shard, level, number))""",
    # The names under which a shard's tree was signed, one after the other, each with the signed note of the
    # checkpoint that it follows. One of a shard that has no row has the name that follows from the store's id.
    """CREATE TABLE IF NOT EXISTS audit_logs (
        shard INTEGER NOT NULL, number BIGINT NOT NULL, origin TEXT NOT NULL UNIQUE, follows TEXT,
        PRIMARY KEY (shard, number))""",
    # Signed checkpoints: notes with the log's own signatures. A witness's cosignature is a line beside them.
    """CREATE TABLE IF NOT EXISTS audit_checkpoints (
        origin TEXT NOT NULL, size BIGINT NOT NULL, note TEXT NOT NULL, signed_at BIGINT NOT NULL,
        PRIMARY KEY (origin, size))""",
    """CREATE TABLE IF NOT EXISTS audit_cosignatures (
        origin TEXT NOT NULL, size BIGINT NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL, line TEXT NOT NULL,
        PRIMARY KEY (origin, size, name, key_id))""",
)

KEY_TABLES = (
    # An erased key leaves its row behind as a tombstone: `key` is null and `erased_at` says when.
    """CREATE TABLE IF NOT EXISTS vault_keys (
        subject TEXT PRIMARY KEY, key BYTES, created_at BIGINT NOT NULL, erased_at BIGINT)""",
    # One row: the ids of the vault and of its store, how many keys were made, and the subject of the store's own.
    # Held until commit by whoever makes keys, so that they are counted without holes.
    """CREATE TABLE IF NOT EXISTS key_ring (
        ring INTEGER PRIMARY KEY, vault_id TEXT NOT NULL, store_id TEXT NOT NULL, made BIGINT NOT NULL,
        store_subject TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS key_serials (
        serial BIGINT PRIMARY KEY, subject TEXT NOT NULL UNIQUE, mark TEXT NOT NULL)""",
)
