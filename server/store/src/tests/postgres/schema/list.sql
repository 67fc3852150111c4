WITH tables AS (
  SELECT c.oid, c.relname::text AS name, c.relpersistence, c.reloptions FROM pg_class c
  WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
), parts AS (
  SELECT 1 AS section, t.name, 0 AS kind, 0 AS position,
    CASE t.relpersistence WHEN 'u' THEN 'unlogged table ' ELSE 'table ' END || t.name
      || COALESCE(' (' || array_to_string(t.reloptions, ', ') || ')', '') AS line
    FROM tables t
  UNION ALL
  SELECT 1, t.name, 1, a.attnum, '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
      || CASE a.attidentity WHEN 'a' THEN ' identity always' WHEN 'd' THEN ' identity by default' ELSE '' END
      || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
      || CASE WHEN a.attstorage <> y.typstorage THEN ' storage ' || a.attstorage::text ELSE '' END
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
  UNION ALL
  -- Newer versions of PostgreSQL list "not null" here too.
  SELECT 1, t.name, 2, 0, '  constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
    FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype <> 'n'
  UNION ALL
  SELECT 1, t.name, 3, 0, '  ' || pg_get_indexdef(i.indexrelid)
    FROM tables t JOIN pg_index i ON i.indrelid = t.oid
  UNION ALL
  SELECT 1, t.name, 4, 0, '  ' || pg_get_triggerdef(g.oid)
    FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT 2, c.relname::text, 0, 0, 'sequence ' || c.relname || ' ' || format_type(s.seqtypid, NULL)
      || ' from ' || s.seqstart || ' by ' || s.seqincrement || ' within ' || s.seqmin || ' and ' || s.seqmax
      || COALESCE(' of ' || t.name || '.' || a.attname, '')
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid AND c.relnamespace = 'public'::regnamespace
      LEFT JOIN pg_depend p ON p.classid = 'pg_class'::regclass AND p.objid = c.oid
        AND p.refclassid = 'pg_class'::regclass AND p.deptype IN ('a', 'i')
      LEFT JOIN tables t ON t.oid = p.refobjid
      LEFT JOIN pg_attribute a ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid
  UNION ALL
  SELECT 3, p.proname::text, 0, 0, 'function ' || p.proname || '(' || pg_get_function_arguments(p.oid) || ') returns '
      || pg_get_function_result(p.oid) || ' language ' || l.lanname || ' volatile ' || p.provolatile::text
      || COALESCE(' set ' || array_to_string(p.proconfig, ', '), '') || p.prosrc
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'public'::regnamespace
)
SELECT line FROM parts ORDER BY section, name COLLATE "C", kind, position, line COLLATE "C"
