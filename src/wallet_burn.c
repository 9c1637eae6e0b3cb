/*
 * wallet_burn.c: consumption that is taken from a wallet: the aggregate burn, and spend.
 *
 * The state of burn is the group's wallet with sums of its own, so a row finds its span
 * among a few bounds and adds to one sum: no sort, any order, any number of workers,
 * and no look at the wallet after the first row. What the wallet had been burned before
 * is kept behind, and added at the end once, however many states are combined.
 */
#include "wallet.h"

#include "customer.h"
#include "unpack.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define BURN_STATE_VERSION 1

static Wallet *state_create(const Wallet *w);
static Wallet *state_copy(FunctionCallInfo fcinfo);
static Wallet *state_read(StringInfo buffer);
static void state_write(StringInfo buffer, const Wallet *state);

/*
 * Returns the state that a transition function's first argument is, to be changed in
 * place: a copy outside an aggregate, where the argument is a value of the caller's.
 */
static inline Wallet *
state_begin(FunctionCallInfo fcinfo)
{
	struct varlena *state = (struct varlena *) PG_GETARG_POINTER(0);

	if (likely(fcinfo->context != NULL &&
			   (IsA(fcinfo->context, AggState) || IsA(fcinfo->context, WindowAggState)) &&
			   !VARATT_IS_EXTENDED(state)))
		return (Wallet *) state;
	return state_copy(fcinfo);
}

