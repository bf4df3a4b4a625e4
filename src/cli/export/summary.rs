//! The account of an export: `summary.json` for programs, `NOT-EXPORTED.md` for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::common::{Document, escaped};
use super::problem::{Note, Problem};

/// The account of an export.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Tenants.
    pub tenants: Tenants,
    /// Numbers.
    pub numbers: Numbers,
    /// The number of anomalies of each kind.
    pub anomalies: BTreeMap<String, usize>,
    /// The exported tenants.
    pub exported: Vec<Exported>,
    /// The tenants that are not exported.
    pub not_exported: Vec<NotExported>,
    /// Mappings that belong to no exported tenant, by number or key.
    pub other_mappings: Vec<OtherMapping>,
}

/// The number of tenants.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenants {
    /// With a config in Redis.
    pub found: usize,
    /// Written as resources.
    pub exported: usize,
    /// That can't be expressed.
    pub not_exported: usize,
    /// That a resource owns already.
    pub owned: usize,
    /// That `--only` leaves out.
    pub left_out: usize,
}

/// The number of numbers.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Mapped in Redis.
    pub mapped: usize,
    /// Listed in the resources.
    pub exported: usize,
}

/// An exported tenant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Its tenant id.
    pub tenant_id: String,
    /// The name of its resource.
    pub name: String,
    /// Its file, from the folder of the export.
    pub file: String,
    /// The number of its numbers.
    pub dids: usize,
    /// The comments in its file.
    pub notes: Vec<NoteLine>,
}

/// A note of a tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NoteLine {
    /// Its kind.
    pub kind: &'static str,
    /// The note in a sentence.
    pub text: String,
    #[serde(skip)]
    leaves_out: bool,
}

impl From<&Note> for NoteLine {
    fn from(note: &Note) -> Self {
        Self { kind: note.kind(), text: note.text(), leaves_out: note.leaves_out() }
    }
}

/// A tenant that is not exported.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotExported {
    /// Its tenant id.
    pub tenant_id: String,
    /// The numbers that are mapped to it.
    pub dids: Vec<String>,
    /// The reasons.
    pub problems: Vec<Problem>,
}

/// A mapping that belongs to no exported tenant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtherMapping {
    /// The number, or the key where it is none.
    pub number: String,
    /// The tenant id to which it is mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Why it is not exported.
    pub reason: String,
}

impl Document for Summary {
    const KIND: &'static str = "Export";
}

impl Summary {
    /// Counts an anomaly.
    pub fn count(&mut self, kind: &str) {
        *self.anomalies.entry(kind.to_owned()).or_default() += 1;
    }

    /// True if everything is in the resources.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let left_out = self.exported.iter().flat_map(|exported| &exported.notes).any(|note| note.leaves_out);
        self.not_exported.is_empty() && self.other_mappings.is_empty() && !left_out
    }

    /// The page for people; none where everything is exported.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let mut page = "# Not exported\n\nWhat this page lists is in Redis and not in these resources. It stays as it is.\n".to_owned();
        if !self.not_exported.is_empty() {
            page.push_str(
                "\n## Tenants\n\n| tenant | numbers | path | reason |\n| --- | --- | --- | --- |\n",
            );
        }
        for tenant in &self.not_exported {
            let dids = tenant.dids.join(" ");
            for problem in &tenant.problems {
                // Writing to memory can't fail.
                let _ = writeln!(
                    page,
                    "| {} | {dids} | {} | {} |",
                    cell(&tenant.tenant_id),
                    cell(&problem.path),
                    cell(&problem.reason)
                );
            }
        }
        let notes = || {
            self.exported.iter().flat_map(|exported| exported.notes.iter().map(move |note| (exported, note)))
        };
        if notes().any(|(_, note)| note.leaves_out) {
            page.push_str("\n## Numbers that a config lists and that are not mapped to its tenant\n\n| tenant | number |\n| --- | --- |\n");
        }
        for (exported, note) in notes().filter(|(_, note)| note.leaves_out) {
            let _ = writeln!(page, "| {} | {} |", cell(&exported.tenant_id), cell(&note.text));
        }
        if !self.other_mappings.is_empty() {
            page.push_str("\n## Mappings without an exported tenant\n\n| number | tenant | reason |\n| --- | --- | --- |\n");
        }
        for mapping in &self.other_mappings {
            let tenant = mapping.tenant_id.as_deref().unwrap_or_default();
            let _ = writeln!(
                page,
                "| {} | {} | {} |",
                cell(&mapping.number),
                cell(tenant),
                cell(&mapping.reason)
            );
        }
        Some(page)
    }
}

/// A text in a table, in which no external text ends the cell or is read as markup.
fn cell(text: &str) -> String {
    let text = escaped(text).replace('\\', "\\\\").replace('|', "\\|").replace('`', "'");
    text.replace('<', "&lt;").replace('[', "\\[")
}
