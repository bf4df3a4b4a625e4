//! The schema of the CRD at a place of a document.

use std::sync::LazyLock;

use serde_json::Value;

/// The schema of `spec`.
pub fn spec() -> &'static Value {
    static SPEC: LazyLock<Value> = LazyLock::new(|| {
        let crd = serde_json::to_value(runtime_operator::api::crd()).unwrap();
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap().clone()
    });
    &SPEC
}

/// The schema of a member, or of a value of a map; null where the object has no field of this name.
pub fn member<'s>(schema: &'s Value, name: &str) -> &'s Value {
    let field = &schema["properties"][name];
    if field.is_null() { &schema["additionalProperties"] } else { field }
}

/// A bound, if the schema has it.
pub fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().map(|bound| usize::try_from(bound).unwrap())
}
