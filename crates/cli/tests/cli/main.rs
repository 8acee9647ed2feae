//! The clinic tool as its users run it: the real program, files in, files out.

mod audit;
mod endings;
mod made;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use made::{Made, WEBM, make_recording, make_recording_with};
use serde_json::Value;
use tempfile::TempDir;

pub const PASSPHRASE: &str = "a passphrase for tests";

/// Runs the tool; gives its exit code and its one line of JSON.
pub fn tool<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> (i32, Value) {
    let output = run(arguments);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let json = serde_json::from_str(stdout.trim())
        .unwrap_or_else(|_| panic!("{stdout}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

fn run<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealed-visit"))
        .arg("--json")
        .args(arguments)
        .env("SEALED_VISIT_PASSPHRASE", PASSPHRASE)
        .env_remove("SEALED_VISIT_ROOT")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn well<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Value {
    let (code, json) = tool(arguments);
    assert_eq!((code, &json["ok"]), (0, &Value::Bool(true)), "{json}");
    json
}

/// Keys of both suites in `folder`.
pub fn keygen(folder: &Path) -> [PathBuf; 2] {
    ["x-wing", "x25519"].map(|suite| {
        let file = folder.join(format!("{suite}.jwe"));
        well([
            "keygen".as_ref(),
            file.as_os_str(),
            "--suite".as_ref(),
            suite.as_ref(),
        ]);
        file
    })
}

fn with_recording() -> (TempDir, [PathBuf; 2], Made) {
    let temp = tempfile::tempdir().unwrap();
    let keys = keygen(temp.path());
    let made = make_recording(&temp.path().join("recording"), &keys);
    (temp, keys, made)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn keygen_makes_a_protected_key_and_never_replaces_one() {
    let temp = tempfile::tempdir().unwrap();
    let [key, _] = keygen(temp.path());
    let file = std::fs::read_to_string(&key).unwrap();
    assert_eq!(file.trim().split('.').count(), 5, "a compact JWE");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let public = temp.path().join("x-wing.jwe.pub.json");
    let of_public = well(["fingerprint", text(&public)]);
    let of_private = well(["fingerprint", text(&key)]);
    assert_eq!(of_public, of_private);
    assert_eq!(of_public["suite"], "x-wing");
    assert_eq!(of_public["spoken"].as_str().unwrap().split(' ').count(), 6);

    let (code, json) = tool(["keygen", text(&key)]);
    assert_eq!((code, &json["ok"]), (8, &Value::Bool(false)));
    assert_eq!(std::fs::read_to_string(&key).unwrap(), file);
}

#[test]
fn a_wrong_or_short_passphrase_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let [key, _] = keygen(temp.path());
    let wrong = temp.path().join("wrong");
    std::fs::write(&wrong, "another passphrase\n").unwrap();
    let (code, json) = tool(["fingerprint", text(&key), "--passphrase-file", text(&wrong)]);
    assert_eq!((code, &json["code"]), (5, &"wrong-key".into()));
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("passphrase is wrong"),
        "{json}"
    );
    std::fs::write(&wrong, "short").unwrap();
    let other = temp.path().join("other.jwe");
    let (code, _) = tool(["keygen", text(&other), "--passphrase-file", text(&wrong)]);
    assert_eq!(code, 8);
    assert!(!other.exists());
}

/// A clinic with a root key and nothing else.
fn clinic_folder(parent: &Path) -> PathBuf {
    let folder = parent.join("clinic");
    well([
        "clinic",
        "init",
        text(&folder),
        "--name",
        "A clinic",
        "--contact",
        "records@clinic.example",
    ]);
    folder
}

#[test]
fn a_wipe_order_names_its_recordings_and_is_signed_by_the_root() {
    let temp = tempfile::tempdir().unwrap();
    let folder = clinic_folder(temp.path());
    let folder = text(&folder);
    let id = "-AAAAAAAAAAAAAAAAAAAAA";
    let made = well([
        "clinic",
        "wipe",
        folder,
        "--recording",
        id,
        "--reason",
        "deletion-granted",
    ]);
    let root = std::fs::read_to_string(temp.path().join("clinic/root.pub")).unwrap();
    let root = sealed_visit_protocol::PublicKey::parse(root.trim()).unwrap();
    let order = sealed_visit_protocol::Jws::from_text(made["order"].as_str().unwrap());
    let claims = sealed_visit_protocol::recording::WipeClaims::verify(&order, &root).unwrap();
    assert!(claims.covers(id.parse().unwrap()));
    let refused = run([
        "clinic",
        "wipe",
        folder,
        "--recording",
        "x",
        "--reason",
        "deletion-granted",
    ]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_decision_not_to_delete_names_the_wishes_it_answers_and_is_signed_by_the_root() {
    use sealed_visit_protocol::consent::{StatementClaims, StatementKind, WithdrawalWish};
    use sealed_visit_protocol::recording::DeclineClaims;
    use sealed_visit_protocol::{B64, Hash32, Jws, RoundId, SigningKey, VisitId};
    let temp = tempfile::tempdir().unwrap();
    let folder = clinic_folder(temp.path());
    let folder = text(&folder);
    let id = "-AAAAAAAAAAAAAAAAAAAAA";
    let withdrawal = |seq, wish| {
        SigningKey::from_seed(&[1; 32]).sign(&StatementClaims {
            v: 1,
            visit: VisitId::from_bytes([1; 16]),
            group_id: B64(vec![1]),
            round: RoundId::from_bytes([1; 16]),
            request: Hash32([1; 32]),
            seq,
            kind: StatementKind::Withdrawal,
            answers: vec![],
            texts: vec![],
            language: "en".into(),
            spoken: String::new(),
            interpreted_for: vec![],
            place: String::new(),
            wish,
            at_ms: 1,
            pass: Jws::from_text("a.b.c"),
        })
    };
    let [keep, first, second] = [
        None,
        Some(WithdrawalWish::Delete),
        Some(WithdrawalWish::Delete),
    ];
    let [keep, first, second] = [
        withdrawal(1, keep),
        withdrawal(2, first),
        withdrawal(3, second),
    ];
    let answer = temp.path().join("details.json");
    let decide = |recording: &str, withdrawals: &[&Jws<StatementClaims>]| {
        let summary = serde_json::json!({"recording": recording, "state": "withdrawn"});
        let details = serde_json::json!({"summary": summary, "withdrawals": withdrawals});
        std::fs::write(&answer, details.to_string()).unwrap();
        let details = text(&answer);
        tool([
            "clinic",
            "decline",
            folder,
            "--recording",
            id,
            "--details",
            details,
        ])
    };
    let (code, made) = decide(id, &[&keep, &first, &second]);
    assert_eq!(code, 0, "{made}");
    let root = std::fs::read_to_string(temp.path().join("clinic/root.pub")).unwrap();
    let root = sealed_visit_protocol::PublicKey::parse(root.trim()).unwrap();
    let decision = Jws::from_text(made["decision"].as_str().unwrap());
    let claims = DeclineClaims::verify(&decision, &root).unwrap();
    assert_eq!(claims.recording, id.parse().unwrap());
    assert_eq!(claims.withdrawals, [first.hash(), second.hash()]);
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(decide(other, &[&first]).0, 6, "about another recording");
    assert_eq!(decide(id, &[&keep]).0, 8, "no wish in it");
}

#[test]
fn a_clinic_is_made_changed_and_signed_anew() {
    let temp = tempfile::tempdir().unwrap();
    let [first, second] = keygen(temp.path()).map(|key| format!("{}.pub.json", key.display()));
    let folder = temp.path().join("clinic");
    let folder = text(&folder);
    let key = |seed: u8| {
        let public = sealed_visit_protocol::SigningKey::from_seed(&[seed; 32]).public();
        serde_json::to_string(&public).unwrap()
    };
    let made = well([
        "clinic",
        "init",
        folder,
        "--name",
        "A clinic",
        "--contact",
        "someone@clinic.example",
        "--authority",
        &key(2),
        "--recipient",
        &format!("responsible_clinician={first}"),
    ]);
    assert_eq!(
        (&made["number"], &made["signed"]),
        (&0.into(), &false.into()),
        "no vault, nothing to sign"
    );
    let (code, _) = tool(["clinic", "sign", folder]);
    assert_eq!(code, 8);

    well(["clinic", "set", folder, "--vault", &key(3)]);
    assert_eq!(well(["clinic", "sign", folder])["number"], 1);
    let changed = well([
        "clinic",
        "add-recipient",
        folder,
        &second,
        "--role",
        "archive",
    ]);
    assert_eq!(
        (&changed["number"], &changed["signed"]),
        (&1.into(), &false.into())
    );
    let (code, _) = tool([
        "clinic",
        "add-recipient",
        folder,
        &second,
        "--role",
        "archive",
    ]);
    assert_eq!(code, 8, "the same key twice");
    let signed = well(["clinic", "sign", folder]);
    assert_eq!(
        (&signed["number"], &signed["signed"]),
        (&2.into(), &true.into())
    );

    let spoken = signed["recipients"][0]["spoken"].as_str().unwrap();
    let retired = well(["clinic", "retire", folder, spoken]);
    assert_eq!(retired["recipients"][0]["retired"], true);
    assert_eq!(well(["clinic", "sign", folder])["number"], 3);

    let root = std::fs::read_to_string(format!("{folder}/root.pub")).unwrap();
    let root = sealed_visit_protocol::PublicKey::parse(root.trim()).unwrap();
    let jws = std::fs::read_to_string(format!("{folder}/clinic.jws")).unwrap();
    let document = sealed_visit_protocol::ClinicDocument::verify(
        &sealed_visit_protocol::Jws::from_text(jws.trim()),
        &root,
    )
    .unwrap();
    assert_eq!(
        document.claims().recipients.len(),
        2,
        "a retired recipient stays listed"
    );
    assert_eq!(document.claims().retired.len(), 1);
    let (code, _) = tool(["clinic", "init", folder, "--name", "x", "--contact", "y"]);
    assert_eq!(code, 8, "a root key is never replaced");
}

#[test]
fn a_root_key_is_not_taken_for_a_recipients() {
    let (temp, _, made) = with_recording();
    let folder = temp.path().join("clinic");
    well([
        "clinic",
        "init",
        text(&folder),
        "--name",
        "x",
        "--contact",
        "y",
    ]);
    let (code, json) = tool([
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&folder.join("root.jwe")),
        "--out",
        text(&temp.path().join("out")),
    ]);
    assert_eq!(code, 6);
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("sealed-visit-root+json"),
        "{json}"
    );
}

#[test]
fn verifies_and_opens_what_was_recorded_with_either_key() {
    let (temp, keys, made) = with_recording();
    let report = well(["verify", text(&made.folder), "--root", &made.root]);
    assert_eq!(
        (
            &report["complete"],
            report["parts"].as_array().unwrap().len()
        ),
        (&true.into(), 2)
    );
    assert_eq!(report["parts"][0]["ending"]["state"], "finished");
    assert_eq!(report["parts"][0]["receipt"], "valid");
    assert_eq!(report["parts"][1]["ending"]["state"], "closed_by_vault");
    assert_eq!(report["pauses"].as_array().unwrap().len(), 1);
    for (index, key) in keys.iter().enumerate() {
        let out = temp.path().join(format!("out-{index}"));
        let opened = well([
            "open",
            text(&made.folder),
            "--root",
            &made.root,
            "--key",
            text(key),
            "--out",
            text(&out),
            "--raw",
        ]);
        assert_eq!(opened["files"].as_array().unwrap().len(), 4);
        for (part, slices) in made.mixed.iter().enumerate() {
            let file = out.join(format!("part-{part}-mixed.webm"));
            assert!(
                std::fs::read(&file).unwrap() == slices.concat(),
                "part {part}"
            );
        }
        let events = std::fs::read_to_string(out.join("part-0-events.jsonl")).unwrap();
        assert!(events.contains(r#""event":"mark""#));
    }
}

#[test]
fn opens_one_track_to_standard_output_and_replaces_nothing_unasked() {
    let (temp, keys, made) = with_recording();
    let output = run([
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&keys[1]),
        "--out",
        "-",
        "--track",
        &made.tracks[0],
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout == made.mixed[0].concat());

    let out = temp.path().join("out");
    let open = [
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&keys[1]),
        "--out",
        text(&out),
    ];
    well(open);
    assert_eq!(tool(open).0, 8, "the files are there already");
    well(open.into_iter().chain(["--force"]));
}

#[test]
fn opened_media_is_made_seekable_unless_raw_is_asked_for() {
    let (temp, keys, made) = with_recording();
    let out = temp.path().join("out");
    let opened = well([
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&keys[1]),
        "--out",
        text(&out),
    ]);
    let by_name = |name: &str| {
        let files = opened["files"].as_array().unwrap();
        files
            .iter()
            .find(|file| file["file"].as_str().unwrap().ends_with(name))
            .unwrap()
            .clone()
    };
    let whole = by_name("part-0-mixed.webm");
    assert_eq!(whole["seekable"], true);
    assert!(
        (1_950..=2_050).contains(&whole["duration_ms"].as_u64().unwrap()),
        "{whole}"
    );
    assert_eq!(whole["size_bytes"], made.mixed[0].concat().len());
    // The recorder vanished in part 1: what is whole of it can be played and sought all the same.
    let torn = by_name("part-1-mixed.webm");
    assert_eq!(torn["seekable"], true);
    assert!(
        (1_000..2_000).contains(&torn["duration_ms"].as_u64().unwrap()),
        "{torn}"
    );
    assert_eq!(by_name("part-0-events.jsonl")["seekable"], Value::Null);
    let left: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 4, "nothing else stays behind: {left:?}");
}

#[test]
fn what_cannot_be_made_seekable_stays_what_was_recorded_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    let keys = keygen(temp.path());
    let folder = temp.path().join("recording");
    // That it holds two files is noticed only when much of the first is written.
    let two = [WEBM, WEBM].concat();
    for (number, media) in [&two[..], b"no WebM at all"].into_iter().enumerate() {
        let folder = folder.join(number.to_string());
        let made = make_recording_with(&folder, &keys, "video/webm", media);
        let out = temp.path().join(format!("out-{number}"));
        let opened = well([
            "open",
            text(&made.folder),
            "--root",
            &made.root,
            "--key",
            text(&keys[1]),
            "--out",
            text(&out),
        ]);
        let files = opened["files"].as_array().unwrap();
        let whole = files
            .iter()
            .find(|file| {
                file["file"]
                    .as_str()
                    .unwrap()
                    .ends_with("part-0-mixed.webm")
            })
            .unwrap();
        assert_eq!(whole["seekable"], false);
        assert_eq!(whole["size_bytes"], media.len());
        assert_eq!(whole["duration_ms"], Value::Null);
        assert!(std::fs::read(out.join("part-0-mixed.webm")).unwrap() == media);
        let left = std::fs::read_dir(&out).unwrap().count();
        assert_eq!(left, 4, "nothing else stays behind");
    }
}

