//! What holds for every signed document, shown on a manifest or receipt; the clinic document; `recording.json` itself.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    signatures(&mut g);
    json_rules(&mut g);
    more_json_rules(&mut g);
    clinic(&mut g);
    recording_json(&mut g);
    g.vectors
}

const MANIFEST: (Verdict, &[&str]) = (Verdict::Altered, &["manifest-invalid"]);
const MALFORMED: VaultSays = Refuses("manifest", "malformed");

fn signatures(g: &mut Group) {
    g.requirement("R-12");
    g.add(
        "manifest-signature-altered",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The manifest's signature was altered.",
        |e| {
            e.alter(0, "manifest", with_another_signature);
        },
    );
    g.add(
        "manifest-payload-altered",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The manifest says something that was not signed.",
        |e| {
            let signature = e.text(0, "manifest").rsplit('.').next().unwrap().to_owned();
            e.sign(0, "manifest", |m| m["marks"] = json!(2));
            e.alter(0, "manifest", |jws| {
                format!("{}.{signature}", jws.rsplit_once('.').unwrap().0)
            });
        },
    );
    g.add(
        "manifest-by-the-pass-key",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The manifest is signed by the recorder's pass key instead of the part's recording key.",
        |e| {
            e.sign_with(0, "manifest", &base::RECORDER);
        },
    );
    g.add(
        "manifest-by-the-vault",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The manifest is signed by the vault.",
        |e| {
            e.sign_with(0, "manifest", &base::VAULT);
        },
    );
    g.requirement("R-10");
    g.add(
        "header-alg-none",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The header's `alg` is `none`.",
        |e| {
            e.sign_under(0, "manifest", |header| header.replace("EdDSA", "none"));
        },
    );
    g.add(
        "header-alg-other",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The header's `alg` is another name for the same algorithm.",
        |e| {
            e.sign_under(0, "manifest", |header| header.replace("EdDSA", "Ed25519"));
        },
    );
    g.add(
        "header-typ-other",
        "finished",
        MANIFEST,
        Refuses("manifest", "wrong_type"),
        "A document of another type has a manifest's claims.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                header.replace("sv-manifest", "sv-closing")
            });
        },
    );
    g.add(
        "header-typ-in-capitals",
        "finished",
        MANIFEST,
        Refuses("manifest", "wrong_type"),
        "`typ` is written in capitals.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                header.replace("sv-manifest", "SV-Manifest")
            });
        },
    );
    g.add(
        "header-further-member",
        "finished",
        MANIFEST,
        MALFORMED,
        "The header has an extra member.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                header.replace('}', r#","crit":["b64"]}"#)
            });
        },
    );
    g.requirement("R-5");
    g.add(
        "header-without-kid",
        "finished",
        MANIFEST,
        MALFORMED,
        "The header has no `kid`.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                format!("{}}}", header.split(",\"kid\"").next().unwrap())
            });
        },
    );
    g.requirement("R-2");
    g.add(
        "header-alg-twice",
        "finished",
        MANIFEST,
        MALFORMED,
        "The header names `alg` twice.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                header.replace("{\"alg\"", "{\"alg\":\"EdDSA\",\"alg\"")
            });
        },
    );
    g.requirement("R-13");
    g.add(
        "signature-of-small-order",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "R of the signature is the neutral point, and S is zero.",
        |e| {
            e.alter(0, "manifest", |jws| {
                let zeros = format!("AQ{}", "A".repeat(84));
                format!("{}.{zeros}", jws.rsplit_once('.').unwrap().0)
            });
        },
    );
    g.requirement("R-10");
    g.add(
        "document-of-two-parts",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest has two parts; a compact JWS has three.",
        |e| {
            e.alter(0, "manifest", |jws| {
                jws.rsplit_once('.').unwrap().0.to_owned()
            });
        },
    );
    g.add(
        "document-of-four-parts",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest has four parts; a compact JWS has three.",
        |e| {
            e.alter(0, "manifest", |jws| format!("{jws}.AAAA"));
        },
    );
    g.add(
        "document-empty",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest is an empty string, which does not count as no manifest.",
        |e| {
            e.put(0, "manifest", "");
        },
    );

    g.requirement("R-12");
    g.add(
        "signature-for-cofactored-verifiers",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "The signature satisfies the cofactored equation but not the cofactorless one.",
        |e| {
            let key = e.recording_key(0);
            e.alter(0, "manifest", |jws| {
                signatures::sign_for_cofactored_verifiers(&jws, &key)
            });
        },
    );
    g.add(
        "signature-with-a-larger-s",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "S of the signature is not below the order of the group.",
        |e| {
            e.alter(0, "manifest", |jws| signatures::with_larger_s(&jws));
        },
    );
    g.requirement("R-8");
    g.add(
        "base64url-with-padding",
        "finished",
        MANIFEST,
        MALFORMED,
        "The signature is padded.",
        |e| {
            e.alter(0, "manifest", |jws| format!("{jws}=="));
        },
    );
    g.add(
        "base64url-other-alphabet",
        "finished",
        MANIFEST,
        MALFORMED,
        "The signature uses the alphabet of plain base64.",
        |e| {
            // Signed again and again until the alphabets differ.
            let mut marks = 2;
            while !e
                .text(0, "manifest")
                .rsplit('.')
                .next()
                .unwrap()
                .contains(['-', '_'])
            {
                e.sign(0, "manifest", |m| m["marks"] = json!(marks));
                marks += 1;
            }
            e.alter(0, "manifest", |jws| {
                let (signed, signature) = jws.rsplit_once('.').unwrap();
                format!("{signed}.{}", signature.replace('-', "+").replace('_', "/"))
            });
        },
    );
    g.add(
        "base64url-unused-bits",
        "finished",
        MANIFEST,
        MALFORMED,
        "The unused bits of the signature's last character are not zero.",
        |e| {
            e.alter(0, "manifest", |jws| {
                let (start, last) = jws.split_at(jws.len() - 1);
                let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
                let index = alphabet.find(last).unwrap();
                format!("{start}{}", &alphabet[index + 1..index + 2])
            });
        },
    );
    g.add(
        "base64url-white-space",
        "finished",
        MANIFEST,
        MALFORMED,
        "There is a line ending inside the signature.",
        |e| {
            e.alter(0, "manifest", |jws| {
                format!("{}\n{}", &jws[..jws.len() - 10], &jws[jws.len() - 10..])
            });
        },
    );
    g.requirement("R-5");
    g.add(
        "hash-too-short",
        "finished",
        MANIFEST,
        MALFORMED,
        "A hash has 31 bytes.",
        |e| {
            e.sign(0, "manifest", |m| m["open"] = json!("A".repeat(42)));
        },
    );
    g.add(
        "id-too-long",
        "finished",
        MANIFEST,
        MALFORMED,
        "An id has more than 16 bytes.",
        |e| {
            e.sign(0, "manifest", |m| m["recording"] = json!("A".repeat(23)));
        },
    );
}

