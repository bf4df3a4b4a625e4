//! Runs the command line as a person does, with nothing of this process' environment.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_support::{World, operator_binary};

/// What a command has written, and its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

impl Ran {
    /// The JSON that it has written, which its schema accepts.
    pub fn json(&self) -> Value {
        let json: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let kind = json["kind"].as_str().unwrap().to_owned();
        let schemas = runtime_operator::cli::schemas();
        let (_, schema) = schemas.iter().find(|(name, _)| *name == kind).expect("the kind has a schema");
        let validator = jsonschema::validator_for(schema).unwrap();
        let faults: Vec<String> = validator.iter_errors(&json).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{kind}: {faults:?}");
        json
    }

    /// Everything that it has written.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.errors)
    }
}

/// Runs a command with a kubeconfig, and with further variables.
pub async fn run_with(kubeconfig: &Path, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = Command::new(operator_binary());
    command.env_clear().env("KUBECONFIG", kubeconfig).env("PATH", "/usr/bin:/bin").args(args);
    command.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran =
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), errors: text(output.stderr) };
    println!("$ kubectl rtenant {}\n{}{}exit {}\n", args.join(" "), ran.out, ran.errors, ran.code);
    ran
}

/// Runs a command with an administrator's rights and this world's Redis.
pub async fn run(world: &World, args: &[&str]) -> Ran {
    run_with(world.kubeconfig(), &[("REDIS_URL", &world.redis().url())], args).await
}
