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
        "One bit of the manifest's signature is another.",
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
        "The manifest is signed by the recorder's pass key and not by the part's recording key.",
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
        "The header's `alg` is another name of the same algorithm.",
        |e| {
            e.sign_under(0, "manifest", |header| header.replace("EdDSA", "Ed25519"));
        },
    );
    g.add(
        "header-typ-other",
        "finished",
        MANIFEST,
        Refuses("manifest", "wrong_type"),
        "A document of another type, with a manifest's claims.",
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
        "`typ` is compared byte by byte.",
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
        "The header has a member more.",
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
        "The header has a member less.",
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
        "A signature of zeros: R and S are neutral.",
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
        "A compact JWS has three parts.",
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
        "A compact JWS has three parts, and not four.",
        |e| {
            e.alter(0, "manifest", |jws| format!("{jws}.AAAA"));
        },
    );
    g.add(
        "document-empty",
        "finished",
        MANIFEST,
        MALFORMED,
        "A manifest of no bytes is there and is no manifest.",
        |e| {
            e.put(0, "manifest", "");
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
        "The signature is in the alphabet of plain base64.",
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
        "Bits of the signature's last character that mean nothing are not zero.",
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
        "A line ending inside the signature.",
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
        "A hash of 31 bytes.",
        |e| {
            e.sign(0, "manifest", |m| m["open"] = json!("A".repeat(42)));
        },
    );
    g.add(
        "id-too-long",
        "finished",
        MANIFEST,
        MALFORMED,
        "An id of 17 bytes.",
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
        "A manifest of an unknown version.",
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
        "A manifest without `v`.",
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
        "`v` is a number.",
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
        "The manifest names `reason` twice, once with another value.",
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
        "The manifest names a member twice with the same value.",
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
        "An object inside a member that no reader knows names a member twice.",
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
        "A member is named once plainly and once with an escape.",
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
        "A number of marks below zero.",
        |e| {
            e.sign(0, "manifest", |m| m["marks"] = json!(-1));
        },
    );
    g.add(
        "integer-too-large",
        "finished",
        MANIFEST,
        MALFORMED,
        "A number of marks of 2^64.",
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
        "The payload is no JSON.",
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
        "The payload is an object and something after it.",
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
        "A manifest without `ended_ms`.",
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
        "An end for a reason that FORMAT.md does not know.",
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
        "2^53 - 1 is the largest number.",
        |e| with_member(e, "9007199254740991"),
    );
    g.add(
        "unknown-member-with-a-larger-integer",
        "finished",
        MANIFEST,
        MALFORMED,
        "2^53 is too large, in a member that no reader knows as well.",
        |e| with_member(e, "9007199254740992"),
    );
    g.add(
        "unknown-member-with-a-fraction",
        "finished",
        MANIFEST,
        MALFORMED,
        "A fraction in a member that no reader knows.",
        |e| with_member(e, "[{\"deep\":2.5}]"),
    );
    g.add(
        "unknown-member-with-an-exponent",
        "finished",
        MANIFEST,
        MALFORMED,
        "A number with an exponent in a member that no reader knows.",
        |e| with_member(e, "1e3"),
    );
    g.add(
        "unknown-member-with-minus-zero",
        "finished",
        MANIFEST,
        MALFORMED,
        "-0 in a member that no reader knows.",
        |e| with_member(e, "-0"),
    );
    g.requirement("R-4");
    g.add(
        "nested-127-levels",
        "finished",
        COMPLETE,
        Takes,
        "A payload of 127 levels, the outermost object included.",
        |e| with_member(e, &format!("{}{}", "[".repeat(126), "]".repeat(126))),
    );
    g.add(
        "nested-128-levels",
        "finished",
        MANIFEST,
        MALFORMED,
        "A payload of 128 levels.",
        |e| with_member(e, &format!("{}{}", "[".repeat(127), "]".repeat(127))),
    );
    g.requirement("R-1");
    g.add(
        "unpaired-surrogate",
        "finished",
        MANIFEST,
        MALFORMED,
        "Half of a surrogate pair in an escape.",
        |e| with_member(e, "\"\\ud83d\""),
    );
    g.add(
        "paired-surrogates",
        "finished",
        COMPLETE,
        Takes,
        "A pair of surrogates in escapes.",
        |e| with_member(e, "\"\\ud83d\\ude00\""),
    );
    g.add(
        "byte-order-mark",
        "finished",
        MANIFEST,
        MALFORMED,
        "A byte order mark before the payload.",
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
        "White space between the payload's tokens means nothing.",
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
        "`places` may be missing, and may not be null.",
        |e| {
            e.sign(0, "manifest", |m| m["places"] = Value::Null);
        },
    );
    g.add(
        "list-in-place-of-an-object",
        "finished",
        MANIFEST,
        MALFORMED,
        "A summary as a list of its values.",
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
        "`kid` names another key than the one that signed.",
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
    let at_start = CannotJudge("a vault does not start with this document");
    g.requirement("R-12");
    g.add(
        "clinic-signature-altered",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "One bit of the clinic document's signature is another.",
        |e| {
            e.folder.clinic = with_another_signature(e.folder.clinic.clone());
        },
    );
    g.add(
        "clinic-by-another-key",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "The clinic document is signed by its authority and not by the root key.",
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
        "A document of the root key that is no clinic document.",
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
        "A clinic document of an unknown version.",
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
        "A recipient's fingerprint is not the one of its public key.",
        |e| {
            e.clinic_alone(|claims| claims["recipients"][0]["fingerprint"] = other_hash(9));
        },
    );
    g.add(
        "clinic-suite-differs",
        "finished",
        CLINIC_REFUSED,
        at_start,
        "A recipient's suite is not the one of its fingerprint.",
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
    let by_clock = CannotJudge("a vault compares the document that it has with its own clock");
    g.requirement("R-19");
    g.add(
        "clinic-another-document",
        "finished",
        altered(&["other-clinic-document"]),
        by_clock,
        "The part was recorded under another clinic document than the one that lies here.",
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
        "The part began at the very moment at which its clinic document ended.",
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
        "The part began at the very moment from which its clinic document was valid.",
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
        "recording.json ends in its middle.",
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
        "recording.json does not say which recording it is of.",
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
        "A part's number is below zero.",
        |e| {
            e.part(0)["part"] = json!(-1);
        },
    );
    g.add(
        "recording-json-track-id-is-a-path",
        "finished",
        UNREADABLE,
        READERS_FILE,
        "A track's id is a path, and not an id.",
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
        "recording.json lists the part under another recording.",
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
