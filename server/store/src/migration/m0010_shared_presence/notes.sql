-- Sessions, generations and API keys that end leave a note in the same transaction, whatever ended
-- them: connections at all servers depend on them.
CREATE FUNCTION presence_note_users_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO notes (kind, subjects, created_at)
    SELECT 0, array_agg(DISTINCT user_id), floor(extract(epoch FROM clock_timestamp()) * 1000)
    FROM changed HAVING count(*) > 0;
  RETURN NULL;
END $$;

CREATE FUNCTION presence_note_apps_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO notes (kind, subjects, created_at)
    SELECT 1, array_agg(DISTINCT a.number), floor(extract(epoch FROM clock_timestamp()) * 1000)
    FROM changed JOIN apps a ON a.id = changed.app_id HAVING count(*) > 0;
  RETURN NULL;
END $$;

CREATE TRIGGER note_sessions AFTER DELETE ON sessions
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION presence_note_users_1();
CREATE TRIGGER note_generations AFTER UPDATE ON generations
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION presence_note_users_1();
CREATE TRIGGER note_keys AFTER DELETE ON api_keys
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION presence_note_apps_1();
