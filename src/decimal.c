/*
 * decimal.c: exact decimals with 12 fractional digits.
 *
 * A Dec is an int128, so adding two of them costs what adding two machine words
 * costs. Products and quotients go through 256 bits where they must. The border to
 * SQL is numeric: a numeric's stored bytes are read and written in place, in base
 * 10000, of which 12 fractional digits are exactly three digits. That layout is
 * private to the server's numeric.c, but frozen by pg_upgrade; compiling with
 * -DMETER_PORTABLE_NUMERIC goes through numeric's documented wire format instead,
 * four times slower, and the tests pass either way.
 */
#include "decimal.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#define NBASE 10000
#define FRACTION_NDIGITS (DEC_DIGITS_FRACTION / 4)
/* ten base-10000 digits hold every Dec */
#define MAX_NDIGITS 10

/* Numeric's stored header, as in numeric.c: short form, long form and specials. */
#define NUM_SIGN_MASK 0xC000
#define NUM_SPECIAL 0xC000
#define NUM_NEGATIVE 0x4000
#define NUM_SHORT 0x8000
#define NUM_SHORT_NEGATIVE 0x2000
#define NUM_SHORT_DSCALE_SHIFT 7
#define NUM_SHORT_WEIGHT_SIGN 0x0040
#define NUM_SHORT_WEIGHT_MASK 0x003F
#define NUM_SHORT_SIZE (VARHDRSZ + sizeof(uint16))

typedef struct Wide
{
	uint128 high;
	uint128 low;
} Wide;

static Wide wide_multiply(uint128 a, uint128 b);
static uint128 wide_divide(Wide dividend, uint128 divisor, uint128 *rest);
static Dec power_of_ten(int exponent);
static bool append_digit(uint128 *value, int digit);
pg_noreturn static void refuse_numeric(Datum value, const char *what, const char *reason);

/* Reports that a result is out of a Dec's range. */
void
dec_overflow(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("amount out of range"),
					errdetail("Amounts and quantities lie between plus and minus "
							  "170141183460469231731687303.715884105727.")));
}

/* Returns a * b / divisor, rounded half away from zero, through 256 bits. */
Dec
dec_mul_div_slow(Dec a, Dec b, Dec divisor)
{
	bool negative = ((a < 0) != (b < 0)) != (divisor < 0);
	uint128 ua = (uint128) dec_abs(a);
	uint128 ub = (uint128) dec_abs(b);
	uint128 ud = (uint128) dec_abs(divisor);
	uint128 quotient;
	uint128 rest;
	int up;

	Assert(divisor != 0);

	if (((ua | ub) >> 64) == 0)
	{
		uint128 product = ua * ub;

		quotient = product / ud;
		rest = product - quotient * ud;
	}
	else
	{
		Wide product = wide_multiply(ua, ub);

		if (product.high >= ud)
			dec_overflow();
		quotient = wide_divide(product, ud, &rest);
	}

	/* before it is rounded up: the largest quotient of all would become zero */
	up = rest >= ud - rest;
	if (quotient > (uint128) DEC_MAX - up)
		dec_overflow();
	quotient += up;
	return negative ? -(Dec) quotient : (Dec) quotient;
}

static Wide
wide_multiply(uint128 a, uint128 b)
{
	uint64 a0 = (uint64) a;
	uint64 a1 = (uint64) (a >> 64);
	uint64 b0 = (uint64) b;
	uint64 b1 = (uint64) (b >> 64);
	uint128 low = (uint128) a0 * b0;
	uint128 cross = (uint128) a0 * b1 + (uint64) (low >> 64);
	uint128 other = (uint128) a1 * b0 + (uint64) cross;
	Wide product;

	product.low = (other << 64) | (uint64) low;
	product.high = (uint128) a1 * b1 + (cross >> 64) + (other >> 64);
	return product;
}

/* Returns the quotient of a wide dividend whose high half is below the divisor. */
static uint128
wide_divide(Wide dividend, uint128 divisor, uint128 *rest)
{
	uint128 remainder = dividend.high;
	uint128 quotient = 0;

	if (remainder == 0)
	{
		quotient = dividend.low / divisor;
		*rest = dividend.low - quotient * divisor;
		return quotient;
	}
	if ((divisor >> 64) == 0)
	{
		uint64 d = (uint64) divisor;
		uint128 part = (remainder << 64) | (uint64) (dividend.low >> 64);

		quotient = (part / d) << 64;
		part = ((part % d) << 64) | (uint64) dividend.low;
		*rest = part % d;
		return quotient | (part / d);
	}
	/* divisors stay below 2^127, so doubling a remainder never overflows */
	for (int bit = 127; bit >= 0; bit--)
	{
		remainder = (remainder << 1) | ((dividend.low >> bit) & 1);
		quotient <<= 1;
		if (remainder >= divisor)
		{
			remainder -= divisor;
			quotient |= 1;
		}
	}
	*rest = remainder;
	return quotient;
}

