//! The secret that all servers of a database have.

use secrecy::SecretString;

use super::definition::Settings;

/// The least number of characters of the secret.
const LEAST: usize = 32;

impl Settings {
    /// Reads the secret from its file, `None` without one.
    ///
    /// # Errors
    ///
    /// One line that names the setting, if the file cannot be read or the secret is too short.
    pub(crate) fn shared_secret(&self) -> Result<Option<SecretString>, String> {
        let path = &self.shared_secret_file;
        if path.is_empty() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("shared_secret_file: {path} cannot be read: {error}"))?;
        let secret = text.trim();
        if secret.chars().count() < LEAST {
            return Err(format!("shared_secret_file: {path} needs at least {LEAST} characters"));
        }
        Ok(Some(secret.into()))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_secret_is_the_text_of_the_file_and_a_short_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let shared_secret_file = path.display().to_string();
            Settings { shared_secret_file, ..Settings::default() }.shared_secret()
        };
        let secret = of(&format!("{}\n", "s".repeat(32))).unwrap().unwrap();
        assert_eq!(secret.expose_secret(), "s".repeat(32));
        let error = of("short").unwrap_err();
        assert!(error.ends_with("needs at least 32 characters") && !error.contains("short"));
        assert!(Settings::default().shared_secret().unwrap().is_none());
        let shared_secret_file = "/nowhere/secret".to_owned();
        assert!(Settings { shared_secret_file, ..Settings::default() }.shared_secret().is_err());
    }
}