fn json_rules(g: &mut Group) {
    g.requirement("R-14");
    g.add(
        "manifest-of-version-2",
        "finished",
        MANIFEST,
        Refuses("manifest", "unknown_version"),
        "The manifest has an unknown version.",
        |e| {
            e.sign(0, "manifest", |m| m["v"] = json!(2));
        },
    );
    g.requirement("R-5");
    g.add(
        "manifest-without-version",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest has no `v`.",
        |e| {
            e.sign(0, "manifest", |m| {
                drop(m.as_object_mut().unwrap().remove("v"))
            });
        },
    );
    g.add(
        "manifest-version-as-text",
        "finished",
        MANIFEST,
        MALFORMED,
        "`v` is a string.",
        |e| {
            e.sign(0, "manifest", |m| m["v"] = json!("1"));
        },
    );

    g.requirement("R-2");
    g.add(
        "member-twice",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest names `reason` twice, with two values.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(
                0,
                "manifest",
                &text.replacen('{', "{\"reason\":\"paused\",", 1),
            );
        },
    );
    g.add(
        "member-twice-the-same",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest names a member twice, with the same value.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &text.replacen('{', "{\"v\":1,", 1));
        },
    );
    g.add(
        "member-twice-deep-inside",
        "finished",
        MANIFEST,
        MALFORMED,
        "An object inside an unknown member names a member twice.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(
                0,
                "manifest",
                &text.replacen('{', "{\"a\":{\"b\":1,\"b\":1},", 1),
            );
        },
    );
    g.add(
        "member-twice-by-escape",
        "finished",
        MANIFEST,
        MALFORMED,
        "A member is there twice: its name is written plainly once, and with an escape once.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &text.replacen('{', "{\"\\u0076\":1,", 1));
        },
    );
    g.requirement("R-3");
    g.add(
        "integer-as-fraction",
        "finished",
        MANIFEST,
        MALFORMED,
        "An integer is written as 1.0.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &text.replace("\"marks\":1", "\"marks\":1.0"));
        },
    );
    g.add(
        "integer-negative",
        "finished",
        MANIFEST,
        MALFORMED,
        "The number of marks is negative.",
        |e| {
            e.sign(0, "manifest", |m| m["marks"] = json!(-1));
        },
    );
    g.add(
        "integer-too-large",
        "finished",
        MANIFEST,
        MALFORMED,
        "The number of marks is 2^64.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(
                0,
                "manifest",
                &text.replace("\"marks\":1", "\"marks\":18446744073709551616"),
            );
        },
    );
    g.requirement("R-1");
    g.add(
        "payload-not-json",
        "finished",
        MANIFEST,
        MALFORMED,
        "The payload is not JSON.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &text[..text.len() - 1]);
        },
    );
    g.add(
        "payload-with-more-after-it",
        "finished",
        MANIFEST,
        MALFORMED,
        "Something follows the payload's object.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &format!("{text}{{}}"));
        },
    );
    g.requirement("R-5");
    g.add(
        "payload-an-array",
        "finished",
        MANIFEST,
        MALFORMED,
        "The payload is an array.",
        |e| {
            e.sign_text(0, "manifest", "[1]");
        },
    );
    g.add(
        "manifest-without-a-member",
        "finished",
        MANIFEST,
        MALFORMED,
        "The manifest has no `ended_ms`.",
        |e| {
            e.sign(0, "manifest", |m| {
                drop(m.as_object_mut().unwrap().remove("ended_ms"))
            });
        },
    );
    g.requirement("R-6");
    g.add(
        "manifest-reason-unknown",
        "finished",
        MANIFEST,
        MALFORMED,
        "The part ended for an unknown reason.",
        |e| {
            e.sign(0, "manifest", |m| m["reason"] = json!("bored"));
        },
    );
}

