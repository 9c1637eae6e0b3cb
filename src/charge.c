/*
 * charge.c: the SQL functions of a tariff: charges, their lines, and what of a charge
 * belongs to whom.
 *
 * charge(tariff, quantity) is the whole semantics; its order of steps stands in
 * tariff.c. Everything here is a difference or a listing of it:
 *
 *   charge_lines      its lines, which add up to it
 *   charge_between    charge(after) - charge(before)
 *   total_charge      charge(sum of the quantities), an aggregate
 *   marginal_charge   charge(running total) less that of the row before, a window
 *                     function: the shares telescope, so they add up for every model,
 *                     one where a new row makes earlier ones cheaper too
 *
 * A row costs no allocation but its result's.
 */
#include "tariff.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "windowapi.h"

#define CHARGE_STATE_VERSION 1
#define LINE_COLUMNS 8

/* How many rows a window function lets go of at once. */
#define MARK_EVERY 64

/*
 * The state of total_charge: the sum so far and the tariff, which no row but the first
 * brings along. Its size is that of the first row's tariff, for good.
 */
typedef struct ChargeState
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint8 version;
	uint8 reserved[3];
	DecHalves quantity;
	Tariff tariff;
} ChargeState;

#define STATE_SIZE(tariff) (offsetof(ChargeState, tariff) + VARSIZE(tariff))
#define PG_GETARG_CHARGE_STATE_P(n) ((ChargeState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

StaticAssertDecl(offsetof(ChargeState, tariff) % MAXIMUM_ALIGNOF == 0,
				 "a tariff in a state is aligned");

/* What marginal_charge knows of its partition. */
typedef struct Marginal
{
	int64 count; /* the units since the last reset, where all quantities are whole */
	int64 room;	 /* so many more each add the slope to the charge; below zero: none do */
	int64 slope;
	Dec charge; /* of the count, or of the sum */
	Dec sum;	/* of the quantities since the last reset, where one of them is not whole */
	bool counts;
	bool fixed; /* the tariff is the same in all rows */
	bool started;
	bool reset_is_null;
	uint8 rows; /* since the window's mark moved */
	Tariff *tariff;
	Size tariff_capacity;
	Datum reset_value;
	struct varlena *reset; /* of a type passed by reference */
	Size reset_capacity;
} Marginal;

/* How a type of `reset` is compared. */
typedef enum ResetKind
{
	RESET_NONE,
	RESET_VALUE, /* passed by value: all of the Datum */
	RESET_BYTES	 /* a varlena whose equal values have equal bytes */
} ResetKind;

static void put_line(ReturnSetInfo *result, const char *kind, const TariffTier *tier,
					 const TariffLine *line, Dec amount);
static ChargeState *make_state(const Tariff *tariff, Dec quantity);
static ChargeState *state_to_change(FunctionCallInfo fcinfo, int argument);
pg_noreturn static void refuse_other_tariff(const Tariff *a, const Tariff *b);
static inline Datum marginal_charge(FunctionCallInfo fcinfo, ResetKind kind, Oid quantity_type);
static bool tariff_is_fixed(FunctionCallInfo fcinfo);
static Dec marginal_charge_anew(Marginal *m);
static inline void marginal_count(Marginal *m, int64 quantity);
static inline void marginal_add(Marginal *m, Dec quantity);
static inline bool resets(Marginal *m, ResetKind kind, Datum value, bool isnull);
static void keep_tariff(Marginal *m, const Tariff *tariff);

PG_FUNCTION_INFO_V1(meter_charge);
Datum
meter_charge(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_CACHED(0);
	Dec quantity = dec_from_numeric(PG_GETARG_DATUM(1), "quantity");

	return dec_to_numeric(tariff_charge(t, quantity));
}

PG_FUNCTION_INFO_V1(meter_overage);
Datum
meter_overage(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_CACHED(0);
	Dec quantity = dec_from_numeric(PG_GETARG_DATUM(1), "quantity");

	return dec_to_numeric(tariff_overage(t, quantity));
}

