//! Manifests, closing records and receipts: what they say of the tracks, and what they carry.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    manifests(&mut g);
    carried(&mut g);
    closings(&mut g);
    receipts(&mut g);
    g.vectors
}

fn refuses(code: &'static str) -> VaultSays {
    Refuses("manifest", code)
}

const NOT_READ: VaultSays = CannotJudge("a vault stores this for readers without judging it");

fn manifests(g: &mut Group) {
    let elsewhere = altered(&["manifest-of-another-part"]);
    g.requirement("R-58 Manifest");
    g.add(
        "manifest-of-another-open-statement",
        "finished",
        elsewhere,
        refuses("other_part"),
        "The manifest names another open statement.",
        |e| {
            e.put_alone(0, "manifest", |m| m["open"] = other_hash(9));
            e.receipt_for_what_is_here(0);
        },
    );
    g.add(
        "manifest-of-another-part",
        "finished",
        elsewhere,
        refuses("other_part"),
        "The manifest names another part.",
        |e| {
            e.sign(0, "manifest", |m| m["part"] = json!(1));
        },
    );
    g.add(
        "manifest-of-another-recording",
        "finished",
        elsewhere,
        refuses("other_part"),
        "The manifest names another recording.",
        |e| {
            e.sign(0, "manifest", |m| m["recording"] = other_id(9));
        },
    );
    let tracks = altered(&["end-tracks-differ"]);
    g.add(
        "manifest-without-tracks",
        "finished",
        tracks,
        refuses("other_tracks"),
        "The manifest names no track.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"] = json!([]));
        },
    );
    g.add(
        "manifest-of-one-track-of-two",
        "finished",
        tracks,
        refuses("other_tracks"),
        "The manifest names only one of two tracks.",
        |e| {
            e.sign(0, "manifest", |m| {
                drop(m["tracks"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.add(
        "manifest-names-a-track-twice",
        "finished",
        tracks,
        refuses("other_tracks"),
        "The manifest names one track twice, and the other not at all.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"][1] = m["tracks"][0].clone());
        },
    );
    g.add(
        "manifest-names-an-unknown-track",
        "finished",
        tracks,
        refuses("other_tracks"),
        "The manifest names a track that the open statement does not have.",
        |e| {
            e.sign(0, "manifest", |m| {
                let mut stranger = m["tracks"][0].clone();
                stranger["track"] = other_id(9);
                m["tracks"].as_array_mut().unwrap().push(stranger);
            });
        },
    );
    let differs = altered(&["end-differs"]);
    g.add(
        "end-header-differs",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names the wrong header hash for a track.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["header_hash"] = other_hash(9)
            });
        },
    );
    g.add(
        "end-head-differs",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names the wrong chain head for a track.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"][0]["head"] = other_hash(9));
        },
    );
    g.add(
        "end-index-differs",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names the wrong index hash for a track.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["index_hash"] = other_hash(9)
            });
        },
    );
    g.add(
        "end-length-differs",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names a shorter length for a track, but the right number of segments.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["length_bytes"] = json!(100)
            });
        },
    );
    g.add(
        "end-media-time-differs",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names the wrong media time for a track.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["media_end_us"] = json!(900_000)
            });
        },
    );
    g.add(
        "end-fewer-segments",
        "finished",
        differs,
        refuses("track_differs"),
        "The manifest names fewer segments than the track has.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"][0]["segments"] = json!(2));
        },
    );
    g.add(
        "end-more-segments",
        "finished",
        altered(&["track-altered"]),
        refuses("track_differs"),
        "The manifest names more segments than the track has, but the right length.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"][0]["segments"] = json!(4));
        },
    );
    let times = altered(&["end-times-invalid"]);
    g.add(
        "manifest-ends-before-it-begins",
        "finished",
        times,
        NOT_READ,
        "The manifest ends before it begins.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["ended_ms"] = json!(m["started_ms"].as_u64().unwrap() - 1)
            });
        },
    );
    g.add(
        "manifest-ends-as-it-begins",
        "finished",
        COMPLETE,
        Takes,
        "A part may end in the same millisecond in which it began.",
        |e| {
            e.sign(0, "manifest", |m| m["ended_ms"] = m["started_ms"].clone());
        },
    );
    g.add(
        "gap-ends-before-it-begins",
        "finished",
        times,
        NOT_READ,
        "A gap ends before it begins.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["to_us"] = json!(99_999)
            });
        },
    );
    g.add(
        "gap-after-the-end",
        "finished",
        times,
        NOT_READ,
        "A gap begins after its track has ended.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["from_us"] = json!(750_001);
                m["tracks"][0]["gaps"][0]["to_us"] = json!(750_002);
            });
        },
    );
    g.add(
        "gap-past-the-end",
        "finished",
        COMPLETE,
        Takes,
        "A gap reaches past the end of its track: what came last was not captured.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["to_us"] = json!(5_750_000)
            });
        },
    );
    g.add(
        "gap-up-to-the-end",
        "finished",
        COMPLETE,
        Takes,
        "A gap may end with its track.",
        |e| {
            e.sign(0, "manifest", |m| {
                m["tracks"][0]["gaps"][0]["to_us"] = json!(750_000)
            });
        },
    );
}