#[test]
fn an_altered_track_is_refused_and_opened_up_to_there() {
    let (temp, keys, made) = with_recording();
    let file = made.folder.join(format!("{}.track", made.tracks[0]));
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (code, report) = tool(["verify", text(&made.folder), "--root", &made.root]);
    assert_eq!((code, &report["ok"]), (4, &false.into()));
    let out = temp.path().join("out");
    let (code, opened) = tool([
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&keys[1]),
        "--out",
        text(&out),
        "--raw",
    ]);
    assert_eq!((code, &opened["ok"]), (4, &false.into()));
    let written = std::fs::read(out.join("part-0-mixed.webm")).unwrap();
    let good = opened["report"]["parts"][0]["tracks"][0]["segments"]
        .as_u64()
        .unwrap() as usize;
    assert!(good > 0 && good < made.mixed[0].len());
    assert!(
        written == made.mixed[0][..good].concat(),
        "exactly the good segments"
    );
}

#[test]
fn a_truncated_or_missing_track_is_genuine_but_incomplete() {
    let (_temp, _, made) = with_recording();
    let file = made.folder.join(format!("{}.track", made.tracks[0]));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 10]).unwrap();
    let (code, report) = tool(["verify", text(&made.folder), "--root", &made.root]);
    assert_eq!(
        (code, &report["ok"], &report["complete"]),
        (3, &true.into(), &false.into())
    );
    std::fs::remove_file(&file).unwrap();
    let (code, report) = tool(["verify", text(&made.folder), "--root", &made.root]);
    assert_eq!(code, 3);
    assert_eq!(report["parts"][0]["problems"][0]["code"], "track-missing");
}