/* A NULL before means that nothing was charged yet, not a quantity of zero. */
PG_FUNCTION_INFO_V1(meter_charge_between);
Datum
meter_charge_between(PG_FUNCTION_ARGS)
{
	const Tariff *t;
	Dec charge;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	t = PG_GETARG_TARIFF_CACHED(0);
	charge = tariff_charge(t, dec_from_numeric(PG_GETARG_DATUM(2), "quantity"));
	if (!PG_ARGISNULL(1))
		charge = dec_sub(charge,
						 tariff_charge(t, dec_from_numeric(PG_GETARG_DATUM(1), "quantity before")));
	return dec_to_numeric(charge);
}

PG_FUNCTION_INFO_V1(meter_charge_lines);
Datum
meter_charge_lines(PG_FUNCTION_ARGS)
{
	const Tariff *t = PG_GETARG_TARIFF_P(0);
	Dec quantity = dec_from_numeric(PG_GETARG_DATUM(1), "quantity");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TariffLine *lines = palloc(t->ntiers * sizeof(TariffLine));
	TariffSteps steps;
	int n;

	/* the expected columns: to work them out anew leaves memory behind with every call */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	n = tariff_lines(t, quantity, lines, &steps);
	for (int i = 0; i < n; i++)
		put_line(result, "tier", &t->tiers[lines[i].tier], &lines[i], lines[i].amount);
	if (steps.discount != 0)
		put_line(result, "discount", NULL, NULL, steps.discount);
	if (steps.maximum != 0)
		put_line(result, "maximum", NULL, NULL, steps.maximum);
	if (steps.minimum != 0)
		put_line(result, "minimum", NULL, NULL, steps.minimum);
	return (Datum) 0;
}

