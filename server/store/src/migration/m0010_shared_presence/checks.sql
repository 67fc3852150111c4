-- The last check of all users by an Application. Those before a change of its domain do not count.
CREATE UNLOGGED TABLE live_app_checks (
  app integer PRIMARY KEY REFERENCES apps (number) ON DELETE CASCADE,
  checked_at bigint,
  domain_changed_at bigint
) WITH (fillfactor = 50);

-- The last check of a single user by an Application.
CREATE UNLOGGED TABLE live_checks (
  grant_id bigint PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
  checked_at bigint NOT NULL
) WITH (fillfactor = 60);

-- The last pause of a grant.
CREATE UNLOGGED TABLE live_pauses (
  grant_id bigint PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
  -- The last check before the pause, if it is known.
  last_check bigint,
  paused_at bigint NOT NULL,
  -- The end of the pause, NULL while it lasts.
  resumed_at bigint
) WITH (fillfactor = 60);
CREATE INDEX live_pauses_paused_at ON live_pauses (paused_at);

-- Records checks of all users by Applications. One that was before a pause, and is recorded later,
-- is the last one before the pause.
CREATE FUNCTION presence_check_all_1(p_app text[], p_at bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- A removal of Applications also locks them before their checks.
  PERFORM 1 FROM apps WHERE id = ANY (p_app) ORDER BY id FOR KEY SHARE;
  INSERT INTO live_app_checks AS c (app, checked_at)
    SELECT a.number, q.at FROM unnest(p_app, p_at) q(app, at) JOIN apps a ON a.id = q.app
    ORDER BY a.number
    ON CONFLICT (app) DO UPDATE SET checked_at = GREATEST(c.checked_at, excluded.checked_at);
  UPDATE live_pauses p SET last_check = GREATEST(p.last_check, q.at)
    FROM unnest(p_app, p_at) q(app, at), grants g
    WHERE p.paused_at >= q.at AND g.id = p.grant_id AND g.app_id = q.app;
END $$;

-- Records checks of single users.
CREATE FUNCTION presence_check_users_1(p_app text[], p_puid text[], p_at bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- An end of grants also locks them before their checks.
  PERFORM 1 FROM grants g JOIN unnest(p_app, p_puid) q(app, puid)
    ON g.app_id = q.app AND g.puid = q.puid ORDER BY g.id FOR KEY SHARE OF g;
  INSERT INTO live_checks AS c (grant_id, checked_at)
    SELECT g.id, q.at FROM unnest(p_app, p_puid, p_at) q(app, puid, at)
      JOIN grants g ON g.app_id = q.app AND g.puid = q.puid
    ORDER BY g.id
    ON CONFLICT (grant_id) DO UPDATE SET checked_at = GREATEST(c.checked_at, excluded.checked_at);
  UPDATE live_pauses p SET last_check = GREATEST(p.last_check, q.at)
    FROM unnest(p_app, p_puid, p_at) q(app, puid, at)
      JOIN grants g ON g.app_id = q.app AND g.puid = q.puid
    WHERE p.grant_id = g.id AND p.paused_at >= q.at;
END $$;
