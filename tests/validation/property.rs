//! Every spec that the API server accepts compiles to a config that the contract accepts: specs are generated from the
//! CRD's own schema, around every bound, and sent to a real API server.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::contract::{Did, RuntimeTenantConfig};
use runtime_operator::domain::compile;
use secrecy::ExposeSecret;
use serde_json::Value;
use test_support::generator::spec;

use crate::cluster::{client, create, namespace, object};

/// The number of generated specs.
const CASES: u32 = 400;

fn compiled(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<RuntimeTenantConfig, String> {
    let config = compile::compile(spec, dids).map_err(|faults| faults.join("; "))?;
    config.with_secret(&"whsec".into()).map_err(|invalid| invalid.to_string())
}

fn compiles(spec: &Value) -> Result<(), String> {
    let spec: RuntimeTenantSpec = serde_json::from_value(spec.clone()).map_err(|error| error.to_string())?;
    let faults = compile::check(&spec);
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let dids: Vec<Did> = spec.dids.iter().map(|did| Did::parse(did).unwrap()).collect();
    let config = compiled(&spec, &dids)?;
    let again = compiled(&spec, &dids)?;
    let text = config.to_json();
    if text.expose_secret() != again.to_json().expose_secret() {
        return Err("it is written in two ways".to_owned());
    }
    let read = RuntimeTenantConfig::parse(text.expose_secret());
    let read = read.map_err(|error| error.to_string())?;
    let same = read.to_json().expose_secret() == text.expose_secret();
    same.then_some(()).ok_or("it reads otherwise".to_owned())
}

#[test]
fn an_accepted_spec_compiles_to_a_valid_config() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let client = client().await;
        namespace(&client, "property").await;
        client
    });
    let accepted = std::cell::Cell::new(0_u32);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&spec(), |spec| {
            let stored = runtime.block_on(create(&client, "property", &object("any", &spec), true));
            if let Ok(stored) = stored {
                accepted.set(accepted.get() + 1);
                prop_assert_eq!(compiles(&stored["spec"]), Ok(()));
            }
            Ok(())
        })
        .unwrap();
    assert!(accepted.get() > CASES / 10, "only {} of {CASES} were accepted", accepted.get());
}
