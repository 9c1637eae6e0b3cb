-- The reference manual, in Markdown, from the comments in the catalogue. For psql -XAtq, in a
-- database that has the extension; scripts/docs runs it.
SET search_path = pg_catalog;

-- The array, row and multirange types that come with another object are members from PostgreSQL 17 on.
-- Array, row and multirange types, which come with another object, are members from 17 on.
CREATE TEMP VIEW member AS
SELECT classid, objid
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass
AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'meter')
AND deptype = 'e'
AND NOT (classid = 'pg_type'::regclass AND objid IN (
	SELECT typarray FROM pg_type
	UNION ALL SELECT reltype FROM pg_class WHERE relkind <> 'c'
	UNION ALL SELECT rngmultitypid FROM pg_range));

CREATE TEMP VIEW aggregate AS
SELECT pg_aggregate.*
FROM pg_aggregate JOIN member ON classid = 'pg_proc'::regclass AND objid = aggfnoid;

-- What nobody calls by name: it is listed at the end, in one line each.
CREATE TEMP VIEW behind AS
SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout]::oid[]) AS oid
FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = pg_type.oid
UNION
SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[])
FROM aggregate
UNION
SELECT amproc FROM pg_amproc
UNION
SELECT oprcode FROM pg_operator JOIN member ON classid = 'pg_operator'::regclass AND objid = pg_operator.oid
UNION
SELECT prosupport FROM pg_proc
UNION
SELECT oid FROM pg_proc WHERE prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)
UNION
SELECT oid FROM pg_type WHERE oid IN (SELECT aggtranstype FROM aggregate);

CREATE TEMP VIEW routine AS
SELECT pg_proc.oid, proname, prokind, nspname,
	format('`%s.%s(%s)%s`', nspname, proname, pg_get_function_arguments(pg_proc.oid),
		CASE WHEN prokind <> 'p' THEN ' → ' || pg_get_function_result(pg_proc.oid) END) AS signature,
	coalesce(obj_description(pg_proc.oid, 'pg_proc'), '') AS comment
FROM pg_proc JOIN member ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
JOIN pg_namespace ON pronamespace = pg_namespace.oid;

CREATE TEMP VIEW relation AS
SELECT pg_class.oid, relname, relkind, coalesce(obj_description(pg_class.oid, 'pg_class'), '') AS comment
FROM pg_class JOIN member ON classid = 'pg_class'::regclass AND objid = pg_class.oid;

