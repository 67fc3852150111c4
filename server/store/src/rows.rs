//! Conversions between rows and the types of `presence_core::model`. A corrupt row is an error.

use std::str::FromStr;
use std::sync::Arc;

use presence_core::UnixMillis;
use presence_core::model::{
    ApiKey, App, ApplicationState, CredentialGeneration, Email, Grant, Notification, PreviousName,
    Scope, Session, Settlement, UserId,
};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QuerySelect, RelationTrait, Select, Value,
};

use crate::error::StoreError;
use crate::tables::{api_key, app, grant, notification, session};

/// The maximum number of rows or values of one statement.
pub(crate) const CHUNK: usize = 500;

/// Returns the values, with the last one repeated until their number is a power of two. Statements
/// then have few lengths and are mostly prepared already; to prepare one takes longer than to run
/// it.
pub(crate) fn padded<T: Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// Returns the condition that a column has one of these values, which are padded.
#[expect(clippy::disallowed_methods, reason = "all others call this function")]
pub(crate) fn is_one_of<V: Into<Value> + Clone>(
    column: impl ColumnTrait,
    values: impl IntoIterator<Item = V>,
) -> Expr {
    column.is_in(padded(values))
}

/// The state of a notification that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotificationState {
    /// No device has settled it.
    Pending,
    /// A device took it, and its receipt is not released: the Application sees the user offline, or
    /// several servers share the presence, one of which releases it soon.
    Taken(Settlement),
    /// It was dropped, and its receipt is not released. Only where several servers share presence.
    Dropped,
    /// It has expired, and its receipt is not released. Only where several servers share presence.
    Expired,
}

impl NotificationState {
    pub(crate) const PENDING: i32 = 0;
    /// The first number of those that are in no queue any more.
    pub(crate) const FIRST_ENDED: i32 = 3;

    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Pending => Self::PENDING,
            Self::Taken(Settlement::Delivered) => 1,
            Self::Taken(Settlement::Acked) => 2,
            Self::Dropped => Self::FIRST_ENDED,
            Self::Expired => 4,
        }
    }

    fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Pending),
            1 => Some(Self::Taken(Settlement::Delivered)),
            2 => Some(Self::Taken(Settlement::Acked)),
            3 => Some(Self::Dropped),
            4 => Some(Self::Expired),
            _ => None,
        }
    }

    /// Returns the state of the receipt of a notification that was dropped or has expired.
    pub(crate) fn ended(self) -> Option<ReceiptState> {
        match self {
            Self::Pending | Self::Taken(_) => None,
            Self::Dropped | Self::Expired => self.receipt(),
        }
    }

    /// Returns the state of the receipt to release.
    pub(crate) fn receipt(self) -> Option<ReceiptState> {
        match self {
            Self::Pending => None,
            Self::Taken(settlement) => Some(settlement.into()),
            Self::Dropped => Some(ReceiptState::Dropped),
            Self::Expired => Some(ReceiptState::Expired),
        }
    }
}

/// The columns of a notification without its content.
#[derive(FromQueryResult)]
pub(crate) struct NotificationHeaderRow {
    seq: i64,
    id: String,
    app_id: String,
    puid: String,
    user_id: i64,
    state: i32,
}

/// The columns of a notification that decide whether a device gets it.
#[derive(FromQueryResult)]
pub(crate) struct QueueRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) app_id: String,
    pub(crate) puid: String,
    pub(crate) user_id: i64,
    pub(crate) expires_at: i64,
    pub(crate) state: i32,
    pub(crate) live_only: bool,
}

/// All columns of a notification, with those of its grant.
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
    pub(crate) source: String,
}

/// The name and the domain of an Application, as devices see them.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) name: Arc<str>,
    pub(crate) domain: Arc<str>,
}

impl Sender {
    /// Returns the source of a notification, which is the name if the AppService gave none.
    pub(crate) fn source(&self, given: &str) -> Arc<str> {
        if given.is_empty() { Arc::clone(&self.name) } else { given.into() }
    }
}

/// A stored notification without its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotificationHeader {
    pub(crate) seq: i64,
    pub(crate) id: NotificationId,
    pub(crate) app: AppId,
    pub(crate) puid: Puid,
    pub(crate) user: UserId,
    pub(crate) state: NotificationState,
}

/// The columns of the grant that a notification belongs to.
const OWNER_COLUMNS: [grant::Column; 3] =
    [grant::Column::AppId, grant::Column::Puid, grant::Column::UserId];

