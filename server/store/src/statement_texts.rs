//! The texts of a statement that differs only by the number of the values that it looks for. To
//! build one takes as long as to run it, so each is built once.

use std::sync::OnceLock;

use sea_orm::{DbBackend, Statement, Value};

/// The number of lengths: the powers of two up to 512, which is [`CHUNK`](crate::rows::CHUNK) when
/// it is padded.
const LENGTHS: usize = 10;

/// The texts of one statement, on SQLite and on PostgreSQL.
pub(crate) struct StatementTexts {
    sqlite: [OnceLock<String>; LENGTHS],
    postgres: [OnceLock<String>; LENGTHS],
}

impl StatementTexts {
    /// Knows no text.
    pub(crate) const fn new() -> Self {
        Self {
            sqlite: [const { OnceLock::new() }; LENGTHS],
            postgres: [const { OnceLock::new() }; LENGTHS],
        }
    }

    /// Returns the statement that looks for `length` values, a power of two. `values` are all
    /// values of the statement, in the order of their places, as in what `build` returns.
    pub(crate) fn statement(
        &self,
        (length, values): (usize, Vec<Value>),
        backend: DbBackend,
        build: impl Fn() -> Statement,
    ) -> Statement {
        let texts = if backend == DbBackend::Postgres { &self.postgres } else { &self.sqlite };
        let place = length.checked_ilog2().filter(|_| length.is_power_of_two());
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some(text) = place.and_then(|place| texts.get(place)) else { return build() };
        let text = text.get_or_init(|| build().sql);
        let statement = Statement::from_sql_and_values(backend, text, values);
        debug_assert_eq!(statement, build());
        statement
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_statement_is_built_once_for_each_length_and_storage() {
        let (texts, built) = (StatementTexts::new(), Cell::new(0));
        let statement = |length: usize, backend| {
            let values: Vec<Value> = (0..length).map(|n| Value::from(n as u64)).collect();
            let same = values.clone();
            texts.statement((length, values), backend, || {
                built.set(built.get() + 1);
                Statement::from_sql_and_values(backend, format!("{length}"), same.clone())
            })
        };
        let assertion = usize::from(cfg!(debug_assertions));
        for (length, backend, builds) in [
            (1, DbBackend::Sqlite, 1),
            (1, DbBackend::Sqlite, 0),
            (4, DbBackend::Sqlite, 1),
            (4, DbBackend::Postgres, 1),
            (0, DbBackend::Sqlite, 1),
            (3, DbBackend::Sqlite, 1),
            (512, DbBackend::Postgres, 1),
            (1024, DbBackend::Postgres, 1),
        ] {
            built.set(0);
            assert_eq!(statement(length, backend).sql, format!("{length}"));
            let is_kept = length.is_power_of_two() && length <= 512;
            assert_eq!(built.get(), builds + if is_kept { assertion } else { 0 });
        }
    }
}
