//! The effective settings as text, without their secrets.

use serde_json::Value;
use url::Url;

use super::definition::Settings;

impl Settings {
    /// Returns all settings as lines of the settings file, with secrets replaced by `***`.
    pub fn redacted(&self) -> String {
        let hidden = |text: &str| text.chars().take(3).map(|_| '*').collect();
        let redacted = Self {
            acme_contact: hidden(&self.acme_contact),
            admin_token_digest: hidden(&self.admin_token_digest),
            database: without_password(&self.database),
            oidc_issuers: self.oidc_issuers.redacted(),
            ..self.clone()
        };
        let Ok(Value::Object(values)) = serde_json::to_value(&redacted) else {
            return String::new();
        };
        let line =
            |name: &&str| values.get(*name).map(|value| format!("{name} = {}\n", toml(value)));
        Self::NAMES.iter().filter_map(line).collect()
    }
}

/// Writes a value as TOML, on one line.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let member = |(name, value)| format!("{name} = {}", toml(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn without_password(database: &str) -> String {
    match Url::parse(database) {
        Ok(mut url) if url.password().is_some() => {
            let is_replaced = url.set_password(Some("***")).is_ok();
            if is_replaced { url.into() } else { "***".to_owned() }
        }
        Ok(_) | Err(_) => database.to_owned(),
    }
}
