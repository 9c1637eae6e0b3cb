-- Grants of credits that burn down: the type wallet, and the functions that burn it.

CREATE TYPE meter.wallet;

CREATE FUNCTION meter.wallet_in(cstring) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_in(cstring) IS 'Text input of meter.wallet.';

CREATE FUNCTION meter.wallet_out(meter.wallet) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_wallet_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_out(meter.wallet) IS 'Text output of meter.wallet, canonical.';

CREATE FUNCTION meter.wallet_recv(internal) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_recv(internal) IS 'Binary input of meter.wallet, as strict as the text input.';

CREATE FUNCTION meter.wallet_send(meter.wallet) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_wallet_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_send(meter.wallet) IS 'Binary output of meter.wallet: a version byte, then field by field.';

CREATE TYPE meter.wallet (
	INPUT = meter.wallet_in,
	OUTPUT = meter.wallet_out,
	RECEIVE = meter.wallet_recv,
	SEND = meter.wallet_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.wallet IS
$$Credits that were granted, and what has been burned of them. The aggregate meter.wallet makes one of rows, meter.burn takes consumption from it, and meter.lots, meter.spans, meter.balance and others say what is left. As text it is a JSON object:

    {"lots": [{"id": "g1", "amount": 100, "pool": "chat", "priority": 1,
               "effective_at": "2026-01-01T00:00:00Z", "expires_at": "2026-02-01T00:00:00Z",
               "created_at": "2025-12-31T00:00:00Z",
               "rollover_max": 50, "rollover_until": "2026-03-01T00:00:00Z", "paid": 10}],
     "cuts": ["2026-01-15T00:00:00Z"], "absorbing": true,
     "through": "2026-01-05T12:00:00Z",
     "burned": [{"from": "2026-01-01T00:00:00Z", "pool": "chat", "credits": 12.5}]}

A lot can be taken from effective_at on, inclusive, until expires_at, exclusive. What is left of it then expires, but for at most rollover_max, which stays until rollover_until, once. A lot that expires no later than it begins is void: it is granted and expires at once. A lot names one pool or none, and so does consumption: that of a pool takes the pool's own lots first, then those without a pool; that of no pool takes these alone. Among them goes the lowest priority first, then the earliest expiry in force (none is last), then created_at, then id. What no lot covers is overage, which a later lot does not cover, except in an absorbing wallet.

Nothing changes inside a span, which is what lies between two bounds: all instants at which a lot changes, and cuts. So a wallet keeps what was burned as a sum for each span and pool, and through which instant; the order of events does not matter, and burning can go on from a stored wallet at any time. A negative sum gives nothing back beyond its span: it is unapplied.

Without lots, '{}', everything is overage. At most 10000 lots, and a million spans times pools. What breaks a rule is an error of class 22 that names the lot.$$;

CREATE FUNCTION meter.wallet_eq(meter.wallet, meter.wallet) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_wallet_eq' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_eq(meter.wallet, meter.wallet) IS 'Whether two wallets are the same value: the same lots, cuts and sums; operator =.';

CREATE FUNCTION meter.wallet_ne(meter.wallet, meter.wallet) RETURNS boolean
AS 'MODULE_PATHNAME', 'meter_wallet_ne' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_ne(meter.wallet, meter.wallet) IS 'Whether two wallets are different values; operator <>.';

CREATE FUNCTION meter.wallet_hash(meter.wallet) RETURNS integer
AS 'MODULE_PATHNAME', 'meter_wallet_hash' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_hash(meter.wallet) IS 'The hash of a wallet, for grouping, hash joins and hash indexes.';

CREATE FUNCTION meter.wallet_hash_extended(meter.wallet, bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'meter_wallet_hash_extended' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_hash_extended(meter.wallet, bigint) IS 'The 64-bit hash of a wallet with a seed, for hash partitioning.';

CREATE OPERATOR pg_catalog.= (
	FUNCTION = meter.wallet_eq,
	LEFTARG = meter.wallet,
	RIGHTARG = meter.wallet,
	COMMUTATOR = OPERATOR(pg_catalog.=),
	NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel,
	JOIN = eqjoinsel,
	HASHES
);
COMMENT ON OPERATOR pg_catalog.= (meter.wallet, meter.wallet) IS 'Whether two wallets are the same value.';

CREATE OPERATOR pg_catalog.<> (
	FUNCTION = meter.wallet_ne,
	LEFTARG = meter.wallet,
	RIGHTARG = meter.wallet,
	COMMUTATOR = OPERATOR(pg_catalog.<>),
	NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel,
	JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (meter.wallet, meter.wallet) IS 'Whether two wallets are different values.';

CREATE OPERATOR CLASS meter.wallet_ops
DEFAULT FOR TYPE meter.wallet USING hash AS
	OPERATOR 1 pg_catalog.= (meter.wallet, meter.wallet),
	FUNCTION 1 meter.wallet_hash(meter.wallet),
	FUNCTION 2 meter.wallet_hash_extended(meter.wallet, bigint);
COMMENT ON OPERATOR CLASS meter.wallet_ops USING hash IS 'Hashing of wallets: grouping, hash joins, hash indexes and hash partitions.';
COMMENT ON OPERATOR FAMILY meter.wallet_ops USING hash IS 'Hashing of wallets.';

-- jsonb

CREATE FUNCTION meter.wallet(jsonb) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_from_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet(jsonb) IS
'Returns the wallet that a JSON object says, in the form of the text. A "pool" that is an array is an error: where the scopes of lots cross, what is left depends on the order of the events inside a span, of which only sums are kept.';

CREATE FUNCTION meter.to_jsonb(meter.wallet) RETURNS jsonb
AS 'MODULE_PATHNAME', 'meter_wallet_to_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.to_jsonb(meter.wallet) IS 'Returns a wallet as a JSON object, which meter.wallet(jsonb) reads back as the same value.';

CREATE CAST (jsonb AS meter.wallet) WITH FUNCTION meter.wallet(jsonb);
COMMENT ON CAST (jsonb AS meter.wallet) IS 'The wallet of a JSON object: meter.wallet(jsonb).';
CREATE CAST (meter.wallet AS jsonb) WITH FUNCTION meter.to_jsonb(meter.wallet);
COMMENT ON CAST (meter.wallet AS jsonb) IS 'A wallet as a JSON object.';

-- A wallet of rows

CREATE TYPE meter.wallet_lots;

CREATE FUNCTION meter.wallet_lots_in(cstring) RETURNS meter.wallet_lots
AS 'MODULE_PATHNAME', 'meter_wallet_lots_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_lots_in(cstring) IS 'Text input of meter.wallet_lots.';

CREATE FUNCTION meter.wallet_lots_out(meter.wallet_lots) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_wallet_lots_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_lots_out(meter.wallet_lots) IS 'Text output of meter.wallet_lots.';

CREATE FUNCTION meter.wallet_lots_recv(internal) RETURNS meter.wallet_lots
AS 'MODULE_PATHNAME', 'meter_wallet_lots_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_lots_recv(internal) IS 'Binary input of meter.wallet_lots, as strict as the text input.';

CREATE FUNCTION meter.wallet_lots_send(meter.wallet_lots) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_wallet_lots_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_lots_send(meter.wallet_lots) IS 'Binary output of meter.wallet_lots: a version byte, then field by field.';

CREATE TYPE meter.wallet_lots (
	INPUT = meter.wallet_lots_in,
	OUTPUT = meter.wallet_lots_out,
	RECEIVE = meter.wallet_lots_recv,
	SEND = meter.wallet_lots_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.wallet_lots IS 'The state of the aggregate wallet: the lots so far, in the order of arrival. Its text form is its binary form in hexadecimal digits.';

CREATE FUNCTION meter.wallet_accum(meter.wallet_lots, text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz) RETURNS meter.wallet_lots
AS 'MODULE_PATHNAME', 'meter_wallet_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_accum(meter.wallet_lots, text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz) IS 'Transition function of the aggregate wallet.';

CREATE FUNCTION meter.wallet_accum(meter.wallet_lots, text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz, numeric) RETURNS meter.wallet_lots
AS 'MODULE_PATHNAME', 'meter_wallet_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_accum(meter.wallet_lots, text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz, numeric) IS 'Transition function of the aggregate wallet.';

CREATE FUNCTION meter.wallet_combine(meter.wallet_lots, meter.wallet_lots) RETURNS meter.wallet_lots
AS 'MODULE_PATHNAME', 'meter_wallet_combine' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_combine(meter.wallet_lots, meter.wallet_lots) IS 'Combine function of the aggregate wallet.';

CREATE FUNCTION meter.wallet_final(meter.wallet_lots) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_final' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_final(meter.wallet_lots) IS 'Final function of the aggregate wallet.';

CREATE AGGREGATE meter.wallet(id text, amount numeric, pool text, priority integer, effective_at timestamptz, expires_at timestamptz, created_at timestamptz, rollover_max numeric, rollover_until timestamptz) (
	SFUNC = meter.wallet_accum,
	STYPE = meter.wallet_lots,
	SSPACE = 1024,
	FINALFUNC = meter.wallet_final,
	COMBINEFUNC = meter.wallet_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.wallet(text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz) IS
'The wallet of a groups rows, a lot each; without rows one without lots. id: any text, each once in a wallet. amount: the credits granted, from 0 up. pool: NULL for a lot that any consumption may take. priority: the lowest is taken first; NULL is 0. effective_at: NULL for one that has always been there. expires_at: NULL for never; a void lot expires at the instant at which it was voided. created_at: decides between lots that expire together; NULL is effective_at. rollover_max, rollover_until: how much of what is left at expires_at stays, and until when; both or neither, and where rollover_until is not after expires_at nothing stays. A row without an id or an amount, a negative number, two lots with one id and a rollover of a lot that never expires are errors that name the lot.';

CREATE AGGREGATE meter.wallet(id text, amount numeric, pool text, priority integer, effective_at timestamptz, expires_at timestamptz, created_at timestamptz, rollover_max numeric, rollover_until timestamptz, paid numeric) (
	SFUNC = meter.wallet_accum,
	STYPE = meter.wallet_lots,
	SSPACE = 1024,
	FINALFUNC = meter.wallet_final,
	COMBINEFUNC = meter.wallet_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.wallet(text, numeric, text, integer, timestamptz, timestamptz, timestamptz, numeric, timestamptz, numeric) IS
'The wallet of a groups rows, a lot each; without rows one without lots. id: any text, each once in a wallet. amount: the credits granted, from 0 up. pool: NULL for a lot that any consumption may take. priority: the lowest is taken first; NULL is 0. effective_at: NULL for one that has always been there. expires_at: NULL for never; a void lot expires at the instant at which it was voided. created_at: decides between lots that expire together; NULL is effective_at. rollover_max, rollover_until: how much of what is left at expires_at stays, and until when; both or neither, and where rollover_until is not after expires_at nothing stays. paid: what was paid for the lot, in money, which meter.lots divides into recognised and deferred; NULL is 0. A row without an id or an amount, a negative number, two lots with one id and a rollover of a lot that never expires are errors that name the lot.';

-- One wallet from another

CREATE FUNCTION meter.with_cuts(wallet meter.wallet, cuts timestamptz[]) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_with_cuts' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.with_cuts(meter.wallet, timestamptz[]) IS
'The wallet with further bounds, so that meter.spans says what was consumed and covered between them: the starts of billing periods, for example. Infinite ones cut nothing, and a cut that is there already changes nothing. A cut of a span of which consumption is known, at or before the last instant burned, is an error: cut first, then burn.';

CREATE FUNCTION meter.add_lots(wallet meter.wallet, more meter.wallet) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_add_lots' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.add_lots(meter.wallet, meter.wallet) IS
'The wallet with the lots and cuts of another one, from which nothing may have been burned. It is the same as if the lots had been there from the start. So a lot that begins, ends or rolls over inside a span of which consumption is known, at or before the last instant burned, is an error, and so is a lot of a pool that no lot had, once anything was consumed without a pool or of one that no lot has: burn the events anew.';

CREATE FUNCTION meter.absorbing(wallet meter.wallet) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_absorbing' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.absorbing(meter.wallet) IS
'The wallet, of which later lots cover earlier overage: what is overage at the end of a span is taken from the lots of the next one, before what is consumed there. Overage of a pool stays the pools; where several pools compete for lots without one, consumption without a pool is covered first, then the pools in the order of their names.';

-- burn

CREATE TYPE meter.burn_state;

CREATE FUNCTION meter.burn_state_in(cstring) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_state_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_state_in(cstring) IS 'Text input of meter.burn_state.';

CREATE FUNCTION meter.burn_state_out(meter.burn_state) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_burn_state_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_state_out(meter.burn_state) IS 'Text output of meter.burn_state.';

CREATE FUNCTION meter.burn_state_recv(internal) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_state_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_state_recv(internal) IS 'Binary input of meter.burn_state, as strict as the text input.';

CREATE FUNCTION meter.burn_state_send(meter.burn_state) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_burn_state_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_state_send(meter.burn_state) IS 'Binary output of meter.burn_state: a version byte, then field by field.';

CREATE TYPE meter.burn_state (
	INPUT = meter.burn_state_in,
	OUTPUT = meter.burn_state_out,
	RECEIVE = meter.burn_state_recv,
	SEND = meter.burn_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.burn_state IS 'The state of the aggregate burn: the groups wallet, the sums that were added to it, and behind them what had been burned before. Its text form is its binary form in hexadecimal digits.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, numeric) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, numeric) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, bigint) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, bigint) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, integer) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, integer) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, numeric, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum_pool' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, numeric, text) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, bigint, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum_pool_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, bigint, text) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, integer, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_accum_pool_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet, timestamptz, integer, text) IS 'Transition function of burn.';

CREATE FUNCTION meter.burn_combine(meter.burn_state, meter.burn_state) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_combine' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_combine(meter.burn_state, meter.burn_state) IS 'Combine function of burn.';

CREATE FUNCTION meter.burn_final(meter.burn_state) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_burn_final' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_final(meter.burn_state) IS 'Final function of burn: the wallet with all that was burned.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits numeric) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, numeric) IS
'The wallet after what the rows consumed: credits at an instant. Rows come in any order, from any number of workers, and the result is the same; from a wallet that was burned before, burning goes on as if all had been burned at once, late events included. credits may be negative, which gives back what was consumed in the same span; what cannot be given back is unapplied. A group has one wallet, that of its first row, and those of further rows are not looked at: group by what has a wallet. A row without at or credits burns nothing, so that a LEFT JOIN to the events returns the wallet as it is; a row without a wallet is left out, and without any the result is NULL (take coalesce(wallet, {}) where all is to be overage). An infinite at, and a sum that does not fit, are errors.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits bigint) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, bigint) IS
'burn of whole credits.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits integer) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, integer) IS
'burn of whole credits.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits numeric, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, numeric, text) IS
'The wallet after what the rows consumed: credits at an instant, of a pool, or of none where pool is NULL (as where it is one that no lot has). Rows come in any order, from any number of workers, and the result is the same; from a wallet that was burned before, burning goes on as if all had been burned at once, late events included. credits may be negative, which gives back what was consumed in the same span and pool; what cannot be given back is unapplied. A group has one wallet, that of its first row, and those of further rows are not looked at: group by what has a wallet. A row without at or credits burns nothing, so that a LEFT JOIN to the events returns the wallet as it is; a row without a wallet is left out, and without any the result is NULL (take coalesce(wallet, {}) where all is to be overage). An infinite at, and a sum that does not fit, are errors.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits bigint, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, bigint, text) IS
'burn of whole credits, of a pool.';

CREATE AGGREGATE meter.burn(wallet meter.wallet, at timestamptz, credits integer, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet, timestamptz, integer, text) IS
'burn of whole credits, of a pool.';

CREATE FUNCTION meter.spend(wallet meter.wallet, at timestamptz, credits numeric) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_spend' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.spend(meter.wallet, timestamptz, numeric) IS
'The wallet after one more consumption, as meter.burn of a single row. Unlike there, an instant before the last one burned is an error. NULL for a NULL wallet, at or credits.';

CREATE FUNCTION meter.spend(wallet meter.wallet, at timestamptz, credits numeric, pool text) RETURNS meter.wallet
AS 'MODULE_PATHNAME', 'meter_wallet_spend_pool' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.spend(meter.wallet, timestamptz, numeric, text) IS
'The wallet after one more consumption of a pool, NULL for none, as meter.burn of a single row. Unlike there, an instant before the last one burned is an error. NULL for a NULL wallet, at or credits.';

-- The same by a book: the wallets of many customers as one value, so that no row pays for a join.

CREATE TYPE meter.wallet_book;

CREATE FUNCTION meter.wallet_book_in(cstring) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_in' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_in(cstring) IS 'Text input of meter.wallet_book.';

CREATE FUNCTION meter.wallet_book_out(meter.wallet_book) RETURNS cstring
AS 'MODULE_PATHNAME', 'meter_wallet_book_out' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_out(meter.wallet_book) IS 'Text output of meter.wallet_book.';

CREATE FUNCTION meter.wallet_book_recv(internal) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_recv' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_recv(internal) IS 'Binary input of meter.wallet_book, as strict as the text input.';

CREATE FUNCTION meter.wallet_book_send(meter.wallet_book) RETURNS bytea
AS 'MODULE_PATHNAME', 'meter_wallet_book_send' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_send(meter.wallet_book) IS 'Binary output of meter.wallet_book: a version byte, then field by field.';

CREATE TYPE meter.wallet_book (
	INPUT = meter.wallet_book_in,
	OUTPUT = meter.wallet_book_out,
	RECEIVE = meter.wallet_book_recv,
	SEND = meter.wallet_book_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE meter.wallet_book IS 'The wallets of many customers, by the customer: what meter.burn takes them from without a join. As text it is a JSON object with a wallet for each customer.';

CREATE FUNCTION meter.wallet_book_accum(meter.wallet_book, text, meter.wallet) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_accum(meter.wallet_book, text, meter.wallet) IS 'Transition function of the aggregate wallet_book.';

CREATE FUNCTION meter.wallet_book_accum(meter.wallet_book, bigint, meter.wallet) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_accum_id' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_accum(meter.wallet_book, bigint, meter.wallet) IS 'Transition function of the aggregate wallet_book.';

CREATE FUNCTION meter.wallet_book_combine(meter.wallet_book, meter.wallet_book) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_combine' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_combine(meter.wallet_book, meter.wallet_book) IS 'Combine function of the aggregate wallet_book.';

CREATE FUNCTION meter.wallet_book_final(meter.wallet_book) RETURNS meter.wallet_book
AS 'MODULE_PATHNAME', 'meter_wallet_book_final' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.wallet_book_final(meter.wallet_book) IS
'Final function of the aggregate wallet_book: sorted, with a table by which customers are found.';

CREATE AGGREGATE meter.wallet_book(customer text, wallet meter.wallet) (
	SFUNC = meter.wallet_book_accum,
	STYPE = meter.wallet_book,
	SSPACE = 8192,
	FINALFUNC = meter.wallet_book_final,
	COMBINEFUNC = meter.wallet_book_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.wallet_book(text, meter.wallet) IS
'The wallets of many customers as one value, for meter.burn: take it as (SELECT meter.wallet_book(customer, wallet) FROM ...), which is evaluated once. Rows without a customer or a wallet are left out; without rows the book has no customers. A customer that is there twice is an error.';

CREATE AGGREGATE meter.wallet_book(customer bigint, wallet meter.wallet) (
	SFUNC = meter.wallet_book_accum,
	STYPE = meter.wallet_book,
	SSPACE = 8192,
	FINALFUNC = meter.wallet_book_final,
	COMBINEFUNC = meter.wallet_book_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.wallet_book(bigint, meter.wallet) IS
'The wallets of many customers as one value, for meter.burn: take it as (SELECT meter.wallet_book(customer, wallet) FROM ...), which is evaluated once. Rows without a customer or a wallet are left out; without rows the book has no customers. A customer that is there twice is an error.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, numeric) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, numeric) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits numeric) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, numeric) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, bigint) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, bigint) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits bigint) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, bigint) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, integer) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, integer) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits integer) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, integer) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, numeric) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, numeric) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits numeric) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, numeric) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, bigint) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, bigint) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits bigint) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, bigint) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, integer) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, integer) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits integer) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, integer) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, numeric, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_pool' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, numeric, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits numeric, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, numeric, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, bigint, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_pool_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, bigint, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits bigint, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, bigint, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, integer, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_pool_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, text, timestamptz, integer, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer text, at timestamptz, credits integer, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, text, timestamptz, integer, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, numeric, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id_pool' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, numeric, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits numeric, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, numeric, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, bigint, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id_pool_int8' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, bigint, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits bigint, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, bigint, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

CREATE FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, integer, text) RETURNS meter.burn_state
AS 'MODULE_PATHNAME', 'meter_burn_book_accum_id_pool_int4' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.burn_accum(meter.burn_state, meter.wallet_book, bigint, timestamptz, integer, text) IS 'Transition function of burn with a book.';

CREATE AGGREGATE meter.burn(book meter.wallet_book, customer bigint, at timestamptz, credits integer, pool text) (
	SFUNC = meter.burn_accum,
	STYPE = meter.burn_state,
	SSPACE = 768,
	FINALFUNC = meter.burn_final,
	COMBINEFUNC = meter.burn_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE meter.burn(meter.wallet_book, bigint, timestamptz, integer, text) IS
'The wallet of a customer after what its rows consumed, grouped by the customer, whose wallet is in a book. It is meter.burn of that wallet; a customer that is not in the book has one without lots, so all is overage. The book is looked at once a group. Two customers in a group are an error; rows without a book or a customer are left out.';

-- coverage

CREATE TYPE meter.covered AS (
	covered numeric,
	overage numeric,
	balance numeric
);
COMMENT ON TYPE meter.covered IS 'What lots covered of an event: a result of meter.coverage.';
COMMENT ON COLUMN meter.covered.covered IS 'The credits that lots covered; negative where the event gives back.';
COMMENT ON COLUMN meter.covered.overage IS 'The credits that no lot covered; negative where the event takes overage back.';
COMMENT ON COLUMN meter.covered.balance IS 'What is left of all lots after the event.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits numeric) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, numeric) IS
'Window function: what lots cover of each event, and what is left after it. It is the difference of what the wallet says with the event and before it, so the figures of a partition add up to those of meter.burn: covered + overage is credits, but for what a negative event cannot give back. Order by the instant and something unique, such as (at, id); rows are taken in the windows order, without regard to peers or frames, and an instant before that of the row before is an error. The wallet is that of the partitions first row, and one that was burned before goes on from there, so no event may be earlier than the last one burned. An absorbing wallet is an error: a later lot would change what is covered of an event. NULL for a row whose at or credits is NULL, and before a row with a wallet.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits bigint) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, bigint) IS 'coverage of whole credits.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits integer) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, integer) IS 'coverage of whole credits.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits numeric, pool text) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage_pool' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, numeric, text) IS
'Window function: what lots cover of each event, and what is left after it. It is the difference of what the wallet says with the event and before it, so the figures of a partition add up to those of meter.burn: covered + overage is credits, but for what a negative event cannot give back. Order by the instant and something unique, such as (at, id); rows are taken in the windows order, without regard to peers or frames, and an instant before that of the row before is an error. The wallet is that of the partitions first row, and one that was burned before goes on from there, so no event may be earlier than the last one burned. An absorbing wallet is an error: a later lot would change what is covered of an event. NULL for a row whose at or credits is NULL, and before a row with a wallet. pool: NULL for none.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits bigint, pool text) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage_pool_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, bigint, text) IS 'coverage of whole credits, of a pool.';

CREATE FUNCTION meter.coverage(wallet meter.wallet, at timestamptz, credits integer, pool text) RETURNS meter.covered
AS 'MODULE_PATHNAME', 'meter_coverage_pool_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.coverage(meter.wallet, timestamptz, integer, text) IS 'coverage of whole credits, of a pool.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits numeric) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, numeric) IS
'Window function: what lots cover of each event, negative where it gives back: the covered of meter.coverage, which see for the rules, alone, and at half the cost. What they do not cover is credits less that, but for what a negative event cannot give back.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits bigint) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, bigint) IS 'covered of whole credits.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits integer) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, integer) IS 'covered of whole credits.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits numeric, pool text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered_pool' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, numeric, text) IS 'covered of credits, of a pool.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits bigint, pool text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered_pool_int8' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, bigint, text) IS 'covered of whole credits, of a pool.';

