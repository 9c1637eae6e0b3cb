/*
 * currency.h: the minor units of the world's currencies.
 */
#ifndef METER_CURRENCY_H
#define METER_CURRENCY_H

extern int currency_digits(const char *code);

#endif /* METER_CURRENCY_H */
