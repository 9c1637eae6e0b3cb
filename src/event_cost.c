/*
 * event_cost.c: the one function that looks a price up by itself.
 *
 * meter.event_cost reads table meter.rate, card 'cost', and is otherwise meter.cost.
 * It loads an item's rates when it first sees the item, and keeps them for as long
 * as the calling query's snapshot is the same: a query sees one state of the table,
 * whatever commits beside it, and the next one sees the next.
 *
 * Which snapshot it is, is told by (curcid, xmin, xmax, xcnt, subxcnt) and the
 * subtransaction. xcnt is needed: a commit beside a long open writer moves neither
 * xmin nor xmax, but it takes one transaction off the list of running ones, and no
 * other can take its place there without moving xmax. So is the subtransaction: to
 * undo our own writes moves nothing else, if a later transaction was done before.
 * snapXactCompletionCount would say more in one number, but copies of a snapshot
 * carry a zero. The user is asked too: a function may change who that is within a
 * query, and another one may see other rates, or none.
 */
#include "cost.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(meter_event_cost);

/* How many items are kept: beyond it all are dropped, and loaded again when seen. */
#define ITEMS_MAX 10000

/* An item's name: not zero-terminated. */
typedef struct ItemKey
{
	const char *item;
	int length;
} ItemKey;

/* An item and the card of its rates. */
typedef struct ItemEntry
{
	ItemKey key;
	const RateCard *card;
	char status;
} ItemEntry;

#define SH_PREFIX items
#define SH_ELEMENT_TYPE ItemEntry
#define SH_KEY_TYPE ItemKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).item, (key).length)
#define SH_EQUAL(table, a, b) \
	((a).length == (b).length && memcmp((a).item, (b).item, (a).length) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What tells one snapshot from another inside a backend, and who looks through it. */
typedef struct SnapshotKey
{
	CommandId command;
	SubTransactionId subtransaction;
	TransactionId xmin;
	TransactionId xmax;
	Oid user;
	uint32 running;
	int32 running_subtransactions;
} SnapshotKey;

/* A call site's cache. */
typedef struct PriceCache
{
	SPIPlanPtr plan;
	MemoryContext context; /* of the items; emptied when the snapshot changes */
	items_hash *items;	   /* or NULL */
	SnapshotKey snapshot;
	RateHints hints;
	MemoryContextCallback release; /* of the plan, with the call site */
} PriceCache;

static PriceCache *price_cache(FunctionCallInfo fcinfo);
static void release_plan(void *plan);
static const RateCard *load_item(PriceCache *cache, const char *item, int length);
static void read_row(HeapTuple row, TupleDesc columns, RateSpec *spec, TypeCacheEntry *range);

/* Returns an event's cost at the rates of table meter.rate, card 'cost'. */
Datum
meter_event_cost(PG_FUNCTION_ARGS)
{
	PriceCache *cache;
	CostEvent event;
	ItemEntry *entry;
	ItemKey key;
	Dec amount;

	if (!cost_read_event(fcinfo, 0, &event))
		PG_RETURN_NULL();
	if (event.item == NULL)
		return dec_to_numeric(0);

	cache = price_cache(fcinfo);
	key.item = event.item;
	key.length = event.item_length;
	entry = items_lookup(cache->items, key);
	if (entry == NULL)
	{
		const RateCard *card = load_item(cache, event.item, event.item_length);
		bool found;

		/* a query over items that nobody rates must not fill the memory */
		if (cache->items->members >= ITEMS_MAX)
		{
			RateCard *kept = memcpy(palloc(VARSIZE(card)), card, VARSIZE(card));

			MemoryContextReset(cache->context);
			cache->items = items_create(cache->context, 64, NULL);
			card = memcpy(MemoryContextAlloc(cache->context, VARSIZE(kept)), kept, VARSIZE(kept));
		}
		key.item = memcpy(MemoryContextAlloc(cache->context, event.item_length + 1), event.item,
						  event.item_length);
		entry = items_insert(cache->items, key, &found);
		entry->card = card;
	}
	if (cost_event(entry->card, &cache->hints, &event, &amount) == COST_UNPRICED)
		PG_RETURN_NULL();
	return dec_to_numeric(amount);
}

/* Returns the call site's cache, holding nothing that the active snapshot can't see. */
static PriceCache *
price_cache(FunctionCallInfo fcinfo)
{
	PriceCache *cache = fcinfo->flinfo->fn_extra;
	Snapshot snapshot = GetActiveSnapshot();
	SnapshotKey key;

	memset(&key, 0, sizeof(key));
	key.command = snapshot->curcid;
	key.subtransaction = GetCurrentSubTransactionId();
	key.xmin = snapshot->xmin;
	key.xmax = snapshot->xmax;
	key.user = GetUserId();
	key.running = snapshot->xcnt;
	key.running_subtransactions = snapshot->subxcnt;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(PriceCache));
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "meter event cost",
											   ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = cache;
	}
	if (cache->items == NULL || memcmp(&cache->snapshot, &key, sizeof(key)) != 0)
	{
		cache->items = NULL;
		MemoryContextReset(cache->context);
		cache->items = items_create(cache->context, 64, NULL);
		cache->snapshot = key;
	}
	if (cache->plan == NULL)
	{
		Oid types[] = {TEXTOID};

		SPI_connect();
		cache->plan = SPI_prepare(
			"SELECT variant, unit, price, per, valid, context_from, daily_from, daily_until, "
			"precedence FROM meter.rate "
			"WHERE card OPERATOR(pg_catalog.=) 'cost' AND item OPERATOR(pg_catalog.=) $1",
			1, types);
		if (cache->plan == NULL || SPI_keepplan(cache->plan) != 0)
			elog(ERROR, "could not prepare the query for rates: %s",
				 SPI_result_code_string(SPI_result));
		cache->release.func = release_plan;
		cache->release.arg = cache->plan;
		MemoryContextRegisterResetCallback(fcinfo->flinfo->fn_mcxt, &cache->release);
		SPI_finish();
	}
	return cache;
}

