/*
 * tariff.c: the tariff as a value, and what it charges.
 *
 * A charge is made in this order, and in no other:
 *
 *   1. free      the net quantity is the quantity less what is free, at least zero
 *   2. tiers     each tier prices its part of the net quantity and adds its fee;
 *                this is where an amount is settled, once a tier
 *   3. discount  a percentage of the tiers' sum, settled, goes off
 *   4. maximum   what is above it goes off
 *   5. minimum   what is missing to it is added
 *
 * A tier is (from, up_to] of the net quantity. Graduated tiers price the part that
 * lies in them, and are entered when the net quantity is above their lower end; a
 * volume tier prices all of the net quantity if it lies in the tier. The first tier is
 * always entered, so its fee is charged at a net quantity of zero too, unless the
 * tariff says that there is no fee at zero. One tier alone is a flat tariff, whichever
 * way it is written.
 *
 * The stored bytes are what a charge reads: no parsing, no allocation. Whole
 * quantities of ordinary tariffs take the path of counts, in 64-bit arithmetic.
 */
#include "tariff.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "utils/memutils.h"

static inline bool count_of(Dec value, int64 *count);
static void fill_tier(TariffTier *tier, const TariffTierDraft *draft);
static bool fill_counts(Tariff *t);
static bool check_draft(const TariffDraft *draft, struct Node *escontext);
static bool check_not_negative(Dec value, const char *what, int tier, struct Node *escontext);
static inline Dec net_quantity(const Tariff *t, Dec quantity);
static inline Dec finish(const Tariff *t, Dec subtotal, TariffSteps *steps);
static Dec charge_count(const Tariff *t, int64 net);
static Dec charge_exactly(const Tariff *t, Dec net);
static inline Dec price_part(const TariffTier *tier, Dec part);
static int volume_tier(const Tariff *t, Dec net);
pg_noreturn static void refuse_negative(Dec quantity);

/* Makes an empty draft, to be filled in and built. */
void
tariff_draft_init(TariffDraft *draft, TariffModel model)
{
	memset(draft, 0, sizeof(*draft));
	draft->model = model;
}

/*
 * Adds an open tier at price zero per one unit to a draft and returns it; returns NULL
 * with a soft error for one tier too many.
 */
TariffTierDraft *
tariff_draft_add(TariffDraft *draft, struct Node *escontext)
{
	TariffTierDraft *tier;

	if (draft->ntiers >= TARIFF_MAX_TIERS)
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("tariff has too many tiers"),
				 errdetail("A tariff has at most %d tiers.", TARIFF_MAX_TIERS)));
	if (draft->ntiers == draft->capacity)
	{
		draft->capacity = Max(8, 2 * draft->capacity);
		if (draft->tiers == NULL)
			draft->tiers = palloc(draft->capacity * sizeof(TariffTierDraft));
		else
			draft->tiers = repalloc(draft->tiers, draft->capacity * sizeof(TariffTierDraft));
	}
	tier = &draft->tiers[draft->ntiers++];
	memset(tier, 0, sizeof(*tier));
	tier->up_to = DEC_MAX;
	tier->per = DEC_ONE;
	return tier;
}

/* Returns the tariff of a draft, or NULL with a soft error where a rule is broken. */
Tariff *
tariff_build(const TariffDraft *draft, struct Node *escontext)
{
	Size size;
	Tariff *t;

	if (!check_draft(draft, escontext))
		return NULL;

	size = TARIFF_SIZE(draft->ntiers);
	t = palloc0(size);
	SET_VARSIZE(t, size);
	t->version = TARIFF_VERSION;
	t->model = draft->ntiers == 1 ? TARIFF_FLAT : draft->model;
	t->ntiers = draft->ntiers;
	if (draft->no_fee_at_zero)
		t->flags |= TARIFF_NO_FEE_AT_ZERO;
	if (draft->has_maximum)
		t->flags |= TARIFF_HAS_MAXIMUM;
	dec_store(&t->free, draft->free);
	dec_store(&t->discount, draft->discount);
	dec_store(&t->maximum, draft->has_maximum ? draft->maximum : 0);
	dec_store(&t->minimum, draft->minimum);
	for (int i = 0; i < draft->ntiers; i++)
		fill_tier(&t->tiers[i], &draft->tiers[i]);
	if (fill_counts(t))
		t->flags |= TARIFF_COUNTS;
	t->hash = hash_bytes((const unsigned char *) t + TARIFF_HASHED_FROM,
						 (int) (size - TARIFF_HASHED_FROM));
	return t;
}

