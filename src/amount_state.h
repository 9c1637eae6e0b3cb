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

/*
 * Returns the state that a transition function's first argument is, to be changed in
 * place: a new one for the first row, and a copy outside an aggregate, where the
 * argument is a value of the caller's.
 */
static inline AmountState *
amount_state_begin(FunctionCallInfo fcinfo)
{
	if (likely(!PG_ARGISNULL(0) && fcinfo->context != NULL &&
			   (IsA(fcinfo->context, AggState) || IsA(fcinfo->context, WindowAggState))))
		return (AmountState *) PG_GETARG_POINTER(0);
	return amount_state_copy(fcinfo);
}

/* Adds an amount; refuses a sum that does not fit. */
static inline void
amount_state_add(AmountState *state, Dec amount)
{
	dec_store(&state->sum, dec_add(dec_load(&state->sum), amount));
	state->amounts++;
}

/* Adds an amount of at least zero, by which no sum becomes the one number that is not a Dec. */
static inline void
amount_state_add_small(AmountState *state, int64 amount)
{
	Dec sum;

	Assert(amount >= 0);
	if (unlikely(__builtin_add_overflow(dec_load(&state->sum), (Dec) (uint64) amount, &sum)))
		dec_overflow();
	dec_store(&state->sum, sum);
	state->amounts++;
}

#endif /* METER_AMOUNT_STATE_H */
