//! The import graph of a crate's source files, computed from their text.
//!
//! An edge goes from a file to the file that defines the imported name; re-exports are followed. Unit tests at the end of a
//! file are left out.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

/// Nodes and the nodes that each of them imports.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// A crate's source files, parsed.
pub struct Sources {
    modules: BTreeMap<String, Module>,
}

/// One file. Its key is its module path: `store::tracking`, and an empty path for `lib.rs`.
struct Module {
    file: String,
    /// Names in its scope that `use` brings in, each with the absolute path that it stands for.
    imported: BTreeMap<String, String>,
    /// Absolute paths of modules of which everything is imported.
    globs: BTreeSet<String>,
    /// Absolute paths that the code names, in `use` or in an expression.
    named: BTreeSet<String>,
    defined: BTreeSet<String>,
}

impl Sources {
    /// Parses files, each given by its path below `src` and its code.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files: Vec<(String, &str, String)> =
            files.into_iter().map(|(file, code)| (module_path(file), file, without_literals(code))).collect();
        let paths: BTreeSet<String> = files.iter().map(|(path, ..)| path.clone()).collect();
        let modules = files.into_iter().map(|(path, file, code)| {
            let module = Module::new(file, &path, &code, &paths);
            (path, module)
        });
        Self { modules: modules.collect() }
    }

    /// The graph of files.
    pub fn files(&self) -> Graph {
        let mut graph = Graph::new();
        for module in self.modules.values() {
            let imports = module.named.iter().filter_map(|path| self.defining_file(path));
            let imports = imports.filter(|file| *file != module.file).map(str::to_owned).collect();
            graph.insert(module.file.clone(), imports);
        }
        graph
    }

    /// The graph of top-level modules. `lib.rs` and `main.rs`, which name them all, are left out.
    pub fn rooms(&self) -> Graph {
        let mut graph = Graph::new();
        for (path, module) in &self.modules {
            let room = first_segment(path);
            if room.is_empty() || room == "main" {
                continue;
            }
            let imports = graph.entry(room.to_owned()).or_default();
            for named in &module.named {
                // The room that is named may re-export what another one defines: both are imported.
                let defined = self.resolve(named).unwrap_or(named);
                for other in [first_segment(named), first_segment(&module_of(&self.modules, defined))] {
                    if other != room && self.modules.contains_key(other) && !other.is_empty() {
                        imports.insert(other.to_owned());
                    }
                }
            }
        }
        graph
    }

    fn defining_file(&self, path: &str) -> Option<&str> {
        let path = self.resolve(path)?;
        Some(&self.modules[&module_of(&self.modules, path)].file)
    }

    /// Follows imports to the path where the name is defined.
    fn resolve<'a>(&'a self, path: &'a str) -> Option<&'a str> {
        let mut path = path;
        // A chain of re-exports is short; a circle of them does not compile.
        for _ in 0..10 {
            let module_path = module_of(&self.modules, path);
            let module = self.modules.get(&module_path)?;
            let Some(name) = path.strip_prefix(&module_path).and_then(|rest| {
                let rest = rest.strip_prefix("::").unwrap_or(rest);
                rest.split("::").next().filter(|name| !name.is_empty())
            }) else {
                return Some(path);
            };
            if module.defined.contains(name) {
                return Some(path);
            }
            let from_glob = || {
                let mut globs = module.globs.iter();
                globs.find(|glob| self.modules.get(*glob).is_some_and(|module| module.exports(name)))
            };
            match module.imported.get(name).or_else(from_glob) {
                Some(target) if target != path => path = target,
                _ => return Some(path),
            }
        }
        None
    }
}

impl Module {
    fn new(file: &str, path: &str, code: &str, modules: &BTreeSet<String>) -> Self {
        let mut module = Self {
            file: file.to_owned(),
            imported: BTreeMap::new(),
            globs: BTreeSet::new(),
            named: BTreeSet::new(),
            defined: definitions(code),
        };
        let uses = Regex::new(r"\buse\s+([^;]+);").unwrap();
        for found in uses.captures_iter(code) {
            for (target, name) in leaves("", &found[1]) {
                let Some(target) = absolute(&target, path, modules) else { continue };
                match name.as_str() {
                    "*" => drop(module.globs.insert(target.clone())),
                    name => drop(module.imported.insert(name.to_owned(), target.clone())),
                }
                module.named.insert(target);
            }
        }
        let code = uses.replace_all(code, "");
        let paths = Regex::new(r"(?:^|[^\w:])((?:\w+)(?:::\w+)+)").unwrap();
        let paths = paths.captures_iter(&code).filter_map(|found| absolute(&found[1], path, modules));
        module.named.extend(paths);
        module
    }

    fn exports(&self, name: &str) -> bool {
        self.defined.contains(name) || self.imported.contains_key(name)
    }
}

/// Circles of a graph: sets of nodes that all import each other, directly or not.
pub fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reachable: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reachable(graph, node))).collect();
    let circle = |node: &String| {
        let mutual = reachable[node].iter().filter(|other| reachable[**other].contains(node));
        mutual.map(|other| (*other).clone()).collect::<BTreeSet<String>>()
    };
    let circles: BTreeSet<BTreeSet<String>> =
        graph.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    circles.into_iter().collect()
}

fn reachable<'a>(graph: &'a Graph, from: &'a String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<&String> = graph[from].iter().collect();
    while let Some(node) = todo.pop() {
        if found.insert(node) {
            todo.extend(graph.get(node).into_iter().flatten());
        }
    }
    found
}