static void
fill_tier(TariffTier *tier, const TariffTierDraft *draft)
{
	Dec per = draft->mode == TARIFF_PERCENT ? 100 * DEC_ONE : draft->per;
	Dec multiplier;

	tier->mode = draft->mode;
	dec_store(&tier->up_to, draft->up_to);
	dec_store(&tier->price, draft->price);
	dec_store(&tier->per, per);
	dec_store(&tier->fee, draft->fee);
	if ((draft->mode == TARIFF_LINEAR || draft->mode == TARIFF_PERCENT) &&
		dec_divide_exactly(draft->price, per, &multiplier))
	{
		tier->flags |= TIER_FOLDED;
		dec_store(&tier->multiplier, multiplier);
	}
}

/* Fills in the counts and returns true where all of a tariff can be counted. */
static bool
fill_counts(Tariff *t)
{
	int64 count;

	if (!count_of(dec_load(&t->free), &count))
		return false;
	for (int i = 0; i < t->ntiers; i++)
	{
		const TariffTier *tier = &t->tiers[i];
		bool linear = tier->mode == TARIFF_LINEAR || tier->mode == TARIFF_PERCENT;

		if (i < t->ntiers - 1 && !count_of(dec_load(&tier->up_to), &count))
			return false;
		if (linear && !((tier->flags & TIER_FOLDED) && dec_fits_int64(dec_load(&tier->multiplier))))
			return false;
		if (!linear &&
			!(count_of(dec_load(&tier->per), &count) && dec_fits_int64(dec_load(&tier->price))))
			return false;
	}

	(void) count_of(dec_load(&t->free), &t->count_free);
	for (int i = 0; i < t->ntiers; i++)
	{
		TariffTier *tier = &t->tiers[i];

		if (i < t->ntiers - 1)
			(void) count_of(dec_load(&tier->up_to), &tier->count_to);
		else
			tier->count_to = PG_INT64_MAX;
		if (tier->mode == TARIFF_LINEAR || tier->mode == TARIFF_PERCENT)
			tier->count_price = (int64) dec_load(&tier->multiplier);
		else
		{
			tier->count_price = (int64) dec_load(&tier->price);
			(void) count_of(dec_load(&tier->per), &tier->count_per);
		}
	}
	return true;
}

/* Sets the count of a value that is not negative and whole; false if it is not. */
static inline bool
count_of(Dec value, int64 *count)
{
	if (likely(dec_fits_int64(value)))
	{
		int64 v = (int64) value;
		int64 c = v / INT64CONST(1000000000000);

		if (c * INT64CONST(1000000000000) != v)
			return false;
		*count = c;
		return true;
	}
	else
	{
		uint128 c = (uint128) value / (uint128) DEC_ONE;

		if (c * (uint128) DEC_ONE != (uint128) value || c >= (uint128) PG_INT64_MAX)
			return false;
		*count = (int64) c;
		return true;
	}
}

