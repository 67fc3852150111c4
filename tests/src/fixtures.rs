//! Users and Applications, made through the API.

use std::time::Duration;

use presence_protocol::{Errno, Puid};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::TIMEOUT;
use crate::domain::DomainServer;
use crate::json::text_of;
use crate::rest::{RestCall, RestClient, RestResponse};

/// Returns the e-mail address of a user of `dev.localhost`, or the name itself if it is an address.
pub fn email(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@dev.localhost") }
}

/// A user who is signed in.
#[derive(Debug, Clone)]
pub struct User {
    /// The part of the e-mail address before the `@`.
    pub name: String,
    /// The bearer token of the session.
    pub token: String,
    rest: RestClient,
}

impl User {
    pub(crate) fn new(name: &str, token: String, rest: RestClient) -> Self {
        Self { name: name.to_owned(), token, rest }
    }

    /// Returns the e-mail address.
    pub fn email(&self) -> String {
        email(&self.name)
    }

    /// Returns a REST call with the user's token.
    pub fn call(&self, method: &str, path: &str) -> RestCall {
        self.rest.call(method, path).bearer(&self.token)
    }

    /// Grants the presence of the user to an Application, and returns the PUID.
    pub async fn grant(&self, application: &Application) -> Puid {
        let path = format!("/grant/{}", application.appid);
        let answer = self.call("POST", &path).json(&json!({})).await;
        text_of(&answer.ok(), "uid").parse().unwrap()
    }

    /// Pauses or resumes a grant.
    pub async fn pause(&self, application: &Application, paused: bool) {
        let path = format!("/grants/{}", application.appid);
        self.call("PATCH", &path).json(&json!({"paused": paused})).await.ok();
    }

    /// Waits until the server has noticed that a device is disconnected and keeps it for its grace
    /// time.
    pub async fn wait_until_lost(&self, device: &str) {
        let lost = async {
            loop {
                let answer = self.call("GET", "/devices").await.ok();
                let devices = answer["devices"].as_array().unwrap();
                let found = devices.iter().find(|known| known["device"] == device);
                let found = found.unwrap_or_else(|| panic!("{device} is not kept: {answer}"));
                if found["connected"] == false {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let lost = timeout(TIMEOUT, lost).await;
        lost.unwrap_or_else(|_| panic!("{device} is not lost"));
    }

    /// Waits until the server has given up the place of a device that was closed in good order.
    pub async fn wait_until_gone(&self, device: &str) {
        let gone = async {
            loop {
                let answer = self.call("GET", "/devices").await.ok();
                let devices = answer["devices"].as_array().unwrap();
                if devices.iter().all(|known| known["device"] != device) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(TIMEOUT, gone).await.unwrap_or_else(|_| panic!("{device} is not gone"));
    }

    /// Revokes a grant.
    pub async fn revoke(&self, application: &Application) {
        self.call("DELETE", &format!("/grants/{}", application.appid)).await.ok();
    }
}

/// An active Application with its domain, its owner and an API key.
#[derive(Debug)]
pub struct Application {
    /// The id of the Application.
    pub appid: String,
    /// The first API key.
    pub api_key: String,
    /// The name, which is the `source` of its notifications.
    pub name: String,
    /// The domain's web server.
    pub domain: DomainServer,
    /// The developer who owns it.
    pub owner: User,
}

impl Application {
    pub(crate) async fn make(owner: &User, name: &str, domain: DomainServer) -> Self {
        let body = json!({"name": name, "domain": domain.name(), "description": "A test"});
        let registered = owner.call("POST", "/apps").json(&body).await.ok();
        let appid = text_of(&registered, "appid");
        domain.publish_key(&text_of(&registered, "domain_key"));
        owner.call("POST", &format!("/apps/{appid}/verify")).await.ok();
        let activated = owner.call("POST", &format!("/apps/{appid}/activate")).await.ok();
        let api_key = text_of(&activated, "api_key");
        Self { appid, api_key, name: name.to_owned(), domain, owner: owner.clone() }
    }

    /// Returns a REST call of the owner on this Application, such as `POST` and `/deactivate`.
    pub fn owner_call(&self, method: &str, below: &str) -> RestCall {
        self.owner.call(method, &format!("/apps/{}{below}", self.appid))
    }

    /// Returns a REST call of the AppService on this Application, such as `GET` and `/presence`.
    pub fn call(&self, method: &str, below: &str) -> RestCall {
        self.owner.rest.call(method, &format!("/apps/{}{below}", self.appid)).bearer(&self.api_key)
    }

    /// Deactivates the Application.
    pub async fn deactivate(&self) {
        self.owner_call("POST", "/deactivate").await.ok();
    }

    /// Activates the Application.
    pub async fn activate(&self) {
        self.owner_call("POST", "/activate").await.ok();
    }

    /// Makes another API key, and returns its id and the key.
    pub async fn make_key(&self) -> (Value, String) {
        let made = self.owner_call("POST", "/keys").await.ok();
        (made["id"].clone(), text_of(&made, "api_key"))
    }

    /// Sends notifications over REST.
    pub async fn notify(&self, items: &Value) -> RestResponse {
        self.call("POST", "/notifications").json(&json!({"notifications": items})).await
    }

    /// Sends long notifications until one is refused because the storage is full. Returns the texts
    /// of those that were accepted.
    pub async fn notify_until_full(&self, uid: Puid) -> Vec<String> {
        let mut taken = Vec::new();
        loop {
            let message = format!("{} {}", taken.len(), "x".repeat(400));
            let item = json!({"uid": uid, "message": message, "action": ""});
            let answer = self.notify(&json!([item])).await.json();
            let result = &answer["results"][0];
            if result["result"] != "OK" {
                assert_eq!(result["errno"], Errno::StorageUnavailable.number(), "{answer}");
                return taken;
            }
            taken.push(message);
            assert!(taken.len() < 100, "the disk is never full");
        }
    }

    /// Returns the presence of a user as the Application sees it now.
    pub async fn presence_of(&self, uid: Puid) -> Value {
        let answer = self.call("GET", &format!("/presence?uid={uid}")).await.ok();
        answer["presence"][0].clone()
    }
}