fn more_json_rules(g: &mut Group) {
    // The payload, with this as a member that no reader knows.
    fn with_member(e: &mut Edit, json: &str) {
        let text = e.claims(0, "manifest").to_string();
        e.sign_text(
            0,
            "manifest",
            &text.replacen('{', &format!("{{\"newer\":{json},"), 1),
        );
    }
    g.requirement("R-3");
    g.add(
        "unknown-member-with-the-largest-integer",
        "finished",
        COMPLETE,
        Takes,
        "An unknown member is 2^53 - 1, the largest number allowed.",
        |e| with_member(e, "9007199254740991"),
    );
    g.add(
        "unknown-member-with-a-larger-integer",
        "finished",
        MANIFEST,
        MALFORMED,
        "An unknown member is 2^53, which is too large.",
        |e| with_member(e, "9007199254740992"),
    );
    g.add(
        "unknown-member-with-a-fraction",
        "finished",
        MANIFEST,
        MALFORMED,
        "An unknown member has a fraction in it.",
        |e| with_member(e, "[{\"deep\":2.5}]"),
    );
    g.add(
        "unknown-member-with-an-exponent",
        "finished",
        MANIFEST,
        MALFORMED,
        "An unknown member is a number with an exponent.",
        |e| with_member(e, "1e3"),
    );
    g.add(
        "unknown-member-with-minus-zero",
        "finished",
        MANIFEST,
        MALFORMED,
        "An unknown member is -0.",
        |e| with_member(e, "-0"),
    );
    g.requirement("R-4");
    g.add(
        "nested-127-levels",
        "finished",
        COMPLETE,
        Takes,
        "The payload nests 127 levels deep, counting the outermost object.",
        |e| with_member(e, &format!("{}{}", "[".repeat(126), "]".repeat(126))),
    );
    g.add(
        "nested-128-levels",
        "finished",
        MANIFEST,
        MALFORMED,
        "The payload nests 128 levels deep.",
        |e| with_member(e, &format!("{}{}", "[".repeat(127), "]".repeat(127))),
    );
    g.requirement("R-1");
    g.add(
        "unpaired-surrogate",
        "finished",
        MANIFEST,
        MALFORMED,
        "An unknown member has half of a surrogate pair, written as an escape.",
        |e| with_member(e, "\"\\ud83d\""),
    );
    g.add(
        "paired-surrogates",
        "finished",
        COMPLETE,
        Takes,
        "A pair of surrogates written as escapes is one character.",
        |e| with_member(e, "\"\\ud83d\\ude00\""),
    );
    g.add(
        "byte-order-mark",
        "finished",
        MANIFEST,
        MALFORMED,
        "The payload starts with a byte order mark.",
        |e| {
            let text = e.claims(0, "manifest").to_string();
            e.sign_text(0, "manifest", &format!("\u{feff}{text}"));
        },
    );
    g.add(
        "payload-with-white-space",
        "finished",
        COMPLETE,
        Takes,
        "The payload has white space between its tokens.",
        |e| {
            let text = format!("\n{:#}\t\r ", e.claims(0, "manifest"));
            e.sign_text(0, "manifest", &text);
        },
    );
    g.requirement("R-5");
    g.add(
        "null-means-absent",
        "finished",
        COMPLETE,
        Takes,
        "`withdrawal` may be null.",
        |e| {
            e.sign(0, "manifest", |m| m["withdrawal"] = Value::Null);
        },
    );
    g.add(
        "null-in-place-of-a-list",
        "finished",
        MANIFEST,
        MALFORMED,
        "`places` may be absent, but not null.",
        |e| {
            e.sign(0, "manifest", |m| m["places"] = Value::Null);
        },
    );
    g.add(
        "list-in-place-of-an-object",
        "finished",
        MANIFEST,
        MALFORMED,
        "A track's summary is a list instead of an object.",
        |e| {
            e.sign(0, "manifest", |m| m["tracks"][0] = json!([1, 2, 3]));
        },
    );
    g.requirement("R-11");
    g.add(
        "kid-of-another-key",
        "finished",
        MANIFEST,
        Refuses("manifest", "not_signed"),
        "`kid` names a different key than the one that signed.",
        |e| {
            e.sign_under(0, "manifest", |header| {
                let kid = signed::header_text(&signed::sign_text("", "", &base::PATIENT));
                let kid = kid.rsplit('"').nth(1).unwrap().to_owned();
                let own = header.rsplit('"').nth(1).unwrap().to_owned();
                header.replace(&own, &kid)
            });
        },
    );
}

