//! The `RuntimeTenant` resource: spec, status, conditions. No logic.
