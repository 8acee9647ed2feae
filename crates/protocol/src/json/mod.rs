//! A small JSON parser: everyone who joins a visit downloads it.
//!
//! `serde`'s own way with internally tagged enums buffers whatever they hold, and compiles every nested type once
//! more for that buffer and for every format. Here a text becomes a tree first ([`from_slice`], [`Tree`]), and every
//! type is read from trees only, once. Enums with a tag are declared by [`tagged_enum!`](crate::tagged_enum).
//!
//! Stricter than `serde_json` alone: an object that names a member twice is refused wherever it stands, and a
//! structure is an object, never an array. Two things of `serde`'s have no effect: `deny_unknown_fields`, and that an
//! `Option` may be missing without `#[serde(default)]`.
//!
//! | file | what |
//! |---|---|
//! | `error` | why a text is refused, without its words |
//! | `tree` | text to tree |
//! | `reader` | tree to value |
//! | `variants` | enums, those among them whose variant stands in a member |

mod error;
mod reader;
mod tree;
mod variants;

pub use error::Error;
pub use tree::Tree;
pub use variants::Tagged;

use serde::de::DeserializeOwned;

/// Reads a value from a whole JSON text in UTF-8.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    Tree::parse(text)?.read()
}

/// Declares an enum whose JSON is an object with the variant's name in one member (`tag`), and the variant's fields
/// beside it or, with `content`, its value in another member. `Serialize` is derived as usual, with the same
/// attributes; `Deserialize` is made here, without `serde`'s buffering. Names are in snake case.
///
/// The first literal repeats the enum's name: `serde` wants it in quotes.
#[macro_export]
macro_rules! tagged_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident($remote:literal, tag = $tag:literal $(, content = $content:literal)?) {
            $($variants:tt)*
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name { $($variants)* }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                #[derive(::serde::Deserialize)]
                #[serde(remote = $remote, rename_all = "snake_case")]
                #[allow(dead_code, clippy::large_enum_variant)]
                enum TaggedEnumVariants { $($variants)* }

                let tree = <$crate::json::Tree as ::serde::Deserialize>::deserialize(deserializer)?;
                #[allow(unused_mut, unused_assignments)]
                let mut content = None;
                $(content = Some($content);)?
                TaggedEnumVariants::deserialize($crate::json::Tagged { tree: &tree, tag: $tag, content })
                    .map_err(::serde::de::Error::custom)
            }
        }
    };
}