static Wallet *
state_copy(FunctionCallInfo fcinfo)
{
	return (Wallet *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
}

static inline Dec
credits_of(Datum value, Oid type)
{
	if (type == INT4OID)
		return dec_from_int64(DatumGetInt32(value));
	if (type == INT8OID)
		return dec_from_int64(DatumGetInt64(value));
	return dec_from_numeric(value, "credits");
}

/* Adds credits to the sum of a span and pool. */
static inline void
burn(Wallet *w, TimestampTz at, Dec credits, int pool)
{
	if (unlikely(TIMESTAMP_NOT_FINITE(at)))
		wallet_check_burn_at(at);
	wallet_sum_add(&wallet_sums(w)[wallet_span(w, at) * (w->npools + 1) + pool], credits);
	if (at > w->through)
		w->through = at;
}

/* The pool that an argument names. */
static inline int
pool_of(const Wallet *w, FunctionCallInfo fcinfo, int argument)
{
	struct varlena *name;

	if (w->npools == 0 || PG_ARGISNULL(argument))
		return 0;
	name = detoast_packed(PG_GETARG_DATUM(argument));
	return wallet_pool_find(w, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

/*
 * Burns a row's credits (state, wallet, at, credits [, pool]). A row without an instant
 * or credits burns nothing, but brings its wallet; a row without a wallet is left out.
 */
static pg_attribute_always_inline Datum
accumulate(FunctionCallInfo fcinfo, Oid credits_type, bool has_pool)
{
	Wallet *state;

	if (likely(!PG_ARGISNULL(0)))
	{
		if (unlikely(PG_ARGISNULL(1)))
			PG_RETURN_DATUM(PG_GETARG_DATUM(0));
		state = state_begin(fcinfo);
	}
	else if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	else
		state = state_create(PG_GETARG_WALLET_P(1));
	if (likely(!PG_ARGISNULL(2) && !PG_ARGISNULL(3)))
		burn(state, PG_GETARG_TIMESTAMPTZ(2), credits_of(PG_GETARG_DATUM(3), credits_type),
			 has_pool ? pool_of(state, fcinfo, 4) : 0);
	PG_RETURN_POINTER(state);
}

#define BURN(name, credits_type, has_pool)                 \
	PG_FUNCTION_INFO_V1(name);                             \
	Datum name(PG_FUNCTION_ARGS)                           \
	{                                                      \
		return accumulate(fcinfo, credits_type, has_pool); \
	}

BURN(meter_burn_accum, NUMERICOID, false)
BURN(meter_burn_accum_int8, INT8OID, false)
BURN(meter_burn_accum_int4, INT4OID, false)
BURN(meter_burn_accum_pool, NUMERICOID, true)
BURN(meter_burn_accum_pool_int8, INT8OID, true)
BURN(meter_burn_accum_pool_int4, INT4OID, true)

static void
refuse_other_customer(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("burn has more than one customer in a group"),
					errdetail("A group has the wallet that the book has for its customer."),
					errhint("Group by the customer.")));
}

/* Returns the state of a group's first row; a customer that is not in the book has no lots. */
static Wallet *
state_by_book(FunctionCallInfo fcinfo, Oid customer_type)
{
	const struct WalletBook *book = (const struct WalletBook *) value_fetch(
		PG_GETARG_DATUM(1), (UnpackCache **) &fcinfo->flinfo->fn_extra, fcinfo->flinfo->fn_mcxt);
	char digits[MAXINT8LEN + 1];
	const Wallet *w;

	if (customer_type == INT8OID)
		w = wallet_book_find(book, digits, pg_lltoa(PG_GETARG_INT64(2), digits));
	else
	{
		struct varlena *name = detoast_packed(PG_GETARG_DATUM(2));

		w = wallet_book_find(book, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	}
	if (w == NULL)
	{
		WalletDraft draft = {0};

		w = wallet_build(&draft, NULL);
	}
	return state_create(w);
}

/*
 * The same by a book (state, book, customer, at, credits [, pool]), which is looked at
 * for a group's first row only.
 */
static pg_attribute_always_inline Datum
accumulate_by_book(FunctionCallInfo fcinfo, Oid customer_type, Oid credits_type, bool has_pool)
{
	Wallet *state;
	uint64 customer;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (customer_type == INT8OID)
		customer = customer_word_of_id(PG_GETARG_INT64(2));
	else
	{
		struct varlena *name = detoast_packed(PG_GETARG_DATUM(2));

		customer = customer_word(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	}
	if (likely(!PG_ARGISNULL(0)))
	{
		state = state_begin(fcinfo);
		if (unlikely(state->customer != customer))
			refuse_other_customer();
	}
	else
	{
		state = state_by_book(fcinfo, customer_type);
		state->customer = customer;
	}
	if (likely(!PG_ARGISNULL(3) && !PG_ARGISNULL(4)))
		burn(state, PG_GETARG_TIMESTAMPTZ(3), credits_of(PG_GETARG_DATUM(4), credits_type),
			 has_pool ? pool_of(state, fcinfo, 5) : 0);
	PG_RETURN_POINTER(state);
}

#define BURN_BY_BOOK(name, customer_type, credits_type, has_pool)                 \
	PG_FUNCTION_INFO_V1(name);                                                    \
	Datum name(PG_FUNCTION_ARGS)                                                  \
	{                                                                             \
		return accumulate_by_book(fcinfo, customer_type, credits_type, has_pool); \
	}

BURN_BY_BOOK(meter_burn_book_accum, TEXTOID, NUMERICOID, false)
BURN_BY_BOOK(meter_burn_book_accum_int8, TEXTOID, INT8OID, false)
BURN_BY_BOOK(meter_burn_book_accum_int4, TEXTOID, INT4OID, false)
BURN_BY_BOOK(meter_burn_book_accum_pool, TEXTOID, NUMERICOID, true)
BURN_BY_BOOK(meter_burn_book_accum_pool_int8, TEXTOID, INT8OID, true)
BURN_BY_BOOK(meter_burn_book_accum_pool_int4, TEXTOID, INT4OID, true)
BURN_BY_BOOK(meter_burn_book_accum_id, INT8OID, NUMERICOID, false)
BURN_BY_BOOK(meter_burn_book_accum_id_int8, INT8OID, INT8OID, false)
BURN_BY_BOOK(meter_burn_book_accum_id_int4, INT8OID, INT4OID, false)
BURN_BY_BOOK(meter_burn_book_accum_id_pool, INT8OID, NUMERICOID, true)
BURN_BY_BOOK(meter_burn_book_accum_id_pool_int8, INT8OID, INT8OID, true)
BURN_BY_BOOK(meter_burn_book_accum_id_pool_int4, INT8OID, INT4OID, true)

/* Returns the state that a wallet begins: nothing burned, and behind it what was. */
static Wallet *
state_create(const Wallet *w)
{
	int nsums = wallet_nsums(w);
	Size before = (const char *) wallet_base(w) - (const char *) w;
	Size names = VARSIZE(w) - before;
	Size base = TIMESTAMP_IS_NOBEGIN(w->through) ? 0 : (nsums + 1) * sizeof(DecHalves);
	Wallet *state = palloc(before + base + names);

	memcpy(state, w, before);
	memcpy((char *) state + before + base, (const char *) w + before, names);
	SET_VARSIZE(state, before + base + names);
	if (base != 0)
	{
		state->flags |= WALLET_HAS_BASE;
		memcpy(wallet_base(state), wallet_sums(w), nsums * sizeof(DecHalves));
		wallet_base(state)[nsums] = (DecHalves){.high = w->through};
		state->through = DT_NOBEGIN;
		for (int i = 0; i < nsums; i++)
			dec_store(&wallet_sums(state)[i], WALLET_UNHEARD);
	}
	return state;
}

/* Adds what another wallet's sums have heard. */
static void
add_sums(DecHalves *sums, const DecHalves *more, int n)
{
	for (int i = 0; i < n; i++)
		if (wallet_heard(&more[i]))
			wallet_sum_add(&sums[i], dec_load(&more[i]));
}

/* Adds a state's sums to another's, which began with the same wallet. */
PG_FUNCTION_INFO_V1(meter_burn_combine);
Datum
meter_burn_combine(PG_FUNCTION_ARGS)
{
	Wallet *state;
	const Wallet *other;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
			PG_RETURN_NULL();
		/* one that was stored is unpacked here, once */
		PG_RETURN_POINTER(PG_DETOAST_DATUM(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0)));
	}
	state = state_begin(fcinfo);
	other = PG_GETARG_WALLET_P(1);
	if (state->customer != other->customer || !wallet_same_lots(state, other))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("burn has more than one wallet in a group"),
						errhint("Group by what has a wallet, such as the customer and the credit "
								"type.")));
	add_sums(wallet_sums(state), wallet_sums(other), wallet_nsums(state));
	state->through = Max(state->through, other->through);
	PG_RETURN_POINTER(state);
}

