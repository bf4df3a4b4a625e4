//! The plan of an apply, for people.

use std::fmt::Write;

use serde_json::Value;

use super::super::common::{Style, escaped};
use super::document::{Action, NumberChange, Plan, ResourceChange};
use super::settle::State;

/// The longest value that is shown.
const LONGEST: usize = 40;

/// Returns the lines of a plan.
#[must_use]
pub fn text(plan: &Plan, then: &State, style: Style) -> String {
    let mut text = String::new();
    for resource in &plan.resources {
        resource_lines(plan, then, resource, style, &mut text);
    }
    // Numbers that no resource had or will have.
    for number in
        plan.numbers.iter().filter(|number| number.from_resource.is_none() && number.to_resource.is_none())
    {
        let _ = writeln!(text, "  {} {}", number.number, outcome(number, then));
    }
    text.push_str(&summary(plan));
    text
}

fn resource_lines(plan: &Plan, then: &State, resource: &ResourceChange, style: Style, text: &mut String) {
    let name = format!("{}/{}", resource.namespace, resource.name);
    let (mark, color, note) = match resource.action {
        Action::Create => ("+", "32", ""),
        Action::Update => ("~", "33", ""),
        Action::Delete => ("-", "31", "   (--prune)"),
        Action::Affected => ("=", "0", "   (not in these files)"),
    };
    // Writing to memory can't fail.
    let _ = writeln!(text, "{} {}{note}", style.colored(mark, color), escaped(&name));
    let is_here = |other: &Option<String>| other.as_deref() == Some(name.as_str());
    for number in &plan.numbers {
        let (from_here, to_here) = (is_here(&number.from_resource), is_here(&number.to_resource));
        if from_here && !to_here {
            let _ = writeln!(
                text,
                "    {} {}   {}",
                style.colored("-", "31"),
                number.number,
                outcome(number, then)
            );
        } else if to_here {
            let _ = writeln!(
                text,
                "    {} {}   {}",
                style.colored("+", "32"),
                number.number,
                outcome(number, then)
            );
        }
    }
    for member in &resource.config {
        let _ = writeln!(
            text,
            "    {} {} {} → {}",
            style.colored("~", "33"),
            escaped(&member.path),
            shown(member.from.as_ref()),
            shown(member.to.as_ref())
        );
    }
    if let Some(verdict) = &resource.verdict {
        match verdict.ready {
            Some(true) => {}
            Some(false) => {
                let message = escaped(&verdict.message);
                let _ = writeln!(text, "    {} {message} ({})", style.colored("✗", "31"), verdict.reason);
            }
            None => {
                let message = escaped(&verdict.message);
                let _ = writeln!(text, "    {} not certain: {message}", style.colored("?", "33"));
            }
        }
    }
}

/// The fate of a number, in a clause.
fn outcome(number: &NumberChange, then: &State) -> String {
    let by_chance = then.by_chance.iter().any(|did| did.as_str() == number.number);
    let chance = if by_chance { ", or to another new resource that claims it" } else { "" };
    match (&number.from, &number.to) {
        (None, Some(_)) => format!("becomes live{chance}"),
        (Some(_), None) => "becomes unmapped: callers hear \"not configured\"".to_owned(),
        (Some(from), Some(to)) => {
            let to = number.to_resource.clone().unwrap_or_else(|| format!("the tenant {to}"));
            let from = number.from_resource.clone().unwrap_or_else(|| format!("the tenant {from}"));
            format!("goes from {} to {}", escaped(&from), escaped(&to))
        }
        (None, None) => String::new(),
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".to_owned() };
    let text = value.to_string();
    let short: String = text.chars().take(LONGEST).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", escaped(&short))
}

fn summary(plan: &Plan) -> String {
    let changed = plan.resources.iter().filter(|resource| resource.action != Action::Affected).count();
    let count = |filter: fn(&&NumberChange) -> bool| plan.numbers.iter().filter(filter).count();
    let appear = count(|number| number.from.is_none());
    let disappear = count(|number| number.to.is_none());
    let moves = plan.numbers.len() - appear - disappear;
    let one =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    format!(
        "{}; {}, {}, {}; {}\n",
        one(changed, "resource changes", "resources change"),
        one(appear, "number appears", "numbers appear"),
        one(moves, "moves", "move"),
        one(disappear, "disappears", "disappear"),
        one(plan.conflicts.len(), "conflict arises", "conflicts arise"),
    )
}
