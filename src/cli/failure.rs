//! The error type of subcommands.

use std::error::Error;

use crate::telemetry::with_causes;

/// The error of a subcommand, for people: one line, or several of which the second and later ones are indented.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Returns what a person reads about a failure. The text of a Kubernetes error alone would be a dump of its fields.
#[must_use]
pub fn explain(failure: &(dyn Error + Send + Sync + 'static)) -> String {
    let error: &(dyn Error + 'static) = failure;
    let of_kubernetes = std::iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.is::<kube::Error>() || error.is::<kube::config::InferConfigError>());
    if of_kubernetes { with_causes(error) } else { failure.to_string() }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_error_of_the_api_server_is_a_sentence() {
        let status = Status::failure("namespaces \"nope\" not found", "NotFound").with_code(404);
        let failure: Failure = Box::new(kube::Error::Api(Box::new(status)));
        assert_eq!(explain(&*failure), "the API server answered 404: namespaces \"nope\" not found");
        let several: Failure = "invalid settings:\n  one\n  two".into();
        assert_eq!(explain(&*several), "invalid settings:\n  one\n  two");
    }
}
