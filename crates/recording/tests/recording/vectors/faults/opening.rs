//! The open statement: who recorded whom, with whose grants, for whom. If it is refused, nothing of its part can be judged.

use super::*;

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    statement(&mut g);
    passes(&mut g);
    request(&mut g);
    grants(&mut g);
    further_grants(&mut g);
    roster(&mut g);
    headers(&mut g);
    g.vectors
}

fn refuses(code: &'static str) -> VaultSays {
    Refuses("open", code)
}

fn statement(g: &mut Group) {
    g.requirement("R-12");
    g.add(
        "open-signature-altered",
        "finished",
        OPEN_REFUSED,
        refuses("not_signed"),
        "The open statement's signature was altered.",
        |e| {
            e.alter(0, "open", with_another_signature);
        },
    );
    g.requirement("R-15");
    g.add(
        "open-by-another-key",
        "finished",
        OPEN_REFUSED,
        refuses("not_signed"),
        "The open statement is signed by the clinician's key instead of the recorder's.",
        |e| {
            e.sign_with(0, "open", &base::CLINICIAN);
        },
    );
    g.requirement("R-22");
    g.add(
        "open-by-a-clinician",
        "finished",
        OPEN_REFUSED,
        refuses("not_a_recorder"),
        "The open statement carries the clinician's pass and is signed with its key.",
        |e| {
            e.sign(0, "open", |open| open["pass"] = open["roster"][0].clone());
            e.sign_with(0, "open", &base::CLINICIAN);
        },
    );
    g.requirement("R-14");
    g.add(
        "open-of-version-2",
        "finished",
        OPEN_REFUSED,
        refuses("unknown_version"),
        "The open statement has an unknown version.",
        |e| {
            e.sign(0, "open", |open| open["v"] = json!(2));
        },
    );
    g.requirement("R-10");
    g.add(
        "open-typ-other",
        "finished",
        OPEN_REFUSED,
        refuses("wrong_type"),
        "A document of another type has an open statement's claims.",
        |e| {
            e.sign_under(0, "open", |header| header.replace("sv-open", "sv-request"));
        },
    );
    g.requirement("R-17");
    g.add(
        "open-of-another-visit",
        "finished",
        OPEN_REFUSED,
        refuses("pass_of_other_visit"),
        "The open statement names a different visit than its passes.",
        |e| {
            e.sign(0, "open", |open| open["visit"] = other_id(9));
        },
    );
    g.requirement("R-24");
    g.add(
        "open-of-another-group",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The open statement names a different group than the request.",
        |e| {
            e.sign(0, "open", |open| open["group_id"] = json!("b3RoZXI"));
        },
    );
    g.requirement("R-42");
    g.add(
        "open-part-differs",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "The open statement names a different part than its headers.",
        |e| {
            e.sign(0, "open", |open| open["part"] = json!(1));
        },
    );
    g.requirement("R-5");
    g.add(
        "open-part-too-large",
        "finished",
        OPEN_REFUSED,
        refuses("malformed"),
        "A part's number is 2^32.",
        |e| {
            e.sign(0, "open", |open| open["part"] = json!(4_294_967_296_u64));
        },
    );
    g.requirement("R-42");
    g.add(
        "open-recording-differs",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "The open statement names a different recording than its headers.",
        |e| {
            e.sign(0, "open", |open| open["recording"] = other_id(9));
        },
    );
    g.add(
        "open-recording-key-differs",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "The open statement names a different recording key than its headers.",
        |e| {
            e.sign(0, "open", |open| {
                open["recording_key"] = signed::jwk(&base::PATIENT)
            });
        },
    );
    g.requirement("R-13");
    g.add(
        "open-recording-key-of-small-order",
        "finished",
        OPEN_REFUSED,
        refuses("malformed"),
        "The recording key is a point of small order.",
        |e| {
            e.sign(0, "open", |open| {
                open["recording_key"]["x"] = json!(format!("AQ{}", "A".repeat(41)))
            });
        },
    );
    g.requirement("R-5");
    g.add(
        "open-recording-key-of-another-curve",
        "finished",
        OPEN_REFUSED,
        refuses("malformed"),
        "The recording key is for another curve.",
        |e| {
            e.sign(0, "open", |open| {
                open["recording_key"]["crv"] = json!("X25519")
            });
        },
    );
    g.requirement("R-27");
    g.add(
        "open-recipients-differ",
        "finished",
        OPEN_REFUSED,
        refuses("other_recipients"),
        "The open statement has fewer recipients than the request.",
        |e| {
            e.sign(0, "open", |open| {
                drop(open["recipients"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.requirement("R-41");
    g.add(
        "open-without-tracks",
        "finished",
        OPEN_REFUSED,
        refuses("tracks_refused"),
        "The open statement has no tracks.",
        |e| {
            e.sign(0, "open", |open| open["tracks"] = json!([]));
        },
    );
    g.add(
        "open-track-twice",
        "finished",
        OPEN_REFUSED,
        refuses("tracks_refused"),
        "The open statement names a track twice.",
        |e| {
            e.sign(0, "open", |open| {
                open["tracks"][1] = open["tracks"][0].clone()
            });
        },
    );
    g.add(
        "open-too-many-tracks",
        "finished",
        OPEN_REFUSED,
        refuses("tracks_refused"),
        "The open statement has 65 tracks.",
        |e| {
            e.sign(0, "open", |open| {
                let header = json!({"track": other_id(9), "header": ""});
                open["tracks"] = json!(vec![header; 65]);
            });
        },
    );
}

fn passes(g: &mut Group) {
    g.requirement("R-17");
    g.add(
        "pass-of-another-visit",
        "finished",
        OPEN_REFUSED,
        refuses("pass_of_other_visit"),
        "A pass in the roster is for another visit.",
        |e| {
            e.roster(0, 1, |pass| pass["visit"] = other_id(9));
        },
    );
    g.requirement("R-16");
    g.add(
        "pass-by-a-stranger",
        "finished",
        OPEN_REFUSED,
        refuses("unknown_authority"),
        "A pass in the roster is not signed by an authority of the clinic.",
        |e| {
            e.sign(0, "open", |open| {
                edit::resign(
                    &mut open["roster"][1],
                    "sv-pass+jwt",
                    &base::PATIENT,
                    |_| {},
                );
            });
        },
    );
    g.requirement("R-37");
    g.add(
        "pass-signature-altered",
        "finished",
        OPEN_REFUSED,
        refuses("pass_refused"),
        "The signature of a pass in the roster was altered.",
        |e| {
            e.sign(0, "open", |open| {
                let pass = open["roster"][1].as_str().unwrap().to_owned();
                open["roster"][1] = json!(with_another_signature(pass));
            });
        },
    );
    g.requirement("R-6");
    g.add(
        "pass-role-unknown",
        "finished",
        OPEN_REFUSED,
        refuses("pass_refused"),
        "A pass in the roster has an unknown role.",
        |e| {
            e.roster(0, 1, |pass| pass["role"] = json!("owner"));
        },
    );
    g.requirement("R-16");
    g.add(
        "pass-authority-removed",
        "finished",
        OPEN_REFUSED,
        CannotJudge("a vault does not start with this clinic document"),
        "The clinic document does not list the authority that signed the passes.",
        |e| {
            e.clinic(|claims| claims["authorities"] = json!([signed::jwk(&base::PATIENT)]));
        },
    );
    g.requirement("R-22");
    g.add(
        "recorders-pass-is-a-patients",
        "finished",
        OPEN_REFUSED,
        refuses("not_a_recorder"),
        "The role in the open statement's pass is not `recorder`.",
        |e| {
            e.sign(0, "open", |open| {
                edit::resign(&mut open["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                    pass["role"] = json!("server")
                });
                open["roster"][2] = open["pass"].clone();
            });
        },
    );
}

fn request(g: &mut Group) {
    g.requirement("R-15");
    g.add(
        "request-signature-altered",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request's signature was altered.",
        |e| {
            e.sign(0, "open", |open| {
                let request = open["request"].as_str().unwrap().to_owned();
                open["request"] = json!(with_another_signature(request));
            });
        },
    );
    g.requirement("R-23");
    g.add(
        "request-by-the-patient",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request was made by a patient.",
        |e| {
            e.sign(0, "open", |open| {
                let pass = open["roster"][1].clone();
                edit::resign(
                    &mut open["request"],
                    "sv-request+jwt",
                    &base::PATIENT,
                    |request| request["pass"] = pass,
                );
            });
        },
    );
    g.requirement("R-24");
    g.add(
        "request-of-another-visit",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request is for another visit.",
        |e| {
            e.request(0, |request| request["visit"] = other_id(9));
        },
    );
    g.add(
        "request-of-another-group",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request was made in another group.",
        |e| {
            e.request(0, |request| request["group_id"] = json!("b3RoZXI"));
        },
    );
    g.requirement("R-38");
    g.add(
        "request-for-another-recorder",
        "finished",
        OPEN_REFUSED,
        refuses("other_recorder"),
        "The request names another recorder.",
        |e| {
            e.request(0, |request| request["recorder"] = other_id(9));
        },
    );
    g.requirement("R-25");
    g.add(
        "request-without-recipients",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request names no recipient.",
        |e| {
            e.request(0, |request| request["recipients"] = json!([]));
        },
    );
    g.add(
        "request-recipients-not-sorted",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request's recipients are not sorted.",
        |e| {
            e.request(0, |request| {
                request["recipients"].as_array_mut().unwrap().reverse()
            });
        },
    );
    g.add(
        "request-recipient-twice",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request names a recipient twice.",
        |e| {
            e.request(0, |request| {
                request["recipients"][1] = request["recipients"][0].clone()
            });
        },
    );
    g.requirement("R-26");
    g.add(
        "request-recipient-in-another-role",
        "finished",
        OPEN_REFUSED,
        refuses("recipient_role"),
        "The request gives a recipient a different role than the clinic document.",
        |e| {
            let role = json!("researcher");
            e.request(0, |request| request["recipients"][0]["role"] = role);
        },
    );
    g.add(
        "recipient-retired",
        "finished",
        OPEN_REFUSED,
        CannotJudge("a vault uses the clinic document that it has"),
        "The clinic document has retired a recipient's key.",
        |e| {
            e.clinic(|claims| claims["retired"] = json!([claims["recipients"][0]["fingerprint"]]));
        },
    );
    g.add(
        "recipient-not-listed",
        "finished",
        OPEN_REFUSED,
        CannotJudge("a vault uses the clinic document that it has"),
        "The clinic document does not list a recipient.",
        |e| {
            e.clinic(|claims| drop(claims["recipients"].as_array_mut().unwrap().pop()));
        },
    );
    g.requirement("R-28");
    g.add(
        "request-without-texts",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request has no texts.",
        |e| {
            e.request(0, |request| request["texts"] = json!([]));
        },
    );
    g.add(
        "request-with-one-layer",
        "finished",
        OPEN_REFUSED,
        refuses("request_refused"),
        "The request has a text for only one of the layers.",
        |e| {
            e.request(0, |request| {
                drop(request["texts"].as_array_mut().unwrap().pop())
            });
        },
    );
}

fn grants(g: &mut Group) {
    g.requirement("R-39");
    g.add(
        "grant-missing",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "The patient's grant is missing.",
        |e| {
            e.sign(0, "open", |open| {
                drop(open["grants"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.requirement("R-36");
    g.add(
        "grant-twice",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The clinician's grant is there twice, and the patient's is missing.",
        |e| {
            e.sign(0, "open", |open| {
                open["grants"][1] = open["grants"][0].clone()
            });
        },
    );
    g.requirement("R-29");
    g.add(
        "grant-signature-altered",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The signature of the patient's grant was altered.",
        |e| {
            e.sign(0, "open", |open| {
                let grant = open["grants"][1].as_str().unwrap().to_owned();
                open["grants"][1] = json!(with_another_signature(grant));
            });
        },
    );
    g.add(
        "grant-by-another-key",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant is signed by the clinician.",
        |e| {
            e.sign(0, "open", |open| {
                edit::resign(
                    &mut open["grants"][1],
                    "sv-statement+jwt",
                    &base::CLINICIAN,
                    |_| {},
                );
            });
        },
    );
    g.requirement("R-30");
    g.add(
        "grant-with-the-recorders-pass",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The recorder signed a grant too.",
        |e| {
            e.sign(0, "open", |open| {
                let pass = open["pass"].clone();
                let mut grant = open["grants"][1].clone();
                edit::resign(&mut grant, "sv-statement+jwt", &base::RECORDER, |grant| {
                    grant["pass"] = pass
                });
                open["grants"].as_array_mut().unwrap().push(grant);
            });
        },
    );
    g.requirement("R-29");
    g.add(
        "grant-of-another-visit",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant is for another visit.",
        |e| {
            e.grant(0, 1, |grant| grant["visit"] = other_id(9));
        },
    );
    g.add(
        "grant-of-another-group",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant was given in another group.",
        |e| {
            e.grant(0, 1, |grant| grant["group_id"] = json!("b3RoZXI"));
        },
    );
    g.requirement("R-32");
    g.add(
        "grant-of-another-round",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant is for another consent round.",
        |e| {
            e.grant(0, 1, |grant| grant["round"] = other_id(9));
        },
    );
    g.add(
        "grant-of-another-request",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant answers another request of the same round.",
        |e| {
            e.grant(0, 1, |grant| grant["request"] = other_hash(9));
        },
    );
    g.requirement("R-33");
    g.add(
        "grant-is-a-refusal",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "The patient refused.",
        |e| {
            e.grant(0, 1, |grant| grant["kind"] = json!("refusal"));
        },
    );
    g.add(
        "grant-is-a-withdrawal",
        "finished",
        OPEN_REFUSED,
        refuses("round_withdrawn"),
        "The patient withdrew.",
        |e| {
            e.grant(0, 1, |grant| grant["kind"] = json!("withdrawal"));
        },
    );
    g.add(
        "refusal-beside-the-grants",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "The clinician granted and then refused.",
        |e| {
            e.sign(0, "open", |open| {
                let mut refusal = open["grants"][0].clone();
                edit::resign(&mut refusal, "sv-statement+jwt", &base::CLINICIAN, |said| {
                    said["kind"] = json!("refusal");
                    said["seq"] = json!(2);
                });
                open["grants"].as_array_mut().unwrap().push(refusal);
            });
        },
    );
    g.requirement("R-6");
    g.add(
        "grant-kind-unknown",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "A statement has an unknown kind.",
        |e| {
            e.grant(0, 1, |grant| grant["kind"] = json!("maybe"));
        },
    );
    g.requirement("R-34");
    g.add(
        "grant-without-answers",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient's grant has no answers.",
        |e| {
            e.grant(0, 1, |grant| grant["answers"] = json!([]));
        },
    );
    g.add(
        "grant-without-information",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient did not agree to the layer `information`.",
        |e| {
            e.grant(0, 1, |grant| {
                grant["answers"][0]["information"] = json!(false)
            });
        },
    );
    g.add(
        "grant-without-recording",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient did not agree to the layer `recording`.",
        |e| {
            e.grant(0, 1, |grant| {
                grant["answers"][0]["recording"] = json!(false)
            });
        },
    );
    g.add(
        "grant-of-one-of-two-people",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "A second person at the patient's device did not agree.",
        |e| {
            e.grant(0, 1, |grant| {
                let mut second = grant["answers"][0].clone();
                second["recording"] = json!(false);
                grant["answers"].as_array_mut().unwrap().push(second);
            });
        },
    );
    g.requirement("R-35");
    g.add(
        "grant-of-other-texts",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient was shown another text.",
        |e| {
            e.grant(0, 1, |grant| grant["texts"][1] = other_hash(9));
        },
    );
    g.add(
        "grant-in-a-language-not-asked",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The patient was shown texts in a language that the request does not have.",
        |e| {
            e.grant(0, 1, |grant| grant["language"] = json!("es"));
        },
    );
    g.requirement("R-40");
    g.add(
        "grant-not-interpreted",
        "finished",
        OPEN_REFUSED,
        refuses("roster_refused"),
        "The patient speaks another language, and no interpreter signed.",
        |e| {
            e.grant(0, 1, |grant| grant["spoken"] = json!("es"));
        },
    );
    g.requirement("R-31");
    g.add(
        "grant-interpreted-by-a-clinician",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "Somebody who is not an interpreter claims to have interpreted.",
        |e| {
            let patient =
                signed::payload(e.claims(0, "open")["roster"][1].as_str().unwrap())["sub"].clone();
            e.grant(0, 0, |grant| grant["interpreted_for"] = json!([patient]));
        },
    );
    g.requirement("R-30");
    g.add(
        "grant-number-too-large",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "A statement's number is larger than 2^32.",
        |e| {
            e.grant(0, 1, |grant| grant["seq"] = json!(4_294_967_297_u64));
        },
    );
    g.requirement("R-36");
    g.add(
        "grant-number-does-not-grow",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "The clinician's second grant has the same number as the first.",
        |e| {
            e.sign(0, "open", |open| {
                let mut second = open["grants"][0].clone();
                edit::resign(&mut second, "sv-statement+jwt", &base::CLINICIAN, |said| {
                    said["at_ms"] = json!(0)
                });
                open["grants"].as_array_mut().unwrap().push(second);
            });
        },
    );
}

/// Grants that count, though they are more than one for each member.
fn further_grants(g: &mut Group) {
    g.requirement("R-36");
    g.add(
        "grant-again",
        "finished",
        COMPLETE,
        Takes,
        "The patient granted twice, the second time with a higher number.",
        |e| {
            e.sign(0, "open", |open| {
                let mut again = open["grants"][1].clone();
                edit::resign(&mut again, "sv-statement+jwt", &base::PATIENT, |said| {
                    said["seq"] = json!(2)
                });
                open["grants"].as_array_mut().unwrap().push(again);
            });
        },
    );
    g.requirement("R-29");
    g.add(
        "grant-of-somebody-outside-the-roster",
        "finished",
        COMPLETE,
        Takes,
        "A grant by somebody who is not in the roster is genuine, and counts for nobody.",
        |e| {
            e.sign(0, "open", |open| {
                let mut other = open["grants"][1].clone();
                edit::resign(&mut other, "sv-statement+jwt", &base::PATIENT, |said| {
                    edit::resign(&mut said["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                        pass["sub"] = other_id(9)
                    });
                });
                open["grants"].as_array_mut().unwrap().push(other);
            });
        },
    );
    g.add(
        "grant-in-a-strangers-name",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "A grant by somebody outside the roster is signed by the wrong key.",
        |e| {
            e.sign(0, "open", |open| {
                let mut other = open["grants"][1].clone();
                edit::resign(&mut other, "sv-statement+jwt", &base::CLINICIAN, |said| {
                    edit::resign(&mut said["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                        pass["sub"] = other_id(9)
                    });
                });
                open["grants"].as_array_mut().unwrap().push(other);
            });
        },
    );
    g.requirement("R-40");
    g.add(
        "grant-interpreted",
        "finished",
        COMPLETE,
        Takes,
        "The patient speaks another language, and an interpreter signed.",
        |e| {
            e.sign(0, "open", |open| {
                let patient = signed::payload(open["roster"][1].as_str().unwrap())["sub"].clone();
                edit::resign(
                    &mut open["grants"][1],
                    "sv-statement+jwt",
                    &base::PATIENT,
                    |said| said["spoken"] = json!("es"),
                );
                let mut interpreter = open["grants"][0].clone();
                edit::resign(
                    &mut interpreter,
                    "sv-statement+jwt",
                    &base::CLINICIAN,
                    |said| {
                        said["interpreted_for"] = json!([patient]);
                        edit::resign(&mut said["pass"], "sv-pass+jwt", &base::AUTHORITY, |pass| {
                            pass["sub"] = other_id(9);
                            pass["role"] = json!("interpreter");
                        });
                    },
                );
                open["grants"].as_array_mut().unwrap().push(interpreter);
            });
        },
    );
    g.requirement("R-9");
    g.add(
        "statement-too-long",
        "finished",
        OPEN_REFUSED,
        refuses("grant_refused"),
        "A statement has more than 16 KiB.",
        |e| {
            e.grant(0, 1, |grant| grant["place"] = json!("a".repeat(16_384)));
        },
    );
}

fn roster(g: &mut Group) {
    g.requirement("R-38");
    g.add(
        "roster-without-the-recorder",
        "finished",
        OPEN_REFUSED,
        refuses("recorder_not_in_roster"),
        "The recorder is not in its own roster.",
        |e| {
            e.sign(0, "open", |open| {
                drop(open["roster"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.requirement("R-37");
    g.add(
        "roster-member-twice",
        "finished",
        OPEN_REFUSED,
        refuses("roster_refused"),
        "The patient is in the roster twice.",
        |e| {
            e.sign(0, "open", |open| {
                let patient = open["roster"][1].clone();
                open["roster"].as_array_mut().unwrap().push(patient);
            });
        },
    );
    g.requirement("R-38");
    g.add(
        "roster-of-two-recorders",
        "finished",
        OPEN_REFUSED,
        refuses("roster_refused"),
        "The roster has two recorders.",
        |e| {
            e.sign(0, "open", |open| {
                let mut second = open["roster"][2].clone();
                edit::resign(&mut second, "sv-pass+jwt", &base::AUTHORITY, |pass| {
                    pass["sub"] = other_id(9)
                });
                open["roster"].as_array_mut().unwrap().push(second);
            });
        },
    );
    g.requirement("R-39");
    g.add(
        "roster-member-without-a-grant",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "A guest in the roster did not grant.",
        |e| {
            e.sign(0, "open", |open| {
                let mut guest = open["roster"][1].clone();
                edit::resign(&mut guest, "sv-pass+jwt", &base::AUTHORITY, |pass| {
                    pass["sub"] = other_id(9);
                    pass["role"] = json!("guest");
                });
                open["roster"].as_array_mut().unwrap().push(guest);
            });
        },
    );
    g.add(
        "roster-member-in-another-role",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "The patient granted in a different role than the one in the roster.",
        |e| {
            e.roster(0, 1, |pass| pass["role"] = json!("guest"));
        },
    );
    g.add(
        "roster-member-with-another-key",
        "finished",
        OPEN_REFUSED,
        refuses("not_granted"),
        "The patient granted with a different key than the one in the roster.",
        |e| {
            let key = signed::jwk(&[9; 32]);
            e.roster(0, 1, |pass| pass["cnf"]["jwk"] = key);
        },
    );
}

fn headers(g: &mut Group) {
    g.requirement("R-42");
    g.add(
        "header-of-another-visit",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header names another visit.",
        |e| {
            e.header(0, 0, |header| header["visit"] = other_id(9));
        },
    );
    g.add(
        "header-of-another-recording",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header names another recording.",
        |e| {
            e.header(0, 0, |header| header["recording"] = other_id(9));
        },
    );
    g.add(
        "header-of-another-part",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header names another part.",
        |e| {
            e.header(0, 0, |header| header["part"] = json!(1));
        },
    );
    g.add(
        "header-of-another-track",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header names another track.",
        |e| {
            e.header(0, 0, |header| header["track"] = other_id(9));
        },
    );
    g.add(
        "header-recording-key-differs",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header names another recording key.",
        |e| {
            e.header(0, 0, |header| {
                header["recording_key"] = signed::jwk(&base::PATIENT)
            });
        },
    );
    g.add(
        "header-recipient-missing",
        "finished",
        OPEN_REFUSED,
        refuses("header_disagrees"),
        "A track's header lacks a recipient.",
        |e| {
            e.header(0, 0, |header| {
                drop(header["recipients"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.requirement("R-46");
    g.add(
        "header-without-recipients",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's header has no recipients.",
        |e| {
            e.header(0, 0, |header| header["recipients"] = json!([]));
        },
    );
    g.add(
        "header-recipients-not-sorted",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "The recipients in a track's header are not sorted.",
        |e| {
            e.header(0, 0, |header| {
                header["recipients"].as_array_mut().unwrap().reverse()
            });
        },
    );
    g.requirement("R-14");
    g.add(
        "header-of-version-2",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's header has an unknown version.",
        |e| {
            e.header(0, 0, |header| header["v"] = json!(2));
        },
    );
    g.requirement("R-6");
    g.add(
        "header-suite-unknown",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's header names an unknown way of sealing.",
        |e| {
            e.header(0, 0, |header| header["suite"] = json!("rot-13"));
        },
    );
    g.add(
        "header-content-unknown",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's content has an unknown kind.",
        |e| {
            e.header(0, 0, |header| {
                header["content"] = json!({"kind": "hologram"})
            });
        },
    );
    g.requirement("R-5");
    g.add(
        "header-without-share-required",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's header does not say whether a share is needed.",
        |e| {
            e.header(0, 0, |header| {
                drop(header.as_object_mut().unwrap().remove("share_required"))
            });
        },
    );
    g.requirement("R-9");
    g.add(
        "header-too-long",
        "finished",
        OPEN_REFUSED,
        refuses("header_refused"),
        "A track's header has more than 64 KiB.",
        |e| {
            e.sign(0, "open", |open| {
                let long = format!("{{\"v\":1,{}}}", " ".repeat(65_536));
                open["tracks"][0]["header"] =
                    json!(sealed_visit_protocol::bytes::to_base64url(long.as_bytes()));
            });
        },
    );
}
