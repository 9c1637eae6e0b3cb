/*
 * wallet.c: a wallet from its lots, and one wallet from another.
 *
 * A wallet is built one way from its lots and cuts, so that equal ones have equal
 * bytes. What was burned is carried into a wallet with further lots or cuts span by
 * span, which is exact as long as no span in which something was consumed is cut at or
 * before the last instant burned, and nothing was consumed that may have named a pool
 * unknown until now.
 */
#include "wallet.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/timestamp.h"

static int compare_ids(const LotDraft *a, const LotDraft *b);
static int compare_lots(const void *a, const void *b);
static int compare_by_id(const void *a, const void *b);
static int compare_pools(const void *a, const void *b);
static int compare_instants(const void *a, const void *b);
static bool check_ids(const LotDraft *lots, int nlots, struct Node *escontext);
static int collect_bounds(const WalletDraft *draft, TimestampTz *bounds);
static int collect_pools(const LotDraft *lots, int nlots, const LotDraft **pools);
static void carry_sums(Wallet *to, const Wallet *from);
static void check_new_pools(const Wallet *to, const Wallet *from);

/* Makes an unrestricted lot without end, which nothing was paid for. */
void
lot_draft_init(LotDraft *lot)
{
	memset(lot, 0, sizeof(*lot));
	lot->effective_at = DT_NOBEGIN;
	lot->expires_at = DT_NOEND;
	lot->created_at = DT_NOBEGIN;
	lot->rollover_until = DT_NOBEGIN;
}

/*
 * Checks a lot, and leaves out a rollover that rolls nothing over; returns false after
 * a soft error, which names the lot.
 */
bool
lot_draft_check(LotDraft *lot, struct Node *escontext)
{
	const char *negative = lot->amount < 0		   ? "amount"
						   : lot->paid < 0		   ? "paid"
						   : lot->rollover_max < 0 ? "rollover_max"
												   : NULL;

	if (lot->id == NULL || lot->id_length == 0)
		ereturn(
			escontext, false,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a lot has no id"),
			 errhint("Every lot has an id of its own in its wallet, such as the grant's key.")));
	if (lot->id_length > WALLET_MAX_NAME)
		ereturn(escontext, false,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("lot \"%.*s...\" has an id of %d bytes",
						WALLET_SHOWN(lot->id, lot->id_length), lot->id_length),
				 errdetail("An id has at most %d.", WALLET_MAX_NAME)));
	if (lot->pool != NULL && (lot->pool_length == 0 || lot->pool_length > WALLET_MAX_NAME))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lot \"%.*s\" has a pool whose name has %d bytes",
						WALLET_SHOWN(lot->id, lot->id_length), lot->pool_length),
				 errdetail("A pool's name has 1 to %d; a lot that any consumption may take has "
						   "no pool.",
						   WALLET_MAX_NAME)));
	if (negative != NULL)
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("lot \"%.*s\" has a negative %s, %s", WALLET_SHOWN(lot->id, lot->id_length),
						negative,
						dec_text(lot->amount < 0 ? lot->amount
								 : lot->paid < 0 ? lot->paid
												 : lot->rollover_max)),
				 lot->amount < 0 ? errhint("Void a lot by the instant at which it expires; take "
										   "consumption back by burning a negative quantity.")
								 : 0));
	if (lot->amount == 0 && lot->paid != 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lot \"%.*s\" has no credits, but %s was paid for it",
						WALLET_SHOWN(lot->id, lot->id_length), dec_text(lot->paid)),
				 errdetail("What was paid is recognised as credits are spent or expire.")));
	if (TIMESTAMP_IS_NOEND(lot->effective_at) || TIMESTAMP_IS_NOBEGIN(lot->expires_at))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("lot \"%.*s\" %s", WALLET_SHOWN(lot->id, lot->id_length),
						TIMESTAMP_IS_NOEND(lot->effective_at) ? "is effective at infinity"
															  : "expires at -infinity"),
				 errhint("Leave out what there is none of.")));
	if (lot->has_rollover)
	{
		if (TIMESTAMP_IS_NOEND(lot->expires_at))
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lot \"%.*s\" rolls over, but never expires",
							WALLET_SHOWN(lot->id, lot->id_length)),
					 errdetail("What is left at expires_at, at most rollover_max, stays until "
							   "rollover_until.")));
		if (wallet_lot_is_void(
				(&(WalletLot){.effective_at = lot->effective_at, .expires_at = lot->expires_at})) ||
			lot->rollover_until <= lot->expires_at || lot->rollover_max == 0)
			lot->has_rollover = false;
	}
	if (!lot->has_rollover)
	{
		lot->rollover_max = 0;
		lot->rollover_until = DT_NOBEGIN;
	}
	return true;
}

