//! The HTML of the pages and of their updates. The script of the page only inserts it.

use presence_client::{ReceiptState, Status};

use crate::chat_room::{Availability, LogEntry, LogEvent, MemberView, RoomView};

/// Returns a whole page.
pub(crate) fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><title>{title}</title>\
         <link rel=icon href=/icon.svg><link rel=stylesheet href=/chatroom.css></head>\
         <body>{main}</body></html>",
        title = escape(title),
    )
}

/// Returns the page for a visitor who has not joined.
pub(crate) fn join() -> String {
    let main = "<main class=card><h1>Chat room</h1>\
        <p>Chat with the members who are here, and ping those who have closed this page but can be \
        reached.</p>\
        <form method=post action=/join class=stack>\
        <label for=name>Your name in the chat room</label>\
        <input id=name name=name required maxlength=24 autocomplete=nickname autofocus>\
        <button class=main>Join</button></form></main>";
    page("Chat room", main)
}

/// Returns the page for a member.
pub(crate) fn chatroom(view: &RoomView) -> String {
    let [(_, members), (_, log), (_, live), (_, share)] = parts(view);
    let main = format!(
        "<header><h1>Chat room</h1><p id=live role=status>{live}</p></header>\
         <main class=chatroom>\
         <section class=members aria-labelledby=who><h2 id=who>Members</h2>\
         <div id=share>{share}</div><ul id=members>{members}</ul></section>\
         <section class=chat aria-label=Chat><ol id=log role=log tabindex=0 aria-label=\"Messages\">{log}</ol>\
         <p id=error role=alert></p>\
         <form id=send method=post action=/messages data-live>\
         <label for=text class=hidden>Message</label>\
         <input id=text name=text required maxlength=500 autocomplete=off placeholder=Message>\
         <button class=main>Send</button></form></section></main>\
         <script src=/chatroom.js defer></script>"
    );
    page("Chat room", &main)
}

/// Returns a page with one text.
pub(crate) fn message(title: &str, text: &str) -> String {
    let main = format!(
        "<main class=card><h1>{}</h1><p id=error>{}</p><p><a href=/>Back to the chat room</a></p></main>",
        escape(title),
        escape(text)
    );
    page(title, &main)
}

/// Returns the parts of the page that change, with the names of their events.
pub(crate) fn parts(view: &RoomView) -> [(&'static str, String); 4] {
    let members = view.members.iter().map(member).collect();
    let log = view.log.iter().map(log_entry).collect();
    let live = if view.is_live {
        ""
    } else {
        "Not connected to the Presence server. The list may be out of date."
    };
    let can_share = view.members.iter().any(|member| member.is_you && !member.shares);
    let share = if can_share {
        "<div class=notice><p>The chat room cannot see whether you can be reached.</p>\
         <a class=button href=/share>Allow it</a></div>"
    } else {
        ""
    };
    [("members", members), ("log", log), ("live", live.to_owned()), ("share", share.to_owned())]
}

fn member(member: &MemberView) -> String {
    let (class, description) = match &member.availability {
        Availability::PageOpen => ("here", "in the chat room"),
        Availability::PageClosed(Status::Online) => ("online", "can be reached"),
        Availability::PageClosed(Status::Unavailable) => {
            ("unavailable", "does not want to be disturbed")
        }
        Availability::PageClosed(Status::Offline) => ("offline", "cannot be reached"),
        Availability::PageClosed(Status::Unknown(status)) => ("unknown", status.as_str()),
        Availability::Unknown => ("unknown", "not shared"),
    };
    let you = if member.is_you { " <small>you</small>" } else { "" };
    let text = match member.text.as_str() {
        "" => String::new(),
        text => format!(" · <bdi>{}</bdi>", escape(text)),
    };
    let ping = if member.shares && !member.is_you && member.availability != Availability::PageOpen {
        format!(
            "<form method=post action=/ping data-live><input type=hidden name=member value={}>\
             <button aria-label=\"Ping {}\">Ping</button></form>",
            member.id,
            escape(&member.name)
        )
    } else {
        String::new()
    };
    format!(
        "<li id=m{id} class={class}><span class=dot aria-hidden=true></span>\
         <div><b><bdi>{name}</bdi></b>{you}<p>{description}{text}</p></div>{ping}</li>",
        id = member.id,
        name = escape(&member.name),
        description = escape(description),
    )
}

fn log_entry(entry: &LogEntry) -> String {
    let author = format!("<b><bdi>{}</bdi></b>", escape(&entry.member));
    let (class, content) = match &entry.event {
        LogEvent::Joined => ("event", format!("{author} joined")),
        LogEvent::Message(text) => ("message", format!("{author} <bdi>{}</bdi>", escape(text))),
        LogEvent::Ping { member, state, .. } => {
            let member = escape(member);
            (
                "event",
                format!(
                    "{author} pinged <b><bdi>{member}</bdi></b> <i>{}</i>",
                    ping_state(state.as_ref())
                ),
            )
        }
    };
    format!(
        "<li id=l{} class={class}><p>{content}</p><time data-time={}></time></li>",
        entry.id, entry.time
    )
}

/// Returns the text for the state of a ping.
fn ping_state(state: Option<&ReceiptState>) -> &'static str {
    match state {
        None => "waiting",
        Some(ReceiptState::Delivered | ReceiptState::Acked) => "delivered",
        Some(ReceiptState::Expired) => "expired",
        Some(ReceiptState::Dropped) => "dropped: too many notifications are waiting",
        Some(ReceiptState::Revoked) => "the member does not share their presence any more",
        Some(ReceiptState::Unknown(_)) => "settled",
    }
}

/// Escapes a text for HTML, also for quoted attributes, and puts it on one line.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