fn clinic(g: &mut Group) {
    let at_start = CannotJudge("a vault does not start with this clinic document");
    g.requirement("R-12");
    g.add(
        "clinic-signature-altered",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "The clinic document's signature was altered.",
        |e| {
            e.folder.clinic = with_another_signature(e.folder.clinic.clone());
        },
    );
    g.add(
        "clinic-by-another-key",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "The clinic document is signed by its authority instead of the root key.",
        |e| {
            let claims = signed::payload(&e.folder.clinic);
            e.folder.clinic = signed::sign("sv-clinic+jwt", &claims, &base::AUTHORITY);
        },
    );
    g.requirement("R-10");
    g.add(
        "clinic-typ-other",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "The root key signed this document, but it is not a clinic document.",
        |e| {
            let claims = signed::payload(&e.folder.clinic);
            e.folder.clinic = signed::sign("sv-wipe+jwt", &claims, &base::ROOT);
        },
    );
    g.requirement("R-14");
    g.add(
        "clinic-of-version-2",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "The clinic document has an unknown version.",
        |e| {
            e.clinic_alone(|claims| claims["v"] = json!(2));
        },
    );
    g.requirement("R-18");
    g.add(
        "clinic-fingerprint-differs",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "A recipient's fingerprint does not match its public key.",
        |e| {
            e.clinic_alone(|claims| claims["recipients"][0]["fingerprint"] = other_hash(9));
        },
    );
    g.add(
        "clinic-suite-differs",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "A recipient's suite does not match its fingerprint.",
        |e| {
            e.clinic_alone(|claims| claims["recipients"][0]["suite"] = json!("x-wing"));
        },
    );
    g.requirement("R-13");
    g.add(
        "clinic-authority-of-small-order",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "An authority's key is a point of small order.",
        |e| {
            e.clinic_alone(|claims| {
                claims["authorities"][0]["x"] = json!(format!("AQ{}", "A".repeat(41)))
            });
        },
    );
    let by_clock = CannotJudge("a vault compares its clinic document with its own clock");
    g.requirement("R-19");
    g.add(
        "clinic-another-document",
        "finished",
        altered(&["other-clinic-document"]),
        by_clock,
        "The part was recorded under a different clinic document than the one in the folder.",
        |e| {
            e.clinic_alone(|claims| claims["number"] = json!(2));
        },
    );
    g.requirement("R-20");
    g.add(
        "clinic-not-yet-valid",
        "finished",
        altered(&["clinic-document-not-valid"]),
        by_clock,
        "The part began before its clinic document was valid.",
        |e| {
            let at_ms = e.claims(0, "open")["at_ms"].as_u64().unwrap();
            e.clinic(|claims| claims["not_before_ms"] = json!(at_ms + 1));
        },
    );
    g.add(
        "clinic-no-longer-valid",
        "finished",
        altered(&["clinic-document-not-valid"]),
        by_clock,
        "The part began at the exact moment its clinic document expired.",
        |e| {
            let at_ms = e.claims(0, "open")["at_ms"].as_u64().unwrap();
            e.clinic(|claims| claims["not_after_ms"] = json!(at_ms));
        },
    );
    g.add(
        "clinic-valid-from-that-moment",
        "finished",
        COMPLETE,
        by_clock,
        "The part began at the exact moment its clinic document became valid.",
        |e| {
            let at_ms = e.claims(0, "open")["at_ms"].as_u64().unwrap();
            e.clinic(|claims| {
                claims["not_before_ms"] = json!(at_ms);
                claims["not_after_ms"] = json!(at_ms + 1);
            });
        },
    );
}