/// What a manifest carries: the withdrawal, and places.
fn carried(g: &mut Group) {
    let invalid = altered(&["withdrawal-invalid"]);
    g.requirement("R-58 Manifest");
    g.add(
        "withdrawal-is-a-grant",
        "withdrawn",
        invalid,
        NOT_READ,
        "The manifest carries a grant as its withdrawal.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| said["kind"] = json!("grant"));
        },
    );
    g.add(
        "withdrawal-signature-altered",
        "withdrawn",
        invalid,
        NOT_READ,
        "The withdrawal's signature was altered.",
        |e| {
            e.sign(0, "manifest", |m| {
                let statement = m["withdrawal"].as_str().unwrap().to_owned();
                m["withdrawal"] = json!(with_another_signature(statement));
            });
        },
    );
    g.add(
        "withdrawal-by-another-key",
        "withdrawn",
        invalid,
        NOT_READ,
        "The patient's withdrawal is signed by the clinician.",
        |e| {
            e.withdrawal(&base::CLINICIAN, |_| {});
        },
    );
    g.add(
        "withdrawal-of-another-round",
        "withdrawn",
        invalid,
        NOT_READ,
        "The withdrawal is from another consent round.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| said["round"] = other_id(9));
        },
    );
    g.add(
        "withdrawal-of-another-group",
        "withdrawn",
        invalid,
        NOT_READ,
        "The withdrawal is from another group.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| said["group_id"] = json!("b3RoZXI"));
        },
    );
    g.add(
        "withdrawal-of-another-visit",
        "withdrawn",
        invalid,
        NOT_READ,
        "The withdrawal is from another visit.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| said["visit"] = other_id(9));
        },
    );
    g.add(
        "withdrawal-by-somebody-who-joined-later",
        "withdrawn",
        COMPLETE,
        Takes,
        "The withdrawal is by somebody who joined after the part began and was shown its request.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| {
                edit::resign(&mut said["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                    pass["sub"] = other_id(9);
                });
            });
        },
    );
    g.add(
        "withdrawal-by-a-stranger",
        "withdrawn",
        invalid,
        NOT_READ,
        "The withdrawal is by somebody who did not grant, and for another request.",
        |e| {
            e.withdrawal(&base::PATIENT, |said| {
                said["request"] = other_hash(9);
                edit::resign(&mut said["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                    pass["sub"] = other_id(9)
                });
            });
        },
    );
    let invalid = altered(&["place-invalid"]);
    g.add(
        "place-signature-altered",
        "finished",
        invalid,
        NOT_READ,
        "The signature of a confirmed place was altered.",
        |e| {
            e.sign(0, "manifest", |m| {
                let place = m["places"][0].as_str().unwrap().to_owned();
                m["places"][0] = json!(with_another_signature(place));
            });
        },
    );
    g.add(
        "place-by-the-patient",
        "finished",
        invalid,
        NOT_READ,
        "The patient confirmed their own place.",
        |e| {
            let pass = e.claims(0, "open")["roster"][1].clone();
            e.place(&base::PATIENT, |place| place["pass"] = pass);
        },
    );
    g.add(
        "place-of-another-round",
        "finished",
        invalid,
        NOT_READ,
        "A place was confirmed in another consent round.",
        |e| {
            e.place(&base::CLINICIAN, |place| place["round"] = other_id(9));
        },
    );
    g.add(
        "place-of-another-group",
        "finished",
        invalid,
        NOT_READ,
        "A place was confirmed in another group.",
        |e| {
            e.place(&base::CLINICIAN, |place| {
                place["group_id"] = json!("b3RoZXI")
            });
        },
    );
    g.add(
        "place-of-another-visit",
        "finished",
        invalid,
        NOT_READ,
        "A place was confirmed in another visit.",
        |e| {
            e.place(&base::CLINICIAN, |place| place["visit"] = other_id(9));
        },
    );
}