/* Adds a checked lot to a draft. */
void
wallet_draft_lot(WalletDraft *draft, const LotDraft *lot)
{
	if (draft->nlots == draft->lots_capacity)
	{
		draft->lots_capacity = Max(8, 2 * draft->lots_capacity);
		draft->lots =
			draft->lots == NULL
				? palloc(draft->lots_capacity * sizeof(LotDraft))
				: repalloc_huge(draft->lots, (Size) draft->lots_capacity * sizeof(LotDraft));
	}
	draft->lots[draft->nlots++] = *lot;
}

/* Adds a cut to a draft; the ends of time cut nothing. Refuses one too many. */
void
wallet_draft_cut(WalletDraft *draft, TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		return;
	if (draft->ncuts >= WALLET_MAX_CUTS)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a wallet is given more than %d cuts", WALLET_MAX_CUTS),
			 errhint("Cut it where something changes, such as where a billing period begins.")));
	if (draft->ncuts == draft->cuts_capacity)
	{
		draft->cuts_capacity = Max(8, 2 * draft->cuts_capacity);
		draft->cuts =
			draft->cuts == NULL
				? palloc(draft->cuts_capacity * sizeof(TimestampTz))
				: repalloc_huge(draft->cuts, (Size) draft->cuts_capacity * sizeof(TimestampTz));
	}
	draft->cuts[draft->ncuts++] = at;
}

/* Sets a draft to a lot of a wallet. */
void
lot_draft_from(LotDraft *lot, const Wallet *w, int i)
{
	const WalletLot *from = &wallet_lots(w)[i];
	const char *names = wallet_names(w);

	lot->id = names + from->id;
	lot->id_length = from->id_length;
	lot->pool = NULL;
	lot->pool_length = 0;
	if (from->pool > 0)
	{
		lot->pool = names + wallet_pools(w)[from->pool - 1].name;
		lot->pool_length = wallet_pools(w)[from->pool - 1].length;
	}
	lot->priority = from->priority;
	lot->effective_at = from->effective_at;
	lot->expires_at = from->expires_at;
	lot->created_at = from->created_at;
	lot->rollover_until = from->rollover_until;
	lot->has_rollover = wallet_lot_rolls_over(from);
	lot->amount = dec_load(&from->amount);
	lot->rollover_max = dec_load(&from->rollover_max);
	lot->paid = dec_load(&from->paid);
}

/* Adds a wallet's lots and bounds to a draft. */
void
wallet_draft_from(WalletDraft *draft, const Wallet *w)
{
	draft->absorbing |= (w->flags & WALLET_ABSORBING) != 0;
	for (int i = 0; i < w->nlots; i++)
	{
		LotDraft lot;

		lot_draft_from(&lot, w, i);
		wallet_draft_lot(draft, &lot);
	}
	for (int i = 0; i < w->nbounds; i++)
		wallet_draft_cut(draft, wallet_bounds(w)[i]);
}

/*
 * Returns the wallet of a draft, in which nothing is burned; returns NULL after a soft
 * error where there are too many lots, or two with one id.
 */
