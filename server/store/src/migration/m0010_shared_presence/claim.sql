-- Stores a value that can be used once, unless it is stored already or its owner has too many.
-- Returns no row if it is stored now, the content of the one that was stored before, or the time at
-- which the first value of the owner expires.
CREATE FUNCTION presence_claim_1(
  p_kind smallint, p_digest bytea, p_owner bigint, p_content bytea, p_expires_at bigint,
  p_limit bigint, p_now bigint
) RETURNS TABLE (known bytea, first_end bigint) LANGUAGE plpgsql AS $$
BEGIN
  -- Each statement sees what was committed before it, so of two calls for a user at two servers the
  -- second one counts the value of the first one.
  PERFORM 1 FROM users WHERE id = p_owner FOR NO KEY UPDATE;
  DELETE FROM one_time_values WHERE kind = p_kind AND digest = p_digest AND expires_at <= p_now;
  RETURN QUERY SELECT v.content, NULL::bigint FROM one_time_values v
    WHERE v.kind = p_kind AND v.digest = p_digest;
  IF FOUND THEN RETURN; END IF;
  RETURN QUERY SELECT NULL::bytea, min(v.expires_at) FROM one_time_values v
    WHERE v.kind = p_kind AND v.owner = p_owner AND v.expires_at > p_now
    HAVING count(*) >= p_limit;
  IF FOUND THEN RETURN; END IF;
  INSERT INTO one_time_values (kind, digest, owner, content, expires_at)
    VALUES (p_kind, p_digest, p_owner, p_content, p_expires_at) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN QUERY SELECT v.content, NULL::bigint FROM one_time_values v
      WHERE v.kind = p_kind AND v.digest = p_digest;
  END IF;
END $$;
