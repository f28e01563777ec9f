//! Mistakes about pages, found while a server is built.

use anypod_proto::tools::Tool;
use anypod_proto::uri_template::UriTemplate;

use super::app::App;
use super::look::is_same_type;
use super::{MIME_TYPE, UI};
use crate::extension::Offered;

/// What the URIs of pages begin with.
const SCHEME: &str = "ui://";

/// What is wrong with a page.
pub(super) fn mistake(app: &App) -> Option<String> {
    let uri = app.uri();
    if !uri.starts_with(SCHEME) {
        return Some(format!("the page `{uri}`: the URI of a page begins with `{SCHEME}`, as `ui://shop/cart` does"));
    }
    if app.document().is_some_and(|html| !is_document(html)) {
        return Some(format!("the page `{uri}`: it is no HTML document, which begins with `<!DOCTYPE html>`"));
    }
    let malformed = app.look().csp.as_ref()?.malformed()?;
    Some(format!("the page `{uri}`: `{malformed}` is no origin such as `https://cdn.example.com`"))
}

/// What is wrong with the pages that tools name, and with the pages that the server has.
pub(super) fn offered(offered: &Offered<'_>) -> Result<(), String> {
    let untyped = offered.resources().find(|page| page.uri.starts_with(SCHEME) && !is_page(page.mime_type.as_deref()));
    if let Some(page) = untyped {
        return Err(format!("the page `{}`: its MIME type must be `{MIME_TYPE}`", page.uri));
    }
    offered
        .tools()
        .try_for_each(|tool| named(offered, tool).map_err(|problem| format!("tool `{}`: {problem}", tool.name)))
}

/// Whether the page that a tool names is there.
fn named(offered: &Offered<'_>, tool: &Tool) -> Result<(), String> {
    let Some(named) = tool.meta.as_ref().and_then(|meta| meta.get(UI)?.get("resourceUri")) else { return Ok(()) };
    let Some(uri) = named.as_str().filter(|uri| uri.starts_with(SCHEME)) else {
        return Err(format!("it names {named} as its page, and the URI of a page begins with `{SCHEME}`"));
    };
    let mime_type = match offered.resources().find(|page| page.uri == uri) {
        Some(page) => page.mime_type.as_deref(),
        None => {
            let matches =
                |template: &str| UriTemplate::parse(template).is_ok_and(|known| known.match_uri(uri).is_some());
            let template = offered.templates().find(|template| matches(&template.uri_template));
            let template = template.ok_or_else(|| {
                format!("it names the page `{uri}`, which the server does not have; give it to `Apps` with `.app(…)`")
            })?;
            template.mime_type.as_deref()
        }
    };
    match is_page(mime_type) {
        true => Ok(()),
        false => Err(format!("the MIME type of its page `{uri}` must be `{MIME_TYPE}`")),
    }
}

fn is_page(mime_type: Option<&str>) -> bool {
    mime_type.is_some_and(|mime_type| is_same_type(mime_type, MIME_TYPE))
}

/// Whether a text begins as an HTML document does: comments and spaces may stand before the document type.
/// Spec: HTML, "Writing HTML documents".
fn is_document(html: &str) -> bool {
    const DOCTYPE: &str = "<!doctype html";
    let mut rest = html.trim_start_matches('\u{feff}').trim_start();
    while let Some(comment) = rest.strip_prefix("<!--") {
        rest = comment.split_once("-->").map_or("", |(_, rest)| rest.trim_start());
    }
    rest.get(..DOCTYPE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(DOCTYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_begins_with_its_type() {
        for html in ["<!DOCTYPE html><p>", "\u{feff}\n<!-- a - b --> <!doctype HTML>\n"] {
            assert!(is_document(html), "{html}");
        }
        for other in ["", "cart.html", "<html></html>", "<!-- <!DOCTYPE html>", "<!doctype"] {
            assert!(!is_document(other), "{other}");
        }
    }
}
