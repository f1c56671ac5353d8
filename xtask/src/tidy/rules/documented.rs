//! `documented`: every public item has a doc comment. `pub(crate)` is not public; a plain `pub` counts wherever it is.

use proc_macro2::Ident;
use syn::{Attribute, Expr, Fields, ImplItem, Item, ItemMod, Lit, Meta, TraitItem, Visibility};

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tokens::{module_directory, without_tests};
use crate::tidy::tree::{File, Tree};

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.rust_files() {
        let in_crate = file.path.starts_with("crates/") && file.is_in_directory("src");
        if in_crate && !tree.is_test_only(file) {
            let parsed: syn::File = syn::parse2(without_tests(file.tokens()))?;
            let mut checker = Checker { tree, file, found: &mut *found };
            checker.items(&parsed.items, &module_directory(&file.path));
        }
    }
    Ok(())
}

struct Checker<'a> {
    tree: &'a Tree,
    file: &'a File,
    found: Found<'a>,
}

impl Checker<'_> {
    fn items(&mut self, items: &[Item], directory: &str) {
        for item in items {
            self.item(item, directory);
        }
    }

    /// `directory` is where a module declared beside the item has its file.
    fn item(&mut self, item: &Item, directory: &str) {
        match item {
            Item::Const(item) => self.require(&item.vis, &item.attrs, "const", &item.ident),
            Item::Static(item) => self.require(&item.vis, &item.attrs, "static", &item.ident),
            Item::Fn(item) => self.require(&item.vis, &item.attrs, "fn", &item.sig.ident),
            Item::Type(item) => self.require(&item.vis, &item.attrs, "type", &item.ident),
            Item::TraitAlias(item) => self.require(&item.vis, &item.attrs, "trait", &item.ident),
            Item::Struct(item) if !is_hidden(&item.attrs) => {
                self.require(&item.vis, &item.attrs, "struct", &item.ident);
                self.fields(&item.fields, None);
            }
            Item::Enum(item) if !is_hidden(&item.attrs) => {
                self.require(&item.vis, &item.attrs, "enum", &item.ident);
                for variant in &item.variants {
                    self.require(&item.vis, &variant.attrs, "variant", &variant.ident);
                    if !is_hidden(&variant.attrs) {
                        self.fields(&variant.fields, Some(&item.vis));
                    }
                }
            }
            Item::Trait(item) if !is_hidden(&item.attrs) => {
                self.require(&item.vis, &item.attrs, "trait", &item.ident);
                for member in &item.items {
                    let (attributes, kind, name) = match member {
                        TraitItem::Const(member) => (&member.attrs, "const", &member.ident),
                        TraitItem::Fn(member) => (&member.attrs, "fn", &member.sig.ident),
                        TraitItem::Type(member) => (&member.attrs, "type", &member.ident),
                        _ => continue,
                    };
                    self.require(&item.vis, attributes, kind, name);
                }
            }
            Item::Impl(item) if item.trait_.is_none() && !is_hidden(&item.attrs) => {
                for member in &item.items {
                    match member {
                        ImplItem::Const(member) => {
                            self.require(&member.vis, &member.attrs, "const", &member.ident);
                        }
                        ImplItem::Fn(member) => {
                            self.require(&member.vis, &member.attrs, "fn", &member.sig.ident);
                        }
                        _ => {}
                    }
                }
            }
            Item::Macro(item) => {
                let exported = item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
                if let Some(name) = item.ident.as_ref().filter(|_| exported && !is_explained(&item.attrs)) {
                    self.complain("macro", name);
                }
            }
            Item::Mod(item) if !is_hidden(&item.attrs) => self.module(item, directory),
            _ => {}
        }
    }

    fn module(&mut self, item: &ItemMod, directory: &str) {
        let inside = format!("{directory}{}", item.ident);
        if !self.opens_with_doc(&inside) {
            self.require(&item.vis, &item.attrs, "mod", &item.ident);
        }
        if let Some((_, items)) = &item.content {
            self.items(items, &format!("{inside}/"));
        }
    }

    /// Whether the file of a module begins with `//!`.
    fn opens_with_doc(&self, module: &str) -> bool {
        let file =
            self.tree.file(&format!("{module}.rs")).or_else(|| self.tree.file(&format!("{module}/mod.rs")));
        file.is_some_and(|file| file.text.trim_start().starts_with("//!"))
    }

    /// A field is as visible as it says, in an enum as the enum. The numbered ones speak through their struct.
    fn fields(&mut self, fields: &Fields, of_enum: Option<&Visibility>) {
        for field in fields {
            if let Some(name) = &field.ident {
                self.require(of_enum.unwrap_or(&field.vis), &field.attrs, "field", name);
            }
        }
    }

    fn require(&mut self, visibility: &Visibility, attributes: &[Attribute], kind: &str, name: &Ident) {
        if matches!(visibility, Visibility::Public(_)) && !is_explained(attributes) {
            self.complain(kind, name);
        }
    }

    fn complain(&mut self, kind: &str, name: &Ident) {
        let message = format!("{kind} `{name}` is public: say in a doc comment what it is for");
        (self.found)(Violation::new(&self.file.path, name.span().start().line, message));
    }
}

fn is_explained(attributes: &[Attribute]) -> bool {
    is_hidden(attributes) || attributes.iter().any(|attribute| documents(&attribute.meta))
}

/// `#[doc = "..."]`, which is what `/// ...` is, with something in it, or with a macro that makes it.
fn documents(meta: &Meta) -> bool {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => matches!(&literal.lit, Lit::Str(text) if !text.value().trim().is_empty()),
            _ => true,
        },
        _ => false,
    }
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("doc") && list.tokens.to_string().split([',', ' ']).any(|word| word == "hidden"))
    })
}