Wallet *
wallet_build(const WalletDraft *draft, struct Node *escontext)
{
	int n = draft->nlots;
	LotDraft *sorted = palloc(Max(n, 1) * sizeof(LotDraft));
	const LotDraft **pools = palloc(Max(n, 1) * sizeof(LotDraft *));
	TimestampTz *bounds;
	int nbounds;
	int npools;
	Size names = 0;
	Size size;
	Wallet *w;
	int32 name = 0;

	if (n > WALLET_MAX_LOTS)
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a wallet has %d lots", n),
				 errdetail("It has at most %d.", WALLET_MAX_LOTS),
				 errhint("Leave out lots that have long been spent or have expired, or keep "
						 "credit types in wallets of their own.")));
	memcpy(sorted, draft->lots, n * sizeof(LotDraft));
	if (!check_ids(sorted, n, escontext))
		return NULL;
	qsort(sorted, n, sizeof(LotDraft), compare_lots);
	bounds = palloc((3 * (Size) n + draft->ncuts + 1) * sizeof(TimestampTz));
	nbounds = collect_bounds(draft, bounds);
	npools = collect_pools(sorted, n, pools);
	if ((int64) (nbounds + 1) * (npools + 1) > WALLET_MAX_SUMS)
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a wallet has %d spans and %d pools", nbounds + 1, npools),
				 errdetail("It keeps a sum for each span with and without each pool, at most %d.",
						   WALLET_MAX_SUMS),
				 errhint("Make fewer cuts, or keep pools in wallets of their own.")));

	for (int i = 0; i < n; i++)
		names += sorted[i].id_length;
	for (int i = 0; i < npools; i++)
		names += pools[i]->pool_length;
	size = sizeof(Wallet) + nbounds * sizeof(TimestampTz) +
		   (Size) (nbounds + 1) * (npools + 1) * sizeof(DecHalves) + n * sizeof(WalletLot) +
		   npools * sizeof(WalletPool) + names;
	w = palloc0(size);
	SET_VARSIZE(w, size);
	w->version = WALLET_VERSION;
	w->flags = draft->absorbing ? WALLET_ABSORBING : 0;
	w->nlots = n;
	w->npools = npools;
	w->nbounds = nbounds;
	w->through = DT_NOBEGIN;
	memcpy(wallet_bounds(w), bounds, nbounds * sizeof(TimestampTz));
	for (int i = 0; i < wallet_nsums(w); i++)
		dec_store(&wallet_sums(w)[i], WALLET_UNHEARD);
	for (int i = 0; i < npools; i++)
	{
		wallet_pools(w)[i].name = name;
		wallet_pools(w)[i].length = pools[i]->pool_length;
		memcpy(wallet_names(w) + name, pools[i]->pool, pools[i]->pool_length);
		name += pools[i]->pool_length;
	}
	for (int i = 0; i < n; i++)
	{
		const LotDraft *from = &sorted[i];
		WalletLot *lot = &wallet_lots(w)[i];

		lot->effective_at = from->effective_at;
		lot->expires_at = from->expires_at;
		lot->rollover_until = from->rollover_until;
		lot->created_at = from->created_at;
		dec_store(&lot->amount, from->amount);
		dec_store(&lot->rollover_max, from->rollover_max);
		dec_store(&lot->paid, from->paid);
		lot->priority = from->priority;
		if (from->pool != NULL)
			lot->pool = wallet_pool_find(w, from->pool, from->pool_length);
		lot->id = name;
		lot->id_length = from->id_length;
		memcpy(wallet_names(w) + name, from->id, from->id_length);
		name += from->id_length;
	}
	pfree(sorted);
	pfree(pools);
	pfree(bounds);
	return w;
}

static int
compare_names(const char *a, int a_length, const char *b, int b_length)
{
	int order = memcmp(a, b, Min(a_length, b_length));

	return order != 0 ? order : a_length - b_length;
}

static int
compare_ids(const LotDraft *a, const LotDraft *b)
{
	return compare_names(a->id, a->id_length, b->id, b->id_length);
}