fn closings(g: &mut Group) {
    let invalid = altered(&["closing-invalid"]);
    g.requirement("R-58 Closing record");
    g.add(
        "closing-signature-altered",
        "closed",
        invalid,
        ITS_OWN,
        "The closing record's signature was altered.",
        |e| {
            e.alter(0, "closing", with_another_signature);
        },
    );
    g.add(
        "closing-by-the-recorder",
        "closed",
        invalid,
        ITS_OWN,
        "The closing record is signed by the recording key instead of the vault's key.",
        |e| {
            let key = e.recording_key(0);
            e.sign_with(0, "closing", &key);
        },
    );
    g.requirement("R-14");
    g.add(
        "closing-of-version-2",
        "closed",
        invalid,
        ITS_OWN,
        "The closing record has an unknown version.",
        |e| {
            e.sign(0, "closing", |c| c["v"] = json!(2));
        },
    );
    let elsewhere = altered(&["closing-of-another-part"]);
    g.requirement("R-58 Closing record");
    g.add(
        "closing-of-another-part",
        "closed",
        elsewhere,
        ITS_OWN,
        "The closing record names another part.",
        |e| {
            e.sign(0, "closing", |c| c["part"] = json!(1));
        },
    );
    g.add(
        "closing-of-another-recording",
        "closed",
        elsewhere,
        ITS_OWN,
        "The closing record names another recording.",
        |e| {
            e.sign(0, "closing", |c| c["recording"] = other_id(9));
        },
    );
    g.add(
        "closing-of-another-open-statement",
        "closed",
        elsewhere,
        ITS_OWN,
        "The closing record names another open statement.",
        |e| {
            e.put_alone(0, "closing", |c| c["open"] = other_hash(9));
            e.receipt_for_what_is_here(0);
        },
    );
    g.add(
        "closing-without-tracks",
        "closed",
        altered(&["end-tracks-differ"]),
        ITS_OWN,
        "The closing record names no track.",
        |e| {
            e.sign(0, "closing", |c| c["tracks"] = json!([]));
        },
    );
    g.add(
        "closing-names-a-track-twice",
        "closed",
        altered(&["end-tracks-differ"]),
        ITS_OWN,
        "The closing record names one track twice, and the other not at all.",
        |e| {
            e.sign(0, "closing", |c| c["tracks"][1] = c["tracks"][0].clone());
        },
    );
    g.add(
        "closing-head-differs",
        "closed",
        altered(&["end-differs"]),
        ITS_OWN,
        "The closing record names the wrong chain head for a track.",
        |e| {
            e.sign(0, "closing", |c| c["tracks"][0]["head"] = other_hash(9));
        },
    );
    g.add(
        "closing-withdrawal-invalid",
        "closed",
        altered(&["withdrawal-invalid"]),
        ITS_OWN,
        "The closing record carries a grant as its withdrawal.",
        |e| {
            let grant = e.claims(0, "open")["grants"][1].clone();
            e.sign(0, "closing", |c| c["withdrawal"] = grant);
        },
    );
    g.add(
        "closed-track-cut",
        "closed",
        incomplete(&["track-truncated", "receipt-covers-more"]),
        ITS_OWN,
        "A track of a part that the vault closed is cut off.",
        |e| {
            e.file(0, 0).pop();
        },
    );
    g.add(
        "earlier-closing-invalid",
        "closed-and-finished",
        invalid,
        ITS_OWN,
        "A closing record beside a manifest has an altered signature.",
        |e| {
            e.alter(0, "closing", with_another_signature);
        },
    );
    g.add(
        "earlier-closing-covers-more",
        "closed-and-finished",
        altered(&["end-differs"]),
        ITS_OWN,
        "A closing record beside a manifest covers more than the manifest.",
        |e| {
            e.sign(0, "closing", |c| c["tracks"][0]["segments"] = json!(4));
        },
    );
    g.add(
        "earlier-closing-without-a-track",
        "closed-and-finished",
        altered(&["end-tracks-differ"]),
        ITS_OWN,
        "A closing record beside a manifest names only one of two tracks.",
        |e| {
            e.sign(0, "closing", |c| {
                drop(c["tracks"].as_array_mut().unwrap().pop())
            })
        },
    );
    g.add(
        "earlier-closing-head-differs",
        "closed-and-finished",
        altered(&["end-differs"]),
        ITS_OWN,
        "A closing record beside a manifest covers as many segments but has another chain head.",
        |e| {
            e.sign(0, "closing", |c| {
                c["tracks"][0]["segments"] = json!(3);
            });
        },
    );
    g.add(
        "closing-in-the-manifests-place",
        "closed",
        altered(&["manifest-invalid"]),
        ITS_OWN,
        "A closing record is in the manifest's place.",
        |e| {
            let closing = e.text(0, "closing");
            e.part(0)["manifest"] = json!(closing);
        },
    );
}

