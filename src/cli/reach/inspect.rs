//! `runtime-operator inspect`, which the command line runs in a Pod of the operator: no command for people.

use clap::Args;

use crate::cli::common::{Outcome, block_on, print_result};
use crate::cli::failure::Failure;
use crate::contract::{Did, TenantId};
use crate::settings;
use crate::store::{FactsQuery, MAX_QUESTIONS, Store};

#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Number to look up
    #[arg(long = "did", value_name = "E164")]
    dids: Vec<String>,
    /// Tenant to look up
    #[arg(long = "tenant", value_name = "ID")]
    tenants: Vec<String>,
    /// Include the config, with *** for secrets
    #[arg(long)]
    documents: bool,
    /// Include the state of the server
    #[arg(long)]
    server: bool,
    /// Rehearse a publish
    #[arg(long)]
    rehearse: bool,
    #[command(flatten)]
    redis: settings::RedisArgs,
}

pub fn run(args: InspectArgs) -> Result<Outcome, Failure> {
    let query = FactsQuery {
        dids: args.dids.iter().map(|text| Did::parse(text)).collect::<Result<_, _>>()?,
        tenants: args.tenants.iter().map(|text| TenantId::parse(text)).collect::<Result<_, _>>()?,
        documents: args.documents,
        server: args.server,
        rehearse: args.rehearse,
    };
    if query.dids.len() + query.tenants.len() > MAX_QUESTIONS {
        return Err(format!("at most {MAX_QUESTIONS} numbers and tenants can be asked for").into());
    }
    let store = Store::new(args.redis.parse()?)?;
    let facts = block_on(store.facts(&query))??;
    print_result(&serde_json::to_string(&facts)?)?;
    Ok(Outcome::Clean)
}
