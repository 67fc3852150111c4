//! Arrays as values of statements.

use sea_orm::Value;
use sea_orm::sea_query::ArrayType;

pub(super) fn bigints(values: impl IntoIterator<Item = i64>) -> Value {
    array(ArrayType::BigInt, values.into_iter().map(Value::from))
}

/// Returns numbers that are not negative, with -1 for none: an array has no empty places.
pub(super) fn optional_bigints(values: impl IntoIterator<Item = Option<i64>>) -> Value {
    bigints(values.into_iter().map(|value| value.unwrap_or(-1)))
}

pub(super) fn ints(values: impl IntoIterator<Item = i32>) -> Value {
    array(ArrayType::Int, values.into_iter().map(Value::from))
}

pub(super) fn smallints(values: impl IntoIterator<Item = i16>) -> Value {
    array(ArrayType::SmallInt, values.into_iter().map(Value::from))
}

/// Returns numbers that are not negative, with -1 for none.
pub(super) fn optional_smallints(values: impl IntoIterator<Item = Option<i16>>) -> Value {
    smallints(values.into_iter().map(|value| value.unwrap_or(-1)))
}

pub(super) fn texts(values: impl IntoIterator<Item = String>) -> Value {
    array(ArrayType::String, values.into_iter().map(Value::from))
}

/// Returns texts, each after a sign, with an empty text for none.
pub(super) fn optional_texts(values: impl IntoIterator<Item = Option<String>>) -> Value {
    texts(values.into_iter().map(|value| value.map_or_else(String::new, |it| format!("={it}"))))
}

pub(super) fn blobs(values: impl IntoIterator<Item = Vec<u8>>) -> Value {
    array(ArrayType::Bytes, values.into_iter().map(Value::from))
}

fn array(kind: ArrayType, values: impl Iterator<Item = Value>) -> Value {
    Value::Array(kind, Some(Box::new(values.collect())))
}
