//! Reading JSON: what is taken, what is refused, and that a tagged enum keeps the shape that `serde` gives it.

use sealed_visit_protocol::consent::{Change, OnBehalfOf};
use sealed_visit_protocol::json::from_slice;
use sealed_visit_protocol::tagged_enum;
use sealed_visit_protocol::wire::{ClientMessage, GroupInfo, RelayErrorCode, RelayMessage};
use sealed_visit_protocol::{B64, Jws, ParticipantId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    from_slice(text.as_bytes()).map_err(|error| error.to_string())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    count: u32,
    #[serde(default)]
    note: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maybe: Option<bool>,
    #[serde(default)]
    list: Vec<(String, u8)>,
    #[serde(default)]
    map: BTreeMap<String, u64>,
}

tagged_enum! {
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Shape("Shape", tag = "kind") {
        Nothing,
        TwoWords { side: u32 },
        Inside(Inner),
        Nested { shape: Box<Shape> },
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    deep: u8,
}

#[test]
fn reads_structures_whatever_the_order_of_their_members() {
    let plain = read::<Plain>(
        r#" {"map":{"b":18446744073709551615,"a":0},"list":[["x",255]],"maybe":false,"note":"ä\n\u0041","count":7} "#,
    )
    .unwrap();
    assert_eq!(plain.count, 7);
    assert_eq!(plain.note, "ä\nA");
    assert_eq!(plain.maybe, Some(false));
    assert_eq!(plain.list, [("x".to_owned(), 255)]);
    assert_eq!(plain.map["b"], u64::MAX);
    let bare = read::<Plain>(r#"{"count":0,"maybe":null}"#).unwrap();
    assert_eq!((bare.maybe, bare.list.len()), (None, 0));
}

#[test]
fn passes_over_unknown_members() {
    let text = r#"{"count":1,"newer":{"x":[1.5,-2,null,true,"s"]}}"#;
    assert_eq!(read::<Plain>(text).unwrap().count, 1);
}

#[test]
fn refuses_other_types_ranges_and_missing_members_without_repeating_them() {
    for text in [
        r#"{"note":"secret"}"#,
        r#"{"count":"secret"}"#,
        r#"{"count":-1}"#,
        r#"{"count":1.0}"#,
        r#"{"count":4294967296}"#,
        r#"{"count":1,"note":5}"#,
        r#"{"count":1,"note":null}"#,
        r#"{"count":1,"maybe":"secret"}"#,
        r#"{"count":1,"list":[["x"]]}"#,
        r#"{"count":1,"list":[["x",1,2]]}"#,
        r#"{"count":1,"list":{}}"#,
        r#"{"count":1,"map":[]}"#,
        r#"[1,"secret"]"#,
        r#""secret""#,
        "null",
        "",
        "{",
        r#"{"count":1}{}"#,
        r#"{"count":1,}"#,
        "{\"count\":1,\"note\":\"\u{1}\"}",
    ] {
        let error = read::<Plain>(text).expect_err(text);
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(from_slice::<Plain>(b"{\"count\":1,\"note\":\"\xff\"}").is_err());
}

#[test]
fn names_the_member_that_is_missing() {
    let error = read::<Plain>(r#"{"note":""}"#).unwrap_err();
    assert_eq!(error, "the member count is missing");
    let error = read::<Shape>(r#"{"kind":"nested","shape":{"kind":"two_words"}}"#).unwrap_err();
    assert_eq!(error, "the member side is missing");
    let error = read::<Shape>("{}").unwrap_err();
    assert_eq!(error, "the member kind is missing");
}

#[test]
fn refuses_a_member_that_stands_twice_anywhere() {
    for text in [
        r#"{"count":1,"count":1}"#,
        r#"{"count":1,"unknown":{"a":1,"a":2}}"#,
        r#"{"count":1,"x":1,"y":2,"x":3}"#,
        r#"{"count":1,"map":{"a":1,"\u0061":2}}"#,
    ] {
        assert!(read::<Plain>(text).is_err(), "{text}");
    }
    assert!(read::<Shape>(r#"{"kind":"nothing","kind":"nothing"}"#).is_err());
}

#[test]
fn refuses_a_text_that_nests_too_deeply() {
    let text = format!(
        r#"{{"count":1,"x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(read::<Plain>(&text).is_err());
}

#[test]
fn reads_tagged_enums_wherever_the_tag_stands() {
    for (text, shape) in [
        (r#"{"kind":"nothing","more":1}"#, Shape::Nothing),
        (
            r#"{"side":3,"kind":"two_words"}"#,
            Shape::TwoWords { side: 3 },
        ),
        (
            r#"{"deep":4,"kind":"inside"}"#,
            Shape::Inside(Inner { deep: 4 }),
        ),
        (
            r#"{"shape":{"side":3,"kind":"two_words"},"kind":"nested"}"#,
            Shape::Nested {
                shape: Box::new(Shape::TwoWords { side: 3 }),
            },
        ),
    ] {
        assert_eq!(read::<Shape>(text).unwrap(), shape);
        // Not only through this crate's reader.
        assert_eq!(serde_json::from_str::<Shape>(text).unwrap(), shape);
        same_both_ways(&shape);
    }
    for text in [
        r#"{}"#,
        r#"{"kind":"other"}"#,
        r#"{"kind":7}"#,
        r#"{"kind":"two_words"}"#,
        r#"{"kind":"TwoWords","side":3}"#,
        r#"{"two_words":{"side":3}}"#,
        r#"{"kind":"inside"}"#,
        r#""nothing""#,
        r#"["nothing"]"#,
    ] {
        assert!(read::<Shape>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Shape>(text).is_err(), "{text}");
    }
}

#[test]
fn keeps_the_shapes_of_the_wire() {
    let id = || ParticipantId::from_bytes([3; 16]);
    same_both_ways(&ClientMessage::Ping {});
    same_both_ways(&ClientMessage::CreateGroup {
        group_id: B64(vec![1, 2, 3]),
        replaces: None,
    });
    same_both_ways(&RelayMessage::Ready {
        participant: id(),
        group: Some(GroupInfo {
            group_id: B64(vec![1]),
            epoch: u64::MAX,
            generation: 2,
        }),
        present: vec![id(), id()],
        waiting: vec![],
        seq: 9,
    });
    same_both_ways(&RelayMessage::Error {
        code: RelayErrorCode::NotAdmitted,
        detail: "it is over".into(),
    });
    same_both_ways(&OnBehalfOf::Myself);
    same_both_ways(&Change::Request(Jws::from_text("a.b.c")));
    assert_eq!(
        serde_json::to_string(&ClientMessage::Ping {}).unwrap(),
        r#"{"t":"ping"}"#
    );
    assert_eq!(
        read::<Change>(r#"{"jws":"a.b.c","kind":"request"}"#).unwrap(),
        Change::Request(Jws::from_text("a.b.c"))
    );
    assert!(read::<Change>(r#"{"kind":"request"}"#).is_err());
}

fn same_both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(read::<T>(&text).as_ref(), Ok(value), "{text}");
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
}