/* Sets the quotient a / b and returns true where 12 digits hold it exactly. */
bool
dec_divide_exactly(Dec a, Dec b, Dec *quotient)
{
	Wide product = wide_multiply((uint128) dec_abs(a), (uint128) DEC_ONE);
	uint128 divisor = (uint128) dec_abs(b);
	uint128 rest;
	uint128 result;

	Assert(b != 0);

	if (product.high >= divisor)
		return false;
	result = wide_divide(product, divisor, &rest);
	if (rest != 0 || result > (uint128) DEC_MAX)
		return false;
	*quotient = (a < 0) != (b < 0) ? -(Dec) result : (Dec) result;
	return true;
}

/*
 * Returns how many whole b there are in a, as a count, not as a Dec: counting a
 * started one as whole if up. Neither is negative, and b is not zero.
 */
Dec
dec_divide_whole(Dec a, Dec b, bool up)
{
	Assert(a >= 0 && b > 0);
	return a / b + (up && a % b != 0 ? 1 : 0);
}

/*
 * Returns a * part / whole without its fraction, and sets the rest of that division.
 * None is negative, and the part is not larger than the whole, which is not zero.
 */
Dec
dec_share(Dec a, Dec part, Dec whole, Dec *rest)
{
	uint128 remainder;
	uint128 quotient;

	Assert(a >= 0 && part >= 0 && whole > 0 && part <= whole);
	quotient = wide_divide(wide_multiply((uint128) a, (uint128) part), (uint128) whole, &remainder);
	*rest = (Dec) remainder;
	return (Dec) quotient;
}

static Dec
power_of_ten(int exponent)
{
	Dec power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/*
 * Returns the value rounded to so many decimal digits; a negative number of digits
 * rounds to tens, hundreds and so on. Every mode is symmetric only where its name
 * says so: ceil and floor go up and down, half away goes away from zero.
 */
Dec
dec_round(Dec value, RoundMode mode, int digits)
{
	Dec unit;
	Dec rest;
	Dec down;

	if (digits >= DEC_DIGITS_FRACTION)
		return value;
	if (DEC_DIGITS_FRACTION - digits > 38)
	{
		/* the unit is larger than any value */
		if (mode == ROUND_HALF_AWAY || value == 0 || (mode == ROUND_CEIL) == (value < 0))
			return 0;
		dec_overflow();
	}

	unit = power_of_ten(DEC_DIGITS_FRACTION - digits);
	rest = value % unit;
	down = value - rest; /* toward zero */
	switch (mode)
	{
		case ROUND_HALF_AWAY:
			if (dec_abs(rest) >= unit - dec_abs(rest))
				return dec_add(down, value < 0 ? -unit : unit);
			return down;
		case ROUND_CEIL:
			return rest > 0 ? dec_add(down, unit) : down;
		case ROUND_FLOOR:
			return rest < 0 ? dec_add(down, -unit) : down;
	}
	return down; /* keeps the compiler quiet */
}

static inline bool
append_digit(uint128 *value, int digit)
{
	/* the first test divides nothing at run time */
	if (unlikely(*value >= (uint128) DEC_MAX / NBASE) &&
		*value > ((uint128) DEC_MAX - digit) / NBASE)
		return false;
	*value = *value * NBASE + digit;
	return true;
}

static void
refuse_numeric(Datum value, const char *what, const char *reason)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("%s %s %s", what,
						   DatumGetCString(DirectFunctionCall1(numeric_out, value)), reason),
					errdetail("Numbers have at most 12 fractional digits and lie between plus and "
							  "minus 170141183460469231731687303.715884105727."),
					errhint("Nothing is rounded on the way in: round the value yourself where that "
							"is what you mean.")));
}

/*
 * Returns the Dec of a numeric Datum. `what` names it in errors ("price", ...).
 * Refuses NaN, infinities, more than 12 fractional digits and what is out of range.
 */