#[test]
fn a_recording_that_says_something_twice_is_refused() {
    let (_temp, _, made) = with_recording();
    let path = made.folder.join("recording.json");
    let honest = std::fs::read_to_string(&path).unwrap();
    let verify = || tool(["verify", text(&made.folder), "--root", &made.root]).0;
    assert_eq!(verify(), 0);
    let track = format!(r#""track":"{}""#, made.tracks[0]);
    let compact: Value = serde_json::from_str(&honest).unwrap();
    let compact = compact.to_string();
    assert!(compact.contains(&track));
    for (once, twice) in [
        (r#""parts":"#, r#""parts":[],"parts":"#.to_owned()),
        (&*track, format!(r#"{track},"newer":1,"newer":2"#)),
    ] {
        std::fs::write(&path, compact.replacen(once, &twice, 1)).unwrap();
        assert_eq!(verify(), 6, "{twice}");
    }
    // A track that is listed and is nobody's, without a file and without envelopes.
    let more = format!(r#""tracks":[{{"track":"{}"}},"#, "A".repeat(22));
    std::fs::write(&path, compact.replacen(r#""tracks":["#, &more, 1)).unwrap();
    assert_eq!(verify(), 4);
}

#[test]
fn another_root_a_stranger_and_a_destroyed_share_open_nothing() {
    let (temp, keys, made) = with_recording();
    let out = temp.path().join("out");
    let other_root =
        serde_json::to_string(&sealed_visit_protocol::SigningKey::from_seed(&[99; 32]).public())
            .unwrap();
    let (code, _) = tool(["verify", text(&made.folder), "--root", &other_root]);
    assert_eq!(code, 4);
    let stranger = temp.path().join("stranger.jwe");
    well(["keygen", text(&stranger)]);
    let (code, json) = tool([
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&stranger),
        "--out",
        text(&out),
    ]);
    assert_eq!(code, 5);
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("not among the recipients"),
        "{json}"
    );

    let path = made.folder.join("recording.json");
    let with_shares = std::fs::read(&path).unwrap();
    let mut json: Value = serde_json::from_slice(&with_shares).unwrap();
    for part in json["parts"].as_array_mut().unwrap() {
        for track in part["tracks"].as_array_mut().unwrap() {
            track.as_object_mut().unwrap().remove("share");
        }
    }
    std::fs::write(&path, json.to_string()).unwrap();
    let open = [
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(&keys[0]),
        "--out",
        text(&out),
    ];
    let (code, json) = tool(open);
    assert_eq!((code, &json["code"]), (7, &"no-share".into()));
    assert!(json["error"].as_str().unwrap().contains("share"), "{json}");
    // The shares may come from elsewhere.
    let shares = temp.path().join("shares");
    std::fs::create_dir(&shares).unwrap();
    std::fs::write(shares.join("recording.json"), with_shares).unwrap();
    well(
        open.into_iter()
            .chain(["--shares", text(&shares), "--force"]),
    );
}

#[test]
fn ids_and_keys_may_begin_with_a_hyphen() {
    let temp = tempfile::tempdir().unwrap();
    let clinic = temp.path().join("clinic");
    // About one key in 64 does.
    let key = (0..=255_u8)
        .map(|seed| sealed_visit_protocol::SigningKey::from_seed(&[seed; 32]).public())
        .map(|key| sealed_visit_protocol::Hash32(*key.as_bytes()).to_string())
        .find(|x| x.starts_with('-'))
        .unwrap();
    well([
        "clinic",
        "init",
        text(&clinic),
        "--name",
        "x",
        "--contact",
        "y",
        "--authority",
        &key,
        "--vault",
        &key,
    ]);
    let absent = temp.path().join("absent");
    for arguments in [
        ["verify", text(&absent), "--root", &key].as_slice(),
        &[
            "open",
            text(&absent),
            "--root",
            &key,
            "--key",
            "k",
            "--out",
            "o",
            "--track",
            "-NNNNNNNNNNNNNNNNNNNNA",
        ],
        &["clinic", "retire", text(&clinic), &key],
    ] {
        // Refused for what is not there, not for how it is written (2 would be wrong usage).
        let (code, json) = tool(arguments);
        assert!([6, 8].contains(&code), "{json}");
    }
}

#[test]
fn inspect_believes_nothing_and_shows_no_secret() {
    let (_temp, keys, made) = with_recording();
    let recording = well(["inspect", text(&made.folder)]);
    assert_eq!(recording["verified"], false);
    assert_eq!(
        recording["says"]["parts"][0]["tracks"][0]["share"], true,
        "that there is one, not which"
    );
    for share in &made.shares {
        assert!(!recording.to_string().contains(share.as_str()));
    }
    let track = well([
        "inspect",
        text(&made.folder.join(format!("{}.track", made.tracks[0]))),
    ]);
    assert_eq!(
        track["says"]["segments"].as_array().unwrap().len(),
        made.mixed[0].len()
    );
    assert_eq!(
        well(["inspect", text(&keys[0])])["says"]["content_type"],
        "sealed-visit-key+json"
    );
    let clinic = well(["inspect", text(&made.folder.join("clinic.jws"))]);
    assert_eq!(clinic["says"]["claims"]["number"], 1);
}

#[test]
fn opens_the_sealed_fixture_of_every_released_version() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let temp = tempfile::tempdir().unwrap();
    for version in ["v1"] {
        let fixture = fixtures.join(format!("recording-{version}"));
        for key in ["x-wing", "x25519"] {
            let out = temp.path().join(format!("{version}-{key}"));
            let opened = well([
                "open",
                text(&fixture.join("recording")),
                "--root",
                text(&fixture.join("root.pub")),
                "--key",
                text(&fixture.join(format!("{key}.jwe"))),
                "--out",
                text(&out),
                "--raw",
                "--passphrase-file",
                text(&fixture.join("passphrase")),
            ]);
            assert_eq!(opened["complete"], true, "{version} {key}");
            for part in ["part-0-mixed.webm", "part-1-mixed.webm"] {
                let [ours, expected] =
                    [&out, &fixture].map(|folder| std::fs::read(folder.join(part)).unwrap());
                assert!(ours == expected, "{version} {key} {part}");
            }
        }
    }
}

/// Makes the fixture of a release: `FIXTURE=folder cargo test -p sealed-visit-cli -- --ignored fixture`.
#[test]
#[ignore = "makes files that are kept; run it by hand for a release"]
fn fixture() {
    let folder = PathBuf::from(std::env::var("FIXTURE").expect("FIXTURE names the folder to make"));
    std::fs::create_dir_all(&folder).unwrap();
    let keys = keygen(&folder);
    let made = make_recording(&folder.join("recording"), &keys);
    std::fs::write(folder.join("root.pub"), format!("{}\n", made.root)).unwrap();
    std::fs::write(folder.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    for (part, slices) in made.mixed.iter().enumerate() {
        std::fs::write(
            folder.join(format!("part-{part}-mixed.webm")),
            slices.concat(),
        )
        .unwrap();
    }
}
