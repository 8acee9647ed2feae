//! How parts make a recording.

use super::*;

const NOT_COMPARED: VaultSays =
    CannotJudge("a vault does not read an earlier part again to find a chain head");

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
        Refuses("open", "previous_tracks"),
        "The second part names a track that the first does not have.",
        |e| {
            e.sign(1, "open", |open| {
                open["previous"]["heads"][0][0] = other_id(9)
            });
        },
    );
    let cut = incomplete(&["previous-head-missing"]);
    g.add(
        "previous-head-of-another-track",
        "two-parts",
        cut,
        NOT_COMPARED,
        "The second part names the events track's chain head as the media track's.",
        |e| {
            e.sign(1, "open", |open| {
                open["previous"]["heads"][0][1] = open["previous"]["heads"][1][1].clone()
            });
        },
    );
    g.add(
        "previous-head-beyond-the-end",
        "two-parts",
        cut,
        NOT_COMPARED,
        "The second part names a chain head that no checkpoint of the first has.",
        |e| {
            e.sign(1, "open", |open| {
                open["previous"]["heads"][0][1] = other_hash(9)
            });
        },
    );
    g.add(
        "previous-names-one-track-of-two",
        "two-parts",
        cut,
        NOT_COMPARED,
        "The second part names a chain head for only one of the first part's tracks.",
        |e| {
            e.sign(1, "open", |open| {
                drop(open["previous"]["heads"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.add(
        "previous-without-heads",
        "two-parts",
        cut,
        NOT_COMPARED,
        "The second part names the first without any chain heads.",
        |e| {
            e.sign(1, "open", |open| open["previous"]["heads"] = json!([]));
        },
    );
    g.add(
        "previous-names-two-heads-of-a-track",
        "two-parts",
        cut,
        NOT_COMPARED,
        "The second part names two chain heads of one track, and the first part has only one of them.",
        |e| {
            e.sign(1, "open", |open| {
                let heads = open["previous"]["heads"].as_array_mut().unwrap();
                heads.push(json!([heads[0][0], other_hash(9)]));
            });
        },
    );
    g.add(
        "cut-after-a-crash",
        "cut-after-a-crash",
        cut,
        ITS_OWN,
        "The recorder died after three segments. The vault cut the part to two, closed it, and signed a receipt for that.",
        |_| {},
    );
    g.requirement("R-66");
    g.add(
        "closed-part-with-media-is-skipped",
        "crash-in-the-middle",
        altered(&["previous-differs"]),
        ITS_OWN,
        "The vault closed part 1, which holds media. Part 2 names part 0.",
        |e| {
            let previous = e.claims(1, "open")["previous"].clone();
            e.sign(2, "open", |open| open["previous"] = previous);
        },
    );
    g.add(
        "attempt-not-closed-yet",
        "after-an-attempt",
        incomplete(&["track-missing"]),
        ITS_OWN,
        "The vault opened part 1, but its answer was lost, and the vault has not closed the part yet.",
        |e| {
            e.part(1)["closing"] = Value::Null;
            e.part(1)["receipt"] = Value::Null;
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