static int
compare_by_id(const void *a, const void *b)
{
	return compare_ids(a, b);
}

/* The order in which lots are taken while none of them has been rolled over. */
static int
compare_lots(const void *a, const void *b)
{
	const LotDraft *x = a;
	const LotDraft *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->expires_at != y->expires_at)
		return x->expires_at < y->expires_at ? -1 : 1;
	if (x->created_at != y->created_at)
		return x->created_at < y->created_at ? -1 : 1;
	return compare_ids(x, y);
}

static int
compare_pools(const void *a, const void *b)
{
	const LotDraft *x = *(const LotDraft *const *) a;
	const LotDraft *y = *(const LotDraft *const *) b;

	return compare_names(x->pool, x->pool_length, y->pool, y->pool_length);
}

static int
compare_instants(const void *a, const void *b)
{
	TimestampTz x = *(const TimestampTz *) a;
	TimestampTz y = *(const TimestampTz *) b;

	return x < y ? -1 : x > y;
}

/* Sorts lots by their ids; returns false with a soft error where two have the same. */
static bool
check_ids(const LotDraft *lots, int nlots, struct Node *escontext)
{
	LotDraft *by_id = palloc(Max(nlots, 1) * sizeof(LotDraft));

	memcpy(by_id, lots, nlots * sizeof(LotDraft));
	qsort(by_id, nlots, sizeof(LotDraft), compare_by_id);
	for (int i = 1; i < nlots; i++)
		if (compare_ids(&by_id[i - 1], &by_id[i]) == 0)
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a wallet has lot \"%.*s\" twice",
							WALLET_SHOWN(by_id[i].id, by_id[i].id_length)),
					 errhint("Every lot has an id of its own in its wallet; group by what has a "
							 "wallet, such as the customer and the credit type.")));
	pfree(by_id);
	return true;
}

/* Collects the instants at which anything changes, ascending, each once. */
static int
collect_bounds(const WalletDraft *draft, TimestampTz *bounds)
{
	int n = 0;
	int distinct = 0;

	for (int i = 0; i < draft->nlots; i++)
	{
		const LotDraft *lot = &draft->lots[i];

		if (!TIMESTAMP_NOT_FINITE(lot->effective_at))
			bounds[n++] = lot->effective_at;
		if (!TIMESTAMP_NOT_FINITE(lot->expires_at) && lot->expires_at > lot->effective_at)
			bounds[n++] = lot->expires_at;
		if (!TIMESTAMP_NOT_FINITE(lot->rollover_until))
			bounds[n++] = lot->rollover_until;
	}
	for (int i = 0; i < draft->ncuts; i++)
		bounds[n++] = draft->cuts[i];
	qsort(bounds, n, sizeof(TimestampTz), compare_instants);
	for (int i = 0; i < n; i++)
		if (i == 0 || bounds[i] != bounds[i - 1])
			bounds[distinct++] = bounds[i];
	return distinct;
}

/* Collects a lot of each pool, by the pools' names. */
static int
collect_pools(const LotDraft *lots, int nlots, const LotDraft **pools)
{
	int n = 0;
	int distinct = 0;

	for (int i = 0; i < nlots; i++)
		if (lots[i].pool != NULL)
			pools[n++] = &lots[i];
	qsort(pools, n, sizeof(LotDraft *), compare_pools);
	for (int i = 0; i < n; i++)
		if (i == 0 || compare_pools(&pools[i], &pools[distinct - 1]) != 0)
			pools[distinct++] = pools[i];
	return distinct;
}

/*
 * Returns the pool of a name, counted from 1; 0 where no lot has it: its consumption
 * has only unrestricted lots to take, as that without a pool.
 */
