-- What Stripe sends, in tables of schema stripe that are there. Amounts are in minor units.
INSERT INTO stripe.customers (id, name, metadata) VALUES
	('cus_A', 'Acme', '{"customer_id": "acme"}'),
	('cus_B', 'Bolt', '{}');
INSERT INTO stripe.invoices (id, customer, currency, status, created, status_transitions, subtotal, total, tax, total_tax_amounts, charge, payment_intent, lines) VALUES
	-- A fee in advance with a discount of 10 %, metered usage in arrears, and tax on top.
	('in_1', 'cus_A', 'usd', 'paid', 1740787200, '{"paid_at": 1740787260}', 6150, 6226, 566, '[{"amount": 566, "inclusive": false}]', 'ch_1', NULL, '{"data": [
		{"id": "il_fee", "amount": 4900, "type": "subscription", "subscription": "sub_1", "discount_amounts": [{"amount": 490, "discount": "di_1"}], "tax_amounts": [{"amount": 441, "inclusive": false}],
			"price": {"recurring": {"usage_type": "licensed"}}, "period": {"start": 1740787200, "end": 1743465600}},
		{"id": "il_usage", "amount": 1250, "type": "subscription", "subscription": "sub_1", "discount_amounts": [], "tax_amounts": [{"amount": 125, "inclusive": false}],
			"price": {"recurring": {"usage_type": "metered"}}, "period": {"start": 1738368000, "end": 1740787200}}]}'),
	-- One thing sold once, tax included, of a customer without a name of ours.
	('in_2', 'cus_B', 'eur', 'paid', 1741132800, '{"paid_at": 1741132800}', 11900, 11900, 1900, '[{"amount": 1900, "inclusive": true}]', NULL, NULL, '{"data": [
		{"id": "il_2", "amount": 11900, "type": "invoiceitem", "subscription": null, "discount_amounts": null, "tax_amounts": [{"amount": 1900, "inclusive": true}], "price": {"recurring": null}, "period": {"start": 1741132800, "end": 1741132800}}]}'),
	-- Not paid, and void.
	('in_3', 'cus_A', 'usd', 'open', 1741132800, '{}', 9900, 9900, 0, NULL, NULL, NULL, '{"data": [{"id": "il_3", "amount": 9900, "period": {"start": 1741132800, "end": 1743465600}}]}'),
	('in_4', 'cus_A', 'usd', 'void', 1741132800, '{}', 9900, 9900, 0, NULL, NULL, NULL, '{"data": [{"id": "il_4", "amount": 9900, "period": {"start": 1741132800, "end": 1743465600}}]}'),
	-- Only one of its lines was synced. The newer API's fields.
	('in_5', 'cus_A', 'usd', 'paid', 1743465600, '{"paid_at": 1743465600}', 3000, 3000, NULL, NULL, NULL, NULL, '{"has_more": true, "data": [
		{"id": "il_5", "amount": 1100, "parent": {"subscription_item_details": {"subscription": "sub_1"}}, "taxes": [{"amount": 100, "tax_behavior": "inclusive"}, {"amount": 7, "tax_behavior": "exclusive"}], "period": {"start": 1743465600, "end": 1746057600}}]}'),
	-- A currency without minor units.
	('in_6', 'cus_A', 'jpy', 'paid', 1743465600, NULL, 5000, 5000, NULL, NULL, NULL, 'pi_6', '{"data": [{"id": "il_6", "amount": 5000, "subscription": "sub_1", "period": {"start": 1743465600, "end": 1746057600}}]}'),
	-- Half of it is counted elsewhere: what meter billed and shipped, as its own, and a pack of credits as they burn.
	('in_7', 'cus_B', 'usd', 'paid', 1743465600, NULL, 10000, 10000, NULL, NULL, 'ch_7', NULL, '{"data": [
		{"id": "il_7", "amount": 2000, "metadata": {"meter_key": "meter/1/2025-03-01/fee//0"}, "period": {"start": 1743465600, "end": 1746057600}},
		{"id": "il_8", "amount": 3000, "price": {"recurring": null, "metadata": {"meter_kind": "credit_purchase"}}, "period": {"start": 1743465600, "end": 1743465600}},
		{"id": "il_9", "amount": 5000, "metadata": {}, "subscription": "sub_2", "period": {"start": 1743465600, "end": 1746057600}}]}');
INSERT INTO stripe.charges (id, invoice) VALUES ('ch_1', NULL), ('ch_5', 'in_5');
INSERT INTO stripe.invoice_payments (id, invoice, payment) VALUES ('inpay_2', 'in_2', '{"type": "payment_intent", "payment_intent": "pi_2"}');
INSERT INTO stripe.credit_notes (id, invoice, currency, status, created, total, total_excluding_tax, tax_amounts, refund, lines) VALUES
	-- About the fee alone, and paid back: the refund is the same money.
	('cn_1', 'in_1', 'usd', 'issued', 1741996800, 1100, 1000, '[{"amount": 100, "inclusive": false}]', 're_1', '{"data": [{"id": "cnli_1", "amount": 1000, "invoice_line_item": "il_fee", "discount_amounts": [], "tax_amounts": [{"amount": 100, "inclusive": false}]}]}'),
	('cn_2', 'in_1', 'usd', 'void', 1741996800, 1100, 1000, NULL, NULL, '{"data": [{"id": "cnli_2", "amount": 1000, "invoice_line_item": "il_fee"}]}'),
	('cn_3', 'in_6', 'jpy', 'issued', 1743897600, 500, NULL, NULL, NULL, '{"data": []}'),
	-- About the line that meter billed, which knows nothing of it; about the pack; and about no line: 7000 of 10000 are no credits.
	('cn_4', 'in_7', 'usd', 'issued', 1743897600, 100, 100, NULL, NULL, '{"data": [{"id": "cnli_4", "amount": 100, "invoice_line_item": "il_7"}]}'),
	('cn_5', 'in_7', 'usd', 'issued', 1743897600, 600, 600, NULL, NULL, '{"data": [{"id": "cnli_5", "amount": 600, "invoice_line_item": "il_8"}]}'),
	('cn_6', 'in_7', 'usd', 'issued', 1743897600, 200, 200, NULL, NULL, '{"data": []}');
INSERT INTO stripe.refunds (id, charge, payment_intent, amount, currency, status, created) VALUES
	('re_1', 'ch_1', NULL, 1100, 'usd', 'succeeded', 1741996800),
	('re_2', NULL, 'pi_2', 5950, 'eur', 'succeeded', 1741996800),
	('re_3', 'ch_1', NULL, 6226, 'usd', 'failed', 1741996800),
	('re_4', 'ch_5', 'pi_5', 300, 'usd', 'succeeded', 1743897600),
	('re_7', 'ch_7', NULL, 1000, 'usd', 'succeeded', 1743897600);

SELECT meter.attach_stripe();
SELECT customer_id, period, revenue_date, kind, amount, currency, source FROM meter.revenue_line ORDER BY customer_id, period, kind, amount, currency;
SELECT customer_id, month, sum(billed_amount) AS amount, billed_currency FROM meter.customer_revenue GROUP BY customer_id, month, billed_currency ORDER BY customer_id, month, billed_currency;