static bool
check_draft(const TariffDraft *draft, struct Node *escontext)
{
	Dec from = 0;

	if (draft->ntiers == 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("tariff has no tier")));
	if (draft->model == TARIFF_FLAT && draft->ntiers > 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("flat tariff has more than one tier")));
	for (int i = 0; i < draft->ntiers; i++)
	{
		const TariffTierDraft *tier = &draft->tiers[i];

		if (!check_not_negative(tier->price, "price", i, escontext) ||
			!check_not_negative(tier->fee, "fee", i, escontext))
			return false;
		if (tier->per <= 0)
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("price of tier %d is per %s units", i + 1, dec_text(tier->per)),
					 errdetail("A price is for a number of units above zero.")));
		if (i == draft->ntiers - 1)
		{
			if (tier->up_to != DEC_MAX)
				ereturn(escontext, false,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("last tier of the tariff ends at %s", dec_text(tier->up_to)),
						 errdetail("The last tier has no upper bound, so that every quantity has "
								   "a price.")));
			break;
		}
		if (tier->up_to == DEC_MAX)
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("tier %d of the tariff has no upper bound", i + 1),
					 errdetail("Only the last tier is open.")));
		if (tier->up_to <= from)
			ereturn(escontext, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("upper bound %s of tier %d is not above %s", dec_text(tier->up_to),
							i + 1, dec_text(from)),
					 errdetail("Bounds ascend, and the first one is above zero.")));
		from = tier->up_to;
	}
	if (!check_not_negative(draft->free, "free quantity", -1, escontext) ||
		!check_not_negative(draft->discount, "discount", -1, escontext) ||
		!check_not_negative(draft->minimum, "minimum", -1, escontext))
		return false;
	if (draft->has_maximum && !check_not_negative(draft->maximum, "maximum", -1, escontext))
		return false;
	if (draft->discount > 100 * DEC_ONE)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("discount of %s%% is above 100%%", dec_text(draft->discount))));
	if (draft->has_maximum && draft->minimum > draft->maximum)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("minimum %s is above the maximum %s", dec_text(draft->minimum),
						dec_text(draft->maximum))));
	return true;
}

