//! `presence-scenario`: a server with fixtures and Applications, for tests that are not written in
//! Rust.
//!
//! Each line of standard input is a command as a JSON object, each is answered with one line of
//! JSON. The end of the input ends this program and its server. The answer to a command that fails
//! is `{"error":"…"}`, and the next command is served.
//!
//! | command | answer |
//! | --- | --- |
//! | `{"do":"start","flags":{"session-seconds":5}}`: a new server, empty database | `{"url"}` |
//! | `{"do":"kill"}`: as by a power cut | `{}` |
//! | `{"do":"restart"}`: starts the killed server again, same port, same database | `{"url"}` |
//! | `{"do":"drain"}`: stops it in order and starts it again as above | `{"url"}` |
//! | `{"do":"assertion","name":"alice"}`: of `alice@dev.localhost` | `{"assertion"}` |
//! | `{"do":"sign_in","name":"alice","scope":"device"}`: by default `account` | `{"token"}` |
//! | `{"do":"sign_out","name":"alice"}`: ends the session of the last `sign_in` | `{}` |
//! | `{"do":"end_device","name":"alice","device":"phone"}` | `{}` |
//! | `{"do":"application","name":"Chat","owner":"developer"}`: active | `{"appid","api_key"}` |
//! | `{"do":"activate","appid":"…"}`, `{"do":"deactivate","appid":"…"}` | `{}` |
//! | `{"do":"new_key","appid":"…","only":true}`: `only` deletes others | `{"api_key"}` |
//! | `{"do":"grant","name":"alice","appid":"…"}` | `{"uid"}` |
//! | `{"do":"pause","name":"alice","appid":"…","paused":true}` | `{}` |
//! | `{"do":"revoke","name":"alice","appid":"…"}` | `{}` |
//! | `{"do":"notify","appid":"…","uid":"…","message":"Lunch?","action":""}` | `{"id"}` |
//! | `{"do":"presence","appid":"…","uid":"…"}`: its view | `{"uid","status",…}` |
#![expect(clippy::print_stdout, reason = "the program answers on standard output")]

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use presence_protocol::Puid;
use presence_tests::{Application, Server, ServerOptions, StoppedServer, User};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A command of a test.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    Start {
        #[serde(default)]
        flags: BTreeMap<String, Value>,
    },
    Kill {},
    Restart {},
    Drain {},
    Assertion {
        name: String,
    },
    SignIn {
        name: String,
        #[serde(default = "account")]
        scope: String,
    },
    SignOut {
        name: String,
    },
    EndDevice {
        name: String,
        device: String,
    },
    Application {
        name: String,
        #[serde(default = "developer")]
        owner: String,
    },
    Activate {
        appid: String,
    },
    Deactivate {
        appid: String,
    },
    NewKey {
        appid: String,
        #[serde(default)]
        only: bool,
    },
    Grant {
        name: String,
        appid: String,
    },
    Pause {
        name: String,
        appid: String,
        paused: bool,
    },
    Revoke {
        name: String,
        appid: String,
    },
    Notify {
        appid: String,
        uid: Puid,
        message: String,
        #[serde(default)]
        action: String,
    },
    Presence {
        appid: String,
        uid: Puid,
    },
}

fn account() -> String {
    "account".to_owned()
}

fn developer() -> String {
    "developer".to_owned()
}

/// The server, and the users and Applications that were made on it.
#[derive(Default)]
struct ScenarioState {
    server: Option<Server>,
    running: bool,
    signed_in: HashMap<String, User>,
    applications: HashMap<String, Application>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // A panic of the harness becomes an answer.
    std::panic::set_hook(Box::new(|_| {}));
    let mut lines = lines();
    let mut server = ScenarioState::default();
    while let Some(line) = lines.recv().await {
        let executed = AssertUnwindSafe(server.execute(&line)).catch_unwind().await;
        let answer = executed.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())));
        let answer = answer.unwrap_or_else(|error| json!({ "error": error }));
        println!("{answer}");
        if std::io::stdout().flush().is_err() {
            return;
        }
    }
}

