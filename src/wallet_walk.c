/*
 * wallet_walk.c: what becomes of a wallet's lots, span by span.
 *
 * A span is entered: lots that change at its start begin, expire, roll over. It is
 * left: what was consumed in it is taken. Inside it the order of lots is fixed and each
 * pool's consumption is one sum, so the order of events does not matter: each pool
 * takes its own lots, then consumption without a pool takes unrestricted ones, then
 * the pools in the order of their names. Where several compete for unrestricted lots
 * that order says whose the overage is; how much there is, and what is taken from which
 * lot, does not hang on it.
 *
 * A walk costs the sort of the lots' changes, and for each span the lots taken from.
 */
#include "wallet.h"

#include "utils/timestamp.h"

static int compare_changes(const void *a, const void *b);
static void apply_change(WalletWalk *walk, const LotChange *change);
static int active_search(const WalletWalk *walk, const ActiveLots *active, int lot);
static void activate(WalletWalk *walk, int lot);
static void deactivate(WalletWalk *walk, int lot);
static Dec take(WalletWalk *walk, ActiveLots *active, Dec demand);

/* Begins a walk, before the first span. */
void
wallet_walk_init(WalletWalk *walk, const Wallet *w)
{
	int npools = w->npools + 1;
	int *slots = palloc(Max(w->nlots, 1) * sizeof(int));
	int *sizes = palloc0(npools * sizeof(int));

	memset(walk, 0, sizeof(*walk));
	walk->wallet = w;
	walk->span = -1;
	walk->lots = palloc0(Max(w->nlots, 1) * sizeof(LotState));
	walk->active = palloc0(npools * sizeof(ActiveLots));
	walk->changes = palloc((3 * w->nlots + 1) * sizeof(LotChange));
	walk->carried = palloc0(npools * sizeof(Dec));
	walk->results = palloc0(npools * sizeof(SpanResult));
	walk->taken = palloc(Max(w->nlots, 1) * sizeof(int));
	for (int i = 0; i < w->nlots; i++)
	{
		const WalletLot *lot = &wallet_lots(w)[i];

		sizes[lot->pool]++;
		walk->changes[walk->nchanges++] = (LotChange){lot->effective_at, i, LOT_STARTS};
		if (wallet_lot_is_void(lot))
			walk->changes[walk->nchanges++] = (LotChange){lot->effective_at, i, LOT_EXPIRES};
		else if (!TIMESTAMP_IS_NOEND(lot->expires_at))
			walk->changes[walk->nchanges++] = (LotChange){lot->expires_at, i, LOT_EXPIRES};
		if (wallet_lot_rolls_over(lot) && !TIMESTAMP_IS_NOEND(lot->rollover_until))
			walk->changes[walk->nchanges++] =
				(LotChange){lot->rollover_until, i, LOT_ROLLOVER_ENDS};
	}
	qsort(walk->changes, walk->nchanges, sizeof(LotChange), compare_changes);
	for (int pool = 0; pool < npools; pool++)
	{
		walk->active[pool].lots = slots;
		slots += sizes[pool];
	}
	pfree(sizes);
}

static int
compare_changes(const void *a, const void *b)
{
	const LotChange *x = a;
	const LotChange *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	/* a void lot begins before it ends */
	if (x->lot != y->lot)
		return x->lot < y->lot ? -1 : 1;
	return (int) x->kind - (int) y->kind;
}

/* Goes to the start of the next span, where lots change. */
void
wallet_walk_enter(WalletWalk *walk)
{
	TimestampTz at = wallet_span_starts(walk->wallet, ++walk->span);

	while (walk->next_change < walk->nchanges && walk->changes[walk->next_change].at <= at)
		apply_change(walk, &walk->changes[walk->next_change++]);
}

static void
apply_change(WalletWalk *walk, const LotChange *change)
{
	const WalletLot *lot = &wallet_lots(walk->wallet)[change->lot];
	LotState *state = &walk->lots[change->lot];
	Dec lost = 0;
	Dec kept = 0;

	if (change->kind == LOT_STARTS)
	{
		state->granted = true;
		state->remaining = kept = dec_load(&lot->amount);
		activate(walk, change->lot);
	}
	else
	{
		deactivate(walk, change->lot);
		if (change->kind == LOT_EXPIRES && wallet_lot_rolls_over(lot))
			kept = Min(state->remaining, dec_load(&lot->rollover_max));
		lost = state->remaining - kept;
		state->expired += lost;
		state->remaining = kept;
		if (change->kind == LOT_EXPIRES && wallet_lot_rolls_over(lot))
		{
			state->rolled = true;
			state->rolled_over = kept;
			activate(walk, change->lot);
		}
	}
	if (walk->change != NULL)
		walk->change(walk, change->lot, change->kind, lost, kept);
}

/* The order in which lots are taken now. */
static int
compare_in_force(const WalletWalk *walk, int a, int b)
{
	const WalletLot *lots = wallet_lots(walk->wallet);
	const WalletLot *x = &lots[a];
	const WalletLot *y = &lots[b];
	TimestampTz x_expires = walk->lots[a].rolled ? x->rollover_until : x->expires_at;
	TimestampTz y_expires = walk->lots[b].rolled ? y->rollover_until : y->expires_at;
	const char *names = wallet_names(walk->wallet);
	int order;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x_expires != y_expires)
		return x_expires < y_expires ? -1 : 1;
	if (x->created_at != y->created_at)
		return x->created_at < y->created_at ? -1 : 1;
	order = memcmp(names + x->id, names + y->id, Min(x->id_length, y->id_length));
	return order != 0 ? order : x->id_length - y->id_length;
}

