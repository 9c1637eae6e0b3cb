/* How far each customer is billed, and what has to be rated again. */

CREATE TABLE meter.billing_account (
	customer_id text PRIMARY KEY
		CONSTRAINT billing_account_customer_id_has_1_to_255_bytes CHECK (octet_length(customer_id) BETWEEN 1 AND 255),
	billed_until date NOT NULL DEFAULT '-infinity',
	closed_until date NOT NULL DEFAULT '-infinity',
	closed_at timestamptz NOT NULL DEFAULT '-infinity',
	CONSTRAINT billing_account_is_closed_where_it_is_billed CHECK (closed_until <= billed_until)
);
COMMENT ON TABLE meter.billing_account IS 'How far each customer that subscribes is billed. Whoever closes periods of a customer holds the lock of its row.';
COMMENT ON COLUMN meter.billing_account.customer_id IS 'The customer.';
COMMENT ON COLUMN meter.billing_account.billed_until IS 'All that was due by this date, in the customer''s zone, is invoiced.';
COMMENT ON COLUMN meter.billing_account.closed_until IS 'The end of the last period that is closed. -infinity: none is.';
COMMENT ON COLUMN meter.billing_account.closed_at IS 'When it was last billed.';

CREATE TABLE meter.invoice_mark (
	/* not a key: a restore may make a mark of its own before it brings the ones that were */
	mark_id bigint GENERATED ALWAYS AS IDENTITY,
	customer_id text NOT NULL,
	since date NOT NULL,
	marked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE meter.invoice_mark IS 'Customers with closed periods that have to be rated again: usage came late or was corrected, or a subscription changed. The next meter.close_periods does so, and writes adjustments where anything differs.';
COMMENT ON COLUMN meter.invoice_mark.mark_id IS 'A number to name the row by.';
COMMENT ON COLUMN meter.invoice_mark.customer_id IS 'Whose.';
COMMENT ON COLUMN meter.invoice_mark.since IS 'Periods that end after this date.';
COMMENT ON COLUMN meter.invoice_mark.marked_at IS 'When.';
CREATE INDEX invoice_mark_customer_id_idx ON meter.invoice_mark (customer_id);

SELECT pg_extension_config_dump('meter.billing_account', '');
SELECT pg_extension_config_dump('meter.invoice_mark', '');
SELECT pg_extension_config_dump('meter.invoice_mark_mark_id_seq', '');

CREATE FUNCTION meter.closed_until(customer_id text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((SELECT account.closed_until FROM meter.billing_account AS account WHERE account.customer_id = closed_until.customer_id), '-infinity');
COMMENT ON FUNCTION meter.closed_until(text) IS 'The date before which the customer''s usage is invoiced: the end of its last closed period. -infinity: nothing is. What comes later for an earlier date becomes an adjustment.';

CREATE FUNCTION meter.mark_invoices(customer_id text, since date) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO meter.invoice_mark (customer_id, since)
	SELECT account.customer_id, mark_invoices.since
	FROM meter.billing_account AS account
	WHERE account.customer_id = mark_invoices.customer_id
		/* An older snapshot does not know how far that is by now. */
		AND (account.billed_until > mark_invoices.since OR current_setting('transaction_isolation') <> 'read committed');
END;
COMMENT ON FUNCTION meter.mark_invoices(text, date) IS 'Has the closed periods of a customer that end after a date rated again, where any are.';
REVOKE ALL ON FUNCTION meter.mark_invoices(text, date) FROM PUBLIC;
