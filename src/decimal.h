/*
 * decimal.h: the exact decimal that every quantity, price and amount is.
 */
#ifndef METER_DECIMAL_H
#define METER_DECIMAL_H

#include "compat.h"

#include "lib/stringinfo.h"

/*
 * A Dec is a decimal number with 12 fractional digits: the number times 10^12.
 * Its range is symmetric, plus and minus DEC_MAX (about 1.7e26), so that a value
 * always has a negative; the type's most negative value is never a Dec.
 */
typedef int128 Dec;

#define DEC_DIGITS_FRACTION 12
#define DEC_ONE ((Dec) INT64CONST(1000000000000))
#define DEC_MAX ((Dec) (~(uint128) 0 >> 1))

/* The longest printed Dec: a sign, 27 digits, a point, 12 digits, a zero byte. */
#define DEC_BUFSIZE 48

/* A Dec at rest, wherever 16-byte alignment can't be promised. */
typedef struct DecHalves
{
	int64 high;
	uint64 low;
} DecHalves;

static inline Dec
dec_load(const DecHalves *halves)
{
	return (Dec) (((uint128) (uint64) halves->high << 64) | halves->low);
}

static inline void
dec_store(DecHalves *halves, Dec value)
{
	halves->high = (int64) (value >> 64);
	halves->low = (uint64) value;
}

typedef enum RoundMode
{
	ROUND_HALF_AWAY,
	ROUND_CEIL,
	ROUND_FLOOR
} RoundMode;

pg_noreturn extern void dec_overflow(void);

/* Returns a + b; refuses a sum that does not fit. */
static inline Dec
dec_add(Dec a, Dec b)
{
	Dec sum;

	/* the second test is sum < -DEC_MAX in two instructions */
	if (unlikely(__builtin_add_overflow(a, b, &sum) ||
				 ((int64) (sum >> 64) == PG_INT64_MIN && (uint64) sum == 0)))
		dec_overflow();
	return sum;
}

/* Returns a - b; refuses a difference that does not fit. */
static inline Dec
dec_sub(Dec a, Dec b)
{
	return dec_add(a, -b);
}

static inline Dec
dec_abs(Dec a)
{
	return a < 0 ? -a : a;
}

/* The Dec of a whole number: any int64 fits. */
static inline Dec
dec_from_int64(int64 value)
{
	return (Dec) value * DEC_ONE;
}

static inline bool
dec_fits_int64(Dec a)
{
	return a == (Dec) (int64) a;
}

extern Dec dec_mul_div_slow(Dec a, Dec b, Dec divisor);

/*
 * Returns a * b / divisor, rounded half away from zero: the one place where an
 * amount is settled. The product is never cut off; refuses a result that does not
 * fit. The divisor is not zero.
 */
static inline Dec
dec_mul_div(Dec a, Dec b, Dec divisor)
{
	Dec product;

	/* the products of everyday fit, and one whole number makes a short division */
	if (likely(!__builtin_mul_overflow(a, b, &product)))
	{
		if (divisor == DEC_ONE && dec_fits_int64(product))
		{
			int64 p = (int64) product;
			int64 quotient = p / INT64CONST(1000000000000);
			int64 rest = p % INT64CONST(1000000000000);

			if (rest >= INT64CONST(500000000000))
				quotient++;
			else if (rest <= -INT64CONST(500000000000))
				quotient--;
			return quotient;
		}
	}
	return dec_mul_div_slow(a, b, divisor);
}

/* Returns a * b, settled to 12 digits. */
static inline Dec
dec_mul(Dec a, Dec b)
{
	return dec_mul_div(a, b, DEC_ONE);
}

/* Returns a / b, settled to 12 digits; b is not zero. */
static inline Dec
dec_div(Dec a, Dec b)
{
	return dec_mul_div(a, DEC_ONE, b);
}

extern bool dec_divide_exactly(Dec a, Dec b, Dec *quotient);
extern Dec dec_round(Dec value, RoundMode mode, int digits);
extern Dec dec_divide_whole(Dec a, Dec b, bool up);
extern Dec dec_share(Dec a, Dec part, Dec whole, Dec *rest);

extern Dec dec_from_numeric(Datum value, const char *what);
extern Datum dec_to_numeric(Dec value);

struct Node;
extern bool dec_parse(const char *text, const char **end, Dec *value, const char *what,
					  struct Node *escontext);
extern bool parse_digits(const char **text, int least, int most, int *number);
extern int dec_print(Dec value, char *buffer);
extern char *dec_text(Dec value);

pg_noreturn extern void wire_refuse(const char *type, const char *detail);
extern void wire_need(StringInfo buffer, int bytes);
extern char *wire_to_hex(const StringInfoData *buffer);
extern void wire_from_hex(const char *text, StringInfo buffer);
extern void dec_send(StringInfo buffer, Dec value);
extern Dec dec_recv(StringInfo buffer);

#endif /* METER_DECIMAL_H */