CREATE FUNCTION meter.covered(wallet meter.wallet, at timestamptz, credits integer, pool text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_covered_pool_int4' LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION meter.covered(meter.wallet, timestamptz, integer, text) IS 'covered of whole credits, of a pool.';

-- What a wallet says

CREATE FUNCTION meter.lots(wallet meter.wallet) RETURNS TABLE (
	id text,
	pool text,
	priority integer,
	effective_at timestamptz,
	expires_at timestamptz,
	granted numeric,
	spent numeric,
	expired numeric,
	rolled_over numeric,
	remaining numeric,
	paid numeric,
	recognised numeric,
	deferred numeric
)
AS 'MODULE_PATHNAME', 'meter_wallet_lots' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 3;
COMMENT ON FUNCTION meter.lots(meter.wallet) IS
'A row for each lot, after everything that can expire has, in the order of priority and expiry. granted is spent + expired + remaining, and 0 for a lot that is not effective yet; rolled_over is what was kept at expires_at, once that has come. Of what was paid, recognised is paid * (spent + expired) / amount, settled to 12 digits at each instant, so that differences over time add up to what was paid; deferred is the rest of it. pool is NULL for none, effective_at for a lot that was always there, expires_at for one that never expires.';

CREATE FUNCTION meter.lots(wallet meter.wallet, at timestamptz) RETURNS TABLE (
	id text,
	pool text,
	priority integer,
	effective_at timestamptz,
	expires_at timestamptz,
	granted numeric,
	spent numeric,
	expired numeric,
	rolled_over numeric,
	remaining numeric,
	paid numeric,
	recognised numeric,
	deferred numeric
)
AS 'MODULE_PATHNAME', 'meter_wallet_lots_at' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 3;
COMMENT ON FUNCTION meter.lots(meter.wallet, timestamptz) IS
'A row for each lot as of an instant, in the order of priority and expiry. granted is spent + expired + remaining, and 0 for a lot that is not effective yet; rolled_over is what was kept at expires_at, once that has come. Of what was paid, recognised is paid * (spent + expired) / amount, settled to 12 digits at each instant, so that differences over time add up to what was paid; deferred is the rest of it. pool is NULL for none, effective_at for a lot that was always there, expires_at for one that never expires. An instant before the last one burned is an error.';

CREATE FUNCTION meter.spans(wallet meter.wallet) RETURNS TABLE (
	starts timestamptz,
	ends timestamptz,
	pool text,
	consumed numeric,
	covered numeric,
	overage numeric,
	unapplied numeric
)
AS 'MODULE_PATHNAME', 'meter_wallet_spans' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 10;
COMMENT ON FUNCTION meter.spans(meter.wallet) IS
'A row for each span and pool in which anything was consumed, in order: from starts, inclusive, to ends, exclusive, NULL where there is no bound before or behind. consumed = covered + overage - unapplied. pool is what the consumption named, NULL for none and for a pool that no lot has. Where several pools compete for lots without one, consumption without a pool is covered first, then the pools in the order of their names. Of an absorbing wallet, covered includes earlier overage, and overage is negative by as much. Cut the wallet with meter.with_cuts, before burning, where figures of periods are wanted.';

CREATE FUNCTION meter.burns(wallet meter.wallet) RETURNS TABLE (
	lot text,
	starts timestamptz,
	ends timestamptz,
	amount numeric,
	kind text
)
AS 'MODULE_PATHNAME', 'meter_wallet_burns' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 10;
COMMENT ON FUNCTION meter.burns(meter.wallet) IS
'What happened to each lot, in the order of time. kind "granted" and "expired" at an instant (starts = ends), "rolled_over" for what was kept when the rest expired, "spent" for what was taken from it in a span. For each lot, granted = spent + expired + what is left; rolled_over is no part of that sum. Everything is there, what will be granted or will expire after the last event too: WHERE starts <= at leaves that out. starts and ends are NULL at the ends of time, amounts are above zero.';

CREATE FUNCTION meter.balance(wallet meter.wallet, at timestamptz) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_balance' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.balance(meter.wallet, timestamptz) IS
'What is left of all lots that can be taken at an instant. An instant before the last one burned is an error.';

CREATE FUNCTION meter.balance(wallet meter.wallet, at timestamptz, pool text) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_balance_pool' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.balance(meter.wallet, timestamptz, text) IS
'What consumption of a pool could take at an instant: what is left of the pools own lots and of those without a pool; of these alone where pool is NULL or one that no lot has. An instant before the last one burned is an error.';

CREATE FUNCTION meter.overage(wallet meter.wallet) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_overage' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.overage(meter.wallet) IS
'What no lot covered of all that was consumed; of an absorbing wallet what no lot, to the last one, will cover.';

CREATE FUNCTION meter.overage_at(wallet meter.wallet, at timestamptz) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_overage_at' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.overage_at(meter.wallet, timestamptz) IS
'What no lot has covered at an instant of all that was consumed; it can only become less, and only of an absorbing wallet. An instant before the last one burned is an error.';

CREATE FUNCTION meter.unapplied(wallet meter.wallet) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_unapplied' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.unapplied(meter.wallet) IS
'What negative credits could not give back, because less had been consumed in their span and pool. consumed = covered + overage - unapplied, where covered is what was spent of all lots.';

CREATE FUNCTION meter.consumed(wallet meter.wallet) RETURNS numeric
AS 'MODULE_PATHNAME', 'meter_wallet_consumed' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.consumed(meter.wallet) IS 'The sum of all credits that were burned.';

CREATE FUNCTION meter.through(wallet meter.wallet) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'meter_wallet_through' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION meter.through(meter.wallet) IS 'The last instant at which anything was burned; NULL where nothing was.';

CREATE FUNCTION meter.next_expiry(wallet meter.wallet, at timestamptz, OUT expires_at timestamptz, OUT amount numeric) RETURNS record
AS 'MODULE_PATHNAME', 'meter_wallet_next_expiry' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION meter.next_expiry(meter.wallet, timestamptz) IS
'When the next of what is left at an instant will expire, and how much of it, if nothing more is consumed. What is kept by a rollover is not lost at expires_at but at rollover_until. Both NULL if nothing will. An instant before the last one burned is an error.';