int
wallet_pool_find(const Wallet *w, const char *name, int length)
{
	const WalletPool *pools = wallet_pools(w);
	const char *names = wallet_names(w);
	int low = 0;
	int high = w->npools;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		int order = compare_names(names + pools[middle].name, pools[middle].length, name, length);

		if (order == 0)
			return middle + 1;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* Returns how many of many bounds are not after an instant. */
int
wallet_span_search(const TimestampTz *bounds, int nbounds, TimestampTz at)
{
	int low = 0;
	int high = nbounds;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (bounds[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Says of each bound whether a lot changes there; the others are cuts. */
bool *
wallet_lots_bounds(const Wallet *w)
{
	bool *changes = palloc0(Max(w->nbounds, 1) * sizeof(bool));

	for (int i = 0; i < w->nlots; i++)
	{
		const WalletLot *lot = &wallet_lots(w)[i];

		if (!TIMESTAMP_NOT_FINITE(lot->effective_at))
			changes[wallet_span(w, lot->effective_at) - 1] = true;
		if (!TIMESTAMP_NOT_FINITE(lot->expires_at) && !wallet_lot_is_void(lot))
			changes[wallet_span(w, lot->expires_at) - 1] = true;
		if (!TIMESTAMP_NOT_FINITE(lot->rollover_until))
			changes[wallet_span(w, lot->rollover_until) - 1] = true;
	}
	return changes;
}

/* Whether two wallets are the same value. */
bool
wallet_same(const Wallet *a, const Wallet *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Whether two states began with the same wallet; what was burned since may differ. */
bool
wallet_same_lots(const Wallet *a, const Wallet *b)
{
	const char *behind_a = (const char *) wallet_lots(a);
	const char *behind_b = (const char *) wallet_lots(b);

	return VARSIZE(a) == VARSIZE(b) && a->flags == b->flags && a->nlots == b->nlots &&
		   a->npools == b->npools && a->nbounds == b->nbounds &&
		   memcmp(wallet_bounds(a), wallet_bounds(b), a->nbounds * sizeof(TimestampTz)) == 0 &&
		   memcmp(behind_a, behind_b, VARSIZE(a) - (behind_a - (const char *) a)) == 0;
}

PG_FUNCTION_INFO_V1(meter_wallet_eq);
Datum
meter_wallet_eq(PG_FUNCTION_ARGS)
{
	const Wallet *a = PG_GETARG_WALLET_P(0);
	const Wallet *b = PG_GETARG_WALLET_P(1);
	bool same = wallet_same(a, b);

	PG_FREE_IF_COPY((void *) a, 0);
	PG_FREE_IF_COPY((void *) b, 1);
	PG_RETURN_BOOL(same);
}

PG_FUNCTION_INFO_V1(meter_wallet_ne);
Datum
meter_wallet_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!DatumGetBool(meter_wallet_eq(fcinfo)));
}

PG_FUNCTION_INFO_V1(meter_wallet_hash);
Datum
meter_wallet_hash(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	uint32 hash = hash_bytes((const unsigned char *) w + VARHDRSZ, (int) (VARSIZE(w) - VARHDRSZ));

	PG_FREE_IF_COPY((void *) w, 0);
	PG_RETURN_UINT32(hash);
}

/* The hash of 64 bits; its lower half is the hash of 32 where the seed is zero. */
PG_FUNCTION_INFO_V1(meter_wallet_hash_extended);
Datum
meter_wallet_hash_extended(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	uint64 hash = hash_bytes_extended((const unsigned char *) w + VARHDRSZ,
									  (int) (VARSIZE(w) - VARHDRSZ), (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY((void *) w, 0);
	PG_RETURN_UINT64(hash);
}

/* Returns the wallet with a rule more: a later lot covers earlier overage. */
PG_FUNCTION_INFO_V1(meter_wallet_absorbing);
Datum
meter_wallet_absorbing(PG_FUNCTION_ARGS)
{
	Wallet *w = (Wallet *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));

	w->flags |= WALLET_ABSORBING;
	PG_RETURN_POINTER(w);
}

/* Returns the wallet with further bounds; refuses one that cuts what was burned. */
PG_FUNCTION_INFO_V1(meter_wallet_with_cuts);
Datum
meter_wallet_with_cuts(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(1);
	WalletDraft draft = {0};
	Wallet *result;
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	Datum cut;
	bool isnull;

	wallet_draft_from(&draft, w);
	while (array_iterate(iterator, &cut, &isnull))
	{
		if (isnull)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a cut is null"),
							errhint("Leave it out with array_remove(cuts, NULL).")));
		wallet_draft_cut(&draft, DatumGetTimestampTz(cut));
	}
	result = wallet_build(&draft, NULL);
	carry_sums(result, w);
	PG_RETURN_POINTER(result);
}

/*
 * Returns a wallet with the lots of both, and with what was burned from the first;
 * refuses a second one from which something was burned.
 */
PG_FUNCTION_INFO_V1(meter_wallet_add_lots);
Datum
meter_wallet_add_lots(PG_FUNCTION_ARGS)
{
	const Wallet *w = PG_GETARG_WALLET_P(0);
	const Wallet *more = PG_GETARG_WALLET_P(1);
	WalletDraft draft = {0};
	Wallet *result;

	if (!TIMESTAMP_IS_NOBEGIN(more->through))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the wallet whose lots are to be added was burned from"),
				 errdetail("What was burned is that of the first wallet alone."),
				 errhint("Burn the consumption of both from one wallet that has all lots.")));
	wallet_draft_from(&draft, w);
	wallet_draft_from(&draft, more);
	draft.absorbing = (w->flags & WALLET_ABSORBING) != 0;
	result = wallet_build(&draft, NULL);
	carry_sums(result, w);
	check_new_pools(result, w);
	PG_RETURN_POINTER(result);
}