fn receipts(g: &mut Group) {
    let invalid = altered(&["receipt-invalid"]);
    g.requirement("R-58 Receipt");
    g.add(
        "receipt-signature-altered",
        "finished",
        invalid,
        ITS_OWN,
        "The receipt's signature was altered.",
        |e| {
            e.alter(0, "receipt", with_another_signature);
        },
    );
    g.add(
        "receipt-by-the-recorder",
        "finished",
        invalid,
        ITS_OWN,
        "The receipt is signed by the recording key.",
        |e| {
            let key = e.recording_key(0);
            e.sign_with(0, "receipt", &key);
        },
    );
    g.requirement("R-14");
    g.add(
        "receipt-of-version-2",
        "finished",
        invalid,
        ITS_OWN,
        "The receipt has an unknown version.",
        |e| {
            e.sign(0, "receipt", |r| r["v"] = json!(2));
        },
    );
    let differs = altered(&["receipt-differs"]);
    g.requirement("R-58 Receipt");
    g.add(
        "receipt-of-another-part",
        "finished",
        differs,
        ITS_OWN,
        "The receipt is for another part.",
        |e| {
            e.sign(0, "receipt", |r| r["part"] = json!(1));
        },
    );
    g.add(
        "receipt-of-another-recording",
        "finished",
        differs,
        ITS_OWN,
        "The receipt is for another recording.",
        |e| {
            e.sign(0, "receipt", |r| r["recording"] = other_id(9));
        },
    );
    g.add(
        "receipt-of-another-open-statement",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names another open statement.",
        |e| {
            e.put_alone(0, "receipt", |r| r["open"] = other_hash(9));
        },
    );
    g.add(
        "receipt-of-another-manifest",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names another manifest.",
        |e| {
            e.put_alone(0, "receipt", |r| r["ended_by"] = other_hash(9));
        },
    );
    g.add(
        "receipt-not-finished",
        "finished",
        differs,
        ITS_OWN,
        "The receipt says that a closing record ended the part, but there is none.",
        |e| {
            e.put_alone(0, "receipt", |r| r["finished"] = json!(false));
        },
    );
    g.add(
        "receipt-finished-without-a-manifest",
        "closed",
        differs,
        ITS_OWN,
        "The receipt says that a manifest ended the part, but there is none.",
        |e| {
            e.put_alone(0, "receipt", |r| r["finished"] = json!(true));
        },
    );
    g.add(
        "receipt-without-a-track",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names only one of two tracks.",
        |e| {
            e.sign(0, "receipt", |r| {
                drop(r["tracks"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.add(
        "receipt-names-a-track-twice",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names a track twice.",
        |e| {
            e.sign(0, "receipt", |r| {
                let twice = r["tracks"][0].clone();
                r["tracks"].as_array_mut().unwrap().push(twice);
            });
        },
    );
    g.add(
        "receipt-head-differs",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names the wrong chain head for a track.",
        |e| {
            e.sign(0, "receipt", |r| r["tracks"][0]["head"] = other_hash(9));
        },
    );
    g.add(
        "receipt-length-differs",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names the wrong length for a track.",
        |e| {
            e.sign(0, "receipt", |r| {
                r["tracks"][0]["length_bytes"] = json!(100)
            });
        },
    );
    g.add(
        "receipt-of-fewer-segments",
        "finished",
        differs,
        ITS_OWN,
        "The receipt covers fewer segments than the track has.",
        |e| {
            e.sign(0, "receipt", |r| r["tracks"][0]["segments"] = json!(2));
        },
    );
    g.add(
        "receipt-of-another-envelope",
        "finished",
        differs,
        ITS_OWN,
        "The receipt names an envelope that is not here.",
        |e| {
            e.put_alone(0, "receipt", |r| r["tracks"][0]["envelope"] = other_hash(9));
        },
    );
    g.add(
        "receipt-covers-more",
        "finished",
        incomplete(&["receipt-covers-more"]),
        ITS_OWN,
        "The receipt covers one segment more than the track has.",
        |e| {
            e.sign(0, "receipt", |r| r["tracks"][0]["segments"] = json!(4));
        },
    );
}
