-- From PostgreSQL 16 on, an input function can report an error without raising it, for
-- pg_input_is_valid() and COPY ... ON_ERROR. It then says what it says when it raises.
CREATE FUNCTION pg_temp.raised(type text, literal text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	code text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE format('SELECT %L::%s', literal, type);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', code, message, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE FUNCTION pg_temp.reported(type text, literal text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	reported text;
BEGIN
	IF to_regprocedure('pg_input_error_info(text, text)') IS NULL THEN
		RETURN pg_temp.raised(type, literal);
	END IF;
	EXECUTE $q$
		SELECT nullif(concat_ws(E'\n', sql_error_code, message, detail, hint), '')
		FROM pg_input_error_info($1, $2)$q$ INTO reported USING literal, type;
	RETURN reported;
END $$;

CREATE TEMP TABLE given (type text, literal text);
INSERT INTO given VALUES
	('meter.usage', '{"input_tokens": 1}'),
	('meter.usage', ''),
	('meter.usage', '[]'),
	('meter.usage', '{"input_tokens": '),
	('meter.usage', '{"input_tokens": "1"}'),
	('meter.usage', '{"input_tokens": 1, "input_tokens": 2}'),
	('meter.usage', '{"Input tokens": 1}'),
	('meter.usage', '{"input_tokens": 1e400}'),
	('meter.usage', '{"input_tokens": 0.0000000000001}'),
	('meter.usage_state', '{"input_tokens": 1}'),
	('meter.usage_state', '{"input_tokens": x}'),
	('meter.tariff', 'at 1'),
	('meter.tariff', ''),
	('meter.tariff', 'at'),
	('meter.tariff', 'at 1 per'),
	('meter.tariff', 'at 1 per 0'),
	('meter.tariff', 'at -1'),
	('meter.tariff', 'at 1e50'),
	('meter.tariff', 'graduated: up to 5 at 1; up to 4 at 2; above at 3'),
	('meter.tariff', 'at 1 discount 101%'),
	('meter.charge_state', ''),
	('meter.charge_state', 'quantity 1; at'),
	('meter.charge_state', 'quantity 1e50; at 1'),
	('meter.amount_state', '12.5 3'),
	('meter.amount_state', ''),
	('meter.amount_state', '12.5'),
	('meter.amount_state', '1e50 3'),
	('meter.event_sums_state', '3 1 0 12.5 4 {"input_tokens": 12}'),
	('meter.event_sums_state', ''),
	('meter.event_sums_state', '3 1.5 0 12.5 4 {}'),
	('meter.event_sums_state', '3 1 0 12.5 1e50 {}'),
	('meter.event_sums_state', '3 1 0 12.5 4 {"x": }'),
	('meter.breakdown', '[{"item": "a", "events": 1, "usage": {"x": 1}}]'),
	('meter.breakdown', ''),
	('meter.breakdown', '['),
	('meter.breakdown', '{}'),
	('meter.breakdown', '[1]'),
	('meter.breakdown', '[{"events": 1}]'),
	('meter.breakdown', '[{"events": 1, "usage": {}, "colour": 1}]'),
	('meter.breakdown', '[{"item": 1, "events": 1, "usage": {}}]'),
	('meter.breakdown', '[{"events": "1", "usage": {}}]'),
	('meter.breakdown', '[{"events": 1.5, "usage": {}}]'),
	('meter.breakdown', '[{"events": 1, "usage": 1}]'),
	('meter.breakdown', '[{"events": 1, "usage": {"x": "1"}}]'),
	('meter.breakdown', '[{"events": 1, "usage": {}, "cost": 1e50}]'),
	('meter.breakdown', '[{"events": 1, "usage": {}, "cost": 1e999999}]'),
	('meter.breakdown', '[{"events": 1, "usage": {}, "item": "\u0000"}]'),
	('meter.breakdown', '[{"events": 1, "usage": {}}, {"events": 1, "usage": {}}]'),
	('meter.breakdown', '[[[[[[[[[[[[[[[[['),
	('meter.breakdown_state', '[{"item": "a", "events": 1, "usage": {"x": 1}}]'),
	('meter.breakdown_state', '['),
	('meter.breakdown_state', '[{}]'),
	('meter.rate_card', '[]'),
	('meter.rate_card', '['),
	('meter.rate_card', '{}'),
	('meter.rate_card', '[{"item": "a"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "colour": 1}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": -1}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": "free"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "per": 0}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "valid": "[x,y)"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "valid": "[2026-01-01,2025-01-01)"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "daily_from": "29:00", "daily_until": "01:00"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "daily_from": "01:00"}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1, "precedence": 1.5}]'),
	('meter.rate_card', '[{"item": "a", "unit": "b", "price": 1}, {"item": "a", "unit": "b", "price": 2}]'),
	('meter.rate_card_state', '['),
	('meter.rate_card_state', '[{"item": "a"}]');

SELECT type, literal, left(pg_temp.raised(type, literal), 5) AS code FROM given;

SELECT type, literal, pg_temp.raised(type, literal) AS raised, pg_temp.reported(type, literal) AS reported
FROM given
WHERE pg_temp.raised(type, literal) IS DISTINCT FROM pg_temp.reported(type, literal);

-- Wallets.
TRUNCATE given;
INSERT INTO given VALUES
	('meter.wallet', '{}'),
	('meter.wallet', ''),
	('meter.wallet', '{'),
	('meter.wallet', '{"lots": 1}'),
	('meter.wallet', '{"lots": [[]]}'),
	('meter.wallet', '{"colour": 1}'),
	('meter.wallet', '{"absorbing": 1}'),
	('meter.wallet', '{"cuts": ["soon"]}'),
	('meter.wallet', '{"lots": [{"id": "a"}]}'),
	('meter.wallet', '{"lots": [{"id": "a", "amount": -1}]}'),
	('meter.wallet', '{"lots": [{"id": "a", "amount": 1e50}]}'),
	('meter.wallet', '{"lots": [{"id": "a", "amount": 1, "pool": []}]}'),
	('meter.wallet', '{"lots": [{"id": "a", "amount": 1}, {"id": "a", "amount": 1}]}'),
	('meter.wallet', '{"burned": [{"credits": 1}]}'),
	('meter.wallet', '{"burned": [{"from": "2026-01-01", "credits": 1}]}'),
	('meter.wallet', '{"burned": [{"pool": "a"}]}'),
	('meter.wallet_book', '{"a": {}}'),
	('meter.wallet_book', ''),
	('meter.wallet_book', '{"a": 1}'),
	('meter.wallet_book', '{"a": {"lots": 1}}');

SELECT type, literal, left(pg_temp.raised(type, literal), 5) AS code FROM given;

SELECT type, literal, pg_temp.raised(type, literal) AS raised, pg_temp.reported(type, literal) AS reported
FROM given
WHERE pg_temp.raised(type, literal) IS DISTINCT FROM pg_temp.reported(type, literal);
