//! From rows to the types of the rules and back. A row can be nonsense, which is an error and not a panic.

use std::str::FromStr;

use presence_core::UnixMillis;
use presence_core::model::{
    ApiKey, App, ApplicationState, CredentialGeneration, Email, Grant, Notification, Scope,
    Session, Settlement, UserId,
};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{EntityTrait, FromQueryResult, JoinType, QuerySelect, RelationTrait, Select};

use crate::error::StoreError;
use crate::tables::{api_key, app, grant, notification, session};

/// The most rows or values of one statement.
pub(crate) const CHUNK: usize = 500;

/// The values of a list, the last one repeated until there are as many as a power of two: a statement of few lengths is prepared
/// already, and to prepare one takes longer than to run it.
pub(crate) fn padded<T: Clone>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// The state of a notification that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// No device has taken it.
    Pending,
    /// A device has taken it while the Application saw the user offline: the receipt waits.
    Taken(Settlement),
}

impl QueueState {
    pub(crate) const PENDING: i32 = 0;

    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Pending => Self::PENDING,
            Self::Taken(Settlement::Delivered) => 1,
            Self::Taken(Settlement::Acked) => 2,
        }
    }

    fn of_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Pending),
            1 => Some(Self::Taken(Settlement::Delivered)),
            2 => Some(Self::Taken(Settlement::Acked)),
            _ => None,
        }
    }

    /// The receipt that was withheld.
    pub(crate) fn receipt(self) -> Option<ReceiptState> {
        match self {
            Self::Pending => None,
            Self::Taken(taken) => Some(taken.into()),
        }
    }
}

/// The columns of a notification that tell what it is, without what it says.
#[derive(FromQueryResult)]
pub(crate) struct NotificationHeaderRow {
    seq: i64,
    id: String,
    app_id: String,
    puid: String,
    user_id: i64,
    state: i32,
}

/// A notification with all its columns, and whose it is.
#[derive(FromQueryResult)]
pub(crate) struct NotificationRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) app_id: String,
    pub(crate) puid: String,
    pub(crate) user_id: i64,
    pub(crate) message: String,
    pub(crate) action: String,
    pub(crate) sent_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) state: i32,
    pub(crate) live_only: bool,
}

/// A waiting notification, without what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotificationHeader {
    pub(crate) seq: i64,
    pub(crate) id: NotificationId,
    pub(crate) app: AppId,
    pub(crate) puid: Puid,
    pub(crate) user: UserId,
    pub(crate) state: QueueState,
}

/// Whose a notification is.
const WHOSE: [grant::Column; 3] =
    [grant::Column::AppId, grant::Column::Puid, grant::Column::UserId];

fn with_grants() -> Select<notification::Entity> {
    notification::Entity::find()
        .join(JoinType::InnerJoin, notification::Relation::Grant.def())
        .select_only()
        .columns(WHOSE)
}

impl NotificationHeaderRow {
    pub(crate) fn find() -> Select<notification::Entity> {
        with_grants().columns([
            notification::Column::Seq,
            notification::Column::Id,
            notification::Column::State,
        ])
    }
}

impl NotificationRow {
    pub(crate) fn find() -> Select<notification::Entity> {
        with_grants().columns([
            notification::Column::Seq,
            notification::Column::Id,
            notification::Column::Message,
            notification::Column::Action,
            notification::Column::SentAt,
            notification::Column::ExpiresAt,
            notification::Column::State,
            notification::Column::LiveOnly,
        ])
    }
}

impl TryFrom<NotificationHeaderRow> for NotificationHeader {
    type Error = StoreError;

    fn try_from(row: NotificationHeaderRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.seq,
            id: id("notifications", &row.id)?,
            app: id("notifications", &row.app_id)?,
            puid: id("notifications", &row.puid)?,
            user: UserId(row.user_id),
            state: QueueState::of_code(row.state).ok_or(StoreError::Nonsense("notifications"))?,
        })
    }
}