fn with_grants() -> Select<notification::Entity> {
    notification::Entity::find()
        .join(JoinType::InnerJoin, notification::Relation::Grant.def())
        .select_only()
        .columns(OWNER_COLUMNS)
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

impl QueueRow {
    pub(crate) fn find() -> Select<notification::Entity> {
        with_grants().columns([
            notification::Column::Seq,
            notification::Column::Id,
            notification::Column::ExpiresAt,
            notification::Column::State,
            notification::Column::LiveOnly,
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
            notification::Column::Source,
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
            state: NotificationState::from_code(row.state)
                .ok_or(StoreError::CorruptRow("notifications"))?,
        })
    }
}

/// Converts the row of a notification of an Application.
pub(crate) fn notification(
    row: NotificationRow,
    sender: &Sender,
) -> Result<Notification, StoreError> {
    Ok(Notification {
        seq: row.seq,
        id: id("notifications", &row.id)?,
        app: id("notifications", &row.app_id)?,
        source: sender.source(&row.source),
        application: Arc::clone(&sender.name),
        domain: Arc::clone(&sender.domain),
        puid: id("notifications", &row.puid)?,
        user: UserId(row.user_id),
        message: row.message.into(),
        action: row.action.into(),
        sent_at: time_from_column("notifications", row.sent_at)?,
        expires_at: time_from_column("notifications", row.expires_at)?,
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
            created_at: time_from_column("apps", row.created_at)?,
            last_looked_at: row
                .last_looked_at
                .map(|at| time_from_column("apps", at))
                .transpose()?,
            blocked_at: row.blocked_at.map(|at| time_from_column("apps", at)).transpose()?,
            previous_name: previous_name(row.previous_name, row.renamed_at)?,
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
            created_at: time_from_column("api_keys", row.created_at)?,
            last_used_at: row
                .last_used_at
                .map(|at| time_from_column("api_keys", at))
                .transpose()?,
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
            waiting: row.waiting_since.is_some(),
            granted_at: time_from_column("grants", row.granted_at)?,
        })
    }
}

impl TryFrom<session::Model> for Session {
    type Error = StoreError;

    fn try_from(row: session::Model) -> Result<Self, StoreError> {
        Ok(Self {
            digest: digest("sessions", &row.digest)?,
            user: UserId(row.user_id),
            scope: Scope::from_name(&row.scope).ok_or(StoreError::CorruptRow("sessions"))?,
            created_at: time_from_column("sessions", row.created_at)?,
            expires_at: time_from_column("sessions", row.expires_at)?,
            generation: match (row.issuer, row.generation) {
                (Some(issuer), Some(number)) => {
                    let number = number_from_column("sessions", number)?;
                    Some(CredentialGeneration { issuer: issuer.into(), number })
                }
                (_, None) => None,
                (None, Some(_)) => return Err(StoreError::CorruptRow("sessions")),
            },
            ended_devices: row
                .ended_devices
                .parse()
                .map_err(|_| StoreError::CorruptRow("sessions"))?,
        })
    }
}

/// Returns the previous name of an Application, if it was ever changed.
pub(crate) fn previous_name(
    name: Option<String>,
    renamed_at: Option<i64>,
) -> Result<Option<PreviousName>, StoreError> {
    let Some((name, at)) = name.zip(renamed_at) else { return Ok(None) };
    Ok(Some(PreviousName { name, changed_at: time_from_column("apps", at)? }))
}

/// Returns the state of an Application: a blocked one is never active, while the table keeps the
/// state that its developer has chosen.
pub(crate) fn app_state(
    name: &str,
    blocked_at: Option<i64>,
) -> Result<ApplicationState, StoreError> {
    let state = ApplicationState::from_name(name).ok_or(StoreError::CorruptRow("apps"))?;
    let is_blocked = state == ApplicationState::Active && blocked_at.is_some();
    Ok(if is_blocked { ApplicationState::Inactive } else { state })
}

pub(crate) fn email(text: &str) -> Result<Email, StoreError> {
    Email::parse(text).ok_or(StoreError::CorruptRow("users"))
}

pub(crate) fn id<T: FromStr>(table: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::CorruptRow(table))
}

pub(crate) fn digest(table: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::CorruptRow(table))
}

pub(crate) fn time_from_column(table: &'static str, at: i64) -> Result<UnixMillis, StoreError> {
    number_from_column(table, at).map(UnixMillis::new)
}

/// Converts a column that is never negative.
pub(crate) fn number_from_column(table: &'static str, stored: i64) -> Result<u64, StoreError> {
    stored.try_into().map_err(|_| StoreError::CorruptRow(table))
}

/// Converts a number into a column, at most `i64::MAX`.
pub(crate) fn number_to_column(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Converts a time into a column. Times after the year 292,000,000 become the last one.
pub(crate) fn time_to_column(at: UnixMillis) -> i64 {
    number_to_column(at.get())
}