/* Returns the wallet of a state. */
PG_FUNCTION_INFO_V1(meter_burn_final);
Datum
meter_burn_final(PG_FUNCTION_ARGS)
{
	const Wallet *state = PG_GETARG_WALLET_P(0);
	int nsums = wallet_nsums(state);
	Size before = (const char *) wallet_base(state) - (const char *) state;
	Size base = wallet_names(state) - (const char *) wallet_base(state);
	Size names = VARSIZE(state) - before - base;
	Wallet *w = palloc(before + names);

	memcpy(w, state, before);
	memcpy((char *) w + before, wallet_names(state), names);
	SET_VARSIZE(w, before + names);
	w->flags &= ~WALLET_HAS_BASE;
	w->customer = 0;
	if (base != 0)
	{
		const DecHalves *sums = wallet_base(state);

		add_sums(wallet_sums(w), sums, nsums);
		w->through = Max(w->through, sums[nsums].high);
	}
	PG_RETURN_POINTER(w);
}

/* Returns a wallet after one more consumption, no earlier than those before. */
static Datum
spend(FunctionCallInfo fcinfo, bool has_pool)
{
	Wallet *w;
	TimestampTz at;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	w = (Wallet *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	at = PG_GETARG_TIMESTAMPTZ(1);
	wallet_check_at(w, at);
	burn(w, at, dec_from_numeric(PG_GETARG_DATUM(2), "credits"),
		 has_pool ? pool_of(w, fcinfo, 3) : 0);
	PG_RETURN_POINTER(w);
}

PG_FUNCTION_INFO_V1(meter_wallet_spend);
Datum
meter_wallet_spend(PG_FUNCTION_ARGS)
{
	return spend(fcinfo, false);
}

PG_FUNCTION_INFO_V1(meter_wallet_spend_pool);
Datum
meter_wallet_spend_pool(PG_FUNCTION_ARGS)
{
	return spend(fcinfo, true);
}

/* Writes a state: the wallet with its own sums, then what had been burned before. */
static void
state_write(StringInfo buffer, const Wallet *state)
{
	int nsums = wallet_nsums(state);
	int heard = 0;

	pq_sendbyte(buffer, BURN_STATE_VERSION);
	pq_sendint64(buffer, state->customer);
	wallet_write(buffer, state);
	pq_sendbyte(buffer, state->flags & WALLET_HAS_BASE ? 1 : 0);
	if (!(state->flags & WALLET_HAS_BASE))
		return;
	for (int i = 0; i < nsums; i++)
		heard += wallet_heard(&wallet_base(state)[i]);
	pq_sendint64(buffer, wallet_base(state)[nsums].high);
	pq_sendint32(buffer, heard);
	for (int i = 0; i < nsums; i++)
		if (wallet_heard(&wallet_base(state)[i]))
		{
			pq_sendint32(buffer, i);
			dec_send(buffer, dec_load(&wallet_base(state)[i]));
		}
}

/* Reads what state_write wrote. */
static Wallet *
state_read(StringInfo buffer)
{
	Wallet *w;
	Wallet *state;
	uint64 customer;
	TimestampTz through;
	DecHalves *own;
	int has_base;
	int heard;
	int nsums;

	wire_need(buffer, 9);
	if (pq_getmsgbyte(buffer) != BURN_STATE_VERSION)
		wire_refuse("meter.burn_state", "The version of the format is not known.");
	customer = (uint64) pq_getmsgint64(buffer);
	w = wallet_read(buffer);
	w->customer = customer;
	wire_need(buffer, 1);
	has_base = pq_getmsgbyte(buffer);
	if (has_base == 0)
		return w;
	if (has_base != 1)
		wire_refuse("meter.burn_state", "A code is not known.");

	/* the sums change places: the base is put where a wallet has it, and checked as a wallet's */
	nsums = wallet_nsums(w);
	through = w->through;
	own = palloc(nsums * sizeof(DecHalves));
	memcpy(own, wallet_sums(w), nsums * sizeof(DecHalves));
	for (int i = 0; i < nsums; i++)
		dec_store(&wallet_sums(w)[i], WALLET_UNHEARD);
	wire_need(buffer, 12);
	w->through = pq_getmsgint64(buffer);
	heard = (int32) pq_getmsgint(buffer, 4);
	if (heard < 1 || heard > nsums)
		wire_refuse("meter.burn_state", "The number of sums is out of range.");
	for (int i = 0; i < heard; i++)
	{
		int at;

		wire_need(buffer, 4);
		at = (int32) pq_getmsgint(buffer, 4);
		if (at < 0 || at >= nsums || wallet_heard(&wallet_sums(w)[at]))
			wire_refuse("meter.burn_state", "A sum is of a span or pool that is not there.");
		dec_store(&wallet_sums(w)[at], dec_recv(buffer));
	}
	(void) wallet_check_through(w, NULL);
	state = state_create(w);
	memcpy(wallet_sums(state), own, nsums * sizeof(DecHalves));
	state->through = through;
	return state;
}

PG_FUNCTION_INFO_V1(meter_burn_state_send);
Datum
meter_burn_state_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	state_write(&buffer, PG_GETARG_WALLET_P(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_burn_state_recv);
Datum
meter_burn_state_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(state_read((StringInfo) PG_GETARG_POINTER(0)));
}

/* The text form is the binary form in hexadecimal digits. */
PG_FUNCTION_INFO_V1(meter_burn_state_out);
Datum
meter_burn_state_out(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	state_write(&buffer, PG_GETARG_WALLET_P(0));
	PG_RETURN_CSTRING(wire_to_hex(&buffer));
}

PG_FUNCTION_INFO_V1(meter_burn_state_in);
Datum
meter_burn_state_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	Wallet *state;

	wire_from_hex(PG_GETARG_CSTRING(0), &buffer);
	state = state_read(&buffer);
	if (buffer.cursor != buffer.len)
		wire_refuse("meter.burn_state", "There are bytes behind its end.");
	PG_RETURN_POINTER(state);
}