/// A notification's row, whose source is another table's.
pub(crate) fn notification(
    row: NotificationRow,
    source: std::sync::Arc<str>,
) -> Result<Notification, StoreError> {
    Ok(Notification {
        seq: row.seq,
        id: id("notifications", &row.id)?,
        app: id("notifications", &row.app_id)?,
        source,
        puid: id("notifications", &row.puid)?,
        user: UserId(row.user_id),
        message: row.message.into(),
        action: row.action.into(),
        sent_at: millis("notifications", row.sent_at)?,
        expires_at: millis("notifications", row.expires_at)?,
    })
}

impl TryFrom<app::Model> for App {
    type Error = StoreError;

    fn try_from(row: app::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: id("apps", &row.id)?,
            owner: UserId(row.owner),
            state: app_state(&row.state, row.blocked_at)?,
            name: row.name,
            domain: row.domain,
            description: row.description,
            domain_key: row.domain_key,
            created_at: millis("apps", row.created_at)?,
            last_looked_at: row.last_looked_at.map(|at| millis("apps", at)).transpose()?,
            blocked_at: row.blocked_at.map(|at| millis("apps", at)).transpose()?,
        })
    }
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = StoreError;

    fn try_from(row: api_key::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            app: id("api_keys", &row.app_id)?,
            prefix: row.prefix,
            digest: digest("api_keys", &row.digest)?,
            created_at: millis("api_keys", row.created_at)?,
            last_used_at: row.last_used_at.map(|at| millis("api_keys", at)).transpose()?,
        })
    }
}

impl TryFrom<&grant::Model> for Grant {
    type Error = StoreError;

    fn try_from(row: &grant::Model) -> Result<Self, StoreError> {
        Ok(Self {
            app: id("grants", &row.app_id)?,
            puid: id("grants", &row.puid)?,
            paused: row.paused,
            granted_at: millis("grants", row.granted_at)?,
        })
    }
}

impl TryFrom<session::Model> for Session {
    type Error = StoreError;

    fn try_from(row: session::Model) -> Result<Self, StoreError> {
        Ok(Self {
            digest: digest("sessions", &row.digest)?,
            user: UserId(row.user_id),
            scope: Scope::from_name(&row.scope).ok_or(StoreError::Nonsense("sessions"))?,
            created_at: millis("sessions", row.created_at)?,
            expires_at: millis("sessions", row.expires_at)?,
            generation: match (row.issuer, row.generation) {
                (Some(issuer), Some(number)) => {
                    let number = self::number("sessions", number)?;
                    Some(CredentialGeneration { issuer: issuer.into(), number })
                }
                (_, None) => None,
                (None, Some(_)) => return Err(StoreError::Nonsense("sessions")),
            },
        })
    }
}

/// The state of an Application: one that is blocked is not active, while the table keeps what its developer wishes.
pub(crate) fn app_state(
    word: &str,
    blocked_at: Option<i64>,
) -> Result<ApplicationState, StoreError> {
    let state = ApplicationState::from_name(word).ok_or(StoreError::Nonsense("apps"))?;
    let is_stopped = state == ApplicationState::Active && blocked_at.is_some();
    Ok(if is_stopped { ApplicationState::Inactive } else { state })
}

pub(crate) fn email(text: &str) -> Result<Email, StoreError> {
    Email::parse(text).ok_or(StoreError::Nonsense("users"))
}

pub(crate) fn id<T: FromStr>(table: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Nonsense(table))
}

pub(crate) fn digest(table: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Nonsense(table))
}

pub(crate) fn millis(table: &'static str, at: i64) -> Result<UnixMillis, StoreError> {
    number(table, at).map(UnixMillis::new)
}

/// Reads a number that is never negative.
pub(crate) fn number(table: &'static str, stored: i64) -> Result<u64, StoreError> {
    stored.try_into().map_err(|_| StoreError::Nonsense(table))
}

/// Returns a number as the tables hold it, at most `i64::MAX`.
pub(crate) fn stored_number(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A time as the tables hold it; one beyond the year 292,000,000 is cut to it.
pub(crate) fn stored(at: UnixMillis) -> i64 {
    stored_number(at.get())
}
