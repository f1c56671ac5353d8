//! `cargo xtask doc-links`: every relative link of the documentation leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::Result;
use crate::cargo::{stdout_of, workspace_root};

/// Reads every Markdown file of the repository and prints the links that lead nowhere.
///
/// # Errors
/// There is one, or there is no link at all.
pub fn run() -> Result {
    let root = workspace_root()?;
    let mut listing = std::process::Command::new("git");
    listing.current_dir(&root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files: BTreeSet<PathBuf> = stdout_of(listing)?.lines().map(PathBuf::from).collect();
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let text =
            fs::read_to_string(root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
        pages.insert(file.clone(), Page::read(&text));
    }
    let (mut checked, mut dead) = (0usize, 0usize);
    for (file, page) in &pages {
        for link in &page.links {
            let Some(fault) = fault(file, &link.target, &files, &pages) else {
                checked += 1;
                continue;
            };
            dead += 1;
            println!("{}:{}: {}: {fault}", file.display(), link.line, link.target);
        }
    }
    println!("doc-links: {checked} relative links in {} files lead somewhere, {dead} do not", pages.len());
    match (checked, dead) {
        (0, 0) => Err("no relative link was found: is this the repository?".into()),
        (_, 0) => Ok(()),
        _ => Err("the links above lead nowhere".into()),
    }
}

/// What a Markdown file has of links, and of places to link to.
#[derive(Default)]
struct Page {
    links: Vec<Link>,
    anchors: BTreeSet<String>,
}

struct Link {
    target: String,
    line: usize,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.link(&dest_url, text, &range);
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    for target in attributes(&html) {
                        page.link(target, text, &range);
                    }
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(words) | Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                Event::End(TagEnd::Heading(_)) => page.anchor(&heading.take().unwrap_or_default()),
                _ => {}
            }
        }
        page
    }

    /// Notes a link, if it is one to a file here: no address, and no path of Rust's.
    fn link(&mut self, target: &str, text: &str, range: &Range<usize>) {
        let is_path = !target.contains("::") && !target.contains(':') && !target.is_empty();
        if is_path && !is_rust(target) {
            let before = text.get(..range.start).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            self.links.push(Link { target: target.to_owned(), line });
        }
    }

    /// As the sites that show Markdown name it: small letters, hyphens for spaces, a number from the second one on.
    fn anchor(&mut self, heading: &str) {
        let name: String = heading
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let next = (1usize..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(next).find(|name| !self.anchors.contains(name));
        self.anchors.extend(free);
    }
}

/// Whether it names an item, as rustdoc lets a link do: `Client`, `Self`.
fn is_rust(target: &str) -> bool {
    !target.contains(['/', '.', '#'])
}

/// What `src` and `href` say.
fn attributes(html: &str) -> impl Iterator<Item = &str> {
    ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|name| html.split(name).skip(1).filter_map(|rest| rest.split('"').next()))
}

/// Why a link leads nowhere.
fn fault(
    file: &Path,
    target: &str,
    files: &BTreeSet<PathBuf>,
    pages: &BTreeMap<PathBuf, Page>,
) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        file.to_owned()
    } else {
        match normal(&file.parent().unwrap_or(Path::new("")).join(path)) {
            Some(path) => path,
            None => return Some("it leads out of the repository".to_owned()),
        }
    };
    let is_directory = || files.iter().any(|file| file.starts_with(&path));
    if !files.contains(&path) && !is_directory() {
        return Some("there is no such file".to_owned());
    }
    if anchor.is_empty() {
        return None;
    }
    match pages.get(&path) {
        // A line of a source file, perhaps.
        None => None,
        Some(page) if page.anchors.contains(anchor) => None,
        Some(_) => Some("there is no such heading".to_owned()),
    }
}

/// Without `.` and `..`; `None` when it leads above the root.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(page: &str, others: &[(&str, &str)]) -> Vec<(usize, String)> {
        let file = PathBuf::from("docs/page.md");
        let mut files = BTreeSet::from([file.clone(), "src/lib.rs".into()]);
        let mut pages = BTreeMap::from([(file.clone(), Page::read(page))]);
        for (name, text) in others {
            files.insert(name.into());
            pages.insert(name.into(), Page::read(text));
        }
        let links = &pages.get(&file).unwrap().links;
        links
            .iter()
            .filter_map(|link| Some((link.line, fault(&file, &link.target, &files, &pages)?)))
            .collect()
    }

    #[test]
    fn links_that_lead_nowhere_are_found_with_their_line() {
        let page =
            "[a](other.md)\n[b](none.md)\n\n[c](other.md#no)\n[d](../../x)\n\n<img src=\"none.svg\">\n";
        let others = [("docs/other.md", "# Yes\n")];
        let words = |line, why: &str| (line, why.to_owned());
        assert_eq!(
            faults(page, &others),
            [
                words(2, "there is no such file"),
                words(4, "there is no such heading"),
                words(5, "it leads out of the repository"),
                words(7, "there is no such file"),
            ]
        );
    }

    #[test]
    fn headings_files_directories_and_this_very_page_are_found() {
        let page = "# A `b`, c!\n# A `b`, c!\n[a](#a-b-c) [a](#a-b-c-1) [b](../src/lib.rs#L3) [c](../src) [d][ref]\n\n[ref]: other.md#x\n";
        assert_eq!(faults(page, &[("docs/other.md", "## X\n")]), []);
        assert_eq!(Page::read(page).links.len(), 5);
    }

    #[test]
    fn addresses_items_and_code_are_no_links_to_files() {
        let page = "[a](https://example.com/x.md) [`b`](crate::B) [c](Self) `[d](none.md)`\n```\n[e](none.md)\n```\n";
        assert_eq!(Page::read(page).links.len(), 0);
    }
}
