//! Recordings that must be accepted. A verifier that refuses everything fails here.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    let whole = CannotJudge("the vault draws new shares, and these envelopes are for other ones");
    g.requirement("R-57");
    g.add(
        "finished",
        "finished",
        COMPLETE,
        Takes,
        "The recording is one part with a manifest and a receipt.",
        |_| {},
    );
    g.add(
        "two-parts",
        "two-parts",
        COMPLETE,
        Takes,
        "There is a pause between two parts. The second names the first.",
        |_| {},
    );
    g.add(
        "closed",
        "closed",
        COMPLETE,
        ITS_OWN,
        "The vault closed the part. Everything it acknowledged is here.",
        |_| {},
    );
    g.add(
        "closed-and-finished",
        "closed-and-finished",
        COMPLETE,
        Takes,
        "A part has a closing record and a manifest: after the vault closed it, the device sent the rest.",
        |_| {},
    );
    g.add(
        "withdrawn",
        "withdrawn",
        COMPLETE,
        Takes,
        "The part ended because the patient withdrew.",
        |_| {},
    );
    g.add(
        "shares",
        "shares",
        COMPLETE,
        whole,
        "The tracks need the vault's shares to be opened.",
        |_| {},
    );
    g.add(
        "x-wing",
        "x-wing",
        COMPLETE,
        Takes,
        "The tracks are sealed to keys of the suite x-wing.",
        |_| {},
    );
    g.add("control-characters", "control-characters", COMPLETE, Takes, "A media type with terminal control characters is genuine. A program must make it harmless before showing it.", |_| {});
    g.add(
        "open",
        "open",
        incomplete(&[]),
        Takes,
        "A part without an end is good as far as its checkpoints go, but never complete.",
        |_| {},
    );
    g.requirement("R-58 The parts together");
    g.add(
        "paused",
        "paused",
        incomplete(&["ends-in-pause"]),
        Takes,
        "The last part ends in a pause, so another may have followed.",
        |_| {},
    );

    g.requirement("R-7");
    g.add(
        "unknown-member-in-manifest",
        "finished",
        COMPLETE,
        Takes,
        "A manifest has a member that readers do not know.",
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
        "An open statement has a member that readers do not know.",
        |e| {
            e.sign(0, "open", |open| open["weather"] = json!("rain"));
        },
    );
    g.add(
        "unknown-member-in-recording-json",
        "finished",
        COMPLETE,
        READERS_FILE,
        "recording.json has members of the vault's own.",
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
        "There is white space around recording.json.",
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
    g.add(
        "newer-envelope",
        "finished",
        COMPLETE,
        READERS_FILE,
        "The receipt names the envelope that existed when it was made. There may be a newer one.",
        |e| {
            let mut newer = e.part(0)["tracks"][0]["envelopes"][0].clone();
            let key = e.recording_key(0);
            edit::resign(&mut newer, "sv-envelope+jwt", &key, |claims| {
                claims["made"] = json!("later")
            });
            e.part(0)["tracks"][0]["envelopes"]
                .as_array_mut()
                .unwrap()
                .push(newer);
        },
    );
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
        "A gap's reason may be a code that FORMAT.md does not list.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["reason"] = json!("solar_flare")
            });
        },
    );
    g.requirement("R-58 The parts together");
    g.add(
        "after-a-crash",
        "after-a-crash",
        COMPLETE,
        ITS_OWN,
        "The recorder died and came back. The chain heads it names lie at the end of one track and before the end of the other.",
        |_| {},
    );
    g.add(
        "previous-head-before-the-end",
        "two-parts",
        COMPLETE,
        Takes,
        "A chain head in `previous` is that of an earlier checkpoint: the recorder wrote it down before the last one.",
        |e| {
            let head = e.head(0, 0, 0);
            e.sign(1, "open", |open| open["previous"]["heads"][0][1] = head);
        },
    );
    g.add(
        "previous-head-before-the-first-segment",
        "two-parts",
        COMPLETE,
        Takes,
        "A chain head in `previous` is the one before the first segment: nothing was recorded in that track yet.",
        |e| {
            let head = e.first_head(0, 0);
            e.sign(1, "open", |open| open["previous"]["heads"][0][1] = head);
        },
    );
    g.requirement("R-66");
    g.add(
        "after-an-attempt",
        "after-an-attempt",
        COMPLETE,
        ITS_OWN,
        "The vault opened part 1, but its answer was lost. Part 2 names part 0, and part 1 holds nothing.",
        |_| {},
    );
    g.requirement("R-58 The parts together");
    g.requirement("R-57");
    g.add(
        "manifest-without-places",
        "finished",
        COMPLETE,
        Takes,
        "No rule requires a confirmed place.",
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
        "A confirmed place that nobody stated is genuine, but confirms nothing.",
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
