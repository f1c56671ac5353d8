//! `no-ignored-tests`: a test that does not run, or runs by waiting, proves nothing.

use proc_macro2::{TokenStream, TokenTree};

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tokens::{attributes, ident, is_punct, line_of, paths, trees, without};
use crate::tidy::tree::{File, Tree};

/// The comment that allows a sleep, on its line or the one above.
const EXCUSE: &str = "// tidy: real time because ";

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.rust_files() {
        for attribute in attributes(file.tokens()) {
            let conditional = attribute.is("cfg_attr") && mentions(&attribute.tokens, "ignore");
            if attribute.is("ignore") || conditional {
                let message = "an ignored test rots: make it run, or remove it";
                found(Violation::new(&file.path, attribute.line, message));
            }
        }
        for (name, line) in unfinished(file.tokens()) {
            found(Violation::new(&file.path, line, format!("`{name}!` is left: finish it")));
        }
        if file.is_in_directory("tests") {
            check_sleeps(file, found);
        }
    }
    Ok(())
}

/// Under a paused clock (`#[tokio::test(start_paused = true)]`) a sleep takes no time.
fn check_sleeps(file: &File, found: Found<'_>) {
    let real_time = without(file.tokens(), &|attribute| mentions(&attribute.tokens, "start_paused"));
    for path in paths(real_time) {
        let Some(name) = path.segments.last().filter(|last| *last == "sleep" || *last == "sleep_until")
        else {
            continue;
        };
        // The import alone waits for nothing; one word that was not imported is a method or a variable.
        let sleeps = !path.imported && (path.segments.len() > 1 || is_imported(file, name));
        if sleeps && !excused(file, path.line) {
            let message = format!("a sleep in a test: wait for the event, or say `{EXCUSE}...`");
            found(Violation::new(&file.path, path.line, message));
        }
    }
}

fn is_imported(file: &File, name: &str) -> bool {
    paths(file.tokens())
        .iter()
        .any(|path| path.imported && path.segments.last().is_some_and(|last| last == name))
}

fn excused(file: &File, line: usize) -> bool {
    let has_reason =
        |text: &str| text.split_once(EXCUSE).is_some_and(|(_, reason)| !reason.trim().is_empty());
    file.lines().any(|(number, text)| (number == line || number + 1 == line) && has_reason(text))
}

/// Each `todo!` and `unimplemented!` with its line.
fn unfinished(tokens: TokenStream) -> Vec<(String, usize)> {
    let tokens = trees(tokens);
    let mut found = Vec::new();
    for (at, tree) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            found.extend(unfinished(group.stream()));
        }
        let name = ident(Some(tree)).filter(|name| *name == "todo" || *name == "unimplemented");
        if let Some(name) = name.filter(|_| is_punct(tokens.get(at + 1), '!')) {
            found.push((name.to_string(), line_of(tree)));
        }
    }
    found
}

fn mentions(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().any(|tree| match tree {
        TokenTree::Group(group) => mentions(&trees(group.stream()), name),
        other => ident(Some(other)).is_some_and(|found| found == name),
    })
}
