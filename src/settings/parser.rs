//! Parsing of single values.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::error::SettingError;
use crate::contract::routes::parse_boolean;
use crate::http::{InvalidAddress, ListenAddress};

/// Parses texts, and collects the errors.
#[derive(Default)]
pub(super) struct Parser {
    pub(super) errors: Vec<SettingError>,
}

impl Parser {
    pub(super) fn reject(&mut self, flag: &'static str, problem: impl Into<String>) {
        self.errors.push(SettingError { flag, problem: problem.into() });
    }

    pub(super) fn boolean(&mut self, flag: &'static str, text: Option<String>, default: bool) -> bool {
        let Some(text) = non_empty(text) else { return default };
        parse_boolean(&text).unwrap_or_else(|| {
            self.reject(flag, "must be true or false (1, yes, on, required; 0, no, off)");
            default
        })
    }

    /// A number of bytes, with or without a binary suffix.
    pub(super) fn bytes(
        &mut self,
        flag: &'static str,
        text: Option<String>,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        let Some(text) = non_empty(text) else { return default };
        let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
        let unit = units.into_iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)));
        let (digits, unit) = unit.unwrap_or((&text, 1));
        let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
        match bytes {
            Some(bytes) if range.contains(&bytes) => bytes,
            Some(_) => {
                let (least, most) = range.into_inner();
                self.reject(flag, format!("{text} must be {least} to {most} bytes"));
                default
            }
            None => {
                self.reject(flag, format!("{text:?} must be a number of bytes, for example 524288 or 512Ki"));
                default
            }
        }
    }

    pub(super) fn address(
        &mut self,
        flag: &'static str,
        text: Option<String>,
        default: ListenAddress,
    ) -> ListenAddress {
        non_empty(text).map_or(default, |text| {
            text.parse().unwrap_or_else(|error: InvalidAddress| {
                self.reject(flag, error.to_string());
                default
            })
        })
    }

    pub(super) fn one_of<T: Copy>(
        &mut self,
        flag: &'static str,
        text: Option<String>,
        values: &[(&str, T)],
    ) -> Option<T> {
        let text = non_empty(text)?;
        let found = values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
            self.reject(flag, format!("must be {}", names.join(" or ")));
        }
        found
    }

    /// Two files that are only useful together.
    pub(super) fn pair(
        &mut self,
        (one_flag, one): (&'static str, Option<String>),
        (other_flag, other): (&'static str, Option<String>),
    ) -> Option<(PathBuf, PathBuf)> {
        match (one, other) {
            (Some(one), Some(other)) => return Some((one.into(), other.into())),
            (None, None) => {}
            (Some(_), None) => self.reject(other_flag, format!("is required with {one_flag}")),
            (None, Some(_)) => self.reject(one_flag, format!("is required with {other_flag}")),
        }
        None
    }
}

pub(super) fn non_empty(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(super) fn list(text: Option<&str>) -> Vec<String> {
    text.iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}
