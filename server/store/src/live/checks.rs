//! The checks of users by Applications, which users see at whichever server they ask.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_core::checks::{CheckTimes, Pause};
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::arrays::{bigints, texts};
use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::{id, time_from_column, time_to_column};

/// The maximum number of checks of single users that one statement records.
const PAGE: usize = 5_000;

/// Checks to be recorded, with their times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewChecks {
    /// The checks of all users of an Application.
    pub of_all: HashMap<AppId, UnixMillis>,
    /// The checks of single users.
    pub of_user: HashMap<(AppId, Puid), UnixMillis>,
}

/// The checks of a user by an Application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownChecks {
    /// The times. That of all users is without the sockets that are open now.
    pub times: CheckTimes,
    /// Set if the Application has an open socket at some server.
    pub has_socket: bool,
}

impl KnownChecks {
    /// Returns the times, with the sockets that are open now.
    fn times_at(&self, now: UnixMillis) -> CheckTimes {
        let of_all = if self.has_socket { Some(now) } else { self.times.of_all };
        CheckTimes { of_all, ..self.times }
    }

    /// Returns the last check of a user whose grant is suspended now, or is not.
    pub fn last_if(&self, suspended: bool, now: UnixMillis) -> Option<UnixMillis> {
        self.times_at(now).last_if(suspended)
    }
}

impl Live {
    /// Records checks. A grant that has ended is left out. A check that is recorded after a pause
    /// has begun, but was before it, is the last one before the pause.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn record_checks(&self, checks: &NewChecks) -> Result<(), StoreError> {
        if !checks.of_all.is_empty() {
            let values = [
                texts(checks.of_all.keys().map(AppId::to_string)),
                bigints(checks.of_all.values().map(|at| time_to_column(*at))),
            ];
            execute(self.write(), "SELECT presence_check_all_1($1, $2)", values).await?;
        }
        let of_user: Vec<_> = checks.of_user.iter().collect();
        for of_user in of_user.chunks(PAGE) {
            let values = [
                texts(of_user.iter().map(|((app, _), _)| app.to_string())),
                texts(of_user.iter().map(|((_, puid), _)| puid.to_string())),
                bigints(of_user.iter().map(|(_, at)| time_to_column(**at))),
            ];
            execute(self.write(), "SELECT presence_check_users_1($1, $2, $3)", values).await?;
        }
        Ok(())
    }

    /// Returns the checks of users by Applications. A grant that has ended is left out.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn checks(
        &self,
        grants: &[(AppId, Puid)],
    ) -> Result<HashMap<Puid, KnownChecks>, StoreError> {
        read(self.read(), grants.iter().copied()).await
    }

    /// Writes to the durable rows of Applications when they have checked all users last, since the
    /// live tables are emptied by a crash of the database.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn keep_checks(&self) -> Result<(), StoreError> {
        let sql = "UPDATE apps a SET last_looked_at = c.checked_at FROM live_app_checks c \
                   WHERE c.app = a.number \
                   AND c.checked_at > GREATEST(c.domain_changed_at, a.last_looked_at + 60000, 0)";
        execute(self.write(), sql, []).await.map(drop)
    }

    /// Records in a transaction that grants are suspended from now on, or are not any more.
    pub(super) async fn write_pauses(
        &self,
        suspensions: &[(AppId, Puid, bool)],
        now: UnixMillis,
        txn: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        for (app, puid, suspended) in suspensions {
            let known = read(txn, [(*app, *puid)].into_iter()).await?.remove(puid);
            let Some(known) = known else { continue };
            let pause = known.times_at(now).pause_after(*suspended, now);
            let sql = "INSERT INTO live_pauses AS p (grant_id, last_check, paused_at, resumed_at) \
                       SELECT g.id, $3, $4, $5 FROM grants g WHERE g.app_id = $1 AND g.puid = $2 \
                       ON CONFLICT (grant_id) DO UPDATE SET last_check = excluded.last_check, \
                       resumed_at = excluded.resumed_at, paused_at = \
                       CASE WHEN p.resumed_at IS NULL OR excluded.paused_at = 0 THEN p.paused_at \
                       ELSE excluded.paused_at END";
            // The beginning of a pause that is not known is before every check.
            let paused_at = if *suspended { now } else { UnixMillis::default() };
            let values = [
                app.to_string().into(),
                puid.to_string().into(),
                pause.last_check.map(time_to_column).into(),
                time_to_column(paused_at).into(),
                pause.resumed_at.map(time_to_column).into(),
            ];
            execute(txn, sql, values).await?;
        }
        Ok(())
    }

    /// Forgets in a transaction the checks of Applications whose domain has changed.
    pub(super) async fn forget_checks(
        &self,
        apps: &[AppId],
        now: UnixMillis,
        txn: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        if apps.is_empty() {
            return Ok(());
        }
        let ids = || texts(apps.iter().map(AppId::to_string));
        let sql = "INSERT INTO live_app_checks (app, domain_changed_at) \
                   SELECT number, $2 FROM apps WHERE id = ANY ($1) \
                   ON CONFLICT (app) DO UPDATE SET domain_changed_at = excluded.domain_changed_at";
        execute(txn, sql, [ids(), time_to_column(now).into()]).await?;
        let sql = "DELETE FROM live_pauses p USING grants g \
                   WHERE g.id = p.grant_id AND g.app_id = ANY ($1) AND p.resumed_at IS NOT NULL";
        execute(txn, sql, [ids()]).await?;
        Ok(())
    }
}

async fn read<C: ConnectionTrait>(
    db: &C,
    grants: impl Iterator<Item = (AppId, Puid)>,
) -> Result<HashMap<Puid, KnownChecks>, StoreError> {
    let sql = "SELECT g.puid, GREATEST(a.checked_at, n.last_looked_at), c.checked_at, \
               a.domain_changed_at, p.grant_id IS NOT NULL, p.last_check, p.resumed_at, \
               EXISTS (SELECT 1 FROM live_sockets s WHERE s.app = n.number AND s.sockets > 0) \
               FROM unnest($1, $2) q(app, puid) \
               JOIN grants g ON g.app_id = q.app AND g.puid = q.puid \
               JOIN apps n ON n.id = g.app_id \
               LEFT JOIN live_app_checks a ON a.app = n.number \
               LEFT JOIN live_checks c ON c.grant_id = g.id \
               LEFT JOIN live_pauses p ON p.grant_id = g.id";
    let (apps, puids): (Vec<String>, Vec<String>) =
        grants.map(|(app, puid)| (app.to_string(), puid.to_string())).unzip();
    let mut known = HashMap::with_capacity(puids.len());
    for row in query(db, sql, [texts(apps), texts(puids)]).await? {
        let puid: String = row.try_get_by_index(0)?;
        let time = |index| -> Result<Option<UnixMillis>, StoreError> {
            let at: Option<i64> = row.try_get_by_index(index)?;
            at.map(|at| time_from_column("live_checks", at)).transpose()
        };
        let pause = Pause { last_check: time(5)?, resumed_at: time(6)? };
        let times = CheckTimes {
            of_all: time(1)?,
            of_user: time(2)?,
            domain_changed_at: time(3)?,
            pause: row.try_get_by_index::<bool>(4)?.then_some(pause),
        };
        let has_socket = row.try_get_by_index(7)?;
        known.insert(id("grants", &puid)?, KnownChecks { times, has_socket });
    }
    Ok(known)
}
