//! The erasure of users and the switches of Applications, with their checks.

use std::collections::BTreeSet;

use super::accounts::Erasure;
use super::command::Command;
use super::run::Run;
use super::world::{APPS, TWINS, USERS};

/// The columns with the number of a user, wherever they are.
const USER_COLUMNS: &str = "
  SELECT f.conrelid::regclass::text, a.attname FROM pg_constraint f
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
    WHERE f.contype = 'f' AND f.confrelid = 'users'::regclass
  UNION SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name IN ('user_id', 'owner')
  UNION SELECT 'users', 'id'";
/// The rows of what Applications see of users who have no grant.
const SEEN_WITHOUT_GRANT: &str = "
  SELECT 'live_now', app, puid::text FROM live_now UNION ALL
  SELECT 'live_waiting', app, puid::text FROM live_waiting EXCEPT ALL
  SELECT t, a.number, g.puid::uuid::text FROM grants g JOIN apps a ON a.id = g.app_id,
    unnest(ARRAY['live_now', 'live_waiting']) t";
/// The bits of a version that count the entries of an epoch.
const COUNTER_BITS: u32 = 20;

impl Run {
    /// Erases a user.
    pub(super) fn erase_user(&mut self, server: usize) {
        let user = self.rng.below(USERS);
        if !self.world.is_here(user) {
            return;
        }
        let work = self.service(server).erase(self.world.users[user]);
        self.start_command(server, Command::Erase { user }, work);
    }

    /// Switches an Application on or off. The twins stay on.
    pub(super) fn switch(&mut self, server: usize) {
        let app = TWINS + self.rng.below(APPS - TWINS);
        let known = &self.world.switches[app];
        if known.is_busy {
            return;
        }
        let active = !known.may_be_on() || self.rng.below(4) == 0;
        let work = self.service(server).switch(self.world.apps[app], active);
        self.start_command(server, Command::Switch { app, active }, work);
    }

    /// Checks that users are erased as it was answered, and that no table has a row of them. From
    /// then on it is known.
    pub(super) fn check_accounts(&mut self) {
        let rows = self.network.database.query("SELECT id FROM users");
        let stored: BTreeSet<String> = rows.into_iter().map(|row| row[0].clone()).collect();
        for user in 0..USERS {
            let id = self.world.users[user];
            let (is_stored, erasure) =
                (stored.contains(&id.0.to_string()), self.world.erasures[user]);
            let is_right = match erasure {
                Erasure::None => is_stored,
                Erasure::Asked => true,
                Erasure::Done => !is_stored,
            };
            let problem = format!("user {user} is stored: {is_stored}, erased: {erasure:?}");
            self.checked(if is_right { Ok(()) } else { Err(problem) });
            self.world.erasures[user] = if is_stored { Erasure::None } else { Erasure::Done };
            if !is_stored {
                self.world.erased.push(id);
            }
        }
        let left = self.left_rows();
        self.checked(if left.is_empty() { Ok(()) } else { Err(format!("rows left: {left:?}")) });
    }

    /// Returns the rows that are left of users who were erased, or had a grant.
    fn left_rows(&mut self) -> Vec<Vec<String>> {
        let mut left = self.network.database.query(SEEN_WITHOUT_GRANT);
        let erased: Vec<String> = self.world.erased.iter().map(|user| user.0.to_string()).collect();
        let erased = erased.join(",");
        let of_column = |column: Vec<String>| {
            let [table, name] = &column[..] else { return String::new() };
            format!(
                "SELECT '{table}', {name}, t::text FROM {table} t WHERE {name} = ANY ('{{{erased}}}')"
            )
        };
        let columns = self.network.database.query(USER_COLUMNS).into_iter();
        let sql: Vec<String> = columns.map(of_column).collect();
        left.append(&mut self.network.database.query(&sql.join(" UNION ALL ")));
        left
    }

    /// Checks that Applications are on or off as it was answered. From then on it is known.
    pub(super) fn check_switches(&mut self) {
        let sql = "SELECT number, state = 'active' FROM apps";
        for row in self.network.database.query(sql) {
            let app = row[0].parse::<usize>().unwrap() - 1;
            let settled = self.world.switches[app].settle(row[1] == "t");
            self.checked(settled.map_err(|problem| format!("app {app} is on: {problem}")));
        }
    }

    /// Remembers the versions at which an Application was switched off.
    pub(super) fn note_switches(&mut self, app: usize) {
        if !self.world.switches[app].was_off {
            return;
        }
        let sql = format!(
            "SELECT (e.number << {COUNTER_BITS}) + l.place FROM live_log l, live_epoch e \
             WHERE l.app = {} AND l.kind = 3 AND l.status = 0",
            app + 1
        );
        // A server that begins an epoch holds locks.
        let rows = self.network.database.query_at_once(&sql).unwrap_or_default();
        let versions = rows.into_iter().map(|row| row[0].parse::<u64>().unwrap());
        self.world.off_versions[app].extend(versions);
    }
}