Dec
dec_from_numeric(Datum value, const char *what)
{
	struct varlena *packed = detoast_packed(value);
	int ndigits;
	int weight;
	bool negative;
	int16 digits[MAX_NDIGITS];
	int exponent;
	uint128 result = 0;
	int i;

#ifdef METER_PORTABLE_NUMERIC
	bytea *wire = DatumGetByteaPP(DirectFunctionCall1(numeric_send, PointerGetDatum(packed)));
	const unsigned char *bytes = (const unsigned char *) VARDATA_ANY(wire);
	uint16 sign = (bytes[4] << 8) | bytes[5];

#define WIRE_INT16(i) ((int16) ((bytes[2 * (i)] << 8) | bytes[2 * (i) + 1]))
	if ((sign & NUM_SPECIAL) == NUM_SPECIAL)
		refuse_numeric(value, what, "is not a number");
	ndigits = WIRE_INT16(0);
	weight = WIRE_INT16(1);
	negative = sign == NUM_NEGATIVE;
	for (i = 0; i < Min(ndigits, MAX_NDIGITS); i++)
		digits[i] = WIRE_INT16(4 + i);
#else
	const char *data = VARDATA_ANY(packed);
	int size = VARSIZE_ANY_EXHDR(packed);
	uint16 header;
	const char *stored;

	memcpy(&header, data, sizeof(header));
	if ((header & NUM_SIGN_MASK) == NUM_SPECIAL)
		refuse_numeric(value, what, "is not a number");
	if (header & NUM_SHORT)
	{
		weight = (header & NUM_SHORT_WEIGHT_SIGN)
					 ? (header & NUM_SHORT_WEIGHT_MASK) - (NUM_SHORT_WEIGHT_MASK + 1)
					 : (header & NUM_SHORT_WEIGHT_MASK);
		negative = (header & NUM_SHORT_NEGATIVE) != 0;
		stored = data + 2;
	}
	else
	{
		int16 stored_weight;

		memcpy(&stored_weight, data + 2, sizeof(stored_weight));
		weight = stored_weight;
		negative = (header & NUM_SIGN_MASK) == NUM_NEGATIVE;
		stored = data + 4;
	}
	ndigits = (int) ((size - (stored - data)) / (int) sizeof(int16));
	memcpy(digits, stored, Min(ndigits, MAX_NDIGITS) * sizeof(int16));
#endif

	/* digit i counts 10000^exponent; the last that a Dec has is -FRACTION_NDIGITS */
	exponent = weight;
	for (i = 0; i < ndigits; i++, exponent--)
	{
		int16 digit;

		if (i < MAX_NDIGITS)
			digit = digits[i];
		else
		{
#ifdef METER_PORTABLE_NUMERIC
			digit = WIRE_INT16(4 + i);
#else
			memcpy(&digit, stored + i * sizeof(int16), sizeof(int16));
#endif
		}
		if (exponent < -FRACTION_NDIGITS)
		{
			if (digit != 0)
				refuse_numeric(value, what, "has more than 12 fractional digits");
			continue;
		}
		if (!append_digit(&result, digit))
			refuse_numeric(value, what, "is out of range");
	}
	if (result != 0)
		for (; exponent >= -FRACTION_NDIGITS; exponent--)
			if (!append_digit(&result, 0))
				refuse_numeric(value, what, "is out of range");

	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
	return negative ? -(Dec) result : (Dec) result;
}

/*
 * Makes the numeric of so many digits in base 10000, which stand in the memory where it
 * shall be, behind its header; the last one counts 10000^-FRACTION_NDIGITS.
 */
