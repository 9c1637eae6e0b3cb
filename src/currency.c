/*
 * currency.c: how many decimal digits a currency's amounts have, by ISO 4217.
 *
 * The table is ISO 4217 list one of 2026, and the codes that left it since 2021, so
 * that old amounts can still be rounded. Codes without a minor unit (XAU, XDR, XXX,
 * ...) are not in it: nothing can be rounded to them. Two digits is what nearly
 * every currency has, so the table is a list of codes for each other number.
 */
#include "compat.h"

#include "currency.h"

/* Sorted, three letters each, no separators. */
static const char two_digits[] =
	"AEDAFNALLAMDANGAOAARSAUDAWGAZNBAMBBDBDTBGNBMDBNDBOBBOVBRLBSDBTNBWPBYNBZDCADCDFCHECHFCHWCNYCOP"
	"COUCRCCUCCUPCVECZKDKKDOPDZDEGPERNETBEURFJDFKPGBPGELGHSGIPGMDGTQGYDHKDHNLHRKHTGHUFIDRILSINRIRR"
	"JMDKESKGSKHRKPWKYDKZTLAKLBPLKRLRDLSLMADMDLMGAMKDMMKMNTMOPMRUMURMVRMWKMXNMXVMYRMZNNADNGNNIONOK"
	"NPRNZDPABPENPGKPHPPKRPLNQARRONRSDRUBSARSBDSCRSDGSEKSGDSHPSLESLLSOSSRDSSPSTNSVCSYPSZLTHBTJSTMTT"
	"OP"
	"TRYTTDTWDTZSUAHUSDUSNUYUUZSVEDVESWSTXADXCDXCGYERZARZMWZWGZWL";
static const char no_digits[] = "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF";
static const char three_digits[] = "BHDIQDJODKWDLYDOMRTND";
static const char four_digits[] = "CLFUYW";

static bool
listed(const char *code, const char *codes, size_t size)
{
	size_t low = 0;
	size_t high = size / 3;

	while (low < high)
	{
		size_t middle = (low + high) / 2;
		int order = memcmp(code, codes + 3 * middle, 3);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/*
 * Returns the number of decimal digits of a currency's amounts, or -1 for what is
 * not the code of a currency with a minor unit. The code is three letters in either
 * case.
 */
int
currency_digits(const char *code)
{
	char upper[3];

	for (int i = 0; i < 3; i++)
	{
		char c = code[i];

		if (c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (c < 'A' || c > 'Z')
			return -1;
		upper[i] = c;
	}
	if (code[3] != '\0')
		return -1;

	if (listed(upper, two_digits, sizeof(two_digits) - 1))
		return 2;
	if (listed(upper, no_digits, sizeof(no_digits) - 1))
		return 0;
	if (listed(upper, three_digits, sizeof(three_digits) - 1))
		return 3;
	if (listed(upper, four_digits, sizeof(four_digits) - 1))
		return 4;
	return -1;
}
