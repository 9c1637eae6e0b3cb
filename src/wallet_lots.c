/*
 * wallet_lots.c: what a wallet says: of its lots, its spans, its balance.
 *
 * Each of these walks the wallet's spans up to an instant. What was paid for a lot is
 * recognised as the lot is spent or expires: paid * (spent + expired) / granted,
 * settled at each instant, so that differences over time add up to what was paid.
 */
#include "wallet.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define LOT_COLUMNS 13
#define SPAN_COLUMNS 7
#define BURN_COLUMNS 5

static void put_change(WalletWalk *walk, int lot, LotChangeKind kind, Dec lost, Dec kept);

static Datum
wallet_name(const Wallet *w, int name, int length)
{
	return PointerGetDatum(cstring_to_text_with_len(wallet_names(w) + name, length));
}

/* Sets the name of a pool, or NULL for none. */
static void
put_pool(const Wallet *w, int pool, Datum *value, bool *isnull)
{
	*isnull = pool == 0;
	if (pool > 0)
		*value = wallet_name(w, wallet_pools(w)[pool - 1].name, wallet_pools(w)[pool - 1].length);
}

/* Sets an instant, or NULL for an end of time. */
static void
put_instant(TimestampTz at, Datum *value, bool *isnull)
{
	*isnull = TIMESTAMP_NOT_FINITE(at);
	*value = TimestampTzGetDatum(at);
}