static inline Datum
numeric_of_digits(char *result, int ndigits, bool negative)
{
	const int16 *digits = (const int16 *) (result + NUM_SHORT_SIZE);
	int weight = ndigits - 1 - FRACTION_NDIGITS;
	int dscale = 0;
	uint16 header;

	while (ndigits > 0 && digits[ndigits - 1] == 0)
		ndigits--;
	if (unlikely(ndigits == 0))
		weight = 0;
	else if (ndigits - 1 > weight)
	{
		int last = digits[ndigits - 1];

		dscale =
			4 * (ndigits - 1 - weight) - (last % 10 == 0) - (last % 100 == 0) - (last % 1000 == 0);
	}
#ifdef METER_PORTABLE_NUMERIC
	{
		StringInfoData wire;

		initStringInfo(&wire);
		pq_sendint16(&wire, ndigits);
		pq_sendint16(&wire, weight);
		pq_sendint16(&wire, negative ? NUM_NEGATIVE : 0);
		pq_sendint16(&wire, dscale);
		for (int i = 0; i < ndigits; i++)
			pq_sendint16(&wire, digits[i]);
		return DirectFunctionCall3(numeric_recv, PointerGetDatum(&wire),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	}
#endif
	header = NUM_SHORT | (negative ? NUM_SHORT_NEGATIVE : 0) | (dscale << NUM_SHORT_DSCALE_SHIFT) |
			 (weight < 0 ? NUM_SHORT_WEIGHT_SIGN : 0) | (weight & NUM_SHORT_WEIGHT_MASK);
	/* trailing zeros are left behind its end */
	SET_VARSIZE(result, NUM_SHORT_SIZE + ndigits * sizeof(int16));
	memcpy(result + VARHDRSZ, &header, sizeof(header));
	return PointerGetDatum(result);
}

/* Returns the numeric of a Dec that does not fit 64 bits. */
static pg_noinline Datum
wide_to_numeric(Dec value)
{
	int16 digits[MAX_NDIGITS];
	int first = MAX_NDIGITS;
	char *result;

	for (uint128 rest = (uint128) dec_abs(value); rest != 0; rest /= NBASE)
		digits[--first] = (int16) (rest % NBASE);
	result = palloc(NUM_SHORT_SIZE + (MAX_NDIGITS - first) * sizeof(int16));
	memcpy(result + NUM_SHORT_SIZE, digits + first, (MAX_NDIGITS - first) * sizeof(int16));
	return numeric_of_digits(result, MAX_NDIGITS - first, value < 0);
}

/* Returns the numeric of a Dec, without trailing zeros. */
Datum
dec_to_numeric(Dec value)
{
	uint64 rest = value < 0 ? 0 - (uint64) value : (uint64) value;
	int ndigits;
	char *result;
	int16 *digits;

	if (unlikely(!dec_fits_int64(value)))
		return wide_to_numeric(value);
	/* zero has one digit, too, for a moment; and no branch need be guessed */
	ndigits = 1 + (rest >= UINT64CONST(10000)) + (rest >= UINT64CONST(100000000)) +
			  (rest >= UINT64CONST(1000000000000)) + (rest >= UINT64CONST(10000000000000000));
	result = palloc(NUM_SHORT_SIZE + ndigits * sizeof(int16));
	digits = (int16 *) (result + NUM_SHORT_SIZE);
	/* 64 bits divided by a constant are a multiplication */
	for (int i = ndigits; i > 0; rest /= NBASE)
		digits[--i] = (int16) (rest % NBASE);
	return numeric_of_digits(result, ndigits, value < 0);
}

/*
 * Reads a decimal number in JSON's grammar (-12.5e3) from a zero-terminated text,
 * sets *end behind it and returns true. Where no number begins, it returns false
 * without an error, and *end is the text; a number that is not a Dec is a soft
 * error of class 22 that names `what`, and returns false with *end behind it.
 */
bool
dec_parse(const char *text, const char **end, Dec *value, const char *what, struct Node *escontext)
{
	const char *p = text;
	bool negative = false;
	uint128 result = 0;
	bool overflow = false;
	int fraction = 0; /* fractional digits */
	int zeros = 0;	  /* since the last other digit: not in the result */
	bool point = false;
	int exponent = 0;
	int shift;

	*end = text;
	if (*p == '-')
	{
		negative = true;
		p++;
	}
	if (*p < '0' || *p > '9')
		return false;
	if (p[0] == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	for (;; p++)
	{
		if (!point && p[0] == '.' && p[1] >= '0' && p[1] <= '9')
		{
			point = true;
			continue;
		}
		if (*p < '0' || *p > '9')
			break;
		fraction += point;
		if (*p == '0')
		{
			zeros++;
			continue;
		}
		for (; zeros > 0 && result != 0 && !overflow; zeros--)
		{
			if (result > (uint128) DEC_MAX / 10)
				overflow = true;
			else
				result *= 10;
		}
		zeros = 0;
		if (overflow || result > ((uint128) DEC_MAX - (*p - '0')) / 10)
			overflow = true;
		else
			result = result * 10 + (*p - '0');
	}
	if (*p == 'e' || *p == 'E')
	{
		const char *q = p + 1;
		bool negative_exponent = false;

		if (*q == '+' || *q == '-')
			negative_exponent = *q++ == '-';
		if (*q >= '0' && *q <= '9')
		{
			for (; *q >= '0' && *q <= '9'; q++)
				if (exponent < 100000)
					exponent = exponent * 10 + (*q - '0');
			if (negative_exponent)
				exponent = -exponent;
			p = q;
		}
	}
	*end = p;

	/* an overflow of the digits alone is one of the value, or of its precision */
	shift = DEC_DIGITS_FRACTION - fraction + zeros + exponent;
	if (!overflow && result != 0)
	{
		/* the last digit is not zero, so none can be taken away */
		overflow = shift < 0;
		for (; shift > 0 && !overflow; shift--)
		{
			if (result > (uint128) DEC_MAX / 10)
				overflow = true;
			else
				result *= 10;
		}
	}
	if (overflow)
	{
		int length = (int) Min(p - text, 60);

		ereturn(
			escontext, false,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg(fraction - zeros - exponent > DEC_DIGITS_FRACTION
						? "%s %.*s%s has more than 12 fractional digits"
						: "%s %.*s%s is out of range",
					what, length, text, p - text > 60 ? "..." : ""),
			 errdetail("Numbers have at most 12 fractional digits and lie between plus and minus "
					   "170141183460469231731687303.715884105727.")));
	}
	*value = negative ? -(Dec) result : (Dec) result;
	return true;
}

/*
 * Reads a whole number of at least and at most so many digits, and no more behind them,
 * as dates and times have them; moves the text on.
 */
bool
parse_digits(const char **text, int least, int most, int *number)
{
	const char *p = *text;

	for (*number = 0; p - *text < most && *p >= '0' && *p <= '9'; p++)
		*number = *number * 10 + (*p - '0');
	most = (int) (p - *text);
	*text = p;
	return most >= least && !(*p >= '0' && *p <= '9');
}

/* Prints a Dec into DEC_BUFSIZE bytes, without trailing zeros; returns its length. */
int
dec_print(Dec value, char *buffer)
{
	uint128 magnitude = (uint128) dec_abs(value);
	uint128 whole = magnitude / (uint128) DEC_ONE;
	uint64 fraction = (uint64) (magnitude % (uint128) DEC_ONE);
	char reversed[DEC_BUFSIZE];
	int n = 0;
	char *out = buffer;

	if (value < 0)
		*out++ = '-';
	do
	{
		reversed[n++] = '0' + (int) (whole % 10);
		whole /= 10;
	} while (whole != 0);
	while (n > 0)
		*out++ = reversed[--n];
	if (fraction != 0)
	{
		*out++ = '.';
		for (uint64 unit = UINT64CONST(100000000000); fraction != 0; unit /= 10)
		{
			*out++ = '0' + (int) (fraction / unit);
			fraction %= unit;
		}
	}
	*out = '\0';
	return (int) (out - buffer);
}

/* Returns the text of a Dec in memory of its own, for messages. */
char *
dec_text(Dec value)
{
	char *text = palloc(DEC_BUFSIZE);

	dec_print(value, text);
	return text;
}

/* Refuses a type's external value, which a detail says what is wrong with. */
void
wire_refuse(const char *type, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					errmsg("invalid external %s value", type), errdetail("%s", detail)));
}