static void
put_line(ReturnSetInfo *result, const char *kind, const TariffTier *tier, const TariffLine *line,
		 Dec amount)
{
	Datum values[LINE_COLUMNS] = {0};
	bool nulls[LINE_COLUMNS] = {false};

	memset(nulls + 1, true, LINE_COLUMNS - 2);
	values[0] = CStringGetTextDatum(kind);
	if (line != NULL)
	{
		Dec up_to = dec_load(&tier->up_to);

		memset(nulls, false, sizeof(nulls));
		values[1] = dec_to_numeric(line->from);
		if (up_to == DEC_MAX)
			nulls[2] = true;
		else
			values[2] = dec_to_numeric(up_to);
		values[3] = dec_to_numeric(line->quantity);
		values[4] = dec_to_numeric(dec_load(&tier->price));
		values[5] = dec_to_numeric(dec_load(&tier->per));
		values[6] = dec_to_numeric(line->fee);
	}
	values[7] = dec_to_numeric(amount);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Transition of total_charge: a row without a tariff or a quantity counts for nothing. */
PG_FUNCTION_INFO_V1(meter_total_charge_accum);
PG_FUNCTION_INFO_V1(meter_total_charge_accum_int8);
PG_FUNCTION_INFO_V1(meter_total_charge_accum_int4);
static pg_attribute_always_inline Datum
accumulate_charge(FunctionCallInfo fcinfo, Oid quantity_type)
{
	const Tariff *t;
	Dec quantity;
	ChargeState *state;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	t = PG_GETARG_TARIFF_CACHED(1);
	if (quantity_type == INT4OID)
		quantity = dec_from_int64(PG_GETARG_INT32(2));
	else if (quantity_type == INT8OID)
		quantity = dec_from_int64(PG_GETARG_INT64(2));
	else
		quantity = dec_from_numeric(PG_GETARG_DATUM(2), "quantity");
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(make_state(t, quantity));

	state = state_to_change(fcinfo, 0);
	if (!tariff_same(&state->tariff, t))
		refuse_other_tariff(&state->tariff, t);
	dec_store(&state->quantity, dec_add(dec_load(&state->quantity), quantity));
	PG_RETURN_POINTER(state);
}

Datum
meter_total_charge_accum(PG_FUNCTION_ARGS)
{
	return accumulate_charge(fcinfo, NUMERICOID);
}

/* The same for whole quantities, without a numeric for each. */
Datum
meter_total_charge_accum_int8(PG_FUNCTION_ARGS)
{
	return accumulate_charge(fcinfo, INT8OID);
}

Datum
meter_total_charge_accum_int4(PG_FUNCTION_ARGS)
{
	return accumulate_charge(fcinfo, INT4OID);
}

PG_FUNCTION_INFO_V1(meter_total_charge_combine);
Datum
meter_total_charge_combine(PG_FUNCTION_ARGS)
{
	ChargeState *state;
	ChargeState *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = PG_GETARG_CHARGE_STATE_P(1);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(make_state(&other->tariff, dec_load(&other->quantity)));

	state = state_to_change(fcinfo, 0);
	if (!tariff_same(&state->tariff, &other->tariff))
		refuse_other_tariff(&state->tariff, &other->tariff);
	dec_store(&state->quantity, dec_add(dec_load(&state->quantity), dec_load(&other->quantity)));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(meter_total_charge_final);
Datum
meter_total_charge_final(PG_FUNCTION_ARGS)
{
	ChargeState *state = PG_GETARG_CHARGE_STATE_P(0);

	return dec_to_numeric(tariff_charge(&state->tariff, dec_load(&state->quantity)));
}

static ChargeState *
make_state(const Tariff *tariff, Dec quantity)
{
	ChargeState *state = palloc0(STATE_SIZE(tariff));

	SET_VARSIZE(state, STATE_SIZE(tariff));
	state->version = CHARGE_STATE_VERSION;
	dec_store(&state->quantity, quantity);
	memcpy(&state->tariff, tariff, VARSIZE(tariff));
	return state;
}

/* Returns a state that may be changed: in place inside an aggregate, else a copy. */
static ChargeState *
state_to_change(FunctionCallInfo fcinfo, int argument)
{
	if (AggCheckCallContext(fcinfo, NULL))
		return PG_GETARG_CHARGE_STATE_P(argument);
	return (ChargeState *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(argument));
}

static void
refuse_other_tariff(const Tariff *a, const Tariff *b)
{
	StringInfoData texts[2];
	const Tariff *tariffs[2] = {a, b};

	for (int i = 0; i < 2; i++)
	{
		initStringInfo(&texts[i]);
		tariff_to_text(tariffs[i], &texts[i]);
		if (texts[i].len > 200)
			strcpy(texts[i].data + 197, "...");
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("quantities of different tariffs do not add up to one charge"),
			 errdetail("One tariff is \"%s\", another is \"%s\".", texts[0].data, texts[1].data),
			 errhint("Group, or partition, by what decides the tariff.")));
}

/* The state's text form: `quantity 1200; graduated: ...`. */
PG_FUNCTION_INFO_V1(meter_charge_state_out);
Datum
meter_charge_state_out(PG_FUNCTION_ARGS)
{
	ChargeState *state = PG_GETARG_CHARGE_STATE_P(0);
	char digits[DEC_BUFSIZE];
	StringInfoData out;

	initStringInfo(&out);
	dec_print(dec_load(&state->quantity), digits);
	appendStringInfo(&out, "quantity %s; ", digits);
	tariff_to_text(&state->tariff, &out);
	PG_RETURN_CSTRING(out.data);
}

PG_FUNCTION_INFO_V1(meter_charge_state_in);
Datum
meter_charge_state_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *end = text;
	Dec quantity;
	Tariff *tariff;

	if (strncmp(text, "quantity ", 9) == 0)
	{
		end = text + 9;
		if (!dec_parse(text + 9, &end, &quantity, "quantity", fcinfo->context) && end != text + 9)
			PG_RETURN_NULL();
	}
	if (end == text || end == text + 9 || *end != ';')
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type meter.charge_state"),
				 errdetail("Expected \"quantity\", a number, \";\" and a tariff.")));
	tariff = tariff_from_text(end + 1, fcinfo->context);
	if (tariff == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(make_state(tariff, quantity));
}

PG_FUNCTION_INFO_V1(meter_charge_state_send);
Datum
meter_charge_state_send(PG_FUNCTION_ARGS)
{
	ChargeState *state = PG_GETARG_CHARGE_STATE_P(0);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, CHARGE_STATE_VERSION);
	dec_send(&buffer, dec_load(&state->quantity));
	tariff_write(&buffer, &state->tariff);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