/* Returns where among the active lots a lot is, or belongs. */
static int
active_search(const WalletWalk *walk, const ActiveLots *active, int lot)
{
	int low = 0;
	int high = active->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (compare_in_force(walk, active->lots[middle], lot) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts a lot that has something left where it is taken. */
static void
activate(WalletWalk *walk, int lot)
{
	ActiveLots *active = &walk->active[wallet_lots(walk->wallet)[lot].pool];
	int position;

	if (walk->lots[lot].remaining == 0)
		return;
	position = active_search(walk, active, lot);
	memmove(&active->lots[position + 1], &active->lots[position],
			(active->count - position) * sizeof(int));
	active->lots[position] = lot;
	active->count++;
}

/* Takes a lot out of the active ones; one that is spent has left them before. */
static void
deactivate(WalletWalk *walk, int lot)
{
	ActiveLots *active = &walk->active[wallet_lots(walk->wallet)[lot].pool];
	int position;

	if (walk->lots[lot].remaining == 0)
		return;
	position = active_search(walk, active, lot);
	Assert(position < active->count && active->lots[position] == lot);
	active->count--;
	memmove(&active->lots[position], &active->lots[position + 1],
			(active->count - position) * sizeof(int));
}

/* Takes what is demanded from active lots, in order; returns what they do not cover. */
static Dec
take(WalletWalk *walk, ActiveLots *active, Dec demand)
{
	int spent = 0;

	for (int i = 0; i < active->count && demand > 0; i++)
	{
		LotState *state = &walk->lots[active->lots[i]];
		Dec taken = Min(state->remaining, demand);

		if (state->taken == 0)
			walk->taken[walk->ntaken++] = active->lots[i];
		state->taken += taken;
		state->remaining -= taken;
		state->spent += taken;
		demand -= taken;
		if (state->remaining == 0)
			spent = i + 1;
	}
	/* the spent ones are the first ones */
	if (spent > 0)
	{
		active->count -= spent;
		memmove(active->lots, active->lots + spent, active->count * sizeof(int));
	}
	return demand;
}

/* Takes what was consumed in the span, a sum for each pool, and sets its results. */
void
wallet_walk_leave(WalletWalk *walk, const DecHalves *sums)
{
	int npools = walk->wallet->npools + 1;
	bool absorbing = (walk->wallet->flags & WALLET_ABSORBING) != 0;

	for (int i = 0; i < walk->ntaken; i++)
		walk->lots[walk->taken[i]].taken = 0;
	walk->ntaken = 0;
	for (int pool = 0; pool < npools; pool++)
	{
		SpanResult *result = &walk->results[pool];

		result->consumed = wallet_sum(&sums[pool]);
		result->unapplied = result->consumed < 0 ? -result->consumed : 0;
		/* covered is what is demanded, until it is known what lots do not cover */
		result->covered = dec_add(Max(result->consumed, 0), walk->carried[pool]);
		result->overage = result->covered;
		if (pool > 0)
			result->overage = take(walk, &walk->active[pool], result->overage);
	}
	for (int pool = 0; pool < npools; pool++)
	{
		SpanResult *result = &walk->results[pool];

		result->overage = take(walk, &walk->active[0], result->overage);
		result->covered -= result->overage;
		if (absorbing)
		{
			Dec before = walk->carried[pool];

			walk->carried[pool] = result->overage;
			result->overage -= before;
		}
		walk->total.consumed = dec_add(walk->total.consumed, result->consumed);
		walk->total.covered = dec_add(walk->total.covered, result->covered);
		walk->total.overage = dec_add(walk->total.overage, result->overage);
		walk->total.unapplied = dec_add(walk->total.unapplied, result->unapplied);
	}
}

/* Walks all spans that begin no later than an instant. */
void
wallet_walk_until(WalletWalk *walk, TimestampTz at)
{
	const Wallet *w = walk->wallet;

	while (walk->span < w->nbounds && wallet_span_starts(w, walk->span + 1) <= at)
	{
		wallet_walk_enter(walk);
		wallet_walk_leave(walk, &wallet_sums(w)[walk->span * (w->npools + 1)]);
	}
}

/* Refuses an instant before the last one burned, of which a wallet no longer knows. */
void
wallet_check_at(const Wallet *w, TimestampTz at)
{
	if (at < w->through)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is before %s, through which the wallet was burned",
						pstrdup(timestamptz_to_str(at)), pstrdup(timestamptz_to_str(w->through))),
				 errdetail("A wallet keeps sums of spans, not events, and says nothing of "
						   "an earlier time."),
				 errhint("Burn the events up to that instant only.")));
}

/* Refuses to burn at the ends of time. */
void
wallet_check_burn_at(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("credits cannot be consumed at %s",
							   TIMESTAMP_IS_NOBEGIN(at) ? "-infinity" : "infinity")));
}
