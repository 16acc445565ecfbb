//! The layers of `shared`: every import goes downward, and no files import each other in a circle.
//!
//! docs/ARCHITECTURE.md states the layers from the top down. Tests, test support and fuzz targets
//! may import everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

/// A module's path within the crate, such as `["calls", "sweep"]`.
type ModulePath = Vec<String>;

/// Modules that are compiled for tests and fuzz targets alone.
const EXEMPT: [&str; 2] = ["fuzzing", "test_support"];

struct Imports {
    /// Paths that a module imports, from the root of the crate on.
    imported: Vec<ModulePath>,
    /// What a module exports again, by name.
    reexported: BTreeMap<String, ModulePath>,
}

struct Visitor<'a> {
    module: &'a ModulePath,
    modules: &'a BTreeSet<ModulePath>,
    imports: Imports,
}

impl Visitor<'_> {
    /// The path from the root of the crate on; `None` if it leads to another crate.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let base: &[String] = match first.as_str() {
            "crate" => &[],
            "self" => self.module,
            "super" => self.module.split_last()?.1,
            child => {
                let child = [self.module.as_slice(), &[child.to_owned()]].concat();
                return self.modules.contains(&child).then(|| [child, rest.to_vec()].concat());
            }
        };
        Some([base, rest].concat())
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        let is_private = matches!(item.vis, Visibility::Inherited);
        for path in paths {
            let Some(path) = self.absolute(&path) else { continue };
            let is_child = path.starts_with(self.module) && path.len() > self.module.len();
            match path.last() {
                Some(name) if !is_private && is_child => {
                    self.imports.reexported.insert(name.clone(), path);
                }
                _ => self.imports.imported.push(path),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let path_names: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if path_names.len() > 1
            && let Some(path) = self.absolute(&path_names)
        {
            self.imports.imported.push(path);
        }
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, `#[cfg(any(fuzzing, test))]` and the like.
fn is_for_tests(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg")
        && list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|it| it == "test")
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, paths: &mut Vec<ModulePath>) {
    match tree {
        UseTree::Path(it) => {
            prefix.push(it.ident.to_string());
            flatten(&it.tree, prefix, paths);
            prefix.pop();
        }
        UseTree::Name(it) if it.ident == "self" => paths.push(prefix.clone()),
        UseTree::Name(it) => paths.push([prefix.clone(), vec![it.ident.to_string()]].concat()),
        UseTree::Rename(it) => paths.push([prefix.clone(), vec![it.ident.to_string()]].concat()),
        UseTree::Glob(_) => paths.push(prefix.clone()),
        UseTree::Group(it) => it.items.iter().for_each(|item| flatten(item, prefix, paths)),
    }
}

/// The modules of `shared` with their imports.
struct Graph {
    imports: BTreeMap<ModulePath, Imports>,
}

impl Graph {
    fn read() -> Self {
        let root = local::workspace_root().join("shared/src");
        let mut files = BTreeMap::new();
        collect_modules(&root, &root, &mut files);
        files.retain(|module, _| !module.first().is_some_and(|it| EXEMPT.contains(&it.as_str())));
        let modules: BTreeSet<_> = files.keys().cloned().collect();
        let read = |(module, file): (&ModulePath, &PathBuf)| {
            let text = std::fs::read_to_string(file).unwrap();
            let imports = Imports { imported: Vec::new(), reexported: BTreeMap::new() };
            let mut visitor = Visitor { module, modules: &modules, imports };
            visitor.visit_file(&syn::parse_file(&text).unwrap());
            (module.clone(), visitor.imports)
        };
        Self { imports: files.iter().map(read).collect() }
    }

    /// The module that defines what a path names.
    fn resolve(&self, path: &[String]) -> Option<ModulePath> {
        let depth = (0..=path.len()).rev().find(|n| self.imports.contains_key(&path[..*n]))?;
        let (module, item) = path.split_at(depth);
        let reexported = item.first().and_then(|it| self.imports[module].reexported.get(it));
        match reexported {
            Some(target) => self.resolve(target),
            None => Some(module.to_vec()),
        }
    }

    fn edges(&self) -> BTreeSet<(ModulePath, ModulePath)> {
        let edges_of = |(module, imports): (&ModulePath, &Imports)| {
            let targets = imports.imported.iter().filter_map(|path| self.resolve(path));
            targets.filter(|it| it != module).map(|it| (module.clone(), it)).collect::<Vec<_>>()
        };
        self.imports.iter().flat_map(edges_of).collect()
    }
}

fn collect_modules(root: &Path, folder: &Path, found: &mut BTreeMap<ModulePath, PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_modules(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative_path = path.strip_prefix(root).unwrap().with_extension("");
            let mut module: ModulePath =
                relative_path.iter().map(|it| it.to_str().unwrap().to_owned()).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                module.pop();
            }
            found.insert(module, path);
        }
    }
}

/// The layers as the documentation states them, by module: 0 is the top.
fn documented_layers() -> BTreeMap<String, usize> {
    let path = local::workspace_root().join("docs/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, block) = text.split_once("<!-- layers -->").unwrap();
    let block = block.split("```").nth(1).unwrap();
    let lines = block.lines().skip(1).filter(|line| !line.trim().is_empty());
    let layers = lines.enumerate();
    layers.flat_map(|(n, line)| line.split_whitespace().map(move |it| (it.to_owned(), n))).collect()
}

#[test]
fn imports_go_downward() {
    let (graph, layers) = (Graph::read(), documented_layers());
    let modules: BTreeSet<_> = graph.imports.keys().filter_map(|it| it.first()).collect();
    let is_checked =
        |module: &&String| *module != "functions" && !EXEMPT.contains(&module.as_str());
    let documented: BTreeSet<_> = layers.keys().filter(is_checked).collect();
    assert_eq!(modules, documented, "docs/ARCHITECTURE.md lists every module of shared");
    let upward: Vec<_> = graph
        .edges()
        .into_iter()
        .filter_map(|(from, to)| {
            let (upper, lower) = (from.first()?.clone(), to.first()?.clone());
            (upper != lower && layers[&upper] >= layers[&lower])
                .then(|| format!("{} imports {}", from.join("::"), to.join("::")))
        })
        .collect();
    assert_eq!(upward, Vec::<String>::new());
}

#[test]
fn modules_import_each_other_in_no_circle() {
    let edges = Graph::read().edges();
    let mut targets: BTreeMap<&ModulePath, Vec<&ModulePath>> = BTreeMap::new();
    for (from, to) in &edges {
        targets.entry(from).or_default().push(to);
    }
    let reaches_itself = |module: &&ModulePath| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![*module]);
        while let Some(from) = next.pop() {
            let targets = targets.get(from).into_iter().flatten();
            next.extend(targets.filter(|to| reached.insert(**to)));
        }
        reached.contains(*module)
    };
    let circles: Vec<_> =
        targets.keys().copied().filter(reaches_itself).map(|module| module.join("::")).collect();
    assert_eq!(circles, Vec::<String>::new());
}