static bool
check_not_negative(Dec value, const char *what, int tier, struct Node *escontext)
{
	if (value >= 0)
		return true;
	if (tier < 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s %s of the tariff is negative", what, dec_text(value))));
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s of tier %d is negative", what, dec_text(value), tier + 1)));
}

/* Returns what a quantity is charged; refuses a negative one. */
Dec
tariff_charge(const Tariff *t, Dec quantity)
{
	int64 count;

	if (unlikely(quantity < 0))
		refuse_negative(quantity);
	if (likely((t->flags & TARIFF_COUNTS) && count_of(quantity, &count)))
		return finish(t, charge_count(t, count > t->count_free ? count - t->count_free : 0), NULL);
	return finish(t, charge_exactly(t, net_quantity(t, quantity)), NULL);
}

/* Returns tariff_charge() of a whole quantity. */
Dec
tariff_charge_count(const Tariff *t, int64 count)
{
	if (unlikely(count < 0))
		refuse_negative(dec_from_int64(count));
	if (likely((t->flags & TARIFF_COUNTS) && count < PG_INT64_MAX))
		return finish(t, charge_count(t, count > t->count_free ? count - t->count_free : 0), NULL);
	return tariff_charge(t, dec_from_int64(count));
}

/*
 * Returns what each further unit adds to the charge of a count, and sets the count up
 * to which it does; that is the count itself where the charge is no straight line there.
 */
int64
tariff_slope(const Tariff *t, int64 count, int64 *until)
{
	const TariffTier *tier = t->tiers;

	*until = count;
	if (!(t->flags & TARIFF_COUNTS) || (t->flags & TARIFF_HAS_MAXIMUM) || count < 0 ||
		dec_load(&t->discount) != 0 || dec_load(&t->minimum) != 0)
		return 0;
	if (count <= t->count_free)
	{
		*until = t->count_free;
		return 0;
	}
	while (count - t->count_free > tier->count_to)
		tier++;
	if (tier->count_per != 0)
		return 0;
	/* the largest count is not charged as one */
	if (pg_add_s64_overflow(t->count_free, tier->count_to, until) || *until == PG_INT64_MAX)
		*until = PG_INT64_MAX - 1;
	return tier->count_price;
}

/* Returns what the tiers charge for a net count: products of 64 bits each are exact. */
static Dec
charge_count(const Tariff *t, int64 net)
{
	const TariffTier *tier = t->tiers;
	int64 from = 0;
	Dec sum = 0;

	if (t->model == TARIFF_VOLUME)
		while (net > tier->count_to)
			tier++;
	for (;; tier++)
	{
		int64 part = Min(net, tier->count_to) - from;
		int64 times = part;

		if (tier->mode == TARIFF_STARTED)
			times = part / tier->count_per + (part % tier->count_per != 0 ? 1 : 0);
		else if (tier->mode == TARIFF_FULL)
			times = part / tier->count_per;
		sum = dec_add(sum, (Dec) times * tier->count_price);
		if (net > 0 || !(t->flags & TARIFF_NO_FEE_AT_ZERO))
			sum = dec_add(sum, dec_load(&tier->fee));
		if (net <= tier->count_to)
			return sum;
		from = tier->count_to;
	}
}

/* Returns what the tiers charge for a net quantity of any kind. */
static Dec
charge_exactly(const Tariff *t, Dec net)
{
	int i = t->model == TARIFF_VOLUME ? volume_tier(t, net) : 0;
	Dec from = 0;
	Dec sum = 0;

	for (;; i++)
	{
		const TariffTier *tier = &t->tiers[i];
		Dec up_to = dec_load(&tier->up_to);

		sum = dec_add(sum, price_part(tier, Min(net, up_to) - from));
		if (net > 0 || !(t->flags & TARIFF_NO_FEE_AT_ZERO))
			sum = dec_add(sum, dec_load(&tier->fee));
		if (net <= up_to)
			return sum;
		from = up_to;
	}
}

/* Returns what a tier charges for its part of a quantity, settled, without its fee. */
static inline Dec
price_part(const TariffTier *tier, Dec part)
{
	Dec packages;
	Dec amount;

	switch (tier->mode)
	{
		case TARIFF_LINEAR:
		case TARIFF_PERCENT:
			if (tier->flags & TIER_FOLDED)
				return dec_mul(part, dec_load(&tier->multiplier));
			return dec_mul_div(part, dec_load(&tier->price), dec_load(&tier->per));
		default:
			packages = dec_divide_whole(part, dec_load(&tier->per), tier->mode == TARIFF_STARTED);
			if (unlikely(__builtin_mul_overflow(packages, dec_load(&tier->price), &amount)))
				dec_overflow();
			return amount;
	}
}

static inline Dec
net_quantity(const Tariff *t, Dec quantity)
{
	Dec free = dec_load(&t->free);

	return quantity > free ? quantity - free : 0;
}

/* The tier of a volume tariff that a net quantity lies in. */
static int
volume_tier(const Tariff *t, Dec net)
{
	int i = 0;

	while (net > dec_load(&t->tiers[i].up_to))
		i++;
	return i;
}

/* Returns a sum of tiers after the discount, the maximum and the minimum. */
static inline Dec
finish(const Tariff *t, Dec subtotal, TariffSteps *steps)
{
	Dec discount = dec_load(&t->discount);
	Dec minimum = dec_load(&t->minimum);
	Dec charge = subtotal;

	if (discount != 0)
	{
		Dec off = dec_mul_div(subtotal, discount, 100 * DEC_ONE);

		charge -= off;
		if (steps != NULL)
			steps->discount = -off;
	}
	if (t->flags & TARIFF_HAS_MAXIMUM)
	{
		Dec maximum = dec_load(&t->maximum);

		if (charge > maximum)
		{
			if (steps != NULL)
				steps->maximum = maximum - charge;
			charge = maximum;
		}
	}
	if (charge < minimum)
	{
		if (steps != NULL)
			steps->minimum = minimum - charge;
		charge = minimum;
	}
	return charge;
}

/*
 * Returns the part of a quantity that lies in lines with a price: neither free, nor
 * in a tier at price zero.
 */
Dec
tariff_overage(const Tariff *t, Dec quantity)
{
	Dec net;
	Dec from = 0;
	Dec sum = 0;

	if (quantity < 0)
		refuse_negative(quantity);
	net = net_quantity(t, quantity);
	if (t->model == TARIFF_VOLUME)
		return dec_load(&t->tiers[volume_tier(t, net)].price) != 0 ? net : 0;
	for (int i = 0;; i++)
	{
		const TariffTier *tier = &t->tiers[i];
		Dec up_to = dec_load(&tier->up_to);

		if (dec_load(&tier->price) != 0)
			sum += Min(net, up_to) - from;
		if (net <= up_to)
			return sum;
		from = up_to;
	}
}

/*
 * Fills in the lines of a charge, of which there are at most as many as tiers, and
 * its steps; returns the number of lines. Lines and steps add up to the charge.
 */
int
tariff_lines(const Tariff *t, Dec quantity, TariffLine *lines, TariffSteps *steps)
{
	Dec net;
	Dec from = 0;
	Dec sum = 0;
	int n = 0;
	int i = 0;

	if (quantity < 0)
		refuse_negative(quantity);
	net = net_quantity(t, quantity);
	memset(steps, 0, sizeof(*steps));
	if (t->model == TARIFF_VOLUME)
		i = volume_tier(t, net);
	for (;; i++)
	{
		const TariffTier *tier = &t->tiers[i];
		TariffLine *line = &lines[n++];
		Dec up_to = dec_load(&tier->up_to);

		line->tier = i;
		line->from = i == 0 ? 0 : dec_load(&t->tiers[i - 1].up_to);
		line->quantity = Min(net, up_to) - from;
		line->fee = net > 0 || !(t->flags & TARIFF_NO_FEE_AT_ZERO) ? dec_load(&tier->fee) : 0;
		line->amount = dec_add(price_part(tier, line->quantity), line->fee);
		sum = dec_add(sum, line->amount);
		if (net <= up_to)
			break;
		from = up_to;
	}
	(void) finish(t, sum, steps);
	return n;
}

static void
refuse_negative(Dec quantity)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("cannot charge the negative quantity %s", dec_text(quantity)),
			 errdetail("A tariff charges quantities from zero up."),
			 errhint("Charge greatest(quantity, 0) where a total below zero is to be free.")));
}

