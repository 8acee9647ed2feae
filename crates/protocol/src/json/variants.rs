//! Enums: those written as a word, and those written as an object whose member names the variant.

use super::error::{Error, Problem};
use super::reader::{TreeReader, index_of, read_fields};
use super::tree::Tree;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

/// An object whose member `tag` names the variant.
#[doc(hidden)]
pub struct Tagged<'a> {
    pub tree: &'a Tree,
    pub tag: &'static str,
    /// The member that holds the variant's value; without one the object itself does.
    pub content: Option<&'static str>,
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Tree::Object(members) = self.tree else {
            return Err(Error::new(Problem::Type));
        };
        let Tree::Text(name) = member(members, self.tag)? else {
            return Err(Error::new(Problem::Type));
        };
        visitor.visit_enum(Variant {
            index: index_of(name, variants).ok_or(Error::new(Problem::Value))?,
            content: match self.content {
                Some(content) => Content::Value(member(members, content)?),
                None => Content::Rest(members),
            },
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::new(Problem::Type))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn member<'a>(members: &'a [(String, Tree)], name: &'static str) -> Result<&'a Tree, Error> {
    members
        .iter()
        .find(|(member, _)| member == name)
        .map(|(_, value)| value)
        .ok_or(Error::new(Problem::Missing(name)))
}

pub(super) enum Content<'a> {
    None,
    Value(&'a Tree),
    /// All members, the tag among them.
    Rest(&'a [(String, Tree)]),
}

pub(super) struct Variant<'a> {
    pub(super) index: u64,
    pub(super) content: Content<'a>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Error> {
        let index = de::value::U64Deserializer::new(self.index);
        Ok((seed.deserialize(index)?, self.content))
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        match self {
            Self::None => Err(Error::new(Problem::Type)),
            Self::Value(tree) => seed.deserialize(TreeReader { tree }),
            Self::Rest(members) => seed.deserialize(RestReader { members }),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Rest(members) => read_fields(members, fields, visitor),
            _ => Err(Error::new(Problem::Type)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::new(Problem::Type))
    }
}

/// A structure whose members stand beside the tag.
struct RestReader<'a> {
    members: &'a [(String, Tree)],
}

impl<'de> Deserializer<'de> for RestReader<'de> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        read_fields(self.members, fields, visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::new(Problem::Type))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
