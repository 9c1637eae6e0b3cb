-- Rules that every object of the extension keeps. Each query lists what breaks one: no row.
-- The array, row and multirange types that come with another object are members from PostgreSQL 17 on.
CREATE TEMP VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass
AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'meter')
AND deptype = 'e'
AND NOT (classid = 'pg_type'::regclass AND objid IN (
	SELECT typarray FROM pg_type
	UNION ALL SELECT reltype FROM pg_class WHERE relkind <> 'c'
	UNION ALL SELECT rngmultitypid FROM pg_range));

-- Everything has a comment, which is the reference manual. An operator family is its class's, a
-- sequence its column's.
SELECT object AS without_comment
FROM member
WHERE obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) IS NULL
AND classid <> 'pg_opfamily'::regclass
AND objid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'S')
ORDER BY object COLLATE "C";

-- Whatever is in C gives the same answer for the same input, in any worker. The number of the
-- transaction is nobody's input, and no worker may ask for one, nor for whether it can be ended.
SELECT object AS not_pure
FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
AND (provolatile = 'v' OR proparallel <> 's')
AND pg_proc.oid NOT IN ('meter.txid'::regproc, 'meter.refuse_transaction_block'::regproc)
ORDER BY object COLLATE "C";

-- Nobody borrows the owner's rights, but for triggers, which nobody can call; for the preview of all
-- bills, which has no argument, and reads meter's own tables alone; for what is rolled up, which has none
-- either, and tells numbers of transactions; and for corrections, which whoever may
-- make them cannot make in any other way.
SELECT object AS security_definer
FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
WHERE prosecdef
AND prorettype <> 'trigger'::regtype
ORDER BY object COLLATE "C";

-- A caller's search_path changes no function's meaning. A procedure that commits cannot set it, and
-- meter.record, which is called for every event, has nothing that it could change.
SELECT object AS search_path_open
FROM member JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
JOIN pg_language ON prolang = pg_language.oid
WHERE (lanname = 'sql' AND prosqlbody IS NULL)
OR (lanname = 'plpgsql' AND prokind <> 'p' AND NOT coalesce(proconfig::text LIKE '%search_path=%', false)
	AND pg_proc.oid <> 'meter.record'::regproc)
ORDER BY object COLLATE "C";

-- Aggregates run in workers: their state is a type with a wire format, and states combine.
SELECT object AS not_parallel
FROM member JOIN pg_aggregate ON classid = 'pg_proc'::regclass AND objid = aggfnoid
JOIN pg_proc ON aggfnoid = pg_proc.oid
JOIN pg_type ON aggtranstype = pg_type.oid
WHERE aggcombinefn = 0 OR proparallel <> 's' OR aggtranstype = 'internal'::regtype
OR typsend = 0 OR typreceive = 0
ORDER BY object COLLATE "C";

-- A transition function sees the first row: it is not strict, and starts from nothing.
SELECT object AS skips_rows
FROM member JOIN pg_aggregate ON classid = 'pg_proc'::regclass AND objid = aggfnoid
JOIN pg_proc AS transition ON aggtransfn = transition.oid
WHERE transition.proisstrict OR agginitval IS NOT NULL
ORDER BY object COLLATE "C";

-- Types can be sent and received.
SELECT object AS without_wire_format
FROM member JOIN pg_type ON classid = 'pg_type'::regclass AND objid = pg_type.oid
WHERE typtype = 'b' AND (typsend = 0 OR typreceive = 0)
ORDER BY object COLLATE "C";

-- pg_dump keeps the rows of every table, and the place of every sequence.
SELECT object AS not_dumped
FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND objid = pg_class.oid
WHERE relkind IN ('r', 'p', 'S')
AND pg_class.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'meter')
ORDER BY object COLLATE "C";

-- Operator classes are complete.
SELECT object AS invalid_class
FROM member JOIN pg_opclass ON classid = 'pg_opclass'::regclass AND objid = pg_opclass.oid
WHERE NOT amvalidate(pg_opclass.oid)
ORDER BY object COLLATE "C";

-- Everything is in schema meter, but for what only works from pg_catalog: operators, what they are
-- made of, and the aggregate sum.
SELECT object AS elsewhere
FROM member JOIN LATERAL pg_identify_object(classid, objid, 0) AS name ON true
WHERE classid NOT IN ('pg_cast'::regclass, 'pg_namespace'::regclass)
AND name.schema <> 'meter'
AND NOT (name.schema = 'pg_catalog' AND (classid IN ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass)
	OR object LIKE 'function sum(%'))
ORDER BY object COLLATE "C";

-- No view is estimated to cost so much on empty tables that it would be compiled, which takes longer than any report.
CREATE FUNCTION pg_temp.estimated_cost(relation regclass) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT JSON) SELECT * FROM %s', relation) INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END
$$;
SELECT oid::regclass AS compiled
FROM pg_class
WHERE relnamespace = 'meter'::regnamespace
	AND relkind = 'v'
	AND pg_temp.estimated_cost(oid) > current_setting('jit_above_cost')::numeric
ORDER BY relname COLLATE "C";
