/*
 * scale.c: prices that change by a factor: a tariff linked to an index, one that
 * rises every year, and the limits of one that holds for a part of a period.
 *
 * The result is a tariff like any other, made by the same checks. Each price is
 * settled to 12 digits once.
 */
#include "postgres.h"

#include "tariff.h"

#include "fmgr.h"

/* Prices do not rise for longer than this. */
#define COMPOUND_MAX_YEARS 1000

static void
draft_of(const Tariff *t, TariffDraft *draft)
{
	tariff_draft_init(draft, t->model);
	draft->no_fee_at_zero = (t->flags & TARIFF_NO_FEE_AT_ZERO) != 0;
	draft->has_maximum = (t->flags & TARIFF_HAS_MAXIMUM) != 0;
	draft->free = dec_load(&t->free);
	draft->discount = dec_load(&t->discount);
	draft->maximum = dec_load(&t->maximum);
	draft->minimum = dec_load(&t->minimum);
	for (int i = 0; i < t->ntiers; i++)
	{
		TariffTierDraft *tier = tariff_draft_add(draft, NULL);

		tier->up_to = dec_load(&t->tiers[i].up_to);
		tier->price = dec_load(&t->tiers[i].price);
		/* the fixed hundred of a percentage is no part of a draft */
		tier->mode = t->tiers[i].mode;
		if (tier->mode != TARIFF_PERCENT)
			tier->per = dec_load(&t->tiers[i].per);
		tier->fee = dec_load(&t->tiers[i].fee);
	}
}

/* scale(tariff, factor numeric): returns the tariff with every amount of money in it times the factor. */
PG_FUNCTION_INFO_V1(meter_scale);
Datum
meter_scale(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	Dec factor = dec_from_numeric(PG_GETARG_DATUM(1), "factor");
	TariffDraft draft;

	if (factor < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("factor %s is negative", dec_text(factor))));
	draft_of(t, &draft);
	draft.maximum = dec_mul(draft.maximum, factor);
	draft.minimum = dec_mul(draft.minimum, factor);
	for (int i = 0; i < draft.ntiers; i++)
	{
		draft.tiers[i].price = dec_mul(draft.tiers[i].price, factor);
		draft.tiers[i].fee = dec_mul(draft.tiers[i].fee, factor);
	}
	PG_RETURN_TARIFF_P(tariff_build(&draft, NULL));
}

/*
 * prorate_limits(tariff, part_from integer, part_to integer, whole integer): returns
 * the tariff with its minimum and maximum prorated; refuses what is no part.
 */
PG_FUNCTION_INFO_V1(meter_prorate_limits);
Datum
meter_prorate_limits(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	int32 from = PG_GETARG_INT32(1);
	int32 to = PG_GETARG_INT32(2);
	int32 whole = PG_GETARG_INT32(3);
	TariffDraft draft;

	if (from < 0 || from > to || to > whole || whole == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d to %d is no part of %d", from, to, whole)));
	draft_of(t, &draft);
	draft.maximum =
		dec_sub(dec_mul_div(draft.maximum, to, whole), dec_mul_div(draft.maximum, from, whole));
	draft.minimum =
		dec_sub(dec_mul_div(draft.minimum, to, whole), dec_mul_div(draft.minimum, from, whole));
	/* each is settled by itself: the last digit may put two that were close the wrong way round */
	if (draft.has_maximum && draft.minimum > draft.maximum)
		draft.minimum = draft.maximum;
	PG_RETURN_TARIFF_P(tariff_build(&draft, NULL));
}

/* compound(percent numeric, years integer): returns the factor of so many yearly rises, each settled. */
PG_FUNCTION_INFO_V1(meter_compound);
Datum
meter_compound(PG_FUNCTION_ARGS)
{
	Dec rise = dec_add(dec_from_numeric(PG_GETARG_DATUM(0), "percentage"), 100 * DEC_ONE);
	int32 years = PG_GETARG_INT32(1);
	Dec factor = DEC_ONE;

	if (rise < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a price cannot fall by more than 100 %%")));
	if (years < 0 || years > COMPOUND_MAX_YEARS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d years are not between 0 and %d", years, COMPOUND_MAX_YEARS)));
	for (int32 i = 0; i < years; i++)
		factor = dec_mul_div(factor, rise, 100 * DEC_ONE);
	PG_RETURN_DATUM(dec_to_numeric(factor));
}
