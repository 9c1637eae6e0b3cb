/*
 * wallet_coverage.c: window functions that say of each event what lots covered of it:
 * coverage with what they did not and what is left, covered that figure alone, which
 * costs half as much.
 *
 * Rows come in the order of time. Inside a span what is covered is a function of each
 * pool's sum so far: a pool's own lots cover as much of it as they have, and what they
 * do not, with what names no pool, is covered by the unrestricted ones. So a row costs
 * a few additions, lots are only looked at where a span ends, and the rows' figures,
 * which are differences, add up to the wallet's.
 */
#include "wallet.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "windowapi.h"

/* How many rows a window function lets go of at once. */
#define MARK_EVERY 64

/* What is kept from row to row of a partition. */
typedef struct Coverage
{
	int rows;
	const Wallet *wallet; /* NULL before the first row that has one */
	TimestampTz at;		  /* of the row before */
	TimestampTz ends;	  /* of the span */
	DecHalves *sums;	  /* of the span so far, a pool each */
	Dec *own;			  /* what each pool's lots had at the span's start */
	Dec unrestricted;	  /* what the unrestricted ones had */
	Dec left;			  /* what all had */
	Dec covered_own;	  /* of the span so far, by the pools' own lots */
	Dec demanded;		  /* of the unrestricted ones */
	WalletWalk walk;
} Coverage;

static void begin(Coverage *c, MemoryContext context, Datum wallet);
static void next_span(Coverage *c);

/* What the lots cover of the span's consumption so far. */
static inline Dec
covered_so_far(const Coverage *c)
{
	return c->covered_own + Min(c->demanded, c->unrestricted);
}

/* Returns what lots cover of the row: the figure, or the whole row of figures. */
static pg_attribute_always_inline Datum
coverage(FunctionCallInfo fcinfo, Oid credits_type, bool has_pool, bool whole)
{
	WindowObject window = PG_WINDOW_OBJECT();
	Coverage *c = WinGetPartitionLocalMemory(window, sizeof(Coverage));
	TupleDesc row = fcinfo->flinfo->fn_extra;
	Datum at_value;
	Datum credits_value;
	bool no_at;
	bool no_credits;
	TimestampTz at;
	Dec credits;
	int pool = 0;
	Dec sum;
	Dec before;
	Dec demanded;
	Dec covers;
	Datum values[3];
	bool nulls[3] = {false};

	/* what lies behind us is never looked at again: the window need not keep it */
	if (++c->rows >= MARK_EVERY)
	{
		WinSetMarkPosition(window, WinGetCurrentPosition(window));
		c->rows = 0;
	}
	if (unlikely(c->wallet == NULL))
	{
		bool no_wallet;
		Datum wallet = WinGetFuncArgCurrent(window, 0, &no_wallet);

		if (no_wallet)
			PG_RETURN_NULL();
		begin(c, GetMemoryChunkContext(c), wallet);
	}
	at_value = WinGetFuncArgCurrent(window, 1, &no_at);
	credits_value = WinGetFuncArgCurrent(window, 2, &no_credits);
	if (no_at || no_credits)
		PG_RETURN_NULL();
	at = DatumGetTimestampTz(at_value);
	if (credits_type == INT4OID)
		credits = dec_from_int64(DatumGetInt32(credits_value));
	else if (credits_type == INT8OID)
		credits = dec_from_int64(DatumGetInt64(credits_value));
	else
		credits = dec_from_numeric(credits_value, "credits");
	if (has_pool && c->wallet->npools > 0)
	{
		bool no_pool;
		Datum value = WinGetFuncArgCurrent(window, 3, &no_pool);

		if (!no_pool)
		{
			struct varlena *name = detoast_packed(value);

			pool = wallet_pool_find(c->wallet, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		}
	}

	if (unlikely(at < c->at))
	{
		wallet_check_at(c->wallet, at);
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("coverage sees %s behind %s", pstrdup(timestamptz_to_str(at)),
							   pstrdup(timestamptz_to_str(c->at))),
						errdetail("Lots are taken in the order of time."),
						errhint("Write OVER (PARTITION BY what has the wallet ORDER BY at, and "
								"something unique).")));
	}
	c->at = at;
	if (unlikely(at >= c->ends || c->walk.span < 0))
	{
		wallet_check_burn_at(at);
		do
			next_span(c);
		while (at >= c->ends);
	}

	sum = dec_load(&c->sums[pool]);
	before = Max(sum, 0);
	sum = dec_add(sum, credits);
	demanded = Max(sum, 0) - before;
	dec_store(&c->sums[pool], sum);
	covers = -covered_so_far(c);
	if (pool > 0)
	{
		Dec own = Min(before + demanded, c->own[pool]) - Min(before, c->own[pool]);

		c->covered_own += own;
		c->demanded = dec_add(c->demanded, demanded - own);
	}
	else
		c->demanded = dec_add(c->demanded, demanded);
	covers += covered_so_far(c);
	if (!whole)
		return dec_to_numeric(covers);
	values[0] = dec_to_numeric(covers);
	values[1] = dec_to_numeric(demanded - covers);
	values[2] = dec_to_numeric(c->left - covered_so_far(c));

	if (unlikely(row == NULL))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		fcinfo->flinfo->fn_extra = row = BlessTupleDesc(row);
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(row, values, nulls)));
}

