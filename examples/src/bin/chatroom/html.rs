//! What the pages look like. All markup is made here, by the server, also that of the news: the page's script only puts it in place.

use presence_client::{ReceiptState, Status};

use crate::room::{Line, Row, Seen, View, What};

/// A whole page around its main part.
pub(crate) fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><title>{title}</title>\
         <link rel=icon href=/icon.svg><link rel=stylesheet href=/room.css></head>\
         <body>{main}</body></html>",
        title = escape(title),
    )
}

/// The page of somebody who is no member.
pub(crate) fn join() -> String {
    let main = "<main class=card><h1>The room</h1>\
        <p>Talk with whoever is here, and ping whoever can be reached though they have not got this page open.</p>\
        <form method=post action=/join class=stack>\
        <label for=name>Your name in the room</label>\
        <input id=name name=name required maxlength=24 autocomplete=nickname autofocus>\
        <button class=main>Join</button></form></main>";
    page("The room", main)
}

/// The page of a member.
pub(crate) fn room(view: &View) -> String {
    let [(_, members), (_, log), (_, live), (_, share)] = pieces(view);
    let main = format!(
        "<header><h1>The room</h1><p id=live role=status>{live}</p></header>\
         <main class=room>\
         <section class=members aria-labelledby=who><h2 id=who>Members</h2>\
         <div id=share>{share}</div><ul id=members>{members}</ul></section>\
         <section class=chat aria-label=Chat><ol id=log role=log tabindex=0 aria-label=\"What was said\">{log}</ol>\
         <p id=trouble role=alert></p>\
         <form id=say method=post action=/say data-live>\
         <label for=text class=hidden>Message</label>\
         <input id=text name=text required maxlength=500 autocomplete=off placeholder=Message>\
         <button class=main>Send</button></form></section></main>\
         <script src=/room.js defer></script>"
    );
    page("The room", &main)
}

/// A page that says one thing.
pub(crate) fn message(title: &str, text: &str) -> String {
    let main = format!(
        "<main class=card><h1>{}</h1><p id=trouble>{}</p><p><a href=/>To the room</a></p></main>",
        escape(title),
        escape(text)
    );
    page(title, &main)
}

/// The pieces of the room's page that change, by the name of their event.
pub(crate) fn pieces(view: &View) -> [(&'static str, String); 4] {
    let members = view.members.iter().map(member).collect();
    let log = view.lines.iter().map(line).collect();
    let live = if view.is_live {
        ""
    } else {
        "Presence is not connected: who can be reached may have changed."
    };
    let asks = view.members.iter().any(|row| row.is_you && !row.shares);
    let share = if asks {
        "<div class=ask><p>The room cannot see whether you can be reached.</p>\
         <a class=button href=/share>Let it see</a></div>"
    } else {
        ""
    };
    [("members", members), ("log", log), ("live", live.to_owned()), ("share", share.to_owned())]
}

fn member(row: &Row) -> String {
    let (class, words) = match row.seen {
        Seen::Here => ("here", "in the room"),
        Seen::Away(Status::Online) => ("online", "can be reached"),
        Seen::Away(Status::Unavailable) => ("unavailable", "rather not now"),
        Seen::Away(Status::Offline) => ("offline", "cannot be reached"),
        Seen::Unknown => ("unknown", "does not say"),
    };
    let you = if row.is_you { " <small>you</small>" } else { "" };
    let text = match row.text.as_str() {
        "" => String::new(),
        text => format!(" · <bdi>{}</bdi>", escape(text)),
    };
    let ping = if row.shares && !row.is_you && row.seen != Seen::Here {
        format!(
            "<form method=post action=/ping data-live><input type=hidden name=whom value={}>\
             <button aria-label=\"Ping {}\">Ping</button></form>",
            row.id,
            escape(&row.name)
        )
    } else {
        String::new()
    };
    format!(
        "<li id=m{id} class={class}><span class=dot aria-hidden=true></span>\
         <div><b><bdi>{name}</bdi></b>{you}<p>{words}{text}</p></div>{ping}</li>",
        id = row.id,
        name = escape(&row.name),
    )
}

fn line(line: &Line) -> String {
    let by = format!("<b><bdi>{}</bdi></b>", escape(&line.by));
    let (class, what) = match &line.what {
        What::Joined => ("event", format!("{by} joined")),
        What::CommandOutput(text) => ("said", format!("{by} <bdi>{}</bdi>", escape(text))),
        What::Pinged { whom, state, .. } => {
            let whom = escape(whom);
            ("event", format!("{by} pinged <b><bdi>{whom}</bdi></b> <i>{}</i>", fate(*state)))
        }
    };
    format!("<li id=l{} class={class}><p>{what}</p><time data-at={}></time></li>", line.id, line.at)
}

/// What became of a ping.
fn fate(state: Option<ReceiptState>) -> &'static str {
    match state {
        None => "waiting",
        Some(ReceiptState::Delivered | ReceiptState::Acked) => "arrived",
        Some(ReceiptState::Expired) => "not taken in time",
        Some(ReceiptState::Dropped) => "too many are waiting",
        Some(ReceiptState::Revoked) => "not wanted any more",
    }
}

/// A text as it may stand in markup, also in a quoted attribute, on one line.
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