/* Carries what was burned into a wallet that has all bounds and pools of the other. */
static void
carry_sums(Wallet *to, const Wallet *from)
{
	int width = from->npools + 1;

	to->through = from->through;
	for (int span = 0; span <= from->nbounds; span++)
	{
		int target = span == 0 ? 0 : wallet_span(to, wallet_bounds(from)[span - 1]);
		TimestampTz ends = wallet_span_ends(to, target);

		for (int pool = 0; pool < width; pool++)
		{
			const DecHalves *sum = &wallet_sums(from)[span * width + pool];
			int other = 0;

			if (!wallet_heard(sum))
				continue;
			/* all that was burned here was burned before the cut, if that is behind `through` */
			if (ends < wallet_span_ends(from, span) && ends <= from->through)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("a change at %s cuts a span of which consumption is known",
								pstrdup(timestamptz_to_str(ends))),
						 errdetail("The wallet was burned through %s, and keeps only the sum of "
								   "the span.",
								   pstrdup(timestamptz_to_str(from->through))),
						 errhint("Burn the events anew from a wallet that has all its lots and "
								 "cuts.")));
			if (pool > 0)
			{
				const WalletPool *name = &wallet_pools(from)[pool - 1];

				other = wallet_pool_find(to, wallet_names(from) + name->name, name->length);
			}
			wallet_sums(to)[target * (to->npools + 1) + other] = *sum;
		}
	}
}

/*
 * Refuses a lot of a pool that the wallet did not know where consumption that may have
 * named it was counted as that of no pool.
 */
static void
check_new_pools(const Wallet *to, const Wallet *from)
{
	bool heard = false;

	for (int span = 0; span <= from->nbounds; span++)
		heard |= wallet_heard(&wallet_sums(from)[span * (from->npools + 1)]);
	if (!heard)
		return;
	for (int i = 0; i < to->npools; i++)
	{
		const WalletPool *pool = &wallet_pools(to)[i];
		const char *name = wallet_names(to) + pool->name;

		if (wallet_pool_find(from, name, pool->length) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("pool \"%.*s\" is new to a wallet from which something was burned",
							WALLET_SHOWN(name, pool->length)),
					 errdetail("Consumption of a pool that no lot has is kept as that of none, and "
							   "some of it may have named this one."),
					 errhint("Burn the events anew from a wallet that has all its lots.")));
	}
}
