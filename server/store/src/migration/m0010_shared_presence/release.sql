-- Taken, dropped and expired notifications wait for their receipts as rows.
CREATE INDEX notifications_settled ON notifications (grant_id) WHERE state > 0;

-- Writes receipts whose notifications have no row any more, and returns the Applications whose
-- streams have new entries. The streams are locked by the caller or here.
CREATE FUNCTION presence_receipts_1(
  p_app integer[], p_puid uuid[], p_notification uuid[], p_state smallint[]
) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  moved integer[];
BEGIN
  PERFORM 1 FROM live_streams WHERE app = ANY (p_app) ORDER BY app FOR NO KEY UPDATE;
  WITH numbered AS MATERIALIZED (
    SELECT r.*, row_number() OVER (PARTITION BY r.app ORDER BY r.notification) AS number
    FROM unnest(p_app, p_puid, p_notification, p_state) r(app, puid, notification, state)
  ), placed AS (
    SELECT n.*, n.number + max(CASE WHEN n.number = 1 THEN COALESCE(
      (SELECT l.place FROM live_log l WHERE l.app = n.app ORDER BY l.place DESC LIMIT 1),
      (SELECT s.floor FROM live_streams s WHERE s.app = n.app)
    ) END) OVER (PARTITION BY n.app) AS place FROM numbered n
  ), logged AS (
    INSERT INTO live_log (app, place, at, kind, puid, status, notification)
    SELECT p.app, p.place, now_ms, 1, p.puid, p.state, p.notification
    FROM placed p WHERE p.place IS NOT NULL
    RETURNING app
  )
  SELECT array_agg(DISTINCT app) INTO moved FROM logged;
  RETURN moved;
END $$;

-- Gives an Application the receipts that are due, at most p_limit, and deletes the rows of their
-- notifications. A user who is seen since less than p_hold milliseconds is left out, since the
-- receipts would tell what the user did while hidden. Of a user who is not seen only those are given
-- that the Application causes itself: of notifications that were dropped or have expired.
CREATE FUNCTION presence_release_1(p_app integer, p_hold bigint, p_limit integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  stream live_streams;
  given integer;
BEGIN
  SELECT * INTO stream FROM live_streams s WHERE s.app = p_app FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  WITH due AS MATERIALIZED (
    SELECT n.seq, n.id, n.state, g.puid FROM apps a JOIN grants g ON g.app_id = a.id
      JOIN notifications n ON n.grant_id = g.id
      LEFT JOIN live_now w ON w.app = p_app AND w.puid = g.puid::uuid
    WHERE a.number = p_app AND n.state > 0 AND CASE
      WHEN stream.active AND w.status > 0 AND NOT g.paused AND g.waiting_since IS NULL
      THEN GREATEST(w.seen_at, stream.switched_at) + p_hold <= now_ms
      ELSE n.state >= 3 END
    ORDER BY n.seq LIMIT p_limit FOR UPDATE OF n SKIP LOCKED
  ), gone AS (
    DELETE FROM notifications n USING due d WHERE n.seq = d.seq
  ), head AS MATERIALIZED (
    SELECT COALESCE(
      (SELECT l.place FROM live_log l WHERE l.app = p_app ORDER BY l.place DESC LIMIT 1), stream.floor
    ) AS place
  ), logged AS (
    INSERT INTO live_log (app, place, at, kind, puid, status, notification)
    SELECT p_app, head.place + row_number() OVER (ORDER BY d.id), now_ms, 1, d.puid::uuid, d.state,
      d.id::uuid FROM due d, head
    RETURNING 1
  )
  SELECT count(*) INTO given FROM logged;
  RETURN given;
END $$;

-- Switches the stream of an Application on or off, which is one entry for all users. Returns the
-- place of the entry, or nothing if it was so already.
CREATE FUNCTION presence_switch_1(p_app integer, p_active boolean)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  stream live_streams;
  entry bigint;
BEGIN
  INSERT INTO live_streams (app, floor, active, switched_place, switched_at)
    VALUES (p_app, 0, NOT p_active, 0, now_ms) ON CONFLICT DO NOTHING;
  SELECT * INTO stream FROM live_streams s WHERE s.app = p_app FOR NO KEY UPDATE;
  IF stream.active = p_active THEN
    RETURN NULL;
  END IF;
  SELECT 1 + COALESCE(
    (SELECT l.place FROM live_log l WHERE l.app = p_app ORDER BY l.place DESC LIMIT 1), stream.floor
  ) INTO entry;
  INSERT INTO live_log (app, place, at, kind, status)
    VALUES (p_app, entry, now_ms, 3, CASE WHEN p_active THEN 1 ELSE 0 END);
  UPDATE live_streams SET active = p_active, switched_place = entry, switched_at = now_ms
    WHERE app = p_app;
  RETURN entry;
END $$;
