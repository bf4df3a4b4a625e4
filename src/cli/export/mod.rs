//! `runtime-operator export`: writes the tenants that an older publisher left in Redis as resources. It writes nothing to Redis.

mod convert;
mod env;
mod folder;
mod manifest;
mod name;
mod problem;
mod read;
mod spec;
mod summary;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use convert::{Converted, convert};
use folder::Folder;
use manifest::SecretForm;
use name::NameTemplate;
use problem::Problem;
use read::{Keys, Stored};
pub use summary::Summary;
use summary::{Exported, NotExported, OtherMapping};

use super::common::{Outcome, RedisArgs, block_on, escaped, json_of, print_result};
use super::failure::Failure;
use super::validate::is_name;
use crate::contract::{Did, ParseConfigError, RuntimeTenantConfig, TenantId};
use crate::store::KeyReader;

/// The longest config that the operator adopts.
const MAX_CONFIG: usize = 1 << 20;

/// The flags of `export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// Folder to write to; it must be new or empty
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Namespace of the resources [default: none is written]
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Form in which webhook secrets are written
    #[arg(long, value_name = "FORM", default_value = "none")]
    secrets: SecretForm,
    /// File with a line NAME=VALUE for each variable of the runtime that a webhookSecretRef of env:NAME refers to
    #[arg(long, value_name = "FILE")]
    env_values: Option<PathBuf>,
    /// Tenant ids to export [default: all]
    #[arg(long, value_name = "TENANT", num_args = 1..)]
    only: Vec<String>,
    /// Template of the names of the resources
    #[arg(long, value_name = "TEMPLATE", default_value = "{tenantId}", value_parser = NameTemplate::parse)]
    name_template: NameTemplate,
}

pub(super) fn run(args: &ExportArgs) -> Result<Outcome, Failure> {
    if let Some(namespace) = args.namespace.as_deref().filter(|namespace| !is_name(namespace)) {
        return Err(format!("--namespace {namespace:?}: must be the name of a namespace").into());
    }
    let env = args.env_values.as_deref().map(env::read).transpose()?.unwrap_or_default();
    let settings = args.redis.settings()?.ok_or("--redis-url: give the URL of the Redis to export from")?;
    // Before anything is read: a folder that can't be written to is an error immediately.
    let folder = Folder::create(&args.output)?;
    let keys = block_on(async {
        let reader = KeyReader::open(settings).await?;
        Ok::<_, Failure>(read::read(&reader).await?)
    })??;
    let absent: Vec<_> =
        args.only.iter().filter(|tenant| !keys.configs.contains_key(tenant.as_bytes())).collect();
    if let Some(tenant) = absent.first() {
        return Err(format!("--only {}: Redis has no config of this tenant", escaped(tenant)).into());
    }
    let export = Export::new(args, &keys, &env);
    let summary = export.write(&folder)?;
    print(args, &summary)?;
    Ok(if summary.is_complete() { Outcome::Clean } else { Outcome::Found })
}

fn print(args: &ExportArgs, summary: &Summary) -> Result<(), Failure> {
    let folder = args.output.display();
    let tenants = &summary.tenants;
    let mut text = format!(
        "{} of {} tenants and {} of {} mapped numbers written to {folder}/tenants\n",
        tenants.exported, tenants.found, summary.numbers.exported, summary.numbers.mapped,
    );
    // Writing to memory can't fail.
    if tenants.owned > 0 {
        let _ = writeln!(text, "{} tenants belong to a resource already, and were skipped", tenants.owned);
    }
    for (kind, count) in &summary.anomalies {
        let _ = writeln!(text, "  {count} {kind}");
    }
    if !summary.is_complete() {
        let _ = writeln!(text, "See {folder}/NOT-EXPORTED.md for what is left in Redis alone.");
    }
    let _ = writeln!(text, "Next: runtime-operator validate {folder} && runtime-operator diff {folder}");
    print_result(&text)
}

/// One export, from what was read.
struct Export<'a> {
    args: &'a ExportArgs,
    keys: &'a Keys,
    env: &'a BTreeMap<String, SecretString>,
    /// The numbers that are mapped to each tenant id, in their order.
    mapped: HashMap<&'a str, Vec<Did>>,
}

impl<'a> Export<'a> {
    fn new(args: &'a ExportArgs, keys: &'a Keys, env: &'a BTreeMap<String, SecretString>) -> Self {
        let mut mapped: HashMap<&str, Vec<Did>> = HashMap::new();
        for (did, tenant) in &keys.mappings {
            mapped.entry(tenant.as_str()).or_default().push(did.clone());
        }
        Self { args, keys, env, mapped }
    }

