//! The setup from the settings: the names, the authority, and the secrets.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use instant_acme::ExternalAccountKey;
use secrecy::SecretString;

use super::directory::DirectoryClient;
use super::problem::OrderProblem;

/// Base64url, with or without padding: authorities write both.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The settings of ACME, in the types of this module.
pub(crate) struct AcmeOptions {
    pub(crate) domains: Vec<String>,
    pub(crate) contact: Option<SecretString>,
    /// The URL of the directory.
    pub(crate) directory: String,
    /// The certificates that the directory's own certificate must come from.
    pub(crate) directory_ca: Option<PathBuf>,
    /// The id and the file of the key for external account binding.
    pub(crate) external_account: Option<(String, PathBuf)>,
    /// The time after which a failed order is tried again.
    pub(crate) retry: Duration,
    /// The secret from which the key of the seal is derived.
    pub(crate) secret: Option<SecretString>,
}

/// The names, the authority, and the secrets.
pub(crate) struct AcmeSetup {
    /// The names in the order of their letters.
    pub(super) domains: Vec<String>,
    pub(super) contact: Option<SecretString>,
    pub(super) directory: String,
    pub(super) client: DirectoryClient,
    pub(super) external_account: Option<ExternalAccountKey>,
    pub(super) retry: Duration,
    pub(super) secret: Option<SecretString>,
}

impl AcmeSetup {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// One line that names the setting.
    pub(crate) fn load(options: AcmeOptions) -> Result<Self, String> {
        let AcmeOptions { mut domains, contact, directory, retry, secret, .. } = options;
        domains.sort_unstable();
        let client = DirectoryClient::new(options.directory_ca.as_deref())?;
        let external_account = options.external_account.map(read_external_account).transpose()?;
        Ok(Self { domains, contact, directory, client, external_account, retry, secret })
    }

    /// Returns the reason why the directory cannot be read, if there is one.
    pub(crate) async fn directory_problem(&self) -> Option<String> {
        let problem = self.client.check(&self.directory).await.err()?;
        Some(OrderProblem::from(problem).to_string())
    }
}

fn read_external_account((id, path): (String, PathBuf)) -> Result<ExternalAccountKey, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("acme_eab_key_file: {shown} cannot be read: {error}"))?;
    // The error could contain a part of the key, and is therefore not shown.
    match BASE64URL.decode(text.trim()) {
        Ok(key) if !key.is_empty() => Ok(ExternalAccountKey::new(id, &key)),
        Ok(_) | Err(_) => Err(format!("acme_eab_key_file: {shown} holds no key in base64url")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_external_account_binding_may_have_padding_and_is_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_external_account(("id".to_owned(), path.clone())).err()
        };
        assert_eq!(read("c2VjcmV0LWtleQ\n"), None);
        assert_eq!(read("c2VjcmV0LWtleQ==\n"), None);
        for wrong in ["", "not+base64url/", "zwei Wörter"] {
            let error = read(wrong).unwrap();
            assert!(error.ends_with("holds no key in base64url"), "{error}");
        }
        let missing = read_external_account(("id".to_owned(), "/nowhere/key".into())).err();
        assert!(missing.unwrap().contains("cannot be read"));
    }
}