/// Returns the lines of standard input, which a thread reads because the read blocks.
fn lines() -> mpsc::Receiver<String> {
    let (read, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Returns the text of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

impl ScenarioState {
    #[expect(clippy::cognitive_complexity, reason = "a table with one line for each command")]
    async fn execute(&mut self, line: &str) -> Result<Value, String> {
        let command = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match command {
            Command::Start { flags } => self.start(flags).await,
            Command::Kill {} => self.kill().await,
            Command::Restart {} => self.restart().await,
            Command::Drain {} => self.drain().await,
            Command::Assertion { name } => {
                Ok(json!({ "assertion": self.server()?.assertion(&name).await }))
            }
            Command::SignIn { name, scope } => self.sign_in(name, &scope).await,
            Command::SignOut { name } => self.sign_out(&name).await,
            Command::EndDevice { name, device } => self.end_device(&name, &device).await,
            Command::Application { name, owner } => self.application(&name, &owner).await,
            Command::Activate { appid } => self.change_state(&appid, "/activate").await,
            Command::Deactivate { appid } => self.change_state(&appid, "/deactivate").await,
            Command::NewKey { appid, only } => self.new_key(&appid, only).await,
            Command::Grant { name, appid } => {
                let user = self.server()?.sign_in(&name).await;
                Ok(json!({ "uid": user.grant(self.find_application(&appid)?).await }))
            }
            Command::Pause { name, appid, paused } => {
                let user = self.server()?.sign_in(&name).await;
                user.pause(self.find_application(&appid)?, paused).await;
                Ok(json!({}))
            }
            Command::Revoke { name, appid } => {
                let user = self.server()?.sign_in(&name).await;
                user.revoke(self.find_application(&appid)?).await;
                Ok(json!({}))
            }
            Command::Notify { appid, uid, message, action } => {
                let item = json!({"uid": uid, "message": message, "action": action});
                self.notify(&appid, &item).await
            }
            Command::Presence { appid, uid } => {
                self.server()?;
                Ok(self.find_application(&appid)?.presence_of(uid).await)
            }
        }
    }

    async fn start(&mut self, flags: BTreeMap<String, Value>) -> Result<Value, String> {
        *self = Self::default();
        let options = flags.into_iter().fold(ServerOptions::default(), |options, (flag, value)| {
            // A text value is used without the quotes of JSON.
            options.with(&flag, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        self.server = Some(Server::start(options).await);
        self.running = true;
        self.url()
    }

    async fn kill(&mut self) -> Result<Value, String> {
        self.server()?;
        self.running = false;
        self.stopped_or_running_server()?.kill().await;
        Ok(json!({}))
    }

    async fn restart(&mut self) -> Result<Value, String> {
        if self.running {
            return Err("the server runs".to_owned());
        }
        self.stopped_or_running_server()?.restart_in_place().await;
        self.running = true;
        self.url()
    }

    async fn drain(&mut self) -> Result<Value, String> {
        self.server()?;
        self.running = false;
        let stopped = self.stopped_or_running_server()?.terminate().await;
        if stopped != StoppedServer::With(0) {
            return Err(format!("the server did not stop in order: {stopped:?}"));
        }
        self.restart().await
    }

    async fn sign_in(&mut self, name: String, scope: &str) -> Result<Value, String> {
        let user = self.server()?.sign_in_for(&name, scope).await;
        let answer = json!({ "token": user.token });
        self.signed_in.insert(name, user);
        Ok(answer)
    }

    async fn sign_out(&mut self, name: &str) -> Result<Value, String> {
        self.server()?;
        let user = self.signed_in.remove(name).ok_or_else(|| format!("{name} is not signed in"))?;
        user.call("DELETE", "/session").await.ok();
        Ok(json!({}))
    }

    async fn end_device(&self, name: &str, device: &str) -> Result<Value, String> {
        let user = self.server()?.sign_in(name).await;
        user.call("DELETE", &format!("/devices/{device}")).await.ok();
        Ok(json!({}))
    }

    async fn application(&mut self, name: &str, owner: &str) -> Result<Value, String> {
        let server = self.server()?;
        let owner = server.sign_in(owner).await;
        let application = server.application_named(&owner, name).await;
        let answer = json!({"appid": application.appid, "api_key": application.api_key});
        self.applications.insert(application.appid.clone(), application);
        Ok(answer)
    }

    async fn change_state(&mut self, appid: &str, to: &str) -> Result<Value, String> {
        self.with_fresh_session(appid).await?.owner_call("POST", to).await.ok();
        Ok(json!({}))
    }

    async fn new_key(&mut self, appid: &str, only: bool) -> Result<Value, String> {
        let application = self.with_fresh_session(appid).await?;
        let old = application.owner_call("GET", "/keys").await.ok();
        let (_, api_key) = application.make_key().await;
        let ids = old.get("keys").and_then(Value::as_array).filter(|_| only);
        for id in ids.into_iter().flatten().filter_map(|key| key.get("id")) {
            application.owner_call("DELETE", &format!("/keys/{id}")).await.ok();
        }
        application.api_key.clone_from(&api_key);
        Ok(json!({ "api_key": api_key }))
    }

    async fn notify(&self, appid: &str, item: &Value) -> Result<Value, String> {
        self.server()?;
        let answer = self.find_application(appid)?.notify(&json!([item])).await.ok();
        let result = answer.pointer("/results/0").cloned().unwrap_or_default();
        match result.get("id") {
            Some(id) => Ok(json!({ "id": id })),
            None => Err(format!("not sent: {result}")),
        }
    }

    /// Returns the running server.
    fn server(&self) -> Result<&Server, String> {
        self.server.as_ref().filter(|_| self.running).ok_or_else(|| "no server runs".to_owned())
    }

    /// Returns the server, whether it runs or not.
    fn stopped_or_running_server(&mut self) -> Result<&mut Server, String> {
        self.server.as_mut().ok_or_else(|| "no server was started".to_owned())
    }

    fn url(&self) -> Result<Value, String> {
        Ok(json!({ "url": self.server()?.url() }))
    }

    fn find_application(&self, appid: &str) -> Result<&Application, String> {
        self.applications.get(appid).ok_or_else(|| format!("no Application {appid} was made here"))
    }

    /// Returns an Application with a fresh session of its owner, because sessions may be short.
    async fn with_fresh_session(&mut self, appid: &str) -> Result<&mut Application, String> {
        let owner = self.server()?.sign_in(&self.find_application(appid)?.owner.name).await;
        let application = self.applications.get_mut(appid);
        let application = application.ok_or_else(|| "the Application is gone".to_owned())?;
        application.owner = owner;
        Ok(application)
    }
}
