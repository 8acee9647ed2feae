//! JSON in, values out, in little code: everybody who joins a visit downloads it.
//!
//! `serde`'s own way with internally tagged enums buffers whatever they hold, and compiles every nested type once
//! more for that buffer and for every format. Here a text becomes a tree first ([`from_slice`], [`Tree`]), and every
//! type is read from trees only, once. Enums with a tag are declared by [`tagged_enum!`](crate::tagged_enum).
//!
//! Stricter than `serde_json` alone: an object that names a member twice is refused wherever it stands, and a
//! structure is an object, never an array. Two things of `serde`'s have no effect: `deny_unknown_fields`, and that an
//! `Option` may be missing without `#[serde(default)]`.

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Reads a value from a whole JSON text in UTF-8.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    Tree::parse(text)?.read()
}

/// Why a text is not the expected JSON. It never holds the text itself, which may be a person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// Not JSON, or a member named twice.
    Text {
        line: usize,
        column: usize,
    },
    Missing(&'static str),
    /// The field of this number in its structure.
    MissingNumber(usize),
    /// A string where a number should be, or the like.
    Type,
    /// A string or number that is none of the allowed ones.
    Value,
    /// What a type of this project says.
    Custom(String),
}

impl Error {
    fn at(error: &serde_json::Error) -> Self {
        Self::new(Problem::Text {
            line: error.line(),
            column: error.column(),
        })
    }

    const fn new(problem: Problem) -> Self {
        Self { problem }
    }

    fn naming(self, fields: &'static [&'static str]) -> Self {
        match self.problem {
            Problem::MissingNumber(number) if number < fields.len() => {
                Self::new(Problem::Missing(fields[number]))
            }
            _ => self,
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Text { line, column } => {
                write!(f, "not JSON at line {line}, column {column}")
            }
            Problem::Missing(field) => write!(f, "the member {field} is missing"),
            Problem::MissingNumber(number) => write!(f, "member number {number} is missing"),
            Problem::Type => f.write_str("a value is of another type than expected"),
            Problem::Value => f.write_str("a value or member is none of the expected ones"),
            Problem::Custom(text) => f.write_str(text),
        }
    }
}

// The defaults would write out what came, and what was expected, which costs much code.
impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Problem::Custom(text.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new(Problem::Type)
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new(Problem::Value)
    }

    fn invalid_length(number: usize, _: &dyn de::Expected) -> Self {
        Self::new(Problem::MissingNumber(number))
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::new(Problem::Value)
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::new(Problem::Value)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::new(Problem::Value)
    }
}

// --- The tree -----------------------------------------------------------------------------------

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

impl Tree {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(text).map_err(|error| Error::at(&error))
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

#[derive(Clone, Copy)]
struct TreeReader<'a> {
    tree: &'a Tree,
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

fn index_of(name: &str, names: &[&str]) -> Option<u64> {
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
fn read_fields<'de, V: Visitor<'de>>(
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

enum Content<'a> {
    None,
    Value(&'a Tree),
    /// All members, the tag among them.
    Rest(&'a [(String, Tree)]),
}

struct Variant<'a> {
    index: u64,
    content: Content<'a>,
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
