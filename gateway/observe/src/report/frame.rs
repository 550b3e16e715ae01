//! What every page of a report stands in.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing is fetched, run or sent: the browser holds the page to it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

/// An HTML document that needs nothing else: light and dark, and readable on a phone.
pub(crate) fn frame(title: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body { main { (body) } }
        }
    };
    markup.into_string()
}