/// `store/mod.rs` is `store`, `store/tracking.rs` is `store::tracking`, `lib.rs` is the crate itself.
fn module_path(file: &str) -> String {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { String::new() } else { path.replace('/', "::") }
}

fn first_segment(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// The longest prefix of a path that is a module.
fn module_of(modules: &BTreeMap<String, Module>, path: &str) -> String {
    let mut prefix = path;
    while !modules.contains_key(prefix) {
        prefix = prefix.rsplit_once("::").map_or("", |(parent, _)| parent);
        if prefix.is_empty() {
            break;
        }
    }
    prefix.to_owned()
}

/// A path from the crate's root, without `crate::`; none for another crate's path.
fn absolute(path: &str, module: &str, modules: &BTreeSet<String>) -> Option<String> {
    let join = |module: &str, rest: &str| match (module, rest) {
        (module, "") => module.to_owned(),
        ("", rest) => rest.to_owned(),
        (module, rest) => format!("{module}::{rest}"),
    };
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    match first {
        "crate" => Some(rest.to_owned()),
        "self" => Some(join(module, rest)),
        "super" => {
            let (mut module, mut rest) = (parent(module), rest);
            while let Some(more) = rest.strip_prefix("super") {
                (module, rest) = (parent(module), more.strip_prefix("::").unwrap_or(more));
            }
            Some(join(module, rest))
        }
        // A path that begins with a child of this module.
        child => modules.contains(&join(module, child)).then(|| join(module, path)),
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

/// The paths of a `use` tree, each with the name that it has here.
fn leaves(prefix: &str, tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    let join = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}::{path}") };
    if let Some((path, rest)) = tree.split_once('{') {
        let prefix = join(path.trim().trim_end_matches("::"));
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        return split_list(inner).into_iter().flat_map(|part| leaves(&prefix, part)).collect();
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
    let path = path.trim();
    let full = match path {
        "self" => prefix.to_owned(),
        path => join(path),
    };
    let last = full.rsplit("::").next().unwrap_or_default().to_owned();
    if last == "*" {
        return vec![(full.trim_end_matches("::*").to_owned(), "*".to_owned())];
    }
    vec![(full, if name.is_empty() { last } else { name.trim().to_owned() })]
}

/// Splits at commas that are in no braces.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn definitions(code: &str) -> BTreeSet<String> {
    let definition =
        Regex::new(r"\b(?:fn|struct|enum|trait|type|const|static|union|macro_rules!)\s+(\w+)").unwrap();
    definition.captures_iter(code).map(|found| found[1].to_owned()).collect()
}

/// Removes string literals, and the paths of visibilities, which import nothing.
fn without_literals(code: &str) -> String {
    let literal = r##"r#"(?s:.*?)"#|'\\?"'|"(?:\\(?s:.)|[^"\\])*""##;
    let code = Regex::new(literal).unwrap().replace_all(code, "\"\"");
    Regex::new(r"\bpub\s*\(in [^)]*\)").unwrap().replace_all(&code, "pub").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources::new(files.iter().copied())
    }

    #[test]
    fn a_planted_circle_of_files_is_found() {
        let sources = sources(&[
            ("lib.rs", "pub mod store;"),
            ("store/mod.rs", "mod wire; mod plan; pub use plan::Plan;"),
            ("store/wire.rs", "use super::Plan; pub struct Wire;"),
            ("store/plan.rs", "pub struct Plan(crate::store::wire::Wire);"),
        ]);
        assert_eq!(circles(&sources.files()), [set(&["store/plan.rs", "store/wire.rs"])]);
    }

    #[test]
    fn a_planted_circle_of_rooms_is_found_though_its_files_have_none() {
        let sources = sources(&[
            ("lib.rs", "pub mod store; pub mod leader;"),
            ("store/mod.rs", "mod a; mod b;"),
            ("store/a.rs", "use crate::leader::Lease;"),
            ("store/b.rs", "pub struct B;"),
            ("leader.rs", "pub struct Lease; fn b() { crate::store::b::B; }"),
        ]);
        assert!(circles(&sources.files()).is_empty());
        assert_eq!(circles(&sources.rooms()), [set(&["leader", "store"])]);
    }

    #[test]
    fn re_exports_groups_and_renames_are_followed_to_the_defining_file() {
        let sources = sources(&[
            ("lib.rs", "pub mod a; pub mod b;"),
            (
                "a/mod.rs",
                "pub mod inner; pub use self::inner::{One, deep::Two as Second};\npub use more::*; mod more;",
            ),
            ("a/inner/mod.rs", "pub struct One; pub mod deep;"),
            ("a/inner/deep.rs", "pub struct Two;"),
            ("a/more.rs", "pub struct Three;"),
            (
                "b.rs",
                "use crate::{a::{One, Second, Three as T}, a::inner::{self, deep}};\nconst X: &str = \"crate::c\";",
            ),
        ]);
        let expected = set(&["a/inner/mod.rs", "a/inner/deep.rs", "a/more.rs"]);
        assert_eq!(sources.files()["b.rs"], expected);
    }

    #[test]
    fn other_crates_and_the_own_file_are_no_edges() {
        let sources = sources(&[
            ("lib.rs", "pub mod a; mod b;"),
            ("b.rs", ""),
            (
                "a.rs",
                "use std::fmt; use self::Own as O; pub(in crate::b) struct Own; fn f() { Own::new(); tokio::spawn(()); }",
            ),
        ]);
        assert_eq!(sources.files()["a.rs"], set(&[]));
    }
}