fn recording_json(g: &mut Group) {
    g.requirement("R-1");
    g.add(
        "recording-json-torn",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "recording.json ends in the middle.",
        |e| {
            let text = e.folder.recording_text();
            e.recording_text = Some(text[..text.len() / 2].to_owned());
        },
    );
    g.requirement("R-2");
    g.add(
        "recording-json-member-twice",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "recording.json names its recording twice.",
        |e| {
            let text = e.folder.recording_text();
            e.recording_text =
                Some(text.replacen('{', "{\"recording\": \"AAAAAAAAAAAAAAAAAAAAAA\",", 1));
        },
    )
    .only_as_text = true;
    g.requirement("R-5");
    g.add(
        "recording-json-without-recording",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "recording.json does not name its recording.",
        |e| {
            e.folder
                .recording
                .as_object_mut()
                .unwrap()
                .remove("recording");
        },
    );
    g.add(
        "recording-json-part-negative",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "A part's number is negative.",
        |e| {
            e.part(0)["part"] = json!(-1);
        },
    );
    g.add(
        "recording-json-track-id-is-a-path",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "A track's id is a path.",
        |e| {
            e.part(0)["tracks"][0]["track"] = json!("../../../etc/passwd");
        },
    );
    g.requirement("R-58 Listing");
    g.add(
        "listed-as-another-recording",
        "finished",
        altered(&["listed-elsewhere"]),
        READERS_FILE,
        "recording.json lists the part under another recording's id.",
        |e| {
            e.folder.recording["recording"] = other_id(9);
        },
    );
    g.add(
        "listed-as-another-part",
        "finished",
        altered(&["listed-elsewhere"]),
        READERS_FILE,
        "recording.json lists part 0 as part 1.",
        |e| {
            e.part(0)["part"] = json!(1);
        },
    );
}
