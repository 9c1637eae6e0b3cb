/*
 * amount_state.c: a sum of amounts as a type, so that any worker, any node and any
 * table can hold a part of a total.
 *
 * The text form is the sum and the number of amounts in it, "96.791325 19366".
 */
#include "amount_state.h"

#include "common/int.h"
#include "libpq/pqformat.h"

PG_FUNCTION_INFO_V1(meter_amount_state_in);
PG_FUNCTION_INFO_V1(meter_amount_state_out);
PG_FUNCTION_INFO_V1(meter_amount_state_recv);
PG_FUNCTION_INFO_V1(meter_amount_state_send);
PG_FUNCTION_INFO_V1(meter_amount_state_combine);
PG_FUNCTION_INFO_V1(meter_amount_state_final);

static AmountState *new_state(void);

/* Returns a new state for the first row, or a copy of the state of a call's argument. */
AmountState *
amount_state_copy(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		return new_state();
	return memcpy(palloc(sizeof(AmountState)), PG_GETARG_POINTER(0), sizeof(AmountState));
}

static AmountState *
new_state(void)
{
	AmountState *state = palloc0(sizeof(AmountState));

	state->format = AMOUNT_STATE_FORMAT;
	return state;
}

/* Reads a state's text. */
Datum
meter_amount_state_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	AmountState *state = new_state();
	const char *p;
	Dec sum;
	Dec amounts;

	if (!dec_parse(text, &p, &sum, "sum", fcinfo->context))
	{
		if (p != text)
			PG_RETURN_NULL();
	}
	else if (*p == ' ')
	{
		const char *count = p + 1;

		if (!dec_parse(count, &p, &amounts, "number of amounts", fcinfo->context))
		{
			if (p != count)
				PG_RETURN_NULL();
		}
		else if (*p == '\0' && amounts >= 0 && amounts % DEC_ONE == 0 &&
				 amounts / DEC_ONE <= PG_INT64_MAX && (amounts > 0 || sum == 0))
		{
			dec_store(&state->sum, sum);
			state->amounts = (int64) (amounts / DEC_ONE);
			PG_RETURN_POINTER(state);
		}
	}
	ereturn(fcinfo->context, (Datum) 0,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type meter.amount_state: \"%s\"", text),
			 errdetail("It is a sum and the number of amounts in it, such as \"12.5 3\".")));
}

/* Returns a state's text. */
Datum
meter_amount_state_out(PG_FUNCTION_ARGS)
{
	AmountState *state = (AmountState *) PG_GETARG_POINTER(0);
	char sum[DEC_BUFSIZE];

	dec_print(dec_load(&state->sum), sum);
	PG_RETURN_CSTRING(psprintf("%s " INT64_FORMAT, sum, state->amounts));
}

/* Reads a state's wire form. */
Datum
meter_amount_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	AmountState *state = new_state();
	Dec sum;

	wire_need(in, 1);
	if (pq_getmsgbyte(in) != AMOUNT_STATE_FORMAT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external meter.amount_state has an unknown version")));
	sum = dec_recv(in);
	dec_store(&state->sum, sum);
	wire_need(in, sizeof(int64));
	state->amounts = pq_getmsgint64(in);
	if (state->amounts < 0 || (state->amounts == 0 && sum != 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external meter.amount_state is a sum of no amounts")));
	PG_RETURN_POINTER(state);
}

/* Returns a state's wire form. */
Datum
meter_amount_state_send(PG_FUNCTION_ARGS)
{
	AmountState *state = (AmountState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, AMOUNT_STATE_FORMAT);
	dec_send(&out, dec_load(&state->sum));
	pq_sendint64(&out, state->amounts);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* Returns the sum of two states. */
Datum
meter_amount_state_combine(PG_FUNCTION_ARGS)
{
	AmountState *state;
	AmountState *other;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	state = amount_state_begin(fcinfo);
	if (!PG_ARGISNULL(1))
	{
		other = (AmountState *) PG_GETARG_POINTER(1);
		dec_store(&state->sum, dec_add(dec_load(&state->sum), dec_load(&other->sum)));
		if (pg_add_s64_overflow(state->amounts, other->amounts, &state->amounts))
			dec_overflow();
	}
	PG_RETURN_POINTER(state);
}

/* Returns a state's sum, NULL where there was no amount. */
Datum
meter_amount_state_final(PG_FUNCTION_ARGS)
{
	AmountState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (AmountState *) PG_GETARG_POINTER(0);
	if (state->amounts == 0)
		PG_RETURN_NULL();
	return dec_to_numeric(dec_load(&state->sum));
}
