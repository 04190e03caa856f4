//! Chooses the form of an answer by what the caller says it takes.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// The offer that the caller likes best. Of equals that one counts which it names more exactly, then the earlier one.
/// A caller that takes nothing of it gets the first: an answer in another form says more than none.
pub(super) fn choose<T: Copy>(headers: &HeaderMap, first: (&str, T), others: &[(&str, T)]) -> T {
    let mut best = (quality(headers, first.0), first.1);
    for (name, form) in others {
        let quality = quality(headers, name);
        if quality > best.0 {
            best = (quality, *form);
        }
    }
    best.1
}

/// How much a media type is wanted, in thousandths, and how exactly it is named.
fn quality(headers: &HeaderMap, name: &str) -> (u16, u8) {
    let mut found: Option<(u16, u8)> = None;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let Some(exactness) = matches(parts.next().unwrap_or_default().trim(), name) else { continue };
            let weight = parts.find_map(|parameter| weight(parameter.trim())).unwrap_or(1000);
            // The most exact one speaks for the type, whatever the others say.
            if found.is_none_or(|(_, before)| exactness > before) {
                found = Some((weight, exactness));
            }
        }
    }
    match found {
        Some((weight, exactness)) if weight > 0 => (weight, exactness),
        _ => (0, 0),
    }
}

fn matches(range: &str, name: &str) -> Option<u8> {
    let kind = |text: &str| text.split_once('/').map(|(kind, _)| kind.to_ascii_lowercase());
    if range.eq_ignore_ascii_case(name) {
        return Some(2);
    }
    match range.strip_suffix("/*") {
        Some("*") => Some(0),
        Some(wanted) if kind(name).is_some_and(|kind| kind == wanted.to_ascii_lowercase()) => Some(1),
        _ => None,
    }
}

/// `q=0.8` in thousandths; nothing for another parameter, and for what is no weight at all.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let value: f32 = if name.trim().eq_ignore_ascii_case("q") { value.trim().parse().ok()? } else { return None };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000 after the clamp; what is not a number becomes 0"
    )]
    Some((value.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_is_the_one_that_the_caller_likes_best() {
        for (accept, form) in [
            (None, "json"),
            (Some("*/*"), "json"),
            (Some("application/json"), "json"),
            (Some("text/plain"), "text"),
            (Some("Text/Plain; charset=utf-8"), "text"),
            (Some("text/*"), "text"),
            (Some("text/event-stream"), "events"),
            (Some("text/plain, */*"), "text"),
            (Some("*/*, text/plain;q=0.9"), "json"),
            (Some("text/plain;q=0.5, application/json;q=0.8"), "json"),
            (Some("text/plain;q=0.8, application/json;q=0.5"), "text"),
            (Some("text/plain;q=0, text/*"), "events"),
            (Some("application/json;q=0, */*;q=0.1"), "text"),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "json"),
            (Some("image/png"), "json"),
            (Some("text/plain;q=NaN"), "json"),
            (Some("text/plain;q=7"), "text"),
            (Some(",,;q=1,/,*"), "json"),
            (Some("\u{e4}"), "json"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_bytes(accept.as_bytes()).unwrap());
            }
            let others = [("text/plain", "text"), ("text/event-stream", "events")];
            assert_eq!(choose(&headers, ("application/json", "json"), &others), form, "{accept:?}");
        }
        let mut several = HeaderMap::new();
        several.append(ACCEPT, HeaderValue::from_static("application/json;q=0.1"));
        several.append(ACCEPT, HeaderValue::from_static("text/plain"));
        assert_eq!(choose(&several, ("application/json", "json"), &[("text/plain", "text")]), "text");
    }
}
