-- Applies the changes of a server to the rosters of users, sorted by user, with the changes of what
-- Applications see. A roster is written only if the user's revision is still `p_rev`; -1 stands
-- for a user without a roster. A due time is -1 for none. With `p_grants`, unless it is -1, the
-- grants of the user must still have this revision. Returns a row for each user who was refused,
-- with the revision and the roster of today, and for each who had no roster, with the new revision;
-- then one with the time.
CREATE FUNCTION presence_apply_1(
  p_epoch bigint, p_node bigint,
  -- The longest time for which a change waits before an Application sees it, in milliseconds.
  p_delay bigint,
  p_user bigint[], p_rev bigint[], p_grants bigint[], p_roster bytea[], p_due bigint[],
  -- The users who have a connection of this server from now on.
  p_come bigint[],
  -- The users who have no connection of a server any more: this one, or one that a device has left.
  p_gone bigint[], p_gone_node bigint[],
  p_of bigint[], p_app integer[], p_puid uuid[], p_status smallint[], p_cause smallint[], p_text text[]
) RETURNS TABLE (user_id bigint, rev bigint, roster bytea, at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  refused bigint[];
  moved integer[];
BEGIN
  PERFORM pg_advisory_xact_lock_shared(p_node);
  PERFORM 1 FROM live_epoch e WHERE e.id = p_epoch;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another epoch has begun' USING ERRCODE = 'PR001';
  END IF;
  PERFORM 1 FROM live_nodes n WHERE n.id = p_node AND n.state < 2;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this server was declared dead' USING ERRCODE = 'PR002';
  END IF;
  -- Rows are looked up one by one: a join could read a whole table, by a plan of when it was small.
  -- A conflict locks the row also where the update is not done. A new revision is greater than
  -- every one that a removed row of the same user had. A new row whose change is refused stays
  -- empty, and is due to be removed.
  INSERT INTO live_users AS u (user_id, rev, roster, due_at)
    SELECT q.id, now_ms * 1000, '', 0 FROM unnest(p_user) q(id)
    ON CONFLICT (user_id) DO UPDATE SET rev = u.rev WHERE false;
  SELECT array_agg(q.id) INTO refused
    FROM unnest(p_user, p_rev, p_grants) q(id, rev, grants) CROSS JOIN LATERAL (
      SELECT w.rev, w.roster FROM live_users w WHERE w.user_id = q.id LIMIT 1
    ) u
    WHERE CASE WHEN q.rev < 0 THEN u.roster <> '' ELSE u.rev <> q.rev END
      OR (q.grants >= 0 AND q.grants IS DISTINCT FROM (SELECT s.revision FROM users s WHERE s.id = q.id));
  refused := COALESCE(refused, '{}');
  UPDATE live_users u SET rev = u.rev + 1, roster = q.roster, due_at = NULLIF(q.due, -1)
    FROM unnest(p_user, p_roster, p_due) q(id, roster, due)
    WHERE u.ctid = (SELECT w.ctid FROM live_users w WHERE w.user_id = q.id)
      AND q.id <> ALL (refused);
  IF cardinality(p_come) > 0 THEN
    INSERT INTO live_connections SELECT p_node, q.id FROM unnest(p_come) q(id)
      WHERE q.id <> ALL (refused) ON CONFLICT DO NOTHING;
  END IF;
  IF cardinality(p_gone) > 0 THEN
    DELETE FROM live_connections c USING unnest(p_gone, p_gone_node) q(id, node)
      WHERE c.node = q.node AND c.user_id = q.id AND q.id <> ALL (refused);
  END IF;
  IF cardinality(p_app) > 0 THEN
    IF cardinality(refused) > 0 THEN
      SELECT array_agg(t.app), array_agg(t.puid), array_agg(t.status), array_agg(t.cause), array_agg(t.text)
        INTO p_app, p_puid, p_status, p_cause, p_text
        FROM unnest(p_of, p_app, p_puid, p_status, p_cause, p_text) t(of, app, puid, status, cause, text)
        WHERE t.of <> ALL (refused);
    END IF;
  END IF;
  IF cardinality(p_app) > 0 AND p_delay > 0 THEN
    PERFORM presence_wait_1(now_ms, p_delay, p_app, p_puid, p_status, p_cause, p_text);
  ELSIF cardinality(p_app) > 0 THEN
    moved := presence_tell_1(
      now_ms, p_app, p_puid, array_fill(0::smallint, ARRAY[cardinality(p_app)]), p_status, p_cause, p_text
    );
    PERFORM presence_announce_1(moved);
  END IF;
  RETURN QUERY SELECT u.user_id, u.rev, u.roster, NULL::bigint FROM live_users u
    WHERE u.user_id = ANY (refused);
  RETURN QUERY SELECT u.user_id, u.rev, NULL::bytea, NULL::bigint
    FROM unnest(p_user, p_rev) q(id, rev) JOIN live_users u ON u.user_id = q.id
    WHERE q.rev < 0 AND q.id <> ALL (refused);
  RETURN QUERY SELECT NULL::bigint, NULL::bigint, NULL::bytea, now_ms;
END $$;