PG_FUNCTION_INFO_V1(meter_charge_state_recv);
Datum
meter_charge_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo buffer = (StringInfo) PG_GETARG_POINTER(0);
	Dec quantity;

	wire_need(buffer, 1);
	if (pq_getmsgbyte(buffer) != CHARGE_STATE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid external meter.charge_state value"),
						errdetail("The version of the format is not known.")));
	quantity = dec_recv(buffer);
	PG_RETURN_POINTER(make_state(tariff_read(buffer), quantity));
}

/* of marginal_charge(tariff, numeric) */
PG_FUNCTION_INFO_V1(meter_marginal_charge);
Datum
meter_marginal_charge(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_NONE, NUMERICOID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_int8);
Datum
meter_marginal_charge_int8(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_NONE, INT8OID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_int4);
Datum
meter_marginal_charge_int4(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_NONE, INT4OID);
}

/* of marginal_charge(tariff, numeric, date) and the like */
PG_FUNCTION_INFO_V1(meter_marginal_charge_by_value);
Datum
meter_marginal_charge_by_value(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_VALUE, NUMERICOID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_by_value_int8);
Datum
meter_marginal_charge_by_value_int8(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_VALUE, INT8OID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_by_value_int4);
Datum
meter_marginal_charge_by_value_int4(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_VALUE, INT4OID);
}

/* of marginal_charge(tariff, numeric, text) and the like */
PG_FUNCTION_INFO_V1(meter_marginal_charge_by_bytes);
Datum
meter_marginal_charge_by_bytes(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_BYTES, NUMERICOID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_by_bytes_int8);
Datum
meter_marginal_charge_by_bytes_int8(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_BYTES, INT8OID);
}

PG_FUNCTION_INFO_V1(meter_marginal_charge_by_bytes_int4);
Datum
meter_marginal_charge_by_bytes_int4(PG_FUNCTION_ARGS)
{
	return marginal_charge(fcinfo, RESET_BYTES, INT4OID);
}

/*
 * Returns the current row's share: the charge of the running total less the charge
 * before the row, which is nothing for the first row since a reset. A row without a
 * tariff or a quantity has no share and counts for nothing.
 */
static pg_attribute_always_inline Datum
marginal_charge(FunctionCallInfo fcinfo, ResetKind kind, Oid quantity_type)
{
	WindowObject window = PG_WINDOW_OBJECT();
	Marginal *m = WinGetPartitionLocalMemory(window, sizeof(Marginal));
	Datum tariff_value = (Datum) 0;
	Datum quantity_value;
	Datum reset_value = (Datum) 0;
	bool no_tariff = false;
	bool no_quantity;
	bool no_reset = false;
	const Tariff *t;
	int64 units = -1;

	/* what lies behind us is never looked at again: the window need not keep it */
	if (++m->rows >= MARK_EVERY)
	{
		WinSetMarkPosition(window, WinGetCurrentPosition(window));
		m->rows = 0;
	}

	if (!m->fixed)
		tariff_value = WinGetFuncArgCurrent(window, 0, &no_tariff);
	quantity_value = WinGetFuncArgCurrent(window, 1, &no_quantity);
	if (kind != RESET_NONE)
		reset_value = WinGetFuncArgCurrent(window, 2, &no_reset);
	if (no_tariff || no_quantity)
		PG_RETURN_NULL();

	t = m->fixed ? m->tariff
				 : tariff_fetch(tariff_value, (TariffCache **) &fcinfo->flinfo->fn_extra,
								fcinfo->flinfo->fn_mcxt);
	if (unlikely(resets(m, kind, reset_value, no_reset)))
	{
		keep_tariff(m, t);
		m->fixed = tariff_is_fixed(fcinfo);
		m->count = 0;
		m->counts = true;
		m->room = -1;
		m->charge = 0;
	}
	else if (!m->fixed && unlikely(!tariff_same(m->tariff, t)))
		refuse_other_tariff(m->tariff, t);

	if (quantity_type == INT4OID)
		units = DatumGetInt32(quantity_value);
	else if (quantity_type == INT8OID)
		units = DatumGetInt64(quantity_value);
	if (likely(units >= 0 && units <= m->room))
	{
		Dec share = (Dec) units * m->slope;

		m->count += units;
		m->room -= units;
		m->charge = dec_add(m->charge, share);
		return dec_to_numeric(share);
	}
	if (quantity_type == NUMERICOID)
		marginal_add(m, dec_from_numeric(quantity_value, "quantity"));
	else
		marginal_count(m, units);
	return dec_to_numeric(marginal_charge_anew(m));
}

