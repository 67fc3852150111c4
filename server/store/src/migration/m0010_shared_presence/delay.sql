-- The moments at which an Application is shown the changes that wait, at equal intervals of a
-- random phase.
CREATE UNLOGGED TABLE live_schedules (app integer PRIMARY KEY, next_at bigint NOT NULL)
  WITH (fillfactor = 50);

-- The changes that wait, the last one of each user.
CREATE UNLOGGED TABLE live_waiting (
  app integer NOT NULL,
  puid uuid NOT NULL,
  status smallint NOT NULL,
  -- A cause and a text as presence_tell_1 takes them.
  cause smallint NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (app, puid)
) WITH (fillfactor = 60);

-- Lets changes of what Applications see wait for the next moment of each Application.
CREATE FUNCTION presence_wait_1(
  p_at bigint, p_delay bigint,
  p_app integer[], p_puid uuid[], p_status smallint[], p_cause smallint[], p_text text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM presence_check_streams_1(p_app);
  INSERT INTO live_schedules (app, next_at)
    SELECT a, p_at + floor(random() * p_delay) FROM unnest(p_app) a
    WHERE NOT EXISTS (SELECT 1 FROM live_schedules s WHERE s.app = a)
    GROUP BY a ORDER BY a ON CONFLICT DO NOTHING;
  INSERT INTO live_waiting AS w (app, puid, status, cause, text)
    SELECT * FROM unnest(p_app, p_puid, p_status, p_cause, p_text) t(app, puid, status, cause, text)
    ORDER BY app, puid
    ON CONFLICT (app, puid) DO UPDATE
      SET status = excluded.status, cause = excluded.cause, text = excluded.text;
END $$;

-- Shows Applications whose moment has come the changes that wait, and returns those whose streams
-- have new entries. A moment at which no server runs is left out: the next one is in the future.
CREATE FUNCTION presence_show_waiting_1(p_delay bigint) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  due integer;
  shown record;
  moved integer[] := '{}';
BEGIN
  FOR due IN SELECT s.app FROM live_schedules s WHERE s.next_at <= now_ms ORDER BY s.app
    FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE live_schedules s SET next_at = s.next_at + p_delay * ((now_ms - s.next_at) / p_delay + 1)
      WHERE s.app = due;
    PERFORM 1 FROM live_streams s WHERE s.app = due FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      -- The Application was removed.
      DELETE FROM live_waiting w WHERE w.app = due;
      DELETE FROM live_schedules s WHERE s.app = due;
      CONTINUE;
    END IF;
    PERFORM 1 FROM live_waiting w WHERE w.app = due ORDER BY w.puid FOR UPDATE;
    WITH gone AS (DELETE FROM live_waiting w WHERE w.app = due RETURNING w.*)
      SELECT array_agg(app) AS app, array_agg(puid) AS puid, array_agg(status) AS status,
        array_agg(cause) AS cause, array_agg(text) AS text INTO shown FROM gone;
    IF shown.app IS NOT NULL THEN
      moved := moved || presence_tell_1(
        now_ms, shown.app, shown.puid, array_fill(0::smallint, ARRAY[cardinality(shown.app)]),
        shown.status, shown.cause, shown.text
      );
    END IF;
  END LOOP;
  RETURN moved;
END $$;