CREATE FUNCTION pg_temp.one_line(text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN replace(regexp_replace($1, '\s+', ' ', 'g'), '|', '\|');

-- The routines of some kinds: a heading a name, a signature and its comment an overload.
CREATE FUNCTION pg_temp.routines(kinds "char"[]) RETURNS text
LANGUAGE sql
RETURN (
	WITH named AS (
		SELECT proname, string_agg(signature || E'\n\n' || comment, E'\n\n' ORDER BY signature COLLATE "C") AS entries
		FROM routine
		WHERE prokind = ANY (kinds) AND oid NOT IN (SELECT oid FROM behind)
		GROUP BY proname)
	SELECT string_agg(format(E'### %s\n\n%s\n', proname, entries), E'\n' ORDER BY proname COLLATE "C")
	FROM named);

-- The columns of a relation or composite type, as a table where they have comments; nothing for
-- another type.
CREATE FUNCTION pg_temp.columns(relation oid) RETURNS text
LANGUAGE sql
RETURN (
	SELECT CASE WHEN bool_or(meaning IS NOT NULL) THEN
			E'\n| column | type | meaning |\n|---|---|---|\n'
			|| string_agg(format(E'| `%s` | %s | %s |\n', attname, type, pg_temp.one_line(meaning)), '' ORDER BY attnum)
		ELSE E'\nColumns: ' || string_agg(format('`%s` %s', attname, type), ', ' ORDER BY attnum) || E'.\n' END
	FROM pg_attribute, format_type(atttypid, atttypmod) AS format,
		concat_ws(' ', format, CASE WHEN attnotnull THEN 'not null' END) AS type,
		col_description(attrelid, attnum) AS meaning
	WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped);

CREATE FUNCTION pg_temp.relations(kinds "char"[]) RETURNS text
LANGUAGE sql
RETURN (
	SELECT string_agg(format(E'### meter.%s\n\n%s\n%s', relname, comment, pg_temp.columns(oid)), E'\n' ORDER BY relname COLLATE "C")
	FROM relation
	WHERE relkind = ANY (kinds));

-- A section, where there is anything in it.
CREATE FUNCTION pg_temp.section(title text, content text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN content <> '' THEN format(E'\n## %s\n\n%s', title, content) ELSE '' END;

SELECT format(E'# Reference\n\nVersion %s. Made by `make docs` from the comments in the catalogue, which `\\dT+`, `\\df+`, `\\do+` and `\\d+` show in psql too.\n\n%s',
	extversion, obj_description('meter'::regnamespace, 'pg_namespace'))
FROM pg_extension WHERE extname = 'meter';

SELECT pg_temp.section('Types', string_agg(format(E'### meter.%s\n\n%s\n%s', typname, obj_description(pg_type.oid, 'pg_type'), pg_temp.columns(typrelid)), E'\n'
	ORDER BY typname COLLATE "C"))
FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = pg_type.oid
WHERE pg_type.oid NOT IN (SELECT oid FROM behind);

SELECT pg_temp.section('Functions', pg_temp.routines('{f}'));
SELECT pg_temp.section('Aggregates', pg_temp.routines('{a}'));
SELECT pg_temp.section('Window functions', pg_temp.routines('{w}'));
SELECT pg_temp.section('Procedures', pg_temp.routines('{p}'));

SELECT pg_temp.section('Operators', E'| operator | result | function | meaning |\n|---|---|---|---|\n'
	|| string_agg(format('| `%s` | %s | %s | %s |',
		pg_temp.one_line(concat_ws(' ', format_type(nullif(oprleft, 0), NULL), oprname, format_type(oprright, NULL))),
		format_type(oprresult, NULL), split_part(oprcode::text, '(', 1), pg_temp.one_line(obj_description(pg_operator.oid, 'pg_operator'))), E'\n'
		ORDER BY oprname COLLATE "C", format_type(oprleft, NULL) COLLATE "C", format_type(oprright, NULL) COLLATE "C")
	|| E'\n')
FROM pg_operator JOIN member ON classid = 'pg_operator'::regclass AND objid = pg_operator.oid;

SELECT pg_temp.section('Casts', E'| from | to | how | meaning |\n|---|---|---|---|\n'
	|| string_agg(format('| %s | %s | %s | %s |', format_type(castsource, NULL), format_type(casttarget, NULL),
		CASE castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'in assignment' ELSE 'implicit' END,
		pg_temp.one_line(obj_description(pg_cast.oid, 'pg_cast'))), E'\n'
		ORDER BY format_type(castsource, NULL) COLLATE "C", format_type(casttarget, NULL) COLLATE "C")
	|| E'\n')
FROM pg_cast JOIN member ON classid = 'pg_cast'::regclass AND objid = pg_cast.oid;

SELECT pg_temp.section('Tables', pg_temp.relations('{r,p}'));
SELECT pg_temp.section('Views', pg_temp.relations('{v,m}'));

SELECT pg_temp.section('Behind them', E'Nobody has to call these by name.\n\n' || string_agg(line, E'\n' ORDER BY line COLLATE "C") || E'\n')
FROM (
	SELECT format('* %s: %s', signature, pg_temp.one_line(comment)) AS line
	FROM routine
	WHERE oid IN (SELECT oid FROM behind)
	UNION ALL
	SELECT format('* type `meter.%s`: %s', typname, pg_temp.one_line(obj_description(oid, 'pg_type')))
	FROM pg_type
	WHERE oid IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
	AND oid IN (SELECT oid FROM behind)
	UNION ALL
	SELECT format('* operator class `%s` for %s', opcname, amname)
		|| coalesce(': ' || pg_temp.one_line(obj_description(pg_opclass.oid, 'pg_opclass')), '')
	FROM pg_opclass JOIN member ON classid = 'pg_opclass'::regclass AND objid = pg_opclass.oid
	JOIN pg_am ON opcmethod = pg_am.oid
) AS listed;
