/*
 * round.c: rounding money to its currency's digits, and quantities as a contract says.
 */
#include "decimal.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "currency.h"

/* Returns the digits of a currency's code; refuses a code that is none. */
static int
digits_of(const text *code)
{
	char *name = text_to_cstring(code);
	int digits = currency_digits(name);

	if (digits < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not the code of a currency with a minor unit", name),
						errhint("Codes are ISO 4217's three letters, such as EUR.")));
	pfree(name);
	return digits;
}

PG_FUNCTION_INFO_V1(meter_currency_digits);
Datum
meter_currency_digits(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(digits_of(PG_GETARG_TEXT_PP(0)));
}

PG_FUNCTION_INFO_V1(meter_is_currency);
Datum
meter_is_currency(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool known = currency_digits(name) >= 0;

	pfree(name);
	PG_RETURN_BOOL(known);
}

PG_FUNCTION_INFO_V1(meter_round_money);
Datum
meter_round_money(PG_FUNCTION_ARGS)
{
	Dec amount = dec_from_numeric(PG_GETARG_DATUM(0), "amount");

	PG_RETURN_DATUM(
		dec_to_numeric(dec_round(amount, ROUND_HALF_AWAY, digits_of(PG_GETARG_TEXT_PP(1)))));
}

PG_FUNCTION_INFO_V1(meter_round_quantity);
Datum
meter_round_quantity(PG_FUNCTION_ARGS)
{
	Dec quantity = dec_from_numeric(PG_GETARG_DATUM(0), "quantity");
	text *name = PG_GETARG_TEXT_PP(1);
	int digits = PG_GETARG_INT32(2);
	static const struct
	{
		const char *name;
		RoundMode mode;
	} modes[] = {{"round", ROUND_HALF_AWAY}, {"ceil", ROUND_CEIL}, {"floor", ROUND_FLOOR}};

	/* no digit lies further left than this, and the distance must not overflow */
	digits = Max(digits, -100);
	for (int i = 0; i < (int) lengthof(modes); i++)
		if (VARSIZE_ANY_EXHDR(name) == strlen(modes[i].name) &&
			memcmp(VARDATA_ANY(name), modes[i].name, strlen(modes[i].name)) == 0)
			PG_RETURN_DATUM(dec_to_numeric(dec_round(quantity, modes[i].mode, digits)));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("rounding mode \"%s\" is not known", text_to_cstring(name)),
					errhint("Modes are round (half away from zero), ceil (up) and floor (down).")));
}
