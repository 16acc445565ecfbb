//! The documents agree with each other and with the code: links, anchors, words and log messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::visit::{self, Visit};

/// The files that git tracks, or would track, with one of these extensions.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let root = local::workspace_root();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let has_extension = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        extension.is_some_and(|it| extensions.contains(&it)) && path.exists()
    };
    names.lines().map(|name| root.join(name)).filter(has_extension).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(local::workspace_root()).unwrap().display().to_string()
}

/// A Markdown document without its code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for line in prose(text).lines() {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = link_text(heading.trim()).to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let count = counts.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug.clone() } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// A text whose links are replaced by what they show.
fn link_text(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, target)) = link.split_once("](") else { break };
        let Some((_, after)) = target.split_once(')') else { break };
        shown.push_str(before);
        shown.push_str(label);
        rest = after;
    }
    shown + rest
}

/// The targets of a document's links.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let mut targets = Vec::new();
    for part in prose.split("](").skip(1) {
        targets.extend(part.split_once(')').map(|(target, _)| target.to_owned()));
    }
    targets
}

#[test]
fn every_link_and_anchor_resolves() {
    let mut broken = Vec::new();
    for file in files(&["md"]) {
        for target in targets(&read(&file)) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked =
                if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let is_found =
                linked.exists() && (anchor.is_empty() || anchors(&read(&linked)).contains(anchor));
            if !is_found {
                broken.push(format!("{}: {target}", relative(&file)));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// The subject of a sentence is a component or a role by its name.
#[test]
fn no_indefinite_pronoun_is_a_subject() {
    // Put together, so that this file has none of them.
    let words = [("who", "ever"), ("no", "body"), ("some", "body"), ("any", "body")]
        .map(|(start, end)| format!("{start}{end}"));
    let mut lines = Vec::new();
    for file in files(&["rs", "md", "yaml", "py", "mjs"]) {
        for (number, line) in read(&file).lines().enumerate() {
            let line = line.to_lowercase();
            let mut found = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if found.any(|word| words.iter().any(|it| it == word)) {
                lines.push(format!("{}:{}", relative(&file), number + 1));
            }
        }
    }
    assert_eq!(lines, Vec::<String>::new());
}

/// The log messages of the functions.
#[derive(Default)]
struct Messages(BTreeSet<String>);

impl Messages {
    fn insert(&mut self, expression: Option<&syn::Expr>) {
        if let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) = expression {
            self.0.insert(text.value());
        }
    }
}

impl<'ast> Visit<'ast> for Messages {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        match call.method.to_string().as_str() {
            "log" => self.insert(call.args.first()),
            "record_failure" => self.insert(call.args.iter().nth(1)),
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        if expression.path.is_ident("RequestLog") {
            let message = expression.fields.iter().find(|field| match &field.member {
                syn::Member::Named(name) => name == "message",
                syn::Member::Unnamed(_) => false,
            });
            self.insert(message.map(|field| &field.expr));
        }
        visit::visit_expr_struct(self, expression);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.first().is_some_and(|it| it.ident == "tracing") {
            let literal = call.tokens.to_string();
            let message = literal.rsplit('"').nth(1).unwrap_or_default().to_owned();
            if !message.contains('{') {
                self.0.insert(message);
            }
        }
        visit::visit_macro(self, call);
    }
}

#[test]
fn every_log_message_is_documented() {
    let root = local::workspace_root();
    let mut messages = Messages::default();
    for file in files(&["rs"]) {
        let is_product = file.starts_with(root.join("shared/src"))
            && !file.starts_with(root.join("shared/src/test_support"))
            || file.starts_with(root.join("functions"));
        if is_product {
            messages.visit_file(&syn::parse_file(&read(&file)).unwrap());
        }
    }
    let text = read(&root.join("docs/LOGGING.md"));
    let (_, section) = text.split_once("\n## Messages\n").unwrap();
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(documented, messages.0);
}