/* Keeps the wallet of a partition. */
static void
begin(Coverage *c, MemoryContext context, Datum wallet)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	const Wallet *w = (const Wallet *) PG_DETOAST_DATUM_COPY(wallet);

	if (w->flags & WALLET_ABSORBING)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("coverage of an absorbing wallet is not known event by event"),
						errdetail("A later lot covers earlier overage, so what is covered of an "
								  "event changes after it."),
						errhint("Burn the events, and ask meter.lots, meter.spans or "
								"meter.overage.")));
	c->wallet = w;
	c->at = w->through;
	c->ends = wallet_span_ends(w, 0);
	c->sums = palloc((w->npools + 1) * sizeof(DecHalves));
	c->own = palloc0((w->npools + 1) * sizeof(Dec));
	wallet_walk_init(&c->walk, w);
	MemoryContextSwitchTo(old);
}

/* Takes the span's consumption from its lots, and goes to the next span. */
static void
next_span(Coverage *c)
{
	const Wallet *w = c->wallet;
	int width = w->npools + 1;

	if (c->walk.span >= 0)
		wallet_walk_leave(&c->walk, c->sums);
	wallet_walk_enter(&c->walk);
	c->ends = wallet_span_ends(w, c->walk.span);
	c->left = 0;
	c->covered_own = 0;
	c->demanded = 0;
	for (int pool = 0; pool < width; pool++)
	{
		const ActiveLots *active = &c->walk.active[pool];
		/* what a checkpoint had burned in this span, it had burned before */
		Dec sum = wallet_sum(&wallet_sums(w)[c->walk.span * width + pool]);
		Dec demanded = Max(sum, 0);

		dec_store(&c->sums[pool], sum);
		c->own[pool] = 0;
		for (int i = 0; i < active->count; i++)
			c->own[pool] = dec_add(c->own[pool], c->walk.lots[active->lots[i]].remaining);
		c->left = dec_add(c->left, c->own[pool]);
		if (pool == 0)
		{
			c->unrestricted = c->own[0];
			c->demanded = demanded;
		}
		else
		{
			c->covered_own += Min(demanded, c->own[pool]);
			c->demanded = dec_add(c->demanded, demanded - Min(demanded, c->own[pool]));
		}
	}
}

#define COVERAGE(name, credits_type, has_pool, whole)           \
	PG_FUNCTION_INFO_V1(name);                                  \
	Datum name(PG_FUNCTION_ARGS)                                \
	{                                                           \
		return coverage(fcinfo, credits_type, has_pool, whole); \
	}

COVERAGE(meter_coverage, NUMERICOID, false, true)
COVERAGE(meter_coverage_int8, INT8OID, false, true)
COVERAGE(meter_coverage_int4, INT4OID, false, true)
COVERAGE(meter_coverage_pool, NUMERICOID, true, true)
COVERAGE(meter_coverage_pool_int8, INT8OID, true, true)
COVERAGE(meter_coverage_pool_int4, INT4OID, true, true)

COVERAGE(meter_covered, NUMERICOID, false, false)
COVERAGE(meter_covered_int8, INT8OID, false, false)
COVERAGE(meter_covered_int4, INT4OID, false, false)
COVERAGE(meter_covered_pool, NUMERICOID, true, false)
COVERAGE(meter_covered_pool_int8, INT8OID, true, false)
COVERAGE(meter_covered_pool_int4, INT4OID, true, false)