/* Says whether a call's tariff can't change from row to row of a partition. */
static bool
tariff_is_fixed(FunctionCallInfo fcinfo)
{
	Node *call = fcinfo->flinfo->fn_expr;
	Node *tariff;

	if (call == NULL || !IsA(call, WindowFunc))
		return false;
	tariff = linitial(((WindowFunc *) call)->args);
	return IsA(tariff, Const) ||
		   (IsA(tariff, Param) && ((Param *) tariff)->paramkind == PARAM_EXEC);
}

/* Charges the running total, and returns what that is more than the charge before. */
static Dec
marginal_charge_anew(Marginal *m)
{
	Dec before = m->charge;

	m->charge =
		m->counts ? tariff_charge_count(m->tariff, m->count) : tariff_charge(m->tariff, m->sum);
	m->room = -1;
	if (m->counts)
	{
		int64 until;

		m->slope = tariff_slope(m->tariff, m->count, &until);
		m->room = until - m->count;
	}
	return dec_sub(m->charge, before);
}

/* Adds a whole quantity to the running total. */
static inline void
marginal_count(Marginal *m, int64 quantity)
{
	int64 count;

	if (likely(m->counts && !pg_add_s64_overflow(m->count, quantity, &count)))
		m->count = count;
	else
	{
		if (m->counts)
			m->sum = dec_from_int64(m->count);
		m->counts = false;
		m->sum = dec_add(m->sum, dec_from_int64(quantity));
	}
}

/* Adds a quantity of any kind to the running total. */
static inline void
marginal_add(Marginal *m, Dec quantity)
{
	if (m->counts && dec_fits_int64(quantity) && (int64) quantity % (int64) DEC_ONE == 0)
	{
		marginal_count(m, (int64) quantity / (int64) DEC_ONE);
		return;
	}
	if (m->counts)
		m->sum = dec_from_int64(m->count);
	m->counts = false;
	m->sum = dec_add(m->sum, quantity);
}

/* Whether the running total begins anew with this row; remembers its `reset`. */
static inline bool
resets(Marginal *m, ResetKind kind, Datum value, bool isnull)
{
	bool first = !m->started;

	m->started = true;
	if (kind == RESET_NONE)
		return first;
	if (isnull)
	{
		if (!first && m->reset_is_null)
			return false;
		m->reset_is_null = true;
		return true;
	}
	if (kind == RESET_VALUE)
	{
		if (!first && !m->reset_is_null && m->reset_value == value)
			return false;
		m->reset_value = value;
	}
	else
	{
		struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
		Size size = VARSIZE_ANY_EXHDR(packed);

		if (!first && !m->reset_is_null && VARSIZE_ANY_EXHDR(m->reset) == size &&
			memcmp(VARDATA_ANY(m->reset), VARDATA_ANY(packed), size) == 0)
			return false;
		if (m->reset_capacity < size + VARHDRSZ)
		{
			m->reset_capacity = 2 * size + 32;
			m->reset = MemoryContextAlloc(GetMemoryChunkContext(m), m->reset_capacity);
		}
		SET_VARSIZE(m->reset, size + VARHDRSZ);
		memcpy(VARDATA(m->reset), VARDATA_ANY(packed), size);
	}
	m->reset_is_null = false;
	return true;
}

static void
keep_tariff(Marginal *m, const Tariff *tariff)
{
	Size size = VARSIZE(tariff);

	if (m->tariff != NULL && tariff_same(m->tariff, tariff))
		return;
	if (m->tariff == NULL || m->tariff_capacity < size)
	{
		m->tariff_capacity = size;
		m->tariff = MemoryContextAlloc(GetMemoryChunkContext(m), size);
	}
	memcpy(m->tariff, tariff, size);
}
