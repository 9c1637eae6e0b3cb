/*
 * amount_state.h: the state of an aggregate that adds up amounts.
 */
#ifndef METER_AMOUNT_STATE_H
#define METER_AMOUNT_STATE_H

#include "decimal.h"

#include "fmgr.h"
#include "nodes/nodes.h"

#define AMOUNT_STATE_FORMAT 1

/*
 * A sum and how many amounts are in it, 32 bytes by reference: half a cache line a
 * group, which a hash aggregate over many groups feels. No amount is no sum.
 */
typedef struct AmountState
{
	DecHalves sum;
	int64 amounts;
	uint32 format;
	uint32 reserved;
} AmountState;

StaticAssertDecl(sizeof(AmountState) == 32, "the type's INTERNALLENGTH is 32");

extern AmountState *amount_state_copy(FunctionCallInfo fcinfo);

#define PG_GETARG_AMOUNT_STATE_P(n) ((AmountState *) PG_GETARG_POINTER(n))

/*
 * Says whether a transition function's first argument is a state to be changed in
 * place. Else it is the first row, or outside an aggregate, where the argument is a value
 * of the caller's.
 */
static inline bool
amount_state_is_here(FunctionCallInfo fcinfo)
{
	return !PG_ARGISNULL(0) && fcinfo->context != NULL &&
		   (IsA(fcinfo->context, AggState) || IsA(fcinfo->context, WindowAggState));
}

/* Returns the state of a transition function: that of its first argument, a new one or a copy. */
static inline AmountState *
amount_state_begin(FunctionCallInfo fcinfo)
{
	if (likely(amount_state_is_here(fcinfo)))
		return PG_GETARG_AMOUNT_STATE_P(0);
	return amount_state_copy(fcinfo);
}

/* Adds an amount; refuses a sum that does not fit. */
static inline void
amount_state_add(AmountState *state, Dec amount)
{
	dec_store(&state->sum, dec_add(dec_load(&state->sum), amount));
	state->amounts++;
}

/* Adds an amount of at least zero: the least Dec is far. */
static inline void
amount_state_add_count(AmountState *state, int64 amount)
{
	Dec sum;

	Assert(amount >= 0);
	if (unlikely(__builtin_add_overflow(dec_load(&state->sum), (Dec) (uint64) amount, &sum)))
		dec_overflow();
	dec_store(&state->sum, sum);
	state->amounts++;
}

#endif /* METER_AMOUNT_STATE_H */
