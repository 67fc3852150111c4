//! The account at the certificate authority, which all servers of the database share.

use instant_acme::{Account, NewAccount};
use secrecy::ExposeSecret;

use super::problem::OrderProblem;
use super::records::{SealedRecords, StoredAccount, digest_of};
use super::setup::AcmeSetup;

/// Opens the stored account, or creates one.
pub(super) async fn open(
    setup: &AcmeSetup,
    records: &SealedRecords,
) -> Result<Account, OrderProblem> {
    match records.account().await? {
        Some(stored) => open_stored(setup, records, stored).await,
        None => create(setup, records).await,
    }
}

async fn open_stored(
    setup: &AcmeSetup,
    records: &SealedRecords,
    stored: StoredAccount,
) -> Result<Account, OrderProblem> {
    let StoredAccount { credentials, contact } = stored;
    // The credentials cannot be cloned.
    let kept = serde_json::to_vec(&credentials).unwrap_or_default();
    let builder = Account::builder_with_http(Box::new(setup.client.clone()));
    let account = builder.from_credentials(credentials).await?;
    let wanted = contact_digest(setup);
    if contact != wanted {
        let contact = contact_url(setup);
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        account.update_contacts(&contact).await?;
        if let Ok(credentials) = serde_json::from_slice(&kept) {
            records.put_account(&StoredAccount { credentials, contact: wanted }).await?;
        }
    }
    Ok(account)
}

async fn create(setup: &AcmeSetup, records: &SealedRecords) -> Result<Account, OrderProblem> {
    let contact = contact_url(setup);
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        // The settings are refused without it.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(setup.client.clone()));
    let (directory, binding) = (setup.directory.clone(), setup.external_account.as_ref());
    let (account, credentials) = Box::pin(builder.create(&new, directory, binding)).await?;
    let contact = contact_digest(setup);
    records.put_account(&StoredAccount { credentials, contact }).await?;
    Ok(account)
}

fn contact_url(setup: &AcmeSetup) -> Option<String> {
    setup.contact.as_ref().map(|contact| format!("mailto:{}", contact.expose_secret()))
}

fn contact_digest(setup: &AcmeSetup) -> String {
    contact_url(setup).map(|contact| digest_of(&contact)).unwrap_or_default()
}