/* Unpacks a toasted tariff, or finds it in the cache: see tariff_fetch. */
const Tariff *
tariff_unpack(Datum value, TariffCache **cache, MemoryContext context)
{
	struct varlena *packed = (struct varlena *) DatumGetPointer(value);
	TariffCache *entry = *cache;
	Size size;
	Tariff *tariff;

	/* what lies in memory of its own may change under the same pointer */
	if (VARATT_IS_EXTERNAL(packed) && !VARATT_IS_EXTERNAL_ONDISK(packed))
		return DatumGetTariffP(value);

	size = VARSIZE_ANY(packed);
	if (entry != NULL && entry->packed != NULL && VARSIZE_ANY(entry->packed) == size &&
		memcmp(entry->packed, packed, size) == 0)
		return entry->tariff;

	tariff = (Tariff *) PG_DETOAST_DATUM_COPY(value);
	if (entry == NULL)
		*cache = entry = MemoryContextAllocZero(context, sizeof(TariffCache));
	if (entry->packed != NULL)
	{
		pfree(entry->packed);
		entry->packed = NULL;
		pfree(entry->tariff);
	}
	entry->tariff = MemoryContextAlloc(context, VARSIZE(tariff));
	memcpy(entry->tariff, tariff, VARSIZE(tariff));
	entry->packed = MemoryContextAlloc(context, size);
	memcpy(entry->packed, packed, size);
	pfree(tariff);
	return entry->tariff;
}
