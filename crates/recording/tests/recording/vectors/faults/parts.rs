//! How parts make a recording.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    g.requirement("R-58 The parts together");
    g.add(
        "no-part",
        "finished",
        altered(&["no-part"]),
        READERS_FILE,
        "The recording has no parts.",
        |e| e.parts().clear(),
    );
    g.add(
        "part-0-missing",
        "two-parts",
        incomplete(&["part-missing"]),
        READERS_FILE,
        "The first part is missing.",
        |e| {
            e.parts().remove(0);
        },
    );
    g.add(
        "last-part-missing",
        "two-parts",
        incomplete(&["ends-in-pause"]),
        READERS_FILE,
        "The part after the pause is missing.",
        |e| {
            e.parts().remove(1);
        },
    );
    g.add(
        "part-twice",
        "two-parts",
        altered(&["part-twice"]),
        READERS_FILE,
        "Part 0 is here twice.",
        |e| {
            let first = e.parts()[0].clone();
            e.parts().push(first);
        },
    );
    g.add(
        "parts-of-two-recordings",
        "parts-of-two-recordings",
        altered(&["other-recording", "listed-elsewhere"]),
        READERS_FILE,
        "The second part belongs to another recording of the same visit.",
        |_| {},
    );
    g.add(
        "previous-missing",
        "two-parts",
        incomplete(&["previous-missing"]),
        Takes,
        "The second part does not name the first.",
        |e| {
            e.sign(1, "open", |open| {
                drop(open.as_object_mut().unwrap().remove("previous"))
            });
        },
    );
    g.add(
        "previous-is-itself",
        "two-parts",
        altered(&["previous-differs"]),
        Refuses("open", "previous_part"),
        "The second part names itself as the one before it.",
        |e| {
            e.sign(1, "open", |open| open["previous"]["part"] = json!(1));
        },
    );
    g.add(
        "previous-is-later",
        "two-parts",
        altered(&["previous-differs"]),
        Refuses("open", "previous_part"),
        "The second part names a later part as the one before it.",
        |e| {
            e.sign(1, "open", |open| open["previous"]["part"] = json!(2));
        },
    );
    g.add(
        "previous-of-the-first-part",
        "finished",
        altered(&["previous-differs"]),
        Refuses("open", "previous_part"),
        "Part 0 names a part before it.",
        |e| {
            e.sign(0, "open", |open| {
                open["previous"] = json!({"part": 0, "heads": []})
            });
        },
    );
    g.add(
        "previous-names-other-tracks",
        "two-parts",
        altered(&["previous-differs"]),
        CannotJudge("a vault compares only the number in `previous`"),
        "The second part names a track that the first does not have.",
        |e| {
            e.sign(1, "open", |open| {
                open["previous"]["heads"][0][0] = other_id(9)
            });
        },
    );
    g.requirement("R-57");
    g.add(
        "open-part-before-another",
        "two-parts",
        incomplete(&[]),
        ITS_OWN,
        "The first part has no end, although a second part followed.",
        |e| {
            e.part(0)["manifest"] = Value::Null;
            e.part(0)["receipt"] = Value::Null;
        },
    );
    g.vectors
}
