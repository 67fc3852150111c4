-- Refuses Applications without a stream.
CREATE FUNCTION presence_check_streams_1(p_app integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  missing integer[];
BEGIN
  SELECT array_agg(DISTINCT a) INTO missing FROM unnest(p_app) a
    WHERE NOT EXISTS (SELECT 1 FROM live_streams s WHERE s.app = a);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'streams are missing: %', array_to_string(missing, ' ') USING ERRCODE = 'PR003';
  END IF;
END $$;

-- Writes changes of what Applications see, at most one of each user of an Application, and returns
-- the Applications whose streams have new entries. What an Application has seen already is left
-- out. The entries of an Application are in the order of pseudonyms, which says nothing about the
-- order of the changes. A cause is -1 for none. A text comes after a sign, and is empty for none.
CREATE FUNCTION presence_tell_1(
  p_at bigint,
  p_app integer[], p_puid uuid[], p_kind smallint[], p_status smallint[], p_cause smallint[], p_text text[]
) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  locked bigint;
  moved integer[];
BEGIN
  p_at := COALESCE(p_at, floor(extract(epoch FROM clock_timestamp()) * 1000));
  PERFORM 1 FROM live_streams WHERE app = ANY (p_app) ORDER BY app FOR NO KEY UPDATE;
  GET DIAGNOSTICS locked = ROW_COUNT;
  IF locked < (SELECT count(DISTINCT a) FROM unnest(p_app) a) THEN
    PERFORM presence_check_streams_1(p_app);
    RAISE EXCEPTION 'streams were missing' USING ERRCODE = 'PR003';
  END IF;
  -- What waits of these users is older.
  IF EXISTS (SELECT 1 FROM live_waiting) THEN
    DELETE FROM live_waiting w USING unnest(p_app, p_puid) t(app, puid)
      WHERE w.app = t.app AND w.puid = t.puid;
  END IF;
  -- This statement begins after the locks are taken, so it sees what their last holders wrote. Rows
  -- are looked up one by one: a join could read a whole table, by a plan of when it was small.
  WITH told AS MATERIALIZED (
    SELECT app, puid, kind, status, NULLIF(cause, -1) AS cause,
      CASE WHEN text = '' THEN NULL ELSE substr(text, 2) END AS text
    FROM unnest(p_app, p_puid, p_kind, p_status, p_cause, p_text)
      AS t(app, puid, kind, status, cause, text)
  ), different AS MATERIALIZED (
    SELECT t.app, t.puid, t.kind, t.status, t.cause, t.text,
      COALESCE(n.status, 0::smallint) AS status_before, n.text AS text_before,
      row_number() OVER of_app AS number, max(n.place) OVER (PARTITION BY t.app) AS known_place
    FROM told t LEFT JOIN LATERAL (
      SELECT w.status, w.text, w.place FROM live_now w
        WHERE w.app = t.app AND w.puid = t.puid LIMIT 1
    ) n ON true
    WHERE t.kind = 2 OR COALESCE(n.status, 0) <> t.status OR n.text IS DISTINCT FROM t.text
    WINDOW of_app AS (PARTITION BY t.app ORDER BY t.puid)
  ), changed AS MATERIALIZED (
    -- The head is read once for each Application. A scan of an index reads whole pages, unless it
    -- begins near the head.
    SELECT d.*, d.number + max(CASE WHEN d.number = 1 THEN COALESCE(
      (SELECT l.place FROM live_log l WHERE l.app = d.app AND l.place >= d.known_place
        ORDER BY l.place DESC LIMIT 1),
      (SELECT l.place FROM live_log l WHERE l.app = d.app ORDER BY l.place DESC LIMIT 1),
      (SELECT s.floor FROM live_streams s WHERE s.app = d.app)
    ) END) OVER (PARTITION BY d.app) AS place FROM different d
  ), shown AS (
    INSERT INTO live_now AS n (app, puid, place, status, since, text, seen_at)
    SELECT app, puid, place, status, p_at, text, CASE WHEN status > 0 THEN p_at END
      FROM changed WHERE kind = 0
    ON CONFLICT (app, puid) DO UPDATE SET place = excluded.place, status = excluded.status,
      since = excluded.since, text = excluded.text,
      seen_at = CASE WHEN excluded.status > 0 THEN COALESCE(n.seen_at, excluded.seen_at) END
  ), logged AS (
    INSERT INTO live_log
      (app, place, at, kind, puid, status, cause, text, status_before, text_before)
    SELECT app, place, p_at, kind, puid, status, cause, text, status_before, text_before FROM changed
  )
  SELECT array_agg(DISTINCT app) INTO moved FROM changed;
  IF 2 = ANY (p_kind) THEN
    DELETE FROM live_now n WHERE n.ctid = ANY (ARRAY(
      SELECT (SELECT w.ctid FROM live_now w WHERE w.app = t.app AND w.puid = t.puid)
        FROM unnest(p_app, p_puid, p_kind) t(app, puid, kind) WHERE t.kind = 2
    ));
  END IF;
  RETURN moved;
END $$;

-- Tells all servers which streams have new entries.
CREATE FUNCTION presence_announce_1(p_moved integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  list text := array_to_string(p_moved, ' ');
BEGIN
  IF list <> '' THEN
    -- A notification of PostgreSQL holds at most 7,999 bytes.
    PERFORM pg_notify('presence', CASE WHEN length(list) > 7900 THEN '*' ELSE list END);
  END IF;
END $$;