static void
release_plan(void *plan)
{
	SPI_freeplan(plan);
}

/* Returns the card of an item's rates as the active snapshot sees them. */
static const RateCard *
load_item(PriceCache *cache, const char *item, int length)
{
	Datum values[] = {PointerGetDatum(cstring_to_text_with_len(item, length))};
	TypeCacheEntry *range = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RateSpec *specs;
	RateCard *card;
	RateCard *kept;

	SPI_connect();
	if (SPI_execute_plan(cache->plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rates: %s", SPI_result_code_string(SPI_result));
	specs = palloc0(Max(SPI_processed, 1) * sizeof(RateSpec));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		specs[i].item = item;
		specs[i].item_length = length;
		read_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &specs[i], range);
		rate_spec_check(&specs[i], NULL);
	}
	card = rate_card_build(specs, (int) SPI_processed, NULL);
	kept = memcpy(MemoryContextAlloc(cache->context, VARSIZE(card)), card, VARSIZE(card));
	SPI_finish();
	return kept;
}

/* Reads a row of the query above into a spec, whose names lie in the row. */
static void
read_row(HeapTuple row, TupleDesc columns, RateSpec *spec, TypeCacheEntry *range)
{
	Datum values[9];
	bool nulls[9];
	RangeBound lower;
	RangeBound upper;
	bool empty;
	text *variant;
	text *unit;

	heap_deform_tuple(row, columns, values, nulls);
	variant = DatumGetTextPP(values[0]);
	spec->variant = VARDATA_ANY(variant);
	spec->variant_length = VARSIZE_ANY_EXHDR(variant);
	unit = DatumGetTextPP(values[1]);
	spec->unit = VARDATA_ANY(unit);
	spec->unit_length = VARSIZE_ANY_EXHDR(unit);
	spec->price = dec_from_numeric(values[2], "price");
	spec->per = dec_from_numeric(values[3], "per");
	range_deserialize(range, DatumGetRangeTypeP(values[4]), &lower, &upper, &empty);
	rate_spec_valid(spec, &lower, &upper, empty);
	spec->context_from = dec_from_numeric(values[5], "context_from");
	spec->daily_from = nulls[6] ? RATE_NO_WINDOW : DatumGetTimeADT(values[6]);
	spec->daily_until = nulls[7] ? 0 : DatumGetTimeADT(values[7]);
	spec->precedence = DatumGetInt32(values[8]);
}