/* Returns a row a lot, as of an instant that is not before the last one burned. */
static Datum
put_lots(FunctionCallInfo fcinfo, TimestampTz at)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WalletWalk walk;

	wallet_check_at(w, at);
	/* the expected columns: to work them out anew leaves memory behind with every call */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	wallet_walk_init(&walk, w);
	wallet_walk_until(&walk, at);
	for (int i = 0; i < w->nlots; i++)
	{
		const WalletLot *lot = &wallet_lots(w)[i];
		const LotState *state = &walk.lots[i];
		Dec amount = dec_load(&lot->amount);
		Dec paid = dec_load(&lot->paid);
		Dec used = state->spent + state->expired;
		Dec recognised = paid == 0 || used == 0 ? 0 : dec_mul_div(paid, used, amount);
		Datum values[LOT_COLUMNS];
		bool nulls[LOT_COLUMNS] = {false};

		values[0] = wallet_name(w, lot->id, lot->id_length);
		put_pool(w, lot->pool, &values[1], &nulls[1]);
		values[2] = Int32GetDatum(lot->priority);
		put_instant(lot->effective_at, &values[3], &nulls[3]);
		put_instant(lot->expires_at, &values[4], &nulls[4]);
		values[5] = dec_to_numeric(state->granted ? amount : 0);
		values[6] = dec_to_numeric(state->spent);
		values[7] = dec_to_numeric(state->expired);
		values[8] = dec_to_numeric(state->rolled_over);
		values[9] = dec_to_numeric(state->remaining);
		values[10] = dec_to_numeric(paid);
		values[11] = dec_to_numeric(recognised);
		values[12] = dec_to_numeric(paid - recognised);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Returns a row a lot, after all that can expire has. */
PG_FUNCTION_INFO_V1(meter_wallet_lots);
Datum
meter_wallet_lots(PG_FUNCTION_ARGS)
{
	return put_lots(fcinfo, DT_NOEND);
}

PG_FUNCTION_INFO_V1(meter_wallet_lots_at);
Datum
meter_wallet_lots_at(PG_FUNCTION_ARGS)
{
	return put_lots(fcinfo, PG_GETARG_TIMESTAMPTZ(1));
}

/* Returns a row for each span and pool in which anything was consumed or covered. */
PG_FUNCTION_INFO_V1(meter_wallet_spans);
Datum
meter_wallet_spans(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int width = w->npools + 1;
	WalletWalk walk;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	wallet_walk_init(&walk, w);
	for (int span = 0; span <= w->nbounds; span++)
	{
		const DecHalves *sums = &wallet_sums(w)[span * width];

		wallet_walk_enter(&walk);
		wallet_walk_leave(&walk, sums);
		for (int pool = 0; pool < width; pool++)
		{
			const SpanResult *of = &walk.results[pool];
			Datum values[SPAN_COLUMNS];
			bool nulls[SPAN_COLUMNS] = {false};

			if (!wallet_heard(&sums[pool]) && of->covered == 0)
				continue;
			put_instant(wallet_span_starts(w, span), &values[0], &nulls[0]);
			put_instant(wallet_span_ends(w, span), &values[1], &nulls[1]);
			put_pool(w, pool, &values[2], &nulls[2]);
			values[3] = dec_to_numeric(of->consumed);
			values[4] = dec_to_numeric(of->covered);
			values[5] = dec_to_numeric(of->overage);
			values[6] = dec_to_numeric(of->unapplied);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* Returns a row for everything that happened to a lot: given, spent, expired, rolled over. */
PG_FUNCTION_INFO_V1(meter_wallet_burns);
Datum
meter_wallet_burns(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	WalletWalk walk;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	wallet_walk_init(&walk, w);
	walk.change = put_change;
	walk.private = fcinfo->resultinfo;
	for (int span = 0; span <= w->nbounds; span++)
	{
		wallet_walk_enter(&walk);
		wallet_walk_leave(&walk, &wallet_sums(w)[span * (w->npools + 1)]);
		for (int i = 0; i < walk.ntaken; i++)
		{
			const WalletLot *lot = &wallet_lots(w)[walk.taken[i]];
			ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
			Datum values[BURN_COLUMNS];
			bool nulls[BURN_COLUMNS] = {false};

			values[0] = wallet_name(w, lot->id, lot->id_length);
			put_instant(wallet_span_starts(w, span), &values[1], &nulls[1]);
			put_instant(wallet_span_ends(w, span), &values[2], &nulls[2]);
			values[3] = dec_to_numeric(walk.lots[walk.taken[i]].taken);
			values[4] = CStringGetTextDatum("spent");
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* Puts a row for a change of a lot: what it was given, what it lost and what it kept. */
static void
put_change(WalletWalk *walk, int lot, LotChangeKind kind, Dec lost, Dec kept)
{
	const Wallet *w = walk->wallet;
	const WalletLot *of = &wallet_lots(w)[lot];
	ReturnSetInfo *result = walk->private;
	TimestampTz at = kind == LOT_STARTS || wallet_lot_is_void(of) ? of->effective_at
					 : kind == LOT_EXPIRES						  ? of->expires_at
																  : of->rollover_until;
	struct
	{
		const char *kind;
		Dec amount;
	} rows[] = {{kind == LOT_STARTS ? "granted" : "rolled_over", kept}, {"expired", lost}};

	for (int i = 0; i < (int) lengthof(rows); i++)
	{
		Datum values[BURN_COLUMNS];
		bool nulls[BURN_COLUMNS] = {false};

		if (rows[i].amount == 0)
			continue;
		values[0] = wallet_name(w, of->id, of->id_length);
		put_instant(at, &values[1], &nulls[1]);
		put_instant(at, &values[2], &nulls[2]);
		values[3] = dec_to_numeric(rows[i].amount);
		values[4] = CStringGetTextDatum(rows[i].kind);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* Returns what is left of the lots of a pool at the end of a walk. */
static Dec
left_of(const WalletWalk *walk, int pool)
{
	const ActiveLots *active = &walk->active[pool];
	Dec left = 0;

	for (int i = 0; i < active->count; i++)
		left = dec_add(left, walk->lots[active->lots[i]].remaining);
	return left;
}

/* Returns what is left at an instant, of all lots. */
PG_FUNCTION_INFO_V1(meter_wallet_balance);
Datum
meter_wallet_balance(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);
	WalletWalk walk;
	Dec left = 0;

	wallet_check_at(w, at);
	wallet_walk_init(&walk, w);
	wallet_walk_until(&walk, at);
	for (int pool = 0; pool <= w->npools; pool++)
		left = dec_add(left, left_of(&walk, pool));
	PG_RETURN_DATUM(dec_to_numeric(left));
}

/* Returns what consumption of a pool could take at an instant; NULL is that of no pool. */
PG_FUNCTION_INFO_V1(meter_wallet_balance_pool);
Datum
meter_wallet_balance_pool(PG_FUNCTION_ARGS)
{
	const Wallet *w;
	TimestampTz at;
	WalletWalk walk;
	Dec left;
	int pool = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	w = PG_GETARG_WALLET_P(0);
	at = PG_GETARG_TIMESTAMPTZ(1);
	wallet_check_at(w, at);
	if (!PG_ARGISNULL(2))
	{
		text *name = PG_GETARG_TEXT_PP(2);

		pool = wallet_pool_find(w, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	}
	wallet_walk_init(&walk, w);
	wallet_walk_until(&walk, at);
	left = left_of(&walk, 0);
	if (pool > 0)
		left = dec_add(left, left_of(&walk, pool));
	PG_RETURN_DATUM(dec_to_numeric(left));
}

/* Returns the figures of a wallet as of an instant. */
static SpanResult
totals(FunctionCallInfo fcinfo, TimestampTz at)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	WalletWalk walk;

	wallet_check_at(w, at);
	wallet_walk_init(&walk, w);
	wallet_walk_until(&walk, at);
	return walk.total;
}

/* Returns what no lot covers, after the last lot. */
PG_FUNCTION_INFO_V1(meter_wallet_overage);
Datum
meter_wallet_overage(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(dec_to_numeric(totals(fcinfo, DT_NOEND).overage));
}

/* Returns what no lot covers at an instant: a later one may, of a wallet that absorbs. */
PG_FUNCTION_INFO_V1(meter_wallet_overage_at);
Datum
meter_wallet_overage_at(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(dec_to_numeric(totals(fcinfo, PG_GETARG_TIMESTAMPTZ(1)).overage));
}

PG_FUNCTION_INFO_V1(meter_wallet_unapplied);
Datum
meter_wallet_unapplied(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(dec_to_numeric(totals(fcinfo, DT_NOEND).unapplied));
}

PG_FUNCTION_INFO_V1(meter_wallet_consumed);
Datum
meter_wallet_consumed(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	Dec consumed = 0;

	for (int i = 0; i < wallet_nsums(w); i++)
		consumed = dec_add(consumed, wallet_sum(&wallet_sums(w)[i]));
	PG_RETURN_DATUM(dec_to_numeric(consumed));
}

/* Returns the last instant burned, NULL where there is none. */
PG_FUNCTION_INFO_V1(meter_wallet_through);
Datum
meter_wallet_through(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);

	if (TIMESTAMP_IS_NOBEGIN(w->through))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(w->through);
}

/*
 * Returns when, and how much, of what is left at an instant will be lost first if
 * nothing more is consumed; both NULL if nothing will.
 */
PG_FUNCTION_INFO_V1(meter_wallet_next_expiry);
Datum
meter_wallet_next_expiry(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz first = DT_NOEND;
	Dec amount = 0;
	WalletWalk walk;
	TupleDesc row;
	Datum values[2];
	bool nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	wallet_check_at(w, at);
	wallet_walk_init(&walk, w);
	wallet_walk_until(&walk, at);
	for (int i = 0; i < w->nlots; i++)
	{
		const WalletLot *lot = &wallet_lots(w)[i];
		const LotState *state = &walk.lots[i];
		TimestampTz expires = state->rolled ? lot->rollover_until : lot->expires_at;
		Dec lost = state->remaining;

		/* what rolls over is lost later */
		if (wallet_lot_rolls_over(lot) && !state->rolled)
		{
			Dec kept = Min(lost, dec_load(&lot->rollover_max));

			if (lost == kept)
				expires = lot->rollover_until;
			else
				lost -= kept;
		}
		if (lost == 0 || TIMESTAMP_IS_NOEND(expires) || expires > first)
			continue;
		amount = expires < first ? lost : dec_add(amount, lost);
		first = expires;
	}
	put_instant(first, &values[0], &nulls[0]);
	nulls[1] = nulls[0];
	values[1] = dec_to_numeric(amount);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
