//! The labels of metrics. Every label has a closed set of values, so that the number of series never grows with the
//! number of tenants.

/// Label names with their values.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The label values that other modules define. A series exists for each from the start, with the value 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelValues<'a> {
    /// Reasons of failed reconciliations and status updates.
    pub reconcile_errors: &'a [&'static str],
    /// Results of an operation in Redis.
    pub operation_results: &'a [&'static str],
    /// Purposes of a connection to Redis.
    pub connection_purposes: &'a [&'static str],
    /// Causes of a full resync with Redis.
    pub resync_causes: &'a [&'static str],
    /// Names of the work queues.
    pub queues: &'a [&'static str],
    /// Commands of Redis without which the operator goes on.
    pub optional_commands: &'a [&'static str],
}

/// Every pair of a value of `first` and one of `second`.
pub(super) fn pairs<'a>(
    (first, firsts): (&'static str, &'a [&'static str]),
    (second, seconds): (&'static str, &'a [&'static str]),
) -> impl Iterator<Item = Labels<2>> + use<'a> {
    firsts.iter().flat_map(move |one| seconds.iter().map(move |other| [(first, *one), (second, *other)]))
}