    fn write(&self, folder: &Folder) -> Result<Summary, Failure> {
        let mut summary = Summary::default();
        summary.numbers.mapped = self.keys.mappings.len();
        let tenants = folder.folder("tenants")?;
        let secrets = match self.args.secrets {
            SecretForm::None => None,
            _ => Some(folder.folder("secrets")?),
        };
        if let Some(secrets) = &secrets {
            secrets.write(".gitignore", "*\n")?;
        }
        let only: BTreeSet<&[u8]> = self.args.only.iter().map(String::as_bytes).collect();
        for (id, stored) in &self.keys.configs {
            summary.tenants.found += 1;
            if self.keys.owned.contains(id) {
                summary.tenants.owned += 1;
                continue;
            }
            if !only.is_empty() && !only.contains(id.as_slice()) {
                summary.tenants.left_out += 1;
                continue;
            }
            match self.tenant(id, stored) {
                Ok((tenant, converted)) => {
                    self.write_tenant(&tenant, &converted, &tenants, secrets.as_ref(), &mut summary)?;
                }
                Err(problems) => self.not_exported(id, problems, &mut summary),
            }
        }
        if only.is_empty() {
            self.other_mappings(&mut summary);
        }
        if let Some(page) = summary.page() {
            folder.write("NOT-EXPORTED.md", &page)?;
        }
        folder.write("summary.json", &json_of(&summary)?)?;
        Ok(summary)
    }

    /// Converts one tenant.
    fn tenant(&self, id: &[u8], stored: &Stored) -> Result<(TenantId, Converted), Vec<Problem>> {
        let whole = |reason: String| vec![Problem::of_all(reason)];
        let id = std::str::from_utf8(id).map_err(|_| whole("its tenant id is not UTF-8".to_owned()))?;
        let tenant = TenantId::parse(id).map_err(|error| whole(format!("its tenant id {error}")))?;
        let bytes = match stored {
            Stored::Bytes(bytes) => bytes.expose_secret(),
            Stored::OtherType(kind) => return Err(whole(format!("its key is a {kind} and no string"))),
        };
        if bytes.len() > MAX_CONFIG {
            return Err(whole(format!(
                "its config has more than {MAX_CONFIG} bytes, which the operator does not adopt"
            )));
        }
        let config = RuntimeTenantConfig::parse(bytes).map_err(|error| match error {
            ParseConfigError::NotJson(error) => whole(format!("its config {error}: no call is answered")),
            ParseConfigError::Invalid(invalid) => {
                let problem = |violation: &crate::contract::Violation| {
                    let reason =
                        format!("{}: the runtime refuses the config, and answers no call", violation.rule);
                    Problem::at(violation.path.segments().iter().cloned(), reason)
                };
                invalid.violations.iter().map(problem).collect()
            }
        })?;
        let stored = convert::Stored {
            tenant: &tenant,
            config: &config,
            mappings: &self.keys.mappings,
            mapped: self.mapped.get(id).map_or(&[], Vec::as_slice),
        };
        let name = self.args.name_template.name(id);
        let converted = convert(&stored, &name, self.args.namespace.as_deref(), self.env)?;
        Ok((tenant, converted))
    }

    fn write_tenant(
        &self,
        tenant: &TenantId,
        converted: &Converted,
        tenants: &Folder,
        secrets: Option<&Folder>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let name = converted.resource["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let file = format!("{name}.yaml");
        tenants.write(&file, &manifest::tenant(tenant, converted, self.args.secrets)?)?;
        if let (Some(folder), Some(text)) = (secrets, manifest::secret(tenant, converted, self.args.secrets)?)
        {
            folder.write(&format!("{}.yaml", converted.secret_name), &text)?;
        }
        summary.tenants.exported += 1;
        summary.numbers.exported += converted.dids.len();
        converted.notes.iter().for_each(|note| summary.count(note.kind()));
        summary.exported.push(Exported {
            tenant_id: tenant.to_string(),
            name,
            file: format!("tenants/{file}"),
            dids: converted.dids.len(),
            notes: converted.notes.iter().map(Into::into).collect(),
        });
        Ok(())
    }

    fn not_exported(&self, id: &[u8], problems: Vec<Problem>, summary: &mut Summary) {
        let tenant_id = String::from_utf8_lossy(id).into_owned();
        let dids = self.mapped.get(tenant_id.as_str()).map_or(&[][..], Vec::as_slice);
        let dids = dids.iter().map(ToString::to_string).collect();
        summary.tenants.not_exported += 1;
        summary.count("notExported");
        summary.not_exported.push(NotExported { tenant_id, dids, problems });
    }

    /// The mappings to tenants without a config, and the keys that map nothing.
    fn other_mappings(&self, summary: &mut Summary) {
        let keys = self.keys;
        let dangling = keys.mappings.iter().filter(|(_, tenant)| {
            !keys.configs.contains_key(tenant.as_bytes()) && !keys.owned.contains(tenant.as_bytes())
        });
        for (did, tenant) in dangling {
            summary.count("mappedWithoutConfig");
            summary.other_mappings.push(OtherMapping {
                number: did.to_string(),
                tenant_id: Some(tenant.clone()),
                reason: "its tenant has no config: a caller hears that it is not fully configured".to_owned(),
            });
        }
        for (key, reason) in &keys.odd {
            summary.count("oddKey");
            let reason = (*reason).to_owned();
            summary.other_mappings.push(OtherMapping { number: key.clone(), tenant_id: None, reason });
        }
    }
}