/*
 * Refuses an external value that ends before the next so many bytes. The pq_getmsg
 * family would report a protocol violation; a short value is bad data, class 22.
 */
void
wire_need(StringInfo buffer, int bytes)
{
	if (bytes < 0 || buffer->len - buffer->cursor < bytes)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("external meter value ends too early")));
}

/* Returns bytes of a wire format as hexadecimal digits: the text form of a state. */
char *
wire_to_hex(const StringInfoData *buffer)
{
	char *text = palloc(2 * (Size) buffer->len + 1);

	text[hex_encode(buffer->data, buffer->len, text)] = '\0';
	return text;
}

/* Sets a buffer to the bytes of hexadecimal digits; refuses anything else. */
void
wire_from_hex(const char *text, StringInfo buffer)
{
	Size length = strlen(text);

	initStringInfo(buffer);
	enlargeStringInfo(buffer, (int) (length / 2 + 1));
	buffer->len = (int) hex_decode(text, length, buffer->data);
}

/* Writes a Dec in 16 bytes, network order. */
void
dec_send(StringInfo buffer, Dec value)
{
	pq_sendint64(buffer, (uint64) (value >> 64));
	pq_sendint64(buffer, (uint64) value);
}

/* Reads what dec_send wrote; refuses bytes that are not a Dec. */
Dec
dec_recv(StringInfo buffer)
{
	uint64 high;
	uint64 low;
	Dec value;

	wire_need(buffer, 2 * sizeof(uint64));
	high = (uint64) pq_getmsgint64(buffer);
	low = (uint64) pq_getmsgint64(buffer);
	value = (Dec) (((uint128) high << 64) | low);

	if (value < -DEC_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid number in external meter value")));
	return value;
}
