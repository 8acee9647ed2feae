//! A text as a tree: read once, for whatever type it then is read as.

use super::error::Error;
use super::reader::TreeReader;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value. Nothing here uses fractions; one that stands in an unknown member is passed over.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Fraction,
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// The largest integer that every JSON parser reads exactly: 2^53 - 1 (RFC 8259, section 6).
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

impl Tree {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(text).map_err(|error| Error::at(&error))
    }

    /// Whether every number in it, in unknown members too, is an integer from 0 to [`MAX_INTEGER`], written in digits alone.
    pub(crate) fn has_plain_numbers(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Text(_) => true,
            Self::Unsigned(value) => *value <= MAX_INTEGER,
            Self::Negative(_) | Self::Fraction => false,
            Self::Array(items) => items.iter().all(Self::has_plain_numbers),
            Self::Object(members) => members.iter().all(|(_, value)| value.has_plain_numbers()),
        }
    }

    /// How many members an object has.
    pub(crate) fn members(&self) -> Option<usize> {
        match self {
            Self::Object(members) => Some(members.len()),
            _ => None,
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(TreeReader { tree: self })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(u64::try_from(value).map_or(Tree::Negative(value), Tree::Unsigned))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object: Vec<(String, Tree)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            object.push((name, members.next_value()?));
        }
        if names_one_twice(&object) {
            return Err(de::Error::custom("a member is named twice"));
        }
        Ok(Tree::Object(object))
    }
}

fn names_one_twice(object: &[(String, Tree)]) -> bool {
    let mut names: Vec<&str> = object.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

// --- Reading from the tree ----------------------------------------------------------------------
