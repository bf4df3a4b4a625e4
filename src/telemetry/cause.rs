//! The cause of an error in one line, as logs, statuses and events say it.

use std::error::Error;

/// The longest text of a cause, in characters.
const LONGEST: usize = 300;
/// The reason that kube gives to a response whose body is no `Status` (kube-client, `handle_api_errors`).
const NOT_A_STATUS: &str = "Failed to parse error data";

/// Returns an error with its causes in one line, leaving out those that repeat what was said: `client error (Connect)` alone
/// does not say what is wrong.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in chain(error) {
        let is_last = error.downcast_ref::<kube::Error>().map(api_server_cause);
        let more = is_last.clone().unwrap_or_else(|| error.to_string());
        // The text of an error around one of kube's repeats it, with all that it holds.
        if is_last.is_none() && error.source().is_some_and(<dyn Error>::is::<kube::Error>) {
            let inner = error.source().map(ToString::to_string).unwrap_or_default();
            push(&mut text, more.replace(&inner, "").trim_end_matches([' ', ':']));
        } else {
            push(&mut text, &more);
        }
        if is_last.is_some() {
            break;
        }
    }
    one_line(&text)
}

/// An error and its causes, the outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn push(text: &mut String, more: &str) {
    if !text.contains(more) {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(more);
    }
}

/// Returns the cause of a failed request to the API server, in one line. Of a response that is no Kubernetes status, such
/// as a proxy's page, it has the code alone.
#[must_use]
pub fn api_server_cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason == NOT_A_STATUS || status.message.is_empty() => {
            let code = hyper::StatusCode::from_u16(status.code).ok().and_then(|code| code.canonical_reason());
            format!(
                "the API server, or a proxy before it, answered {} {}",
                status.code,
                code.unwrap_or_default()
            )
            .trim_end()
            .to_owned()
        }
        kube::Error::Api(status) => {
            one_line(&format!("the API server answered {}: {}", status.code, status.message))
        }
        kube::Error::SerdeError(_) => "the API server's answer can't be decoded".to_owned(),
        other => {
            // Each layer of the client repeats less of the cause than the innermost error says.
            let innermost = chain(other).last().map(ToString::to_string).unwrap_or_default();
            one_line(&format!("the API server can't be reached: {innermost}"))
        }
    }
}

/// Returns a text as one line of a bounded length, without control characters.
#[must_use]
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Layer {
        what: &'static str,
        source: Option<Box<Layer>>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("watching: {0}")]
    struct Watching(#[source] kube::Error);

    fn answered(code: u16, message: &str, reason: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure(message, reason).with_code(code)))
    }

    #[test]
    fn each_cause_is_named_once() {
        let layers = ["refused", "client: refused", "connecting"].into_iter();
        let error = layers.fold(None, |source, what| Some(Box::new(Layer { what, source })));
        assert_eq!(with_causes(&*error.unwrap()), "connecting: client: refused");
    }

    #[test]
    fn a_page_of_a_proxy_is_named_by_its_code_alone() {
        let page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>";
        let error = answered(502, page, NOT_A_STATUS);
        let expected = "the API server, or a proxy before it, answered 502 Bad Gateway";
        assert_eq!(api_server_cause(&error), expected);
        assert_eq!(with_causes(&Watching(error)), format!("watching: {expected}"));
    }

    #[test]
    fn an_answer_of_the_api_server_is_one_line_of_bounded_length() {
        let error = answered(403, "secrets \"hook\" is forbidden:\n  no right", "Forbidden");
        let expected = "the API server answered 403: secrets \"hook\" is forbidden: no right";
        assert_eq!(api_server_cause(&error), expected);
        let long = api_server_cause(&answered(500, &"x ".repeat(10_000), "InternalError"));
        assert!(long.chars().count() <= LONGEST + 3 && long.ends_with("..."), "{long}");
    }

    #[test]
    fn a_request_that_failed_on_the_way_names_the_innermost_cause() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = kube::Error::Service(Box::new(refused));
        assert_eq!(api_server_cause(&error), "the API server can't be reached: connection refused");
    }
}
