//! Values from trees.

use super::error::{Error, Problem};
use super::tree::Tree;
use super::variants::{Content, Variant};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

#[derive(Clone, Copy)]
pub(super) struct TreeReader<'a> {
    pub(super) tree: &'a Tree,
}

impl<'de> Deserializer<'de> for TreeReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Negative(value) => visitor.visit_i64(*value),
            Tree::Fraction => visitor.visit_f64(0.0),
            Tree::Text(value) => visitor.visit_borrowed_str(value),
            Tree::Array(items) => visitor.visit_seq(Items(items.iter())),
            Tree::Object(members) => visitor.visit_map(Members::new(members)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Bool(value) => visitor.visit_bool(*value),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Text(value) => visitor.visit_str(value),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Array(items) => visitor.visit_seq(Items(items.iter())),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Array(items) if items.len() == length => visitor.visit_seq(Items(items.iter())),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Object(members) => visitor.visit_map(Members::new(members)),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Object(members) => read_fields(members, fields, visitor),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    /// Names only: enums that hold something are declared by `tagged_enum!`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.tree {
            Tree::Text(name) => visitor.visit_enum(Variant {
                index: index_of(name, variants).ok_or(Error::new(Problem::Value))?,
                content: Content::None,
            }),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct identifier
    }
}

pub(super) fn index_of(name: &str, names: &[&str]) -> Option<u64> {
    let index = names.iter().position(|known| *known == name)?;
    Some(index as u64)
}

struct Items<'a>(std::slice::Iter<'a, Tree>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.0.next() {
            Some(tree) => seed.deserialize(TreeReader { tree }).map(Some),
            None => Ok(None),
        }
    }
}

/// A structure's fields in the order of their declaration, found by name. `serde` takes a structure as a sequence as
/// well, which is a third of the code of a map whose members may come in any order; a field that is missing is an
/// element that is missing.
pub(super) fn read_fields<'de, V: Visitor<'de>>(
    members: &'de [(String, Tree)],
    fields: &'static [&'static str],
    visitor: V,
) -> Result<V::Value, Error> {
    let rest = fields.iter();
    let read = visitor.visit_seq(Fields { members, rest });
    read.map_err(|error| error.naming(fields))
}

struct Fields<'a> {
    members: &'a [(String, Tree)],
    rest: std::slice::Iter<'static, &'static str>,
}

impl<'a> Fields<'a> {
    fn next_member(&mut self) -> Option<TreeReader<'a>> {
        let field = self.rest.next()?;
        let (_, tree) = self.members.iter().find(|(name, _)| name == field)?;
        Some(TreeReader { tree })
    }
}

impl<'de> SeqAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.next_member() {
            Some(reader) => seed.deserialize(reader).map(Some),
            None => Ok(None),
        }
    }
}

struct Members<'a> {
    rest: &'a [(String, Tree)],
    value: &'a Tree,
}

impl<'a> Members<'a> {
    fn new(rest: &'a [(String, Tree)]) -> Self {
        Self {
            rest,
            value: &Tree::Null,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(((name, value), rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        self.value = value;
        seed.deserialize(de::value::BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(TreeReader { tree: self.value })
    }
}

// --- Enums that hold something ------------------------------------------------------------------
