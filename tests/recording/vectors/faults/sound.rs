//! Recordings that must be accepted, for what they are: a verifier that refuses everything fails.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    let whole = CannotJudge("it draws shares of its own, and the envelopes are for these");
    g.requirement("R-57");
    g.add(
        "finished",
        "finished",
        COMPLETE,
        Takes,
        "One part with a manifest and a receipt.",
        |_| {},
    );
    g.add(
        "two-parts",
        "two-parts",
        COMPLETE,
        Takes,
        "A pause between two parts: the second names the first.",
        |_| {},
    );
    g.add(
        "closed",
        "closed",
        COMPLETE,
        ITS_OWN,
        "A part that the vault closed: all that it acknowledged is here.",
        |_| {},
    );
    g.add(
        "closed-and-finished",
        "closed-and-finished",
        COMPLETE,
        Takes,
        "A closing record beside a manifest, of a part whose device had more.",
        |_| {},
    );
    g.add(
        "withdrawn",
        "withdrawn",
        COMPLETE,
        Takes,
        "A part that ended because the patient withdrew.",
        |_| {},
    );
    g.add(
        "shares",
        "shares",
        COMPLETE,
        whole,
        "Tracks that need the vault's shares.",
        |_| {},
    );
    g.add(
        "x-wing",
        "x-wing",
        COMPLETE,
        Takes,
        "Tracks sealed to keys of the suite x-wing.",
        |_| {},
    );
    g.add("control-characters", "control-characters", COMPLETE, Takes, "A media type with a terminal's control characters is genuine; whoever shows it must show it harmlessly.", |_| {});
    g.add(
        "open",
        "open",
        incomplete(&[]),
        Takes,
        "A part without an end: good as far as its checkpoints go, and never complete.",
        |_| {},
    );
    g.requirement("R-58 The parts together");
    g.add(
        "paused",
        "paused",
        incomplete(&["ends-in-pause"]),
        Takes,
        "The last part ends in a pause: another may have followed.",
        |_| {},
    );

    g.requirement("R-7");
    g.add(
        "unknown-member-in-manifest",
        "finished",
        COMPLETE,
        Takes,
        "A reader skips members that it does not know.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["weather"] = json!({"rain": [1, 2, null]})
            });
        },
    );
    g.add(
        "unknown-member-in-open-statement",
        "finished",
        COMPLETE,
        Takes,
        "A reader skips members that it does not know, in an open statement as well.",
        |e| {
            e.sign(0, "open", |open| open["weather"] = json!("rain"));
        },
    );
    g.add(
        "unknown-member-in-recording-json",
        "finished",
        COMPLETE,
        READERS_FILE,
        "Members of the vault's own in recording.json are skipped.",
        |e| {
            e.folder.recording["state"] = json!("kept");
            e.part(0)["size_bytes"] = json!(7);
        },
    );

    g.add(
        "white-space-in-recording-json",
        "finished",
        COMPLETE,
        READERS_FILE,
        "recording.json is JSON, however it is set.",
        |e| {
            e.recording_text = Some(format!("\n \t{}\r\n", e.folder.recording_text()));
        },
    );
    g.requirement("R-58 The parts together");
    g.add(
        "parts-in-another-order",
        "two-parts",
        COMPLETE,
        READERS_FILE,
        "Parts are put together by their numbers, not by their order in recording.json.",
        |e| {
            e.parts().reverse();
        },
    );
    g.requirement("R-7");
    g.add(
        "tracks-in-another-order",
        "finished",
        COMPLETE,
        READERS_FILE,
        "Tracks are found by their ids, not by their order in recording.json.",
        |e| {
            e.part(0)["tracks"].as_array_mut().unwrap().reverse();
        },
    );
    g.requirement("R-58 Receipt");
    g.add("newer-envelope", "finished", COMPLETE, READERS_FILE, "The receipt names the envelope that was there when it was made; a newer one may stand beside it.", |e| {
        let mut newer = e.part(0)["tracks"][0]["envelopes"][0].clone();
        let key = e.recording_key(0);
        edit::resign(&mut newer, "sv-envelope+jwt", &key, |claims| claims["made"] = json!("later"));
        e.part(0)["tracks"][0]["envelopes"].as_array_mut().unwrap().push(newer);
    });
    g.requirement("R-57");
    g.add(
        "no-receipt",
        "finished",
        COMPLETE,
        ITS_OWN,
        "A recording needs no receipt to be complete.",
        |e| {
            e.part(0)["receipt"] = Value::Null;
        },
    );

    g.requirement("R-58 Manifest");
    g.add(
        "unknown-gap-reason",
        "finished",
        COMPLETE,
        Takes,
        "A gap's reason may be another code than those that FORMAT.md lists.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["reason"] = json!("solar_flare")
            });
        },
    );
    g.requirement("R-58 The parts together");
    g.add(
        "previous-head-before-the-end",
        "two-parts",
        COMPLETE,
        Takes,
        "The chain heads in `previous` are as far as the recorder knew them.",
        |e| {
            e.sign(1, "open", |open| {
                open["previous"]["heads"][0][1] = other_hash(9)
            });
        },
    );
    g.add(
        "previous-without-heads",
        "two-parts",
        COMPLETE,
        Takes,
        "A recorder that knew no chain head names the part alone.",
        |e| {
            e.sign(1, "open", |open| open["previous"]["heads"] = json!([]));
        },
    );
    g.requirement("R-57");
    g.add(
        "manifest-without-places",
        "finished",
        COMPLETE,
        Takes,
        "No rule asks for a confirmed place.",
        |e| {
            e.sign(0, "manifest", |m| {
                drop(m.as_object_mut().unwrap().remove("places"))
            });
        },
    );
    g.requirement("R-58 Manifest");
    g.add(
        "place-of-somebody-who-stated-another",
        "finished",
        COMPLETE,
        Takes,
        "A confirmed place that nobody stated is genuine, and confirms nothing.",
        |e| {
            e.sign(0, "manifest", |m| {
                edit::resign(
                    &mut m["places"][0],
                    "sv-place+jwt",
                    &base::CLINICIAN,
                    |place| place["place"] = json!("US-NY"),
                );
            });
        },
    );
    g.vectors
}
